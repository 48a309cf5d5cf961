"""Two sets of predictions of the same cases: paired differences, with several training seeds where there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.evaluate.case import Case
from agcrc.evaluate.estimates import SEED, Figure, Reason, case_weights, narrowness, percentiles
from agcrc.evaluate.froc import froc
from medbench.stats import holm, paired_difference, sign_flip_permutation

FloatArray = NDArray[np.float64]
RATE = 1.0
"""False positives per scan at which the sensitivities are compared."""
ROUNDING = 1e-12
Runs = Sequence[Sequence[Case]]


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second, in one metric.

    Attributes:
        metric: Its key in the JSON.
        higher_is_better: Which sign speaks for the first.
        figure: The difference with its interval; `n` counts cases or lesions.
        p: Of the sign-flip test over cases, None where there is no figure. It is about these trained networks: seeds
            are averaged, not tested.
        p_holm: Adjusted for all metrics compared.
        by_seed: The difference of each pair of runs.
    """

    metric: str
    higher_is_better: bool
    figure: Figure
    p: float | None
    p_holm: float | None
    by_seed: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "metric": self.metric,
            **self.figure.to_dict(),
            "p": self.p,
            "p_holm": self.p_holm,
            "by_seed": list(self.by_seed),
            "better": "higher" if self.higher_is_better else "lower",
        }


@dataclass(frozen=True, eq=False)
class _Pairs:
    """One metric of all runs.

    `statistic` takes case weights (B, C) to the difference of each seed (B, S). `first` and `second` are rows of the
    mean over seeds scaled to [0, 1], with their cases, for the case that nothing varies; empty where there is no upper
    bound. `by_case` is (C,), what the sign-flip test flips.
    """

    statistic: Callable[[FloatArray], FloatArray]
    by_case: FloatArray
    n: int
    first: FloatArray
    second: FloatArray
    owners: FloatArray
    limit: float


def compare(first: Runs, second: Runs) -> tuple[Difference, ...]:
    """Paired differences of two arms, with bootstrap intervals and Holm-adjusted sign-flip p values.

    Each arm has one run per training seed; run i of both has the same seed and all runs the same cases. The interval
    holds both sources of chance: cases are drawn once for all seeds, since every seed is tested on the same cases, and
    seeds are drawn on their own. Drawing cases anew within each seed, as if each seed had its own test set, would
    average the cases' share of the error away ([M] 95 % intervals then cover 70 to 80 %; these cover 94 to 97 %). Both
    parts are widened by `estimates.narrowness`. With one seed the interval knows nothing of training noise.

    Args:
        first: Cases of each run of the first arm.
        second: Cases of each run of the second arm, in the order of `first`.

    Raises:
        InputError: No run, different numbers of runs, or cases that are not the same.
    """
    ours, theirs = _aligned(first, second)
    largest = max(case.largest_mm for run in ours for case in run)
    found = [
        _difference(*row)
        for row in (
            ("dice", True, _means(ours, theirs, lambda case: case.dice, 1.0)),
            ("nsd", True, _means(ours, theirs, lambda case: case.nsd_2mm, 1.0)),
            ("nsd_4mm", True, _means(ours, theirs, lambda case: case.nsd_4mm, 1.0)),
            ("hd95", False, _means(ours, theirs, lambda case: case.hd95_mm, largest)),
            ("lesion_sensitivity", True, _shares(ours, theirs)),
            ("sensitivity_at_1_fp", True, _at_rate(ours, theirs)),
            (
                "false_positives_per_scan",
                False,
                _means(ours, theirs, lambda case: float(case.false_positives), None),
            ),
        )
    ]
    tested = [each for each in found if each.p is not None]
    adjusted = dict(zip((each.metric for each in tested), holm([each.p or 0.0 for each in tested]), strict=True))
    return tuple(
        replace(each, p_holm=float(adjusted[each.metric])) if each.metric in adjusted else each for each in found
    )


def interval(by_seed: FloatArray, case_draws: FloatArray, cases: int) -> tuple[float, float]:
    """Interval of the mean over seeds: case part and seed part are drawn apart and added.

    Args:
        by_seed: The statistic of each seed over all cases, (S,).
        case_draws: Mean over seeds of the statistic in each bootstrap sample of cases, (B,).
        cases: How many were drawn from, >= 2.
    """
    value = float(by_seed.mean())
    deviations = narrowness(cases) * (case_draws - value)
    if by_seed.size > 1:
        generator = np.random.Generator(np.random.PCG64(SEED + 1))
        drawn = by_seed[generator.integers(0, by_seed.size, size=(case_draws.size, by_seed.size))].mean(axis=1)
        deviations = deviations + narrowness(by_seed.size) * (drawn - value)
    return percentiles(value + deviations[np.isfinite(deviations)])


def _difference(metric: str, higher: bool, pairs: _Pairs | None) -> Difference:
    if pairs is None:
        return Difference(metric, higher, Figure.missing(Reason.NO_LESION), None, None, ())
    by_seed = pairs.statistic(np.ones((1, pairs.by_case.size)))[0]
    p = sign_flip_permutation(pairs.by_case)
    return Difference(metric, higher, _figure(pairs, by_seed), p, None, tuple(by_seed.tolist()))


def _figure(pairs: _Pairs, by_seed: FloatArray) -> Figure:
    count, value = pairs.by_case.size, float(by_seed.mean())
    if count < 2:
        return Figure(value, None, None, pairs.n, Reason.ONE_CASE)
    low, high = interval(by_seed, pairs.statistic(case_weights(count)).mean(axis=1), count)
    if np.ptp(pairs.by_case) <= ROUNDING:
        # All cases differ by the same. A bootstrap of them claims certainty, which no sample gives.
        unseen = _beyond_the_sample(pairs)
        if unseen is None and high - low <= ROUNDING:
            return Figure(value, None, None, pairs.n, Reason.SAME_DIFFERENCE)
        low, high = (low, high) if unseen is None else (min(low, unseen[0]), max(high, unseen[1]))
    if pairs.first.size:
        low, high = max(-pairs.limit, low), min(pairs.limit, high)
    return Figure(value, low, high, pairs.n)


def _beyond_the_sample(pairs: _Pairs) -> tuple[float, float] | None:
    """Interval of a bounded difference that is the same in all cases: others, not drawn, may differ."""
    if not pairs.first.size:
        return None
    found = paired_difference(pairs.first, pairs.second, pairs.owners)
    if found.low is None or found.high is None:
        return None
    return found.low * pairs.limit, found.high * pairs.limit


def _means(ours: Runs, theirs: Runs, of: Callable[[Case], float | None], limit: float | None) -> _Pairs | None:
    """A mean over the cases that have a value: whether they do depends on the truth alone."""
    a, b = (_table(runs, of) for runs in (ours, theirs))
    a, b = (each[:, ~np.isnan(each[0])] for each in (a, b))
    if a.shape[1] == 0:
        return None
    differences = a - b

    def statistic(weights: FloatArray) -> FloatArray:
        found: FloatArray = weights @ differences.T / weights.sum(axis=1, keepdims=True)
        return found

    scale = limit or 1.0
    rows = [each.mean(axis=0) / scale if limit else np.empty(0) for each in (a, b)]
    by_case = differences.mean(axis=0)
    owners = np.arange(by_case.size, dtype=np.float64)
    return _Pairs(statistic, by_case, by_case.size, rows[0], rows[1], owners, scale)


def _shares(ours: Runs, theirs: Runs) -> _Pairs | None:
    """Share of the lesions that the mask hits."""
    a, b = (_table(runs, lambda case: float(case.found)) for runs in (ours, theirs))
    lesions = _table(ours, lambda case: float(len(case.lesions)))[0]
    ill = lesions > 0.0
    if not ill.any():
        return None
    counts, differences = lesions[ill], (a - b)[:, ill]

    def statistic(weights: FloatArray) -> FloatArray:
        found: FloatArray = weights @ differences.T / (weights @ counts)[:, None]
        return found

    owners = np.arange(counts.size, dtype=np.float64)
    shares = tuple((each.mean(axis=0)[ill] / counts).repeat(counts.astype(int)) for each in (a, b))
    return _Pairs(
        statistic,
        differences.mean(axis=0),
        int(counts.sum()),
        shares[0],
        shares[1],
        owners.repeat(counts.astype(int)),
        1.0,
    )


def _at_rate(ours: Runs, theirs: Runs) -> _Pairs | None:
    """Sensitivity at one false positive per scan: each run at its own threshold, found anew in each draw."""
    curves = [(froc(a), froc(b)) for a, b in zip(ours, theirs, strict=True)]
    lesions = curves[0][0].lesions
    if lesions.sum() == 0.0:
        return None

    def statistic(weights: FloatArray) -> FloatArray:
        columns = [a.sensitivity([RATE], weights)[:, 0] - b.sensitivity([RATE], weights)[:, 0] for a, b in curves]
        return np.stack(columns, axis=1)

    a, b = (np.mean([pair[side].found_at(RATE) for pair in curves], axis=0) for side in (0, 1))
    counts = lesions.astype(int)
    some = np.maximum(lesions, 1.0)
    owners = np.arange(lesions.size, dtype=np.float64)
    return _Pairs(
        statistic,
        a - b,
        int(counts.sum()),
        (a / some).repeat(counts),
        (b / some).repeat(counts),
        owners.repeat(counts),
        1.0,
    )


def _table(runs: Runs, of: Callable[[Case], float | None]) -> FloatArray:
    """(S, C), NaN for None."""
    return np.array([[np.nan if (value := of(case)) is None else value for case in run] for run in runs])


def _aligned(first: Runs, second: Runs) -> tuple[Runs, Runs]:
    """Both arms with the cases of every run in the order of their names."""
    if not first or len(first) != len(second):
        raise InputError(
            Problem(
                f"{len(first)} runs are compared with {len(second)}.",
                "Give both arms the same number of runs, one per seed and in the same order.",
            )
        )
    names = sorted(case.name for case in first[0])
    problems = []
    for arm, runs in (("first", first), ("second", second)):
        for number, run in enumerate(runs, start=1):
            own = {case.name for case in run}
            missing, extra = sorted(set(names) - own), sorted(own - set(names))
            if missing or extra:
                told = [f"lacks {', '.join(missing[:5])}"] if missing else []
                told += [f"also has {', '.join(extra[:5])}"] if extra else []
                problems.append(
                    Problem(f"run {number} of the {arm} arm {' and '.join(told)}.", "Compare runs over the same cases.")
                )
    if problems:
        raise InputError(*problems)
    ours, theirs = ([sorted(run, key=lambda case: case.name) for run in runs] for runs in (first, second))
    truths = {tuple((len(case.lesions), round(case.truth_ml, 6)) for case in run) for run in (*ours, *theirs)}
    if len(truths) > 1:
        raise InputError(
            Problem("the runs were measured against different truths.", "Evaluate them against the same folder.")
        )
    return ours, theirs
