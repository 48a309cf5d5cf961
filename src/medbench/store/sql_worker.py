"""Runs one SQL statement against tables in memory, in a process of its own that may use little and touch nothing.

Started by `medbench.store.sql` as a bare script: it imports the standard library alone. On stdin a line of JSON with
`sql` and the limits, then the database; on stdout one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION})
"""Neither ATTACH, PRAGMA, a write, a transaction nor a recursive query is in it."""
REFUSED_FUNCTIONS = frozenset(
    {
        "random",
        "randomblob",
        "zeroblob",
        "load_extension",
        "fts3_tokenizer",
        "current_date",
        "current_time",
        "current_timestamp",
    }
)
"""What fills memory, leaves the process, or answers otherwise tomorrow."""
LONGEST_VALUE = 100_000
STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
TIMES = ("date", "time", "datetime", "julianday", "strftime", "unixepoch", "timediff")


def main() -> None:
    """Serve one request."""
    request = json.loads(sys.stdin.buffer.readline())
    database = sys.stdin.buffer.read()
    _confine(request["seconds"], request["memory"])
    try:
        connection = _tables(json.loads(database))
    except sqlite3.Error as error:
        reply: dict[str, object] = {"error": "bad_tables", "detail": str(error)}
    else:
        reply = _run(connection, request)
    json.dump(reply, sys.stdout)


def _confine(seconds: float, memory: int) -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limits; the clock below and the parent's remain
        import resource

        whole = int(seconds) + 1
        for limit, value in (
            (resource.RLIMIT_CPU, whole),
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, 3),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):  # a system that knows the limit and does not have it
                resource.setrlimit(limit, (value, value))


def _tables(database: dict[str, Any]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    for name, table in database["tables"].items():
        columns = ", ".join(f"{_quoted(column)} {kind}" for column, kind in table["columns"])
        connection.execute(f"CREATE TABLE {_quoted(name)} ({columns})")
        marks = ", ".join("?" * len(table["columns"]))
        connection.executemany(f"INSERT INTO {_quoted(name)} VALUES ({marks})", table["rows"])  # noqa: S608 - quoted
    connection.execute("PRAGMA query_only = ON")
    return connection


def _run(connection: sqlite3.Connection, request: dict[str, Any]) -> dict[str, object]:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200)
    connection.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200)
    connection.setlimit(sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50)
    refused: list[str] = []

    def authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action not in ALLOWED or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in REFUSED_FUNCTIONS):
            refused.append(second if action == sqlite3.SQLITE_FUNCTION and second else _NAMES.get(action, "a change"))
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    connection.set_authorizer(authorise)
    for name in TIMES:
        connection.create_function(name, -1, _timeless(name, refused), deterministic=True)
    deadline = time.monotonic() + request["seconds"]
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        cursor = connection.execute(request["sql"])
        names = [column[0] for column in cursor.description or ()]
        rows, more = _rows(cursor, request["rows"], request["characters"])
    except sqlite3.Error as error:
        return _fault(error, refused, late=time.monotonic() > deadline)
    except MemoryError:
        return {"error": "too_large", "detail": "out of memory"}
    return {"columns": names, "rows": rows, "more": more}


def _timeless(name: str, refused: list[str]) -> Callable[..., Any]:
    """SQLite's function of that name, but for the present, which would answer otherwise tomorrow."""
    own = sqlite3.connect(":memory:")

    def call(*arguments: object) -> object:
        given = [_as_read(each) for each in (arguments[1:] if name == "strftime" else arguments)]
        if not given or "now" in given or given[0] in ("subsec", "subsecond"):
            refused.append("the present time")
            raise ValueError
        marks = ", ".join("?" * len(arguments))
        return own.execute(f"SELECT {name}({marks})", arguments).fetchone()[0]  # a name in TIMES

    return call


def _as_read(value: object) -> str:
    """An argument as SQLite's functions of time read it: bytes are text to them, and text ends with its first NUL."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.partition("\0")[0].strip().lower()


_NAMES = {
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_RECURSIVE: "a recursive query",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
}


def _rows(cursor: sqlite3.Cursor, most: int, characters: int) -> tuple[list[list[object]], bool]:
    rows: list[list[object]] = []
    for row in cursor:
        values = [_plain(value) for value in row]
        characters -= sum(len(str(value)) + 2 for value in values)
        if len(rows) == most or characters < 0:
            return rows, True
        rows.append(values)
    return rows, False


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value


def _fault(error: sqlite3.Error, refused: list[str], *, late: bool) -> dict[str, object]:
    detail = str(error)
    if refused:
        return {"error": "not_allowed", "detail": refused[0]}
    if late:
        return {"error": "timeout", "detail": detail}
    if "too big" in detail or isinstance(error, sqlite3.DataError) or "out of memory" in detail:
        return {"error": "too_large", "detail": detail}
    return {"error": "sql_error", "detail": detail}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


if __name__ == "__main__":
    main()
