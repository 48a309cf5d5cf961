"""Metrics of answers that are files, brought by the package that can read these files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from medbench.catalog.model import FILE_METRICS
from medbench.errors import InputError, Problem
from medbench.items.keys import KeySource
from medbench.items.model import Key, Question
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


@dataclass(frozen=True, slots=True)
class CaseSlice:
    """An axial slice of a volume, cut around what is marked in it.

    Attributes:
        index: In the volume, from 0, the lowest.
        position_mm: Along the body in RAS+: larger is nearer to the head.
        image: PNG or JPEG.
        true: Outlines of the key, closed, as (x, y) in mm from the top left of the image.
        given: Likewise of the answer.
        true_mm2: Area in the whole slice.
        given_mm2: Likewise.
    """

    index: int
    position_mm: float
    image: bytes
    true: Sequence[Sequence[tuple[float, float]]]
    given: Sequence[Sequence[tuple[float, float]]]
    true_mm2: float
    given_mm2: float


@dataclass(frozen=True, slots=True)
class CaseSlices:
    """Slices of a volume, to scroll through.

    Attributes:
        slices: From below, all cut alike.
        first: Place in `slices` of the one to show first.
        marked: Number of slices worth showing; there may be fewer.
        total: Number of slices of the volume.
        size_mm: Width and height of the images.
        spacing_mm: Of the voxels, (z, y, x).
        window_hu: What is black and what is white.
    """

    slices: Sequence[CaseSlice]
    first: int
    marked: int
    total: int
    size_mm: tuple[float, float]
    spacing_mm: tuple[float, float, float]
    window_hu: tuple[float, float]


@runtime_checkable
class ShownMetric(FileMetric, Protocol):
    """One that can show what it measured."""

    def show(self, question: Question, media: Mapping[str, Path], answer: Sequence[Path], truth: Path) -> CaseSlices:
        """Draw an answer and the key's file over the question's volume.

        Args:
            question: The question.
            media: Files of its media by name; those that are missing are not there.
            answer: See `mark`; at least one.
            truth: Of the key.

        Raises:
            FileFault: Can't be shown: `packages_missing`, `volume_missing`, `volume_unusable`, `mask_unusable`, or
                another code.
        """


class AnswerFiles:
    """Where the files of a run's answers and keys are."""

    def __init__(self, artifacts: Artifacts, keys: KeySource) -> None:
        self._artifacts = artifacts
        self._keys = keys

    def answer(self, references: Sequence[str]) -> tuple[Path, ...]:
        """The files of a response by their references; none where one of them is not there or was changed."""
        paths = [self._artifacts.path(reference) for reference in references]
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
