"""Several models over the same items: scores and rank intervals from one cluster bootstrap for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.board.checks import checks_of
from medbench.board.compare import (
    common_epochs,
    judges_by_run,
    not_judged_alike,
    nothing_shared,
    require_comparable,
)
from medbench.board.pairing import EPOCHS, Epoch, Outcomes, read_outcomes
from medbench.board.summary import COVERAGE_GATE, Summary, load_summary
from medbench.scoring.executable.tally import CheckFigures
from medbench.stats import (
    Estimate,
    clustered_mean,
    combine_mover,
    joint_bootstrap_means,
    micro_f1,
    rank_intervals,
)

DRAWS = 2_000
LEVEL = 0.95

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class PassFigure(msgspec.Struct, frozen=True):
    """pass@k or pass^k of a model, 0..100, on the shared items.

    Attributes:
        value: Mean over the dimensions of means over their datasets.
        low: Lower limit of its 95 % interval, made as in the report of a run.
        high: Upper limit.
        dimensions: Dimension -> figure.
    """

    value: float
    low: float
    high: float
    dimensions: dict[str, float]


class Standing(msgspec.Struct, frozen=True):
    """A model among the others, on the items that all of them have an outcome for; scores 0..100.

    Attributes:
        run_dir: Folder of its run.
        model: Its kind and name.
        score: Mean over the dimensions of means over their datasets.
        low: Lower limit of its 95 % interval, made as in the report of a run.
        high: Upper limit.
        rank: 1 for the best.
        rank_low: Best rank of the 95 % interval.
        rank_high: Worst rank of it.
        coverage: Of its whole run.
        ranked: Its coverage reaches the gate; otherwise its place is for information only.
        dimensions: Dimension -> score on the shared items.
        pass_at_k: Where all runs asked each item in the same number k > 1 of epochs; None where a dataset has none.
        pass_all_k: Likewise, of pass^k.
        checks: Part -> what running its answers showed, as in the report of its run; no part of the score.
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
    pass_at_k: PassFigure | None = None
    pass_all_k: PassFigure | None = None
    checks: dict[str, CheckFigures] = {}


class Ranking(msgspec.Struct, frozen=True):
    """Models in the order of their scores.

    Attributes:
        standings: Best first.
        items: Items that all runs have an outcome for.
        datasets: Datasets that count, whole in every run.
        left_out: Datasets that do not: some run lacks them, awaits a judge, or was judged by others.
        epochs: k, how often all runs asked each item; 1 where they differ.
        judges: Run -> its judges; empty where no dataset is left out for them.
    """

    standings: tuple[Standing, ...]
    items: int
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    epochs: int = 1
    judges: dict[str, tuple[str, ...]] = {}


class _Drawn(NamedTuple):
    """Figures of all models, shape (models,), their draws, shape (draws, models), and the items that they share.

    The draws tell ranks. The interval of a model's own score is that of its report: by draws, a model that is right, or
    wrong, on all of a few items would have no error at all.
    """

    values: Floats
    draws: Floats
    items: int
    estimates: tuple[Estimate | None, ...]


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
    by_code = not_judged_alike(summaries)
    outcomes = [read_outcomes(path, summary) for path, summary in zip(run_dirs, summaries, strict=True)]
    parts = {
        dataset.name: [[each.get((dataset.name, part.name)) for each in outcomes] for part in dataset.parts]
        for dataset in summaries[0].datasets
    }
    whole = [name for name in parts if name not in by_code and all(_whole(summary, name) for summary in summaries)]
    counted = {name: found for name in whole if (found := _dataset(name, parts[name])) is not None}
    if not counted:
        raise nothing_shared(run_dirs, summaries, by_code)
    of_dimension = {each.name: (each.track, each.dimension) for each in summaries[0].datasets}
    dimensions, drawn = _together(counted, of_dimension)
    ranks = rank_intervals(drawn.values, drawn.draws, LEVEL)
    epochs = common_epochs(summaries)
    best, worst = (
        _passes({name: parts[name] for name in counted}, epoch, of_dimension) if epochs > 1 else [None] * len(summaries)
        for epoch in EPOCHS
    )
    standings = [
        Standing(
            run_dir=str(path),
            model=summary.pins.model.label,
            score=100 * float(drawn.values[index]),
            low=low,
            high=high,
            rank=ranks[index].rank,
            rank_low=ranks[index].low,
            rank_high=ranks[index].high,
            coverage=summary.coverage,
            ranked=summary.coverage >= COVERAGE_GATE,
            dimensions=_of_model(dimensions, index),
            pass_at_k=best[index],
            pass_all_k=worst[index],
            checks=checks_of(summary),
        )
        for index, (path, summary, (low, high)) in enumerate(zip(run_dirs, summaries, _limits(drawn), strict=True))
    ]
    standings.sort(key=lambda each: (each.rank, each.run_dir))
    left_out = tuple(name for name in parts if name not in counted)
    judges = judges_by_run(run_dirs, summaries) if by_code else {}
    return Ranking(tuple(standings), drawn.items, tuple(counted), left_out, epochs, judges)


def _dataset(name: str, parts: Sequence[Sequence[Outcomes | None]]) -> _Drawn | None:
    """One dataset, by the outcomes of all models in each of its parts; None where some model lacks a part."""
    found = [_part(name, [each for each in part if each is not None]) for part in parts if None not in part]
    known = [each for each in found if each is not None]
    return _mean(known) if len(known) == len(parts) else None


def _together(
    datasets: Mapping[str, _Drawn], of_dimension: Mapping[str, tuple[str, str]]
) -> tuple[dict[tuple[str, str], _Drawn], _Drawn]:
    """The dimensions, and all in all."""
    members: dict[tuple[str, str], list[_Drawn]] = {}
    for name, found in datasets.items():
        members.setdefault(of_dimension[name], []).append(found)
    dimensions = {dimension: _mean(several) for dimension, several in members.items()}
    return dimensions, _mean(list(dimensions.values()))


def _passes(
    parts: Mapping[str, Sequence[Sequence[Outcomes | None]]], epoch: Epoch, of_dimension: Mapping[str, tuple[str, str]]
) -> Sequence[PassFigure | None]:
    """pass@k or pass^k of each model; None for all unless every dataset has such a figure."""
    models = len(next(iter(parts.values()))[0])
    datasets = {
        name: _dataset(name, [[each and each.by(epoch) for each in part] for part in several])
        for name, several in parts.items()
    }
    known = {name: found for name, found in datasets.items() if found is not None}
    if len(known) < len(datasets):
        return [None] * models
    dimensions, drawn = _together(known, of_dimension)
    return [
        PassFigure(100 * float(drawn.values[index]), low, high, _of_model(dimensions, index))
        for index, (low, high) in enumerate(_limits(drawn))
    ]


def _of_model(dimensions: Mapping[tuple[str, str], _Drawn], index: int) -> dict[str, float]:
    return {name: 100 * float(found.values[index]) for (_, name), found in dimensions.items()}


def _limits(drawn: _Drawn) -> list[tuple[float, float]]:
    """Interval of each model, 0..100: as in its report, or where that has none that of the draws."""
    lows, highs = np.quantile(drawn.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    limits = []
    for low, high, value, estimate in zip(lows, highs, drawn.values, drawn.estimates, strict=True):
        if estimate is not None and estimate.low is not None and estimate.high is not None:
            low, high = estimate.low, estimate.high
        limits.append((100 * float(min(low, value)), 100 * float(max(high, value))))
    return limits


def _mean(several: Sequence[_Drawn]) -> _Drawn:
    """Unweighted."""
    return _Drawn(
        np.mean([each.values for each in several], axis=0),
        np.mean([each.draws for each in several], axis=0),
        sum(each.items for each in several),
        tuple(combine_mover(of_model) for of_model in zip(*(each.estimates for each in several), strict=True)),
    )


def _whole(summary: Summary, name: str) -> bool:
    return any(dataset.name == name and dataset.score is not None for dataset in summary.datasets)


def _part(dataset: str, outcomes: Sequence[Outcomes]) -> _Drawn | None:
    """One part of a dataset; None for too few families."""
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
    estimates: tuple[Estimate | None, ...]
    if outcomes[0].metric == "micro_f1":
        errors = [np.frombuffer(each.errors)[place] for each, place in zip(outcomes, places, strict=True)]
        nothing = np.zeros(shared.size)
        estimates = tuple(micro_f1(hits, wrong, nothing, members) for hits, wrong in zip(values, errors, strict=True))
        tops = [2.0 * hits for hits in values]
        bottoms = [top + wrong for top, wrong in zip(tops, errors, strict=True)]
    else:
        tops, bottoms = values, [np.ones(shared.size) for _ in values]
        # Criteria with points may give an item less than 0.
        estimates = tuple(clustered_mean(each, members, LEVEL, bounded=float(each.min()) >= 0.0) for each in values)
    sums = np.stack([np.bincount(members, weights=top) for top in tops], axis=1)
    counts = np.stack([np.bincount(members, weights=bottom) for bottom in bottoms], axis=1)
    if not counts.sum(axis=0).all():
        return None
    seed = int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:4], "big")
    draws = joint_bootstrap_means(sums, counts, DRAWS, seed)
    if not np.isfinite(draws).all():
        return None
    return _Drawn(sums.sum(axis=0) / counts.sum(axis=0), draws, int(shared.size), estimates)


def _codes(numbers: object) -> Codes:
    return np.frombuffer(numbers, dtype=np.int64)  # type: ignore[call-overload, no-any-return]
