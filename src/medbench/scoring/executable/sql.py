"""The check of answers that are SQL over described tables, run in a locked process."""

from __future__ import annotations

import atexit
import signal
import subprocess

import msgspec

from medbench.items.model import Key, Question
from medbench.models import locked_process
from medbench.models.model import Response
from medbench.scoring.executable.model import CheckStatus, ExecutableCheck, Finding
from medbench.scoring.executable.schema_prose import Schema, read_schema
from medbench.scoring.executable.sql_orders import Order, Reply
from medbench.scoring.judging.plan import answer_of

SECONDS = 10.0
"""Until the process that runs an answer is ended. Work is bounded by steps and by the length of values long before, the
same on every machine; only a statement that makes a long value at each of millions of steps may take as long, and is
then not covered."""

LONGEST_REPLY = 1024**2

_decode = msgspec.json.Decoder(Reply).decode


def check_sql(question: Question, response: Response, key: Key | None) -> ExecutableCheck:
    """Run the SQL of an answer on synthetic rows of the tables that its question describes.

    What can't be read, or would write, is not covered; nor is a query that finds nothing, since the rows may lack what
    it looks for. Unknown tables and columns, work without end and a result that differs from the key's query are wrong.
    """
    if response.status not in {"ok", "truncated"}:
        return ExecutableCheck("not_covered", (Finding("no_answer"),))
    schema = read_schema(question.text)
    tables: dict[str, object] = {"tables": [table.name for table in schema.tables]}
    if schema.gaps:
        return ExecutableCheck("not_covered", schema.gaps, tables)
    reference = key.answer if key is not None and isinstance(key.answer, str) else ""
    reply = run_sql(schema, answer_of(response), reference=reference, question=question.text)
    evidence = tables | {
        name: value
        for name in ("dialect", "sqlite", "columns", "rows", "sample", "steps", "seed", "compared")
        if (value := getattr(reply, name))
    }
    if not reply.code:
        return ExecutableCheck("passed", (), evidence)
    status: CheckStatus = "failed" if reply.wrong else "not_covered"
    return ExecutableCheck(status, (Finding(reply.code, reply.detail),), evidence)


def run_sql(schema: Schema, answer: str, *, reference: str = "", question: str = "", seconds: float = SECONDS) -> Reply:
    """Run the SQL of an answer in the locked process.

    Args:
        schema: The tables that there are.
        answer: Text with SQL in it.
        reference: A right answer, whose result is compared; empty: there is none.
        question: Whose dates and quoted words become values of the rows.
        seconds: Wall-clock time until the process ends itself; what it was running is then `stopped`.
    """
    return _PROCESS.run(Order(schema, answer, reference, question, seconds))


class _Process:
    """The process that runs SQL, one order at a time; started when it is needed and replaced when it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.end)

    def run(self, order: Order) -> Reply:
        """The reply to an order; `stopped` or `crashed` where the process ended over it."""
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._process is None:
            self._process = locked_process.start("medbench.scoring.executable.sql_worker")
        process = self._process
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            process.stdin.flush()
            return _decode(process.stdout.readline(LONGEST_REPLY))
        except (OSError, msgspec.DecodeError):
            return Reply("stopped" if self.end() == -signal.SIGALRM else "crashed")

    def end(self) -> int:
        """End the process and let go of its pipes; its exit status."""
        process, self._process = self._process, None
        return 0 if process is None else locked_process.end(process)


_PROCESS = _Process()
