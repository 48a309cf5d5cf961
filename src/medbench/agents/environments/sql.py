"""`sql`: a hospital's database that is asked by SQL, or a question that it can't answer, which is to be declined.

Data files of an item: databases (JSON, `medbench.store.sql.SqlDatabase`) of the same schema. The first is the one that
the agent works with. Its final statement also runs on the others, which it never sees: a statement that only happens to
give the right rows, or names them, does not give those of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from medbench.agents.environment import State, Table, data_of
from medbench.agents.environments.acts import Act, spec, told
from medbench.errors import InputError
from medbench.items.model import Question
from medbench.models.model import Context
from medbench.models.tools import ToolError
from medbench.store.sql import SqlDatabase, SqlLimits, run_sql
from medbench.text import say

SHOWN_ROWS = 50
_SQL: dict[str, object] = {"sql": {"type": "string", "description": "One SELECT statement in SQLite's dialect."}}
_QUERY = spec("query", f"Run a statement; at most {SHOWN_ROWS} rows are shown. Nothing can be changed.", _SQL)
_ANSWER = spec(
    "answer", "Answer the question with one statement that gives exactly what was asked for. Ends the task.", _SQL
)


class HospitalDatabase:
    """A database that is read, and an answer or an abstention.

    Args:
        question: Its data files are the databases.
        context: Of the question.

    Raises:
        InputError: A database can't be read.
        MediaMissing: One is missing.
    """

    def __init__(self, question: Question, context: Context) -> None:
        try:
            self._databases = [msgspec.json.decode(file, type=SqlDatabase) for file in data_of(question, context)]
        except msgspec.DecodeError as error:
            raise InputError(say("agents.bad_data", uid=question.uid, reason=error)) from error
        if not self._databases:
            raise InputError(say("agents.bad_data", uid=question.uid, reason="0 files"))
        self._sql: str | None = None
        self._tables: tuple[Table, ...] = ()
        self._reason: str | None = None
        self.tools = (
            Act(spec("schema", "The tables and their columns.", {}), lambda _: self._databases[0].schema()),
            _Query(self._databases[0]),
            _Answer(self),
            Act(
                spec(
                    "abstain",
                    "Say that the database can't answer the question. Ends the task.",
                    {"reason": {"type": "string", "maxLength": 2000}},
                ),
                self._abstain,
            ),
        )

    @property
    def over(self) -> bool:
        """There is an answer, or none can be given."""
        return self._sql is not None or self._reason is not None

    def snapshot(self) -> bytes:
        """The final statement and its rows on each database; or that there is none."""
        given = self._sql if self._sql is not None else self._reason
        return State(
            environment="sql",
            answer=None if given is None else (given,),
            abstained=self._reason is not None,
            tables=self._tables,
        ).snapshot()

    async def close(self) -> None:
        """It holds nothing: each statement had a process of its own."""

    async def answer(self, sql: str) -> str:
        """Take the final statement; one that does not run on the agent's database is given back."""
        results = [await asyncio.to_thread(run_sql, database, sql) for database in self._databases]
        if results[0].error:
            raise ToolError(results[0].error, results[0].detail)
        self._sql = sql
        self._tables = tuple(Table(result.rows, result.more, result.error) for result in results)
        return "done"

    def _abstain(self, arguments: Mapping[str, str]) -> str:
        self._reason = arguments["reason"]
        return "done"


class _Query:
    spec = _QUERY

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    async def call(self, arguments: Mapping[str, object]) -> str:
        limits = SqlLimits(rows=SHOWN_ROWS, characters=15_000)
        result = await asyncio.to_thread(run_sql, self._database, str(arguments["sql"]), limits)
        if result.error:
            raise ToolError(result.error, result.detail)
        return told({"columns": result.columns, "rows": result.rows, "more": result.more})


class _Answer:
    spec = _ANSWER

    def __init__(self, environment: HospitalDatabase) -> None:
        self._environment = environment

    async def call(self, arguments: Mapping[str, object]) -> str:
        return await self._environment.answer(str(arguments["sql"]))
