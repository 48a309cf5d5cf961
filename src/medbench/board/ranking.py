"""Several models over the same items: scores and rank intervals from one cluster bootstrap for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.board.compare import require_comparable
from medbench.board.pairing import Outcomes, read_outcomes
from medbench.board.summary import COVERAGE_GATE, Summary, load_summary
from medbench.errors import InputError
from medbench.stats import joint_bootstrap_means, rank_intervals
from medbench.text import say

DRAWS = 2_000
LEVEL = 0.95

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class Standing(msgspec.Struct, frozen=True):
    """A model among the others, on the items that all of them have an outcome for; scores 0..100.

    Attributes:
        run_dir: Folder of its run.
        model: Its spec.
        score: Mean over the dimensions of means over their datasets.
        low: Lower limit of the 95 % percentile interval of the joint bootstrap.
        high: Upper limit.
        rank: 1 for the best.
        rank_low: Best rank of the 95 % interval.
        rank_high: Worst rank of it.
        coverage: Of its whole run.
        ranked: Its coverage reaches the gate; otherwise its place is for information only.
        dimensions: Dimension -> score on the shared items.
    """

    run_dir: str
    model: str
    score: float
    low: float
    high: float
    rank: int
    rank_low: int
    rank_high: int
    coverage: float
    ranked: bool
    dimensions: dict[str, float]


class Ranking(msgspec.Struct, frozen=True):
    """Models in the order of their scores.

    Attributes:
        standings: Best first.
        items: Items that all runs have an outcome for.
        datasets: Datasets that count, whole in every run.
        left_out: Datasets that do not: some run lacks them, or awaits a judge.
    """

    standings: tuple[Standing, ...]
    items: int
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]


def rank(run_dirs: Sequence[Path]) -> Ranking:
    """Rank scored runs over the same items.

    Every dataset is drawn apart, with the same resample of its item families for all models; datasets stay fixed. The
    interval of a score here holds what the models share as well, so it is wider than that of a paired difference.

    Args:
        run_dirs: At least two.

    Raises:
        InputError: Runs are not scored, hidden, or were not asked the same; or no dataset is whole in all of them.
    """
    summaries = [load_summary(path) for path in run_dirs]
    require_comparable(run_dirs, summaries)
    outcomes = [read_outcomes(path, summary) for path, summary in zip(run_dirs, summaries, strict=True)]
    by_dimension: dict[tuple[str, str], list[tuple[Floats, Floats]]] = {}
    items, counted, left_out = 0, [], []
    for dataset in summaries[0].datasets:
        parts = [[each.get((dataset.name, part.name)) for each in outcomes] for part in dataset.parts]
        whole = all(_whole(summary, dataset.name) for summary in summaries)
        found = [
            _part(dataset.name, [each for each in part if each is not None])
            for part in parts
            if whole and None not in part
        ]
        if not whole or len(found) < len(parts) or any(each is None for each in found):
            left_out.append(dataset.name)
            continue
        known = [each for each in found if each is not None]
        items += sum(each[2] for each in known)
        counted.append(dataset.name)
        values = np.mean([each[0] for each in known], axis=0)
        draws = np.mean([each[1] for each in known], axis=0)
        by_dimension.setdefault((dataset.track, dataset.dimension), []).append((values, draws))
    if not counted:
        raise InputError(say("compare.nothing_shared"))
    means = {
        dimension: (np.mean([value for value, _ in several], axis=0), np.mean([draw for _, draw in several], axis=0))
        for dimension, several in by_dimension.items()
    }
    values = np.mean([value for value, _ in means.values()], axis=0)
    draws = np.mean([draw for _, draw in means.values()], axis=0)
    ranks = rank_intervals(values, draws, LEVEL)
    limits = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    standings = [
        Standing(
            run_dir=str(path),
            model=summary.pins.model.spec,
            score=100 * float(values[index]),
            low=100 * float(min(limits[0, index], values[index])),
            high=100 * float(max(limits[1, index], values[index])),
            rank=ranks[index].rank,
            rank_low=ranks[index].low,
            rank_high=ranks[index].high,
            coverage=summary.coverage,
            ranked=summary.coverage >= COVERAGE_GATE,
            dimensions={name: 100 * float(value[index]) for (_, name), (value, _) in means.items()},
        )
        for index, (path, summary) in enumerate(zip(run_dirs, summaries, strict=True))
    ]
    standings.sort(key=lambda each: (each.rank, each.run_dir))
    return Ranking(tuple(standings), items, tuple(counted), tuple(left_out))


def _whole(summary: Summary, name: str) -> bool:
    return any(dataset.name == name and dataset.score is not None for dataset in summary.datasets)


def _part(dataset: str, outcomes: Sequence[Outcomes]) -> tuple[Floats, Floats, int] | None:
    """Figures of all models (models,), their draws (draws, models), and the items shared; None for too few families."""
    names = [_codes(each.codes) for each in outcomes]
    shared = reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), names)
    rows = [np.searchsorted(each, shared, sorter=np.argsort(each)) for each in names]
    places = [np.argsort(each)[row] for each, row in zip(names, rows, strict=True)]
    if not shared.size:
        return None
    families = _codes(outcomes[0].families)[places[0]]
    _, members = np.unique(families, return_inverse=True)
    members = members.reshape(-1)
    if members.max() < 1:
        return None
    values = [np.frombuffer(each.values)[place] for each, place in zip(outcomes, places, strict=True)]
    if outcomes[0].metric == "micro_f1":
        errors = [np.frombuffer(each.errors)[place] for each, place in zip(outcomes, places, strict=True)]
        tops = [2.0 * hits for hits in values]
        bottoms = [top + wrong for top, wrong in zip(tops, errors, strict=True)]
    else:
        tops, bottoms = values, [np.ones(shared.size) for _ in values]
    sums = np.stack([np.bincount(members, weights=top) for top in tops], axis=1)
    counts = np.stack([np.bincount(members, weights=bottom) for bottom in bottoms], axis=1)
    if not counts.sum(axis=0).all():
        return None
    seed = int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:4], "big")
    draws = joint_bootstrap_means(sums, counts, DRAWS, seed)
    if not np.isfinite(draws).all():
        return None
    return sums.sum(axis=0) / counts.sum(axis=0), draws, int(shared.size)


def _codes(numbers: object) -> Codes:
    return np.frombuffer(numbers, dtype=np.int64)  # type: ignore[call-overload, no-any-return]
