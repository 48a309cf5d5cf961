"""What an import or a validation found: problems, rejected rows and a summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from medbench.errors import InputError, Problem, Severity
from medbench.text import say

MOST_PROBLEMS = 10_000
"""Problems kept in memory; a file of 700,000 broken rows says the same thing often enough by then."""


LONGEST_PATH = 4096


class Rejected(msgspec.Struct, frozen=True):
    """A row that can't be used, as it is set aside by `--skip-invalid`.

    Attributes:
        file: The file, as the user named it.
        line: Line in it, from 1.
        problems: Why.
        row: The row: the JSON value where it could be read, else its text.
    """

    file: str
    line: int
    problems: tuple[str, ...]
    row: object


class Report:
    """Collects problems while a source is read.

    Args:
        on_rejected: Called with every row that is left out.
    """

    def __init__(self, on_rejected: Callable[[Rejected], None] | None = None) -> None:
        self._on_rejected = on_rejected
        self._beyond = 0
        self._datasets: dict[Problem, int] = {}
        self.problems: list[Problem] = []
        self.errors = 0
        self.skipped = 0

    def add(self, problem: Problem) -> None:
        """Keep a problem that concerns no single row, or a warning.

        What is wrong with a dataset's name is mostly wrong in all its rows: it is kept once, and counted.
        """
        if problem.severity == "error":
            self.errors += 1
        if problem.field == "dataset":
            anywhere = msgspec.structs.replace(problem, line=None)
            self._datasets[anywhere] = self._datasets.get(anywhere, 0) + 1
            if self._datasets[anywhere] > 1:
                return
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self._beyond += 1

    def reject(self, file: str, line: int, problems: list[Problem], row: object) -> None:
        """Keep the problems of a row and leave the row out; warnings alone don't get here."""
        before = self.errors
        for problem in problems:
            self.add(problem)
        self.skipped += 1
        if self._on_rejected:
            # Set aside with its reasons, a row no longer stands in the way of the others.
            self.errors = before
            errors = tuple(_without_place(problem) for problem in problems if problem.severity == "error")
            self._on_rejected(Rejected(file, line, errors, row))

    def all(self) -> list[Problem]:
        """The problems; the last one counts those that were not kept."""
        problems = [self._counted(problem) for problem in self.problems]
        if not self._beyond:
            return problems
        severity: Severity = "error" if self.errors else "warning"
        return [*problems, Problem(message=say("items.more_problems", count=self._beyond), severity=severity)]

    def _counted(self, problem: Problem) -> Problem:
        count = self._datasets.get(msgspec.structs.replace(problem, line=None), 1)
        if count == 1:
            return problem
        message = say("items.in_so_many_items", message=problem.message, count=count)
        return msgspec.structs.replace(problem, message=message)

    def raise_errors(self) -> None:
        """Refuse the input if there is an error among the problems.

        Raises:
            InputError: With every error.
        """
        if self.errors:
            raise InputError(*(problem for problem in self.all() if problem.severity == "error"))


class MediaSummary(msgspec.Struct, frozen=True):
    """Media that the questions name.

    Attributes:
        found: Number of different files found.
        missing: Names of the files that are missing or unreadable, each once, in order.
    """

    found: int
    missing: tuple[str, ...]


class ImportSummary(msgspec.Struct, frozen=True):
    """The result of an import or a validation; `--json` prints it.

    Attributes:
        datasets: Number of datasets with at least one item.
        items: Number of items.
        rows: Rows to ask: an item counts once for each of its own variants.
        variants: Rows of the items that came with several variants.
        by_track: Track -> `{"datasets", "items", "rows"}`.
        by_dataset: Dataset -> `{"items", "rows"}`.
        media: What was found and what is missing.
        keys: Number of items with gold (an answer, key points or a rubric).
        problems: Everything that is wrong or worth a look.
        skipped: Rows left out.
        into: The bank written; none when nothing was stored.
        fingerprint: SHA-256 (hex) over the public hashes in order.
    """

    datasets: int
    items: int
    rows: int
    variants: int
    by_track: dict[str, dict[str, int]]
    by_dataset: dict[str, dict[str, int]]
    media: MediaSummary
    keys: int
    problems: tuple[Problem, ...]
    skipped: int
    into: str | None
    fingerprint: str


def problem(
    code: str,
    /,
    *,
    file: str | Path | None = None,
    line: int | None = None,
    field: str | None = None,
    severity: Severity = "error",
    **values: object,
) -> Problem:
    """A problem with the message `items.<code>` and the advice `items.<code>_advice`."""
    shown = {key: printable(value) if isinstance(value, str) else value for key, value in values.items()}
    return Problem(
        message=say(f"items.{code}", language=None, **shown),
        advice=say(f"items.{code}_advice", language=None, **shown),
        file=None if file is None else printable(str(file), LONGEST_PATH),
        line=line,
        field=None if field is None else printable(field),
        severity=severity,
    )


def printable(text: str, longest: int = 300) -> str:
    """Text from an untrusted file as it may be shown: control characters could steer a terminal and are spelt out."""
    if len(text) > longest:
        text = text[:longest] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def _without_place(problem: Problem) -> str:
    text = f"{problem.field}: {problem.message}" if problem.field else problem.message
    return f"{text} {problem.advice}".rstrip()
