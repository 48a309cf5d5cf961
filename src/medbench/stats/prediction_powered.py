"""Prediction-powered estimates: what people would say of all answers, from a few ratings and a judge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medbench.stats.clusters import Clusters, CodeArray, FloatArray, cluster_codes, effective_number, observations
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import bounded_interval, require_level, t_interval
from medbench.stats.resampling import dense_codes


@dataclass(frozen=True, slots=True)
class RatedAnswers:
    """One model's answers: some rated by people and by the judge, the others by the judge only.

    Attributes:
        human: People's score of each rated answer (their mean, if several rated it), shape (n,).
        judge: The judge's score of the same answers, shape (n,).
        clusters: Cluster (item family) of each rated answer, shape (n,).
        judge_only: The judge's score of the answers that no person rated, shape (N,).
        judge_only_clusters: Their clusters, shape (N,). A label that occurs in `clusters` too is the same cluster.
    """

    human: ArrayLike
    judge: ArrayLike
    clusters: Clusters
    judge_only: ArrayLike
    judge_only_clusters: Clusters


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """A prediction-powered estimate beside what it is made of.

    Attributes:
        estimate: The estimate, method `prediction_powered`; its `n` are the answers that people rated.
        labels_alone: The mean (difference) of people's ratings alone, with the same kind of interval.
        judge_alone: The mean (difference) of the judge's scores over all answers; it says what the judge thinks.
        weights: λ of each model: how far the judge is used. 0: not at all.
        judged: Answers that the judge alone rated, N.
    """

    estimate: Estimate
    labels_alone: Estimate
    judge_alone: float
    weights: tuple[float, ...]
    judged: int


def prediction_powered_mean(
    answers: RatedAnswers, level: float = 0.95, scale: tuple[float, float] | None = None
) -> PredictionPowered:
    """Mean human score of a model's answers (PPI++).

    θ̂ = Ȳ_n + λ (f̄_N − f̄_n) with people Y and judge f is unbiased for every fixed λ, however wrong the judge is, if the
    rated answers are a random draw of the answers. λ >= 0 makes the variance least. Every cluster g contributes

        a_g = c_n Σ (Y_i − Ȳ_n)/n,    b_g = c_N Σ (f_j − f̄_N)/N − c_n Σ (f_i − f̄_n)/n,    c² = G/(G − 1)

    (sums over its rated answers and its answers with a judge's score only), so that Var = Σ_g (a_g + λ b_g)² and
    λ* = −Σ a_g b_g / Σ b_g², 0 if that is negative. For single answers this is λ* = Cov(Y, f)/((1 + n/N) Var f) but for
    the variance of f, which is taken from each part and not from both together. As λ is fitted, the variance of
    the rated part is raised by (G_n − 1)/(G_n − 2); λ is 0 where the interval would then be no narrower than that of
    the labels alone. The interval is that of Student's t with G_n − 1 degrees of freedom, or, where the ends of the
    scale are given, `bounded_interval` on it, which covers near the ends as well. There is none where the rated
    answers are of one cluster, and λ is 0 where the others are.

    Source: Angelopoulos, Duchi & Zrnic (2023), "PPI++", arXiv 2311.01453 (mean, power tuning);
    specs/scoring.md section 7; clusters as in Liang & Zeger (1986).

    Args:
        answers: The scores, n >= 1 rated answers and N >= 1 others.
        level: Coverage of the interval, in (0, 1).
        scale: Lowest and highest score that people may give. None: the interval is t. Give it where it is known; an
            estimate beyond an end is then moved to it.

    Raises:
        ValueError: Shapes differ, a part is empty, a score is not finite, or people's scores leave the scale.
    """
    part = _part(answers, "answers")
    if scale is not None:
        low, high = scale
        if not low < high:
            raise ValueError(f"scale is {scale}; it must be a lower and a higher end")
        if part.human.min() < low or part.human.max() > high:
            raise ValueError(f"answers.human goes from {part.human.min():g} to {part.human.max():g}, beyond {scale}")
    return _combine([part], [1.0], level, scale)


def prediction_powered_difference(first: RatedAnswers, second: RatedAnswers, level: float = 0.95) -> PredictionPowered:
    """Difference of two models' mean human scores, first minus second (PPI++).

    As `prediction_powered_mean` with a λ of its own for each model, both fitted to the variance of the difference;
    clusters that both models answered cancel in part, so give both the same labels for the same items.

    Args:
        first: The first model's answers.
        second: The second model's answers.
        level: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: As `prediction_powered_mean`.
    """
    return _combine([_part(first, "first"), _part(second, "second")], [1.0, -1.0], level, None)


@dataclass(frozen=True, slots=True)
class _Part:
    human: FloatArray
    judge: FloatArray
    rest: FloatArray
    labels: NDArray[Any]
    rest_labels: NDArray[Any]


def _part(answers: RatedAnswers, name: str) -> _Part:
    human, judge = observations(answers.human, f"{name}.human"), observations(answers.judge, f"{name}.judge")
    rest = observations(answers.judge_only, f"{name}.judge_only")
    if human.shape != judge.shape:
        raise ValueError(f"{name}: {human.size} human scores and {judge.size} of the judge: give both per rated answer")
    return _Part(
        human, judge, rest, _labels(answers.clusters, human.size), _labels(answers.judge_only_clusters, rest.size)
    )


def _labels(clusters: Clusters, n: int) -> NDArray[Any]:
    if isinstance(clusters, np.ndarray) and clusters.dtype.kind in "iu" and clusters.shape == (n,):
        return clusters
    given = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)
    if len(given) != n:
        raise ValueError(f"there are {len(given)} cluster labels for {n} rows: give one label per row")
    labels: NDArray[Any] = np.empty(n, dtype=object)
    labels[:] = given
    return labels


def _combine(
    parts: list[_Part], signs: list[float], level: float, scale: tuple[float, float] | None
) -> PredictionPowered:
    require_level(level)
    labels = np.concatenate([labels for part in parts for labels in (part.labels, part.rest_labels)])
    codes = dense_codes(cluster_codes(labels, labels.size))
    count = int(codes.max()) + 1
    people, rated, others = np.zeros(count), [], []
    sizes = np.zeros(count)
    at = 0
    for part, sign in zip(parts, signs, strict=True):
        here, there = codes[at : at + part.human.size], codes[at + part.human.size :][: part.rest.size]
        at += part.human.size + part.rest.size
        sizes += np.bincount(here, minlength=count)
        people += sign * _influence(part.human, here, count)
        rated.append(-sign * _influence(part.judge, here, count))
        others.append(sign * _influence(part.rest, there, count))
    limits = _Limits(level, sizes[sizes > 0.0], scale)
    clusters = limits.sizes.size
    means = [(part.human.mean(), part.judge.mean(), part.rest.mean()) for part in parts]
    plain = float(sum(sign * human for sign, (human, _, _) in zip(signs, means, strict=True)))
    judged = sum(part.rest.size for part in parts)
    judge_alone = float(
        sum(sign * np.concatenate([part.judge, part.rest]).mean() for part, sign in zip(parts, signs, strict=True))
    )
    if np.isnan(people).any():
        nothing = Estimate(plain, None, None, None, int(sizes.sum()), clusters, "labels_alone")
        return PredictionPowered(nothing, nothing, judge_alone, (0.0,) * len(parts), judged)
    plain_error = math.sqrt(float(people @ people))
    alone = limits.estimate(plain, plain_error, "labels_alone")
    weights = [0.0] * len(parts)
    if clusters > 2 and not np.isnan(others).any():
        weights = _least_squares(people, [ours + rest for ours, rest in zip(rated, others, strict=True)])
    error = _error(people, rated, others, weights, clusters)
    shifts = [
        sign * weight * (rest - judge) for sign, weight, (_, judge, rest) in zip(signs, weights, means, strict=True)
    ]
    powered = limits.estimate(plain + float(sum(shifts)), error, "prediction_powered")
    if error >= plain_error or _width(powered) >= _width(alone):
        weights = [0.0] * len(parts)
        powered = limits.estimate(plain, plain_error, "prediction_powered")
    return PredictionPowered(powered, alone, judge_alone, tuple(weights), judged)


def _influence(values: FloatArray, codes: CodeArray, count: int) -> FloatArray:
    """c·Σ_{i in g} (v_i − v̄)/n of each cluster, shape (count,); NaN for values of a single cluster."""
    used = np.unique(codes).size
    if used < 2:
        return np.full(count, np.nan)
    sums = np.bincount(codes, weights=values - values.mean(), minlength=count)
    return math.sqrt(used / (used - 1)) * sums / values.size


def _least_squares(target: FloatArray, columns: list[FloatArray]) -> list[float]:
    """λ >= 0 that make Σ (a + Σ λ b)² least: by coordinates, which converges as the sum is convex."""
    weights = [0.0] * len(columns)
    norms = [float(column @ column) for column in columns]
    for _ in range(200 if len(columns) > 1 else 1):
        before = list(weights)
        for place, column in enumerate(columns):
            if norms[place] <= 0.0:
                continue
            rest = target + sum(
                (weight * other for k, (weight, other) in enumerate(zip(weights, columns, strict=True)) if k != place),
                np.zeros_like(target),
            )
            weights[place] = max(0.0, -float(rest @ column) / norms[place])
        if max(abs(new - old) for new, old in zip(weights, before, strict=True)) <= 1e-12:
            break
    return weights


def _error(
    people: FloatArray, rated: list[FloatArray], others: list[FloatArray], weights: list[float], clusters: int
) -> float:
    used = [place for place, weight in enumerate(weights) if weight > 0.0]
    ours = people + sum((weights[place] * rated[place] for place in used), np.zeros_like(people))
    rest = sum((weights[place] * others[place] for place in used), np.zeros_like(people))
    fitted = (clusters - 1) / max(clusters - 1 - len(used), 1)
    both = float((ours + rest) @ (ours + rest))
    return math.sqrt(both + (fitted - 1.0) * float(ours @ ours))


@dataclass(frozen=True, slots=True)
class _Limits:
    """How limits are made: level, rated answers in each cluster, and the ends of the scale."""

    level: float
    sizes: FloatArray
    scale: tuple[float, float] | None

    def estimate(self, value: float, error: float, method: str) -> Estimate:
        clusters = self.sizes.size
        if self.scale is None:
            low, high = t_interval(value, error, clusters - 1, self.level)
        else:
            start, width = self.scale[0], self.scale[1] - self.scale[0]
            value = min(max(value, self.scale[0]), self.scale[1])
            share = min(max((value - start) / width, 0.0), 1.0)
            effective = effective_number(self.sizes)
            limits = bounded_interval(share, error / width, clusters, effective, self.level)
            low, high = (start + width * limit for limit in limits)
        return Estimate(value, low, high, error, int(self.sizes.sum()), clusters, method)


def _width(estimate: Estimate) -> float:
    return math.inf if estimate.low is None or estimate.high is None else estimate.high - estimate.low
