"""From dataset scores to dimensions and the overall score (specs/scoring.md, section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from medbench.catalog import Catalog
from medbench.catalog.model import Track
from medbench.errors import InputError, Problem
from medbench.stats import half_up
from medbench.text import say

OFFICIAL = "MedBench v4"


class Aggregate(msgspec.Struct, frozen=True):
    """Scores of one track as a board shows them: 0..100, rounded half up to one decimal.

    Attributes:
        track: The track.
        overall: Mean of the dimensions; None when one is incomplete.
        dimensions: Dimension -> mean of its datasets; None when one of them is missing.
        incomplete: Datasets that are missing.
        unrounded: The same figures as exact decimal text, for further arithmetic.
    """

    track: Track
    overall: float | None
    dimensions: dict[str, float | None]
    incomplete: tuple[str, ...]
    unrounded: dict[str, str]


def aggregate(scores: Mapping[str, Decimal], track: Track, catalog: Catalog) -> Aggregate:
    """Aggregate dataset scores exactly, in decimal arithmetic.

    A missing dataset makes its dimension and the overall score None, never a mean of the rest.

    Args:
        scores: Dataset -> score, 0..100.
        track: The track whose datasets are meant.
        catalog: Says which datasets make up which dimension.
    """
    members = official_members(catalog, track)
    means: dict[str, Decimal | None] = {
        dimension: _mean([scores.get(name) for name in names]) for dimension, names in members.items()
    }
    overall = _mean(list(means.values()))
    exact = {name: str(value) for name, value in {**means, "overall": overall}.items() if value is not None}
    return Aggregate(
        track=track,
        overall=_display(overall),
        dimensions={name: _display(value) for name, value in means.items()},
        incomplete=tuple(name for names in members.values() for name in names if name not in scores),
        unrounded=exact,
    )


def official_members(catalog: Catalog, track: str) -> dict[str, list[str]]:
    """Dimension -> its datasets in MedBench v4; datasets of one's own do not change what an official score is."""
    members: dict[str, list[str]] = {}
    for dataset in catalog.datasets.values():
        if dataset.track == track and dataset.source == OFFICIAL:
            members.setdefault(dataset.dimension, []).append(dataset.name)
    return members


def read_scores(path: Path, track: Track, catalog: Catalog) -> dict[str, Decimal]:
    """Read `{"MedExam": 83.3, …}`.

    Raises:
        InputError: Every entry that can't be used.
    """
    import json

    def refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(Problem(message=say("board.twice", names=", ".join(twice)), file=str(path)))
        return dict(pairs)

    try:
        found = json.loads(path.read_bytes(), parse_float=Decimal, parse_int=Decimal, object_pairs_hook=refuse_twice)
    except OSError as error:
        raise InputError(Problem(message=say("board.unreadable", error=error.strerror), file=str(path))) from error
    except (ValueError, RecursionError) as error:
        raise InputError(Problem(message=say("board.unreadable", error=error), file=str(path))) from error
    if not isinstance(found, dict):
        raise InputError(Problem(message=say("board.not_an_object"), file=str(path)))
    problems = []
    scores: dict[str, Decimal] = {}
    for name, value in found.items():
        dataset = catalog.datasets.get(name)
        if dataset is None:
            message = say("board.unknown_dataset")
        elif dataset.track != track:
            message = say("board.other_track", track=dataset.track)
        elif value is None:
            continue  # null says what leaving the entry out says: not measured
        elif not isinstance(value, Decimal) or not Decimal(0) <= value <= Decimal(100):
            message = say("board.bad_score")
        else:
            scores[name] = value
            continue
        problems.append(Problem(message=message, file=str(path), field=name))
    if problems:
        raise InputError(*problems)
    return scores


def _mean(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) / len(known) if known and len(known) == len(values) else None


def _display(value: Decimal | None) -> float | None:
    return None if value is None else float(half_up(value))
