"""FROC: the share of lesions found, against the false positives per scan that it costs (Chakraborty 1989)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.evaluate.case import Case
from agcrc.evaluate.detection import Verdict
from agcrc.evaluate.estimates import Figure, Reason, bounded_mean, case_weights, widened_interval

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per scan at which the sensitivity is read off (the LUNA16 rates)."""
FloatArray = NDArray[np.float64]
BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Froc:
    """Lesions and false positives by the confidence at which they appear.

    Attributes:
        thresholds: Confidences at which something changes, falling, (T,).
        found: Lesions of each case that have a hit at each threshold, (C, T).
        wrong: False positives of each case at each threshold, (C, T).
        lesions: Lesions of each case, (C,).
    """

    thresholds: FloatArray
    found: FloatArray
    wrong: FloatArray
    lesions: FloatArray

    def sensitivity(self, rates: Sequence[float], weights: FloatArray | None = None) -> FloatArray:
        """Largest sensitivity at no more than each rate of false positives per scan; NaN without any lesion.

        Args:
            rates: False positives per scan, (R,).
            weights: How often each case counts, (B, C); None: each once.

        Returns:
            Shape (B, R), or (1, R) without weights. Past the last candidate the curve stays level.
        """
        draws = np.ones((1, self.lesions.size)) if weights is None else weights
        result = np.empty((draws.shape[0], len(rates)))
        step = max(1, BLOCK // (self.thresholds.size + 1))
        for start in range(0, draws.shape[0], step):
            part = draws[start : start + step]
            scans = part.sum(axis=1, keepdims=True)
            wrong = part @ self.wrong / scans
            with np.errstate(invalid="ignore"):
                sensitivity = part @ self.found / (part @ self.lesions)[:, None]
            none_yet = np.where((part @ self.lesions) > 0.0, 0.0, np.nan)[:, None]
            sensitivity = np.concatenate([none_yet, sensitivity], axis=1)
            for column, rate in enumerate(rates):
                reached = (wrong <= rate + 1e-9).sum(axis=1)
                result[start : start + step, column] = sensitivity[np.arange(part.shape[0]), reached]
        return result

    def found_at(self, rate: float) -> FloatArray:
        """Lesions found in each case, (C,), at the threshold that keeps to this rate over all cases."""
        reached = int((self.wrong.mean(axis=0) <= rate + 1e-9).sum())
        return self.found[:, reached - 1] if reached else np.zeros(self.lesions.size)


def froc(cases: Sequence[Case]) -> Froc:
    """The curve of a set of cases; equal confidences enter together."""
    hits = [[lesion.score for lesion in case.lesions if lesion.score is not None] for case in cases]
    wrong = [[each.confidence for each in case.candidates if each.verdict is Verdict.FALSE_POSITIVE] for case in cases]
    every = np.array([score for scores in (*hits, *wrong) for score in scores], dtype=np.float64)
    thresholds = np.unique(every)[::-1]
    return Froc(
        thresholds,
        np.array([_reached(scores, thresholds) for scores in hits]).reshape(len(cases), thresholds.size),
        np.array([_reached(scores, thresholds) for scores in wrong]).reshape(len(cases), thresholds.size),
        np.array([len(case.lesions) for case in cases], dtype=np.float64),
    )


def sensitivities(cases: Sequence[Case]) -> list[Figure]:
    """Sensitivity at each of `RATES`.

    The interval is the wider of a bootstrap over cases, in which the threshold is found anew, and the interval of the
    share at a fixed threshold, which knows that a lesion could have been missed where none was.
    """
    curve = froc(cases)
    total = int(curve.lesions.sum())
    if total == 0:
        return [Figure.missing(Reason.NO_LESION) for _ in RATES]
    values = curve.sensitivity(RATES)[0]
    draws = curve.sensitivity(RATES, case_weights(len(cases))) if len(cases) > 1 else None
    owners = np.repeat(np.arange(len(cases)), curve.lesions.astype(int)).tolist()
    figures = []
    for column, (rate, value) in enumerate(zip(RATES, values, strict=True)):
        found = curve.found_at(rate)
        outcomes = np.concatenate(
            [np.arange(int(lesions)) < hit for lesions, hit in zip(curve.lesions, found, strict=True)]
        )
        fixed = bounded_mean(outcomes.astype(float).tolist(), owners)
        if draws is None or fixed.low is None or fixed.high is None:
            figures.append(Figure(float(value), None, None, total, fixed.reason))
            continue
        low, high = widened_interval(draws[:, column], float(value), len(cases))
        figures.append(Figure(float(value), max(0.0, min(low, fixed.low)), min(1.0, max(high, fixed.high)), total))
    return figures


def _reached(scores: list[float], thresholds: FloatArray) -> FloatArray:
    """How many scores reach each of the falling thresholds, (T,)."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    return (ordered.size - np.searchsorted(ordered, thresholds, side="left")).astype(np.float64)
