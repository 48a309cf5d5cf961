"""The checks by name: another one is a module and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medbench.catalog.model import Check
from medbench.items.model import Key, Question
from medbench.models.model import Response
from medbench.scoring.executable.calls import check_calls
from medbench.scoring.executable.model import ExecutableCheck, Finding
from medbench.scoring.executable.sql import check_sql

CHECKS: Mapping[Check, Callable[[Question, Response, Key | None], ExecutableCheck]] = {
    "api_calls": check_calls,
    "sql": check_sql,
}


def run_check(name: Check, question: Question, response: Response, key: Key | None) -> ExecutableCheck:
    """What a check shows of an answer; one that fails itself is no fault of the answer's, whose score stands."""
    try:
        return CHECKS[name](question, response, key)
    except Exception as error:  # noqa: BLE001 - a model may write whatever it likes; the other answers are scored
        return ExecutableCheck("not_covered", (Finding("broke", type(error).__name__),))
