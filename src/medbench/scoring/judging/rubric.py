"""Rubrics: what earns each level of a scale, in Chinese and English; one TOML file per family of datasets."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import msgspec

from medbench.catalog.model import Bilingual, Dataset
from medbench.errors import InputError, Problem
from medbench.text import say

GENERAL = "general"
"""The rubric of a part that names none."""
FOLDER = "rubrics"


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a scale and the anchor that says what earns it."""

    score: int
    anchor: Bilingual


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scale.

    Attributes:
        id: A short name, the key in the judge's JSON.
        title: For people.
        levels: From the lowest score to the highest, each one step above the one before.
        weight: Share in the rubric's value, relative to the other criteria.
    """

    id: str
    title: Bilingual
    levels: tuple[Level, ...]
    weight: float = 1.0

    @property
    def low(self) -> int:
        """Lowest score."""
        return self.levels[0].score

    @property
    def high(self) -> int:
        """Highest score."""
        return self.levels[-1].score


class Rubric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How answers of one family of datasets are rated.

    Attributes:
        id: Name of its file.
        title: For people.
        task: What a good answer of this family does, told to the judge before the levels.
        criteria: At least one.
    """

    id: str
    title: Bilingual
    task: Bilingual
    criteria: tuple[Criterion, ...]

    def value(self, levels: dict[str, int]) -> float:
        """The weighted mean of the criteria, each scaled to [0, 1]."""
        total = sum(criterion.weight for criterion in self.criteria)
        reached = sum(
            criterion.weight * (levels[criterion.id] - criterion.low) / (criterion.high - criterion.low)
            for criterion in self.criteria
        )
        return reached / total

    def version(self) -> str:
        """Hash of its text: another wording is another instrument."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


@cache
def load_rubric(name: str) -> Rubric:
    """A rubric by its name; empty: the general one.

    Raises:
        InputError: There is none of that name; the advice lists those that there are.
        ValueError: Its file is wrong; the message says where.
    """
    name = name or GENERAL
    # The name may come from somebody's dataset file: it is looked up, and never taken for a path.
    if name not in rubric_names():
        raise InputError(_unknown(name))
    source = files("medbench.scoring.judging").joinpath(FOLDER, f"{name}.toml")
    rubric = msgspec.convert(tomllib.loads(source.read_text("utf-8")), Rubric)
    _check(rubric, name)
    return rubric


def check_rubrics(datasets: Iterable[Dataset]) -> None:
    """See that every part names a rubric that there is.

    Raises:
        InputError: With every part that doesn't.
    """
    problems = [
        _unknown(part.rubric, f"{dataset.name}.parts[{index}].rubric")
        for dataset in datasets
        for index, part in enumerate(dataset.parts)
        if part.rubric and part.rubric not in rubric_names()
    ]
    if problems:
        raise InputError(*problems)


@cache
def rubric_names() -> tuple[str, ...]:
    """Names of all rubrics, sorted."""
    folder = files("medbench.scoring.judging").joinpath(FOLDER)
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def _unknown(name: str, field: str | None = None) -> Problem:
    return Problem(
        message=say("scoring.unknown_rubric", name=repr(name)),
        advice=say("scoring.known_rubrics", names=", ".join(rubric_names())),
        field=field,
    )


def _check(rubric: Rubric, name: str) -> None:
    if rubric.id != name:
        raise ValueError(f"rubric {name}: its id is {rubric.id}")
    ids = [criterion.id for criterion in rubric.criteria]
    if not ids or len(set(ids)) != len(ids) or not all(each.isidentifier() for each in ids) or "reason" in ids:
        raise ValueError(f"rubric {name}: criteria need different ids that are identifiers and not `reason`, got {ids}")
    for criterion in rubric.criteria:
        scores = [level.score for level in criterion.levels]
        if len(scores) < 2 or scores != list(range(scores[0], scores[0] + len(scores))):
            raise ValueError(f"rubric {name}, {criterion.id}: levels {scores} don't rise in steps of 1")
        if criterion.weight <= 0:
            raise ValueError(f"rubric {name}, {criterion.id}: weight {criterion.weight} is not above 0")
