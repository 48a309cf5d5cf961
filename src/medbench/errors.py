"""Errors that reach a person: what, where and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with an input.

    Attributes:
        message: What is wrong, in the reader's language.
        advice: What to do about it.
        file: The file, as the user named it.
        line: Line number in that file, from 1.
        field: The field (JSON key, CSV column, option name).
        severity: Errors stop the work; warnings are reported beside the result.
    """

    message: str
    advice: str = ""
    file: str | None = None
    line: int | None = None
    field: str | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.field) if part is not None)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} {self.advice}".rstrip()


class InputError(Exception):
    """The input cannot be used; nothing was started. The command line exits with 2."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems: Sequence[Problem] = [
            problem if isinstance(problem, Problem) else Problem(message=problem) for problem in problems
        ]
        super().__init__("\n".join(str(problem) for problem in self.problems))


class WorkError(Exception):
    """Work had begun and could not go on; what was done is kept. The command line exits with 1."""
