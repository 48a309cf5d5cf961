"""Differences of two runs in what people would say of their answers, from the answers of each that they rated."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec

from medbench.board.pairing import LEVEL
from medbench.board.summary import Summary
from medbench.runs.config import Pins
from medbench.scoring.judging.people import PeopleEstimate, RatedDataset, response_name
from medbench.scoring.judging.sheet import CRITERION
from medbench.stats import Estimate, prediction_powered_difference
from medbench.store.parquet import read_batches

COLUMNS = ("seq", "dataset", "part", "family", "judge_value", "judge_read", "people_value")


class Points(msgspec.Struct, frozen=True):
    """A difference A − B in points of 100, with its 95 % interval; None where it is undefined."""

    difference: float
    low: float | None
    high: float | None


class PeopleComparison(msgspec.Struct, frozen=True):
    """What people would say of one part in both runs, A − B.

    Attributes:
        name: Of the dataset, with its part where it has several.
        n: Answers that people rated, of A and of B.
        judged: Answers that the judges alone judged.
        reason: Why there is no difference: `one_run_only`, `too_few_rated` or `all_rated`; else empty.
        people: Prediction-powered difference (PPI++).
        weights: λ of the judges of A and of B.
        labels: Difference of the ratings alone.
        judge: Difference of the judges' values alone.
    """

    name: str
    n: tuple[int, int]
    judged: tuple[int, int]
    reason: str = ""
    people: Points | None = None
    weights: tuple[float, ...] = ()
    labels: Points | None = None
    judge: Points | None = None


def compare_people(runs: tuple[Path, Path], summaries: tuple[Summary, Summary]) -> tuple[PeopleComparison, ...]:
    """Compare what people would say of two runs over the same items; empty where neither carries ratings."""
    sides = [_estimates(summary) for summary in summaries]
    if not any(sides):
        return ()
    answers = [_read(run, each.pins) if all(sides) else {} for run, each in zip(runs, summaries, strict=True)]
    nothing = PeopleEstimate(0, 0, 0, 0)
    comparisons = []
    for dataset, part in dict.fromkeys([*sides[0], *sides[1]]):
        there = [side.get((dataset, part), nothing) for side in sides]
        found = PeopleComparison(
            name=f"{dataset} {part}".strip(),
            n=(there[0].n, there[1].n),
            judged=(there[0].judged, there[1].judged),
        )
        first, second = (each[dataset].rated(part) if dataset in each else None for each in answers)
        if first is None or second is None:
            reason = "one_run_only" if nothing in there else next((e.reason for e in there if e.reason), "all_rated")
            comparisons.append(msgspec.structs.replace(found, reason=reason))
            continue
        powered = prediction_powered_difference(first, second, LEVEL)
        comparisons.append(
            msgspec.structs.replace(
                found,
                people=_points(powered.estimate),
                weights=powered.weights,
                labels=_points(powered.labels_alone),
                judge=_points(powered.judge_alone),
            )
        )
    return tuple(comparisons)


def _estimates(summary: Summary) -> dict[tuple[str, str], PeopleEstimate]:
    return {
        (dataset.name, part.name): judged.people
        for dataset in summary.datasets
        for part in dataset.parts
        for judged in part.judged
        if judged.metric == CRITERION and judged.people is not None
    }


def _read(run_dir: Path, pins: Pins) -> dict[str, RatedDataset]:
    """The judged answers of a run by dataset."""
    datasets: dict[str, RatedDataset] = defaultdict(RatedDataset)
    for batch in read_batches(run_dir / "scores", COLUMNS):
        for seq, dataset, part, family, judge, read, people in zip(
            *(batch[name].to_pylist() for name in COLUMNS), strict=True
        ):
            if read and judge is not None:
                datasets[dataset].add(part, family, response_name(pins.short, seq), judge, people)
    return datasets


def _points(estimate: Estimate) -> Points:
    low, high = estimate.low, estimate.high
    return Points(
        100 * estimate.value,
        None if low is None else max(-100.0, 100 * low),
        None if high is None else min(100.0, 100 * high),
    )
