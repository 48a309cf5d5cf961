"""Opening SQLite files the one way this project does it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from medbench.errors import WorkError
from medbench.text import say

BUSY_TIMEOUT_S = 5.0


def open_database(path: Path, *, migrations: Sequence[str] = (), read_only: bool = False) -> sqlite3.Connection:
    """Open a SQLite file in WAL mode and bring its schema up to date by `user_version`.

    A commit survives `kill -9` of the process; after a power cut the last commits may be missing but the file is whole
    (`synchronous=NORMAL`), and whatever is missing is simply done again.

    Args:
        path: The file; created unless `read_only`.
        migrations: SQL scripts; script i brings the schema from version i to i + 1.
        read_only: Open without writing, also beside a writer.

    Raises:
        WorkError: The file is locked by another process, unwritable, not a database or from a newer version.
    """
    with database_errors(path):
        if read_only:
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
            )
        else:
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations) and migrations:
            raise WorkError(say("store.newer", path=path, version=version))
        if not read_only:
            for number, script in enumerate(migrations[version:], start=version + 1):
                connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    return connection


def is_made(path: Path) -> bool:
    """Whether a database is there with its tables; one that its writer is just making has none yet.

    Raises:
        WorkError: The file is locked by another process or not a database.
    """
    if not path.exists():
        return False
    connection = open_database(path, read_only=True)
    with closing(connection), database_errors(path):
        return bool(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's and the file system's errors into one that says what to do.

    Raises:
        WorkError: In place of `sqlite3.Error` and `OSError`.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        message = str(error)
        name = "store.full" if "full" in message else "store.locked" if "locked" in message else "store.unusable"
        raise WorkError(say(name, path=path, error=message)) from error
    except (sqlite3.DatabaseError, OSError) as error:
        raise WorkError(say("store.unusable", path=path, error=error)) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction: all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
