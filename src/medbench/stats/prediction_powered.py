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
        strata: Stratum of each rated answer, shape (n,), where the rated answers were drawn stratum by stratum and not
            alike often; None: they are one random draw.
        judge_only_strata: Stratum of the others, shape (N,); given together with `strata`.
    """

    human: ArrayLike
    judge: ArrayLike
    clusters: Clusters
    judge_only: ArrayLike
    judge_only_clusters: Clusters
    strata: Clusters | None = None
    judge_only_strata: Clusters | None = None


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """A prediction-powered estimate beside what it is made of.

    Attributes:
        estimate: The estimate, method `prediction_powered`; its `n` are the answers that people rated.
        labels_alone: The mean (difference) of people's ratings alone, with the same kind of interval.
        judge_alone: The mean (difference) of the judge's scores over all answers with a t interval; it says what the
            judge thinks.
        weights: λ of each model: how far the judge is used. 0: not at all.
        judged: Answers that the judge alone rated, N.
    """

    estimate: Estimate
    labels_alone: Estimate
    judge_alone: Estimate
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

    With strata h of M_h of all M answers, θ̂ = Σ_h (M_h/M) [Ȳ_h + λ (f̄_{h,N} − f̄_{h,n})], unbiased if the rated answers
    are a random draw of their stratum, whatever their share of it. a_g and b_g are the weighted sums of those of the
    strata; a_g also has Σ_i (Ȳ_h(i) − Ȳ)/M over all its answers, as the strata's sizes are a sample's too. Each stratum
    but one costs a degree of freedom. A stratum with fewer than two clusters of others is estimated without the judge;
    there is no interval where one has fewer than two rated clusters.

    Source: Angelopoulos, Duchi & Zrnic (2023), "PPI++", arXiv 2311.01453 (mean, power tuning);
    specs/scoring.md section 7; clusters as in Liang & Zeger (1986); strata with one λ as in Fisch et al. (2024),
    "Stratified Prediction-Powered Inference", arXiv 2406.04291, with sizes that are estimated (Cochran 1977, ch. 12).

    Args:
        answers: The scores, n >= 1 rated answers and N >= 1 others.
        level: Coverage of the interval, in (0, 1).
        scale: Lowest and highest score that people may give. None: the interval is t. Give it where it is known; an
            estimate beyond an end is then moved to it.

    Raises:
        ValueError: Shapes differ, a part is empty, a score is not finite, people's scores leave the scale, or a stratum
            has no rated answer.
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
    """Answers of one model; strata are coded from 0, and `shares` is the share of all answers in each."""

    human: FloatArray
    judge: FloatArray
    rest: FloatArray
    labels: NDArray[Any]
    rest_labels: NDArray[Any]
    strata: CodeArray
    rest_strata: CodeArray
    shares: FloatArray

    def mean(self, values: FloatArray, strata: CodeArray) -> FloatArray:
        """Mean of each stratum, shape (H,); NaN where it is empty."""
        sizes = np.bincount(strata, minlength=self.shares.size)
        sums = np.bincount(strata, weights=values, minlength=self.shares.size)
        means: FloatArray = np.divide(sums, sizes, out=np.full(sums.size, np.nan), where=sizes > 0)
        return means


def _part(answers: RatedAnswers, name: str) -> _Part:
    human, judge = observations(answers.human, f"{name}.human"), observations(answers.judge, f"{name}.judge")
    rest = observations(answers.judge_only, f"{name}.judge_only")
    if human.shape != judge.shape:
        raise ValueError(f"{name}: {human.size} human scores and {judge.size} of the judge: give both per rated answer")
    strata = np.zeros(human.size + rest.size, dtype=np.intp)
    if answers.strata is not None and answers.judge_only_strata is not None:
        given = np.concatenate(
            [_labels(answers.strata, human.size), _labels(answers.judge_only_strata, rest.size)], dtype=object
        )
        strata = dense_codes(cluster_codes(given, given.size))
    shares = np.bincount(strata) / strata.size
    if np.unique(strata[: human.size]).size < shares.size:
        raise ValueError(f"{name}: a stratum has no rated answer, so nothing is known of people's scores there")
    return _Part(
        *(human, judge, rest),
        labels=_labels(answers.clusters, human.size),
        rest_labels=_labels(answers.judge_only_clusters, rest.size),
        strata=strata[: human.size],
        rest_strata=strata[human.size :],
        shares=shares,
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
    plain, shifts = 0.0, []
    at = 0
    for part, sign in zip(parts, signs, strict=True):
        here, there = codes[at : at + part.human.size], codes[at + part.human.size :][: part.rest.size]
        at += part.human.size + part.rest.size
        means = part.mean(part.human, part.strata)
        value = float(part.shares @ means)
        plain += sign * value
        per_answer = part.shares / np.bincount(part.strata) * part.human.size
        sizes += np.bincount(here, weights=per_answer[part.strata], minlength=count)
        between = (means - value) / (part.human.size + part.rest.size)
        people += sign * (
            _influence(part.human, here, part.strata, part.shares, count)
            + np.bincount(here, weights=between[part.strata], minlength=count)
            + np.bincount(there, weights=between[part.rest_strata], minlength=count)
        )
        helped = part.shares * [np.unique(there[part.rest_strata == h]).size > 1 for h in range(part.shares.size)]
        rated.append(-sign * _influence(part.judge, here, part.strata, helped, count))
        others.append(sign * _influence(part.rest, there, part.rest_strata, helped, count))
        apart = part.mean(part.rest, part.rest_strata) - part.mean(part.judge, part.strata)
        shifts.append(sign * float(helped @ np.nan_to_num(apart)))
    strata = sum(part.shares.size - 1 for part in parts)
    n = sum(part.human.size for part in parts)
    limits = _Limits(level, sizes[sizes > 0.0], n, strata, scale)
    judged = sum(part.rest.size for part in parts)
    judge_alone = _judge_alone(parts, signs, codes, level)
    if np.isnan(people).any():
        nothing = Estimate(plain, None, None, None, n, limits.sizes.size, "labels_alone")
        return PredictionPowered(nothing, nothing, judge_alone, (0.0,) * len(parts), judged)
    plain_error = math.sqrt(float(people @ people))
    alone = limits.estimate(plain, plain_error, "labels_alone")
    weights = [0.0] * len(parts)
    if limits.degrees > 1:
        weights = _least_squares(people, [ours + rest for ours, rest in zip(rated, others, strict=True)])
    error = _error(people, rated, others, weights, limits.degrees)
    shift = sum(weight * apart for weight, apart in zip(weights, shifts, strict=True))
    powered = limits.estimate(plain + shift, error, "prediction_powered")
    if error >= plain_error or _width(powered) >= _width(alone):
        weights = [0.0] * len(parts)
        powered = limits.estimate(plain, plain_error, "prediction_powered")
    return PredictionPowered(powered, alone, judge_alone, tuple(weights), judged)


def _judge_alone(parts: list[_Part], signs: list[float], codes: CodeArray, level: float) -> Estimate:
    """The judge's mean (difference) over all answers; `codes` are the clusters of all parts, one after the other."""
    count = int(codes.max()) + 1
    value, influence, at = 0.0, np.zeros(count), 0
    for part, sign in zip(parts, signs, strict=True):
        scores = np.concatenate([part.judge, part.rest])
        value += sign * float(scores.mean())
        one = np.zeros(scores.size, dtype=np.intp)
        influence += sign * _influence(scores, codes[at : at + scores.size], one, np.ones(1), count)
        at += scores.size
    if np.isnan(influence).any():
        return Estimate(value, None, None, None, codes.size, count, "t_clustered")
    error = math.sqrt(float(influence @ influence))
    return Estimate(value, *t_interval(value, error, count - 1, level), error, codes.size, count, "t_clustered")


def _influence(values: FloatArray, codes: CodeArray, strata: CodeArray, shares: FloatArray, count: int) -> FloatArray:
    """Σ_h share_h · c_h Σ_{i in g, h} (v_i − v̄_h)/n_h of each cluster, shape (count,).

    NaN where a stratum whose share counts has values of a single cluster.
    """
    total = np.zeros(count)
    for stratum in np.flatnonzero(shares):
        here = strata == stratum
        chosen, theirs = values[here], codes[here]
        used = np.unique(theirs).size
        if used < 2:
            return np.full(count, np.nan)
        sums = np.bincount(theirs, weights=chosen - chosen.mean(), minlength=count)
        total += shares[stratum] * math.sqrt(used / (used - 1)) * sums / chosen.size
    return total


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
    people: FloatArray, rated: list[FloatArray], others: list[FloatArray], weights: list[float], degrees: int
) -> float:
    used = [place for place, weight in enumerate(weights) if weight > 0.0]
    ours = people + sum((weights[place] * rated[place] for place in used), np.zeros_like(people))
    rest = sum((weights[place] * others[place] for place in used), np.zeros_like(people))
    fitted = degrees / max(degrees - len(used), 1)
    both = float((ours + rest) @ (ours + rest))
    return math.sqrt(both + (fitted - 1.0) * float(ours @ ours))


@dataclass(frozen=True, slots=True)
class _Limits:
    """How limits are made.

    Attributes:
        level: Coverage.
        sizes: Rated answers in each cluster, each by its weight; their sum is `n`.
        n: Rated answers.
        strata: Strata beyond the first.
        scale: The ends of the scale.
    """

    level: float
    sizes: FloatArray
    n: int
    strata: int
    scale: tuple[float, float] | None

    @property
    def degrees(self) -> int:
        return max(self.sizes.size - 1 - self.strata, 1)

    def estimate(self, value: float, error: float, method: str) -> Estimate:
        clusters = self.sizes.size
        if self.scale is None:
            low, high = t_interval(value, error, self.degrees, self.level)
        else:
            start, width = self.scale[0], self.scale[1] - self.scale[0]
            value = min(max(value, self.scale[0]), self.scale[1])
            share = min(max((value - start) / width, 0.0), 1.0)
            effective = max(effective_number(self.sizes) - self.strata, 1.0)
            limits = bounded_interval(share, error / width, clusters, effective, self.level)
            low, high = (start + width * limit for limit in limits)
        return Estimate(value, low, high, error, self.n, clusters, method)


def _width(estimate: Estimate) -> float:
    return math.inf if estimate.low is None or estimate.high is None else estimate.high - estimate.low
