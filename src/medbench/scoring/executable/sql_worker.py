"""Run SQL of an answer in a process of its own: `python -m medbench.scoring.executable.sql_worker`.

The SQL comes from a model. This process gets it through a pipe and gives what came of it back through another. Once its
libraries are loaded it can open neither a file nor a socket; its memory is capped, a clock ends it, and it has none of
its parent's secrets. Within it, SQLite reads tables in memory and may do nothing else.

An order is a line of JSON (`Order`), a reply is a line of JSON (`Reply`).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import pkgutil
import re
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import msgspec
from sqlglot import exp, optimizer
from sqlglot.dialects import hive, trino, tsql  # noqa: F401 - as in `_load`

from medbench.models.locked_process import lock
from medbench.scoring.executable.schema_prose import Schema
from medbench.scoring.executable.sql_dialect import (
    DIALECTS,
    Statement,
    Untranslatable,
    dates_of,
    hints,
    joins,
    sql_of,
    translate,
    with_order_keys,
    write,
)
from medbench.scoring.executable.sql_functions import as_date, as_text, register
from medbench.scoring.executable.sql_orders import Order, Reply
from medbench.scoring.executable.synthetic import LAST_YEAR, Wanted, fill

MEMORY = 1024**3
"""Bytes of address space."""
MOST_STEPS = 5_000_000
"""Instructions of SQLite's virtual machine for one statement: some seconds."""
STEPS_PER_LOOK = 10_000
MOST_ROWS = 10_000
LONGEST_VALUE = 100_000
"""Bytes of a text, and of a row. A step may copy as much, so this bounds what a step takes."""
SEEDS = 4
NOW = "2024-07-01 12:00:00"
"""The current time of every query, unless the question or a query names a later date."""
MOST_SHOWN = 3

Row = tuple[str | int | float | bytes | None, ...]

# What a statement may do: read. All else, ATTACH, PRAGMA and writing among it, is refused when it is prepared.
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "writefile", "readfile", "edit"})
_WRONG = {
    "no such table": "unknown_table",
    "no such column": "unknown_column",
    "ambiguous column name": "ambiguous_column",
    "misuse of aggregate": "misused_aggregate",
    "not authorized": "forbidden",
    "prohibited": "forbidden",
    "too big": "too_big",
}


class Refused(Exception):
    """A statement ended in an error.

    Attributes:
        code: Why.
        detail: What SQLite said.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class Result(msgspec.Struct):
    """Rows of a query."""

    columns: tuple[str, ...]
    rows: list[Row]
    steps: int


def main() -> None:
    """Take orders until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    logging.disable()
    _load()
    decode = msgspec.json.Decoder(Order).decode
    lock(MEMORY)
    for line in sys.stdin.buffer:
        order = decode(line)
        signal.setitimer(signal.ITIMER_REAL, order.seconds)  # nobody handles its signal: it ends the process
        try:
            reply = run(order)
        except MemoryError:
            reply = Reply("too_big", "memory")
        except Exception as error:  # noqa: BLE001 - a fault of the parser or ours, not of the answer
            reply = Reply("crashed", type(error).__name__)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
        sys.stdout.buffer.flush()


def _load() -> None:
    """Load what sqlglot and Python load when it is first used, which is too late in a process without files."""
    for module in pkgutil.iter_modules(optimizer.__path__, "sqlglot.optimizer."):
        importlib.import_module(module.name)
    for dialect in DIALECTS:
        translate("SELECT COUNT(*) FROM t WHERE a LIKE 'x' ORDER BY 1", dialect, NOW)
    first = run(Order(Schema(()), "SELECT TO_DATE('31.12.2024', 'DD.MM.YYYY') FROM dual", "", "", 0.0))
    assert not first.code, first


def run(order: Order) -> Reply:
    """Run an answer in the first dialect in which it can be; where there is none, the first says why."""
    try:
        sql = sql_of(order.answer)
    except Untranslatable as error:
        return Reply(error.code, error.detail)
    said: Reply | None = None
    for dialect in DIALECTS:
        try:
            statements = translate(sql, dialect, NOW)
        except Untranslatable as error:
            reply = Reply(error.code, error.detail, dialect=dialect)
        else:
            reply = _run(order, statements, dialect)
        if reply.code not in ("not_parsed", "not_transpiled", "not_run"):
            return reply
        said = said or reply
    assert said
    return said


def _run(order: Order, statements: Sequence[Statement], dialect: str) -> Reply:
    reference = _reference(order.reference, dialect)
    trees = [statement.tree for statement in statements] + ([reference] if reference else [])
    literals = [literal.name for tree in trees for literal in tree.find_all(exp.Literal)]
    dates = list(dict.fromkeys(dates_of(" ".join([order.question, *literals]))))
    now = _now(dates)
    wanted = Wanted(
        [hint for tree in trees for hint in hints(tree)],
        [pair for tree in trees for pair in joins(tree)],
        dates[:4],
        _words(order.question),
        frozenset(table.name.lower() for tree in trees for table in tree.find_all(exp.Table)),
    )
    reply = Reply()
    for seed in range(SEEDS):
        with contextlib.closing(_database(order.schema, wanted, now, seed)) as connection:
            last = statements[-1]
            try:
                results = [_execute(connection, write(each.tree, dialect, now)) for each in statements]
            except Untranslatable as error:
                return Reply(error.code, error.detail, dialect=dialect)
            except Refused as error:
                return Reply(
                    error.code, error.detail, error.code in _WRONG_CODES, dialect=dialect, sqlite=last.sqlite, seed=seed
                )
            result = results[-1]
            truth = _truth(connection, reference, dialect, now) if reference else None
            reply = Reply(
                dialect=dialect,
                sqlite=last.sqlite,
                columns=result.columns,
                rows=len(result.rows),
                sample=tuple(tuple(str(value)[:80] for value in row) for row in result.rows[:MOST_SHOWN]),
                steps=sum(each.steps for each in results),
                seed=seed,
                compared=truth is not None,
            )
            if truth is not None and not _same(result.rows, *truth):
                return msgspec.structs.replace(
                    reply, code="result_differs", detail=f"{len(result.rows)} / {len(truth[0])}", wrong=True
                )
            if result.rows:
                return reply
    return msgspec.structs.replace(reply, code="empty_result")


_WRONG_CODES = frozenset({*_WRONG.values(), "too_much_work", "too_many_rows"})


def _reference(text: str, dialect: str) -> exp.Query | None:
    """The last query of a reference answer, in the dialect of the answer or another; None where it can't be run."""
    for each in (dialect, *DIALECTS) if text else ():
        with contextlib.suppress(Untranslatable):
            return translate(sql_of(text), each, NOW)[-1].tree
    return None


def _truth(
    connection: sqlite3.Connection, reference: exp.Query, dialect: str, now: str
) -> tuple[list[Row], list[Row]] | None:
    """Rows of the reference and what each is ordered by, nothing where it has no order; None where it can't be run."""
    try:
        result = _execute(connection, write(reference, dialect, now))
        if reference.args.get("order") is None:
            return result.rows, []
        keyed = with_order_keys(reference)
        if keyed is None:
            return result.rows, [(place,) for place in range(len(result.rows))]
        ordered = _execute(connection, write(keyed, dialect, now))
    except (Refused, Untranslatable):
        return None
    return result.rows, [row[len(result.columns) :] for row in ordered.rows]


def _same(rows: Sequence[Row], truth: Sequence[Row], keys: Sequence[Row]) -> bool:
    """Whether rows are those of a reference: in any order, or in its order but for rows that it ranks the same.

    The order of the columns does not count; numbers are compared to six digits.
    """
    ours, theirs = [_plain(row) for row in rows], [_plain(row) for row in truth]
    if not keys:
        return Counter(ours) == Counter(theirs)
    if len(ours) != len(theirs):
        return False
    place = 0
    for _, group in groupby(range(len(theirs)), key=lambda index: keys[index]):
        end = place + len(list(group))
        if Counter(ours[place:end]) != Counter(theirs[place:end]):
            return False
        place = end
    return True


def _plain(row: Row) -> tuple[str, ...]:
    return tuple(sorted(f"{float(value):.6g}" if isinstance(value, int | float) else str(value) for value in row))


def _now(dates: Sequence[str]) -> str:
    latest = max([each for each in dates if int(each[:4]) < LAST_YEAR] or [""])
    moment = as_date(NOW)
    last = as_date(latest) if latest else None
    assert moment
    return as_text(last + timedelta(days=1, hours=12)) if last and last >= moment else NOW


def _words(question: str) -> list[str]:
    found = re.findall(r"[\"“'‘]([^\"“”'‘’\n]{1,20})[\"”'’]", question)
    return list(dict.fromkeys(found))[:6]


def _database(schema: Schema, wanted: Wanted, now: str, seed: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA temp_store = MEMORY")
    fill(connection, schema, wanted, now, seed)
    register(connection)
    connection.execute("PRAGMA query_only = ON")
    for limit, most in (
        (sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200),
        (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        connection.setlimit(limit, most)

    def allow(action: int, first: str | None, second: str | None, _: str | None, __: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ and (first or "").lower().startswith(("sqlite_", "pragma_")):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    connection.set_authorizer(allow)
    return connection


def _execute(connection: sqlite3.Connection, sql: str) -> Result:
    """Run one query.

    Raises:
        Refused: It is wrong, or takes more than it may.
    """
    looks = 0

    def look() -> int:
        nonlocal looks
        looks += 1
        return looks * STEPS_PER_LOOK > MOST_STEPS

    connection.set_progress_handler(look, STEPS_PER_LOOK)
    try:
        cursor = connection.execute(sql)
        rows = cursor.fetchmany(MOST_ROWS + 1)
    except sqlite3.Error as error:
        text = str(error)
        if text == "interrupted":
            raise Refused("too_much_work") from None
        code = next((code for words, code in _WRONG.items() if words in text), "not_run")
        raise Refused(code, text[:200]) from None
    except (OverflowError, ValueError) as error:
        raise Refused("not_run", str(error)[:200]) from None
    finally:
        connection.set_progress_handler(None, 0)
    if len(rows) > MOST_ROWS:
        raise Refused("too_many_rows")
    return Result(tuple(each[0] for each in cursor.description or ()), rows, looks)


if __name__ == "__main__":
    main()
