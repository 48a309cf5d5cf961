"""The checks by name: another one is a module and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medbench.catalog.model import Check
from medbench.items.model import Key, Question
from medbench.models.model import Response
from medbench.scoring.executable.calls import check_calls
from medbench.scoring.executable.model import ExecutableCheck
from medbench.scoring.executable.sql import check_sql

CHECKS: Mapping[Check, Callable[[Question, Response, Key | None], ExecutableCheck]] = {
    "api_calls": check_calls,
    "sql": check_sql,
}
