"""SQL of somebody else, run read-only against tables in memory, under limits of time, memory and length.

A statement runs in a process of its own, which holds the tables and nothing else: no file, no network, no attached
database. What it may do is a list (`medbench.store.sql_worker.ALLOWED`); what it may take is limited by the operating
system, so that a statement that can't be interrupted from inside still ends.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

SqlFault = Literal["sql_error", "not_allowed", "timeout", "too_large", "bad_tables"]
Value = int | float | str | None

_WORKER = Path(__file__).with_name("sql_worker.py")


class SqlTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table.

    Attributes:
        columns: (name, kind) in order.
        rows: Values, one for each column.
    """

    columns: tuple[tuple[str, Literal["INTEGER", "REAL", "TEXT"]], ...]
    rows: tuple[tuple[Value, ...], ...] = ()


class SqlDatabase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables by name."""

    tables: dict[str, SqlTable]

    def schema(self) -> str:
        """`CREATE TABLE` statements of all tables."""
        return "\n".join(
            f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in table.columns)});"
            for name, table in self.tables.items()
        )


class SqlLimits(msgspec.Struct, frozen=True):
    """What a statement may take.

    Attributes:
        seconds: Of the processor; on the clock four times as long.
        memory: Bytes of the address space.
        rows: Most rows returned.
        characters: Most characters returned.
    """

    seconds: float = 5.0
    memory: int = 512 * 1024 * 1024
    rows: int = 1_000
    characters: int = 200_000


class SqlResult(msgspec.Struct, frozen=True):
    """What a statement gave.

    Attributes:
        columns: Names.
        rows: Values; of a blob its hexadecimal digits.
        more: There are more rows than may be returned.
        error: Why there is no result; empty: there is one.
        detail: What SQLite said, or what was refused.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    more: bool = False
    error: SqlFault | Literal[""] = ""
    detail: str = ""


def run_sql(database: SqlDatabase, sql: str, limits: SqlLimits = SqlLimits()) -> SqlResult:  # noqa: B008 - frozen
    """Run one statement (SQLite's dialect). Blocks: call it from a worker.

    Args:
        database: The tables; the statement can't change them.
        sql: Untrusted.
        limits: What it may take.

    Returns:
        The rows, or why there are none; the same statement on the same tables gives the same, unless time ran out.

    Raises:
        ValueError: There can't be such tables.
    """
    request = {
        "sql": sql,
        "seconds": limits.seconds,
        "memory": limits.memory,
        "rows": limits.rows,
        "characters": limits.characters,
    }
    try:
        line = msgspec.json.encode(request)
    except UnicodeEncodeError:
        return SqlResult(error="sql_error", detail="not Unicode")
    try:
        done = subprocess.run(  # noqa: S603 - our own script, the statement goes in as data
            [sys.executable, "-I", "-S", str(_WORKER)],
            input=line + b"\n" + msgspec.json.encode(database),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=4 * limits.seconds,
            cwd="/",
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SqlResult(error="timeout")
    try:
        result = msgspec.json.decode(done.stdout, type=SqlResult)
    except msgspec.DecodeError:
        # Killed by the limit of the processor, or without the memory to say anything.
        return SqlResult(error="timeout" if done.returncode in _BY_THE_CLOCK else "too_large")
    if result.error == "bad_tables":
        raise ValueError(result.detail)
    return result


_BY_THE_CLOCK = frozenset({-9, -24})
"""SIGKILL, SIGXCPU."""
