"""The ledger of a run: the durable result of every call, unique by its key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from medbench.errors import WorkError
from medbench.store.sqlite import database_errors, open_database, transaction
from medbench.text import say

RunState = Literal["planned", "running", "stopped", "answered", "scored"]
FLUSH_ROWS = 200
FLUSH_SECONDS = 0.2
LAST = 2**63 - 1

MIGRATIONS = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        config_hash TEXT NOT NULL,
        updated_us INTEGER NOT NULL
    );
    CREATE TABLE result (
        kind TEXT NOT NULL,
        seq INTEGER NOT NULL,
        key BLOB NOT NULL UNIQUE,
        status TEXT NOT NULL,
        error_class TEXT,
        error_code TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        created_us INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (kind, seq)
    ) WITHOUT ROWID;
    """,
)


class Result(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one call.

    Attributes:
        seq: Place in the plan; the order of everything that is compacted from the ledger.
        key: Hash of (kind, item version, variant, …); unique in a run.
        status: Of the response.
        body: The response as JSON.
        requests: Leaf calls sent.
        detail: What the endpoint said about a failure; stands in the body too.
    """

    seq: int
    key: bytes
    status: str
    body: bytes
    error_class: str | None = None
    error_code: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    detail: str = ""


class Totals(msgspec.Struct, frozen=True):
    """Sums over the results of one kind."""

    responses: int
    requests: int
    input_tokens: int
    output_tokens: int
    by_status: dict[str, int]
    by_error: dict[str, int]


class Ledger:
    """Results of a run's calls in `ledger.sqlite`. One process writes; others may read."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._connection = open_database(path, migrations=MIGRATIONS, read_only=read_only)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(self, config_hash: str) -> None:
        """Note which configuration this ledger belongs to, once.

        Raises:
            WorkError: It belongs to another one: `run.json` was changed.
        """
        with database_errors(self.path), transaction(self._connection) as _:
            self._connection.execute(
                "INSERT OR IGNORE INTO run (id, state, config_hash, updated_us) VALUES (1, 'planned', ?, ?)",
                (config_hash, _now_us()),
            )
            (known,) = self._connection.execute("SELECT config_hash FROM run").fetchone()
        if known != config_hash:
            raise WorkError(say("engine.other_configuration", path=self.path))

    def set_state(self, state: RunState, reason: str = "") -> None:
        """Flip the state of the run."""
        with database_errors(self.path):
            self._connection.execute(
                "UPDATE run SET state = ?, reason = ?, updated_us = ? WHERE id = 1", (state, reason, _now_us())
            )

    def state(self) -> tuple[RunState, str]:
        """State of the run and the reason where it stopped."""
        with database_errors(self.path):
            row = self._connection.execute("SELECT state, reason FROM run WHERE id = 1").fetchone()
        return (row[0], row[1]) if row else ("planned", "")

    def record(self, kind: str, results: Sequence[Result], *, replace: bool = False) -> None:
        """Make results durable in one transaction.

        Args:
            kind: Of the calls.
            results: Of calls that have none yet.
            replace: Calls may have one, which is replaced.

        Raises:
            WorkError: The disk is full or the file locked; none of these results was kept.
        """
        now = _now_us()
        rows = [
            (
                kind,
                result.seq,
                result.key,
                result.status,
                result.error_class,
                result.error_code,
                result.input_tokens,
                result.output_tokens,
                result.requests,
                now,
                result.body,
            )
            for result in results
        ]
        with database_errors(self.path), transaction(self._connection):
            if replace:
                places = [(kind, result.seq) for result in results]
                self._connection.executemany("DELETE FROM result WHERE kind = ? AND seq = ?", places)
            self._connection.executemany("INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def done(self, kind: str, first: int, last: int) -> dict[int, bytes]:
        """Place -> key of the results with `first <= seq <= last`."""
        with database_errors(self.path):
            return dict(
                self._connection.execute(
                    "SELECT seq, key FROM result WHERE kind = ? AND seq BETWEEN ? AND ?", (kind, first, last)
                ).fetchall()
            )

    def settled(self, kind: str, first: int, last: int) -> dict[int, bytes]:
        """As `done`, without the results that failed."""
        with database_errors(self.path):
            return dict(
                self._connection.execute(
                    "SELECT seq, key FROM result WHERE kind = ? AND seq BETWEEN ? AND ? AND status NOT IN (?, ?)",
                    (kind, first, last, "failed", "judge_failed"),
                ).fetchall()
            )

    def succeeded(self, kind: str) -> int | None:
        """The first place whose result is an answer or a judgement; None: there is none."""
        with database_errors(self.path):
            row = self._connection.execute(
                "SELECT MIN(seq) FROM result WHERE kind = ? AND status IN ('ok', 'judged')", (kind,)
            ).fetchone()
        seq: int | None = row[0]
        return seq

    def bodies(self, kind: str, first: int = 0, last: int = LAST) -> Iterator[tuple[int, bytes]]:
        """Stream (seq, body) in the order of the plan, of the results with `first <= seq <= last`."""
        with database_errors(self.path):
            rows = self._connection.execute(
                "SELECT seq, body FROM result WHERE kind = ? AND seq BETWEEN ? AND ? ORDER BY seq", (kind, first, last)
            )
            # `yield from` would close the cursor of a reader that stops early, which fails once the ledger is closed.
            for row in rows:  # noqa: UP028
                yield row

    def keyed(self, kind: str) -> Iterator[tuple[int, bytes, bytes]]:
        """Stream (seq, key, body) in the order of the plan."""
        with database_errors(self.path):
            rows = self._connection.execute("SELECT seq, key, body FROM result WHERE kind = ? ORDER BY seq", (kind,))
            for row in rows:  # noqa: UP028 - as in `bodies`
                yield row

    def kinds(self) -> list[str]:
        """Kinds of calls that have a result, sorted."""
        with database_errors(self.path):
            return [row[0] for row in self._connection.execute("SELECT DISTINCT kind FROM result ORDER BY kind")]

    def totals(self, kind: str) -> Totals:
        """Sums over what is recorded."""
        with database_errors(self.path):
            rows = self._connection.execute(
                """SELECT status, error_code, COUNT(*), SUM(requests), SUM(input_tokens), SUM(output_tokens)
                FROM result WHERE kind = ? GROUP BY status, error_code""",
                (kind,),
            ).fetchall()
        by_status: dict[str, int] = {}
        by_error: dict[str, int] = {}
        for status, code, count, *_ in rows:
            by_status[status] = by_status.get(status, 0) + count
            if code:
                by_error[code] = by_error.get(code, 0) + count
        return Totals(
            responses=sum(row[2] for row in rows),
            requests=sum(row[3] for row in rows),
            input_tokens=sum(row[4] for row in rows),
            output_tokens=sum(row[5] for row in rows),
            by_status=by_status,
            by_error=by_error,
        )


class Recorder:
    """Collects results and makes them durable in batches that stay below the run's concurrency.

    At most `width` results wait to be written, so that a kill repeats at most twice the concurrency: what is in flight
    and what waits here.
    """

    def __init__(self, ledger: Ledger, kind: str, width: Callable[[], int], *, replace: bool = False) -> None:
        self._ledger = ledger
        self._kind = kind
        self._replace = replace
        self._width = width
        self._waiting: list[Result] = []
        self._oldest = 0.0

    def add(self, result: Result) -> None:
        """Take a result; it is durable after the next flush."""
        if not self._waiting:
            self._oldest = time.monotonic()
        self._waiting.append(result)
        if len(self._waiting) >= min(FLUSH_ROWS, self._width()):
            self.flush()

    def flush_if_due(self) -> None:
        """Flush when the oldest waiting result is older than 200 ms."""
        if self._waiting and time.monotonic() - self._oldest >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Make everything durable that waits."""
        if self._waiting:
            self._ledger.record(self._kind, self._waiting, replace=self._replace)
            self._waiting = []


def _now_us() -> int:
    return time.time_ns() // 1000
