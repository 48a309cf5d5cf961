"""Metrics of answers that are files, brought by the package that can read these files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from medbench.catalog.model import FILE_METRICS
from medbench.errors import InputError, Problem
from medbench.items.keys import KeySource
from medbench.items.model import Key
from medbench.models.model import Response
from medbench.plugins import METRICS, load_plugin
from medbench.scoring.model import Marking
from medbench.stats import Estimate
from medbench.store.artifacts import Artifacts
from medbench.text import say


class FileFault(Exception):
    """The files of an answer can't be marked.

    Attributes:
        code: Why, as a short code; the reason of the score.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class FileMetric(Protocol):
    """A metric of answers that are files."""

    def mark(self, answer: Sequence[Path], truth: Path) -> Marking:
        """Hold the files of an answer against the key's file.

        Args:
            answer: The answer first, what else the system made behind it; empty: nothing was found.
            truth: Of the key.

        Returns:
            A value in [0, 1], or None where the item alone has none.

        Raises:
            FileFault: The answer can't be marked.
            InputError: The key's file can't be read.
        """

    def figures(self, measured: Sequence[object]) -> Mapping[str, Estimate]:
        """Secondary figures in [0, 1] over all items, by name.

        Args:
            measured: The `Marking.measured` of at least one item.
        """


class AnswerFiles:
    """Where the files of a run's answers and keys are."""

    def __init__(self, artifacts: Artifacts, keys: KeySource) -> None:
        self._artifacts = artifacts
        self._keys = keys

    def answer(self, response: Response) -> tuple[Path, ...]:
        """The files of a response; none where one of them is not there or was changed."""
        paths = [self._artifacts.path(reference) for reference in response.artifacts]
        return tuple(path for path in paths if path is not None) if all(paths) else ()

    def truth(self, key: Key) -> Path | None:
        """The file of a key; None where the item has no key.

        Raises:
            InputError: It is gone.
        """
        if not key.media:
            return None
        path = self._keys.file(key.media[0])
        if path is None:
            raise InputError(Problem(message=say("scoring.truth_gone", uid=key.uid)))
        return path


@cache
def file_metric(name: str) -> FileMetric:
    """The metric of that name.

    Raises:
        InputError: No installed package brings it.
    """
    made = load_plugin(METRICS, name)
    if made is None:
        raise InputError(say("scoring.no_file_metric", name=name))
    metric: FileMetric = made()
    return metric


def require_metrics(names: Iterable[str]) -> None:
    """Refuse metrics of files that no installed package brings.

    Raises:
        InputError: With all of them.
    """
    problems: list[Problem] = []
    for name in sorted(FILE_METRICS.intersection(names)):
        try:
            file_metric(name)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
