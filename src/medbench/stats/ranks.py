"""Ranks of several models with their intervals, from one cluster bootstrap for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import FloatArray, observations
from medbench.stats.intervals import require_level
from medbench.stats.resampling import BLOCK, cluster_weights, random_groups


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a model stands.

    Attributes:
        rank: 1 for the best; models with the same value share the better rank.
        low: Best rank of the interval.
        high: Worst rank of the interval.
    """

    rank: int
    low: int
    high: int


def joint_bootstrap_means(sums: ArrayLike, counts: ArrayLike, draws: int = 2_000, seed: int = 0) -> FloatArray:
    """Means of several models over the same resamples of clusters.

    Each draw takes G clusters with replacement, the same for all models, and a model's mean is its sum over its count
    there. More than 4,096 clusters are first put together at random in 4,096 groups, which are then what is drawn:
    sums of whole clusters are independent as well, and the standard error is known to 1.1 % of its size instead of
    exactly. Neither time nor memory then grow with the clusters. To put datasets together, draw each with a seed of its
    own and take the weighted mean of the results: the datasets stay fixed, and so does the resample over models.

    Source: specs/scoring.md section 8; Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 8.

    Args:
        sums: Sum of each model's scores in each cluster, shape (G, models), G >= 2.
        counts: Number of its scores there, >= 0, shape (G, models), or (G,) where all models have the same.
        draws: Number of resamples, at least 100.
        seed: Seed; the same inputs give the same draws.

    Returns:
        Shape (draws, models). NaN where a model has no score in a draw; `rank_intervals` refuses these.

    Raises:
        ValueError: Shapes differ, fewer than two clusters, a number is not finite, a count is negative, or a model has
            no score at all.
    """
    if draws < 100:
        raise ValueError(f"draws is {draws}; an interval needs at least 100")
    totals, sizes = _cluster_totals(sums, counts)
    generator = np.random.default_rng(seed)
    models = totals.shape[1]
    parts = random_groups(np.concatenate([totals, sizes], axis=1), generator)
    clusters = parts.shape[0]
    means = np.full((draws, models), np.nan)
    block = max(1, BLOCK // clusters)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = cluster_weights(clusters, size, generator) @ parts
        np.divide(drawn[:, :models], drawn[:, models:], out=means[start : start + size], where=drawn[:, models:] > 0.0)
    return means


def rank_intervals(values: ArrayLike, draws: ArrayLike, level: float = 0.95) -> tuple[Rank, ...]:
    """Ranks of models, highest value first, and percentile intervals of their ranks over joint draws.

    In each draw a model's rank lies between 1 + the number of models above it and the number of those not below it; the
    interval goes from the lower quantile of the former to the upper quantile of the latter, both rounded outwards, and
    includes the rank itself. Models that are truly equal have ranks that no data can tell; the interval then need not
    cover at its level, but spans them nearly always.

    Source: Goldstein & Spiegelhalter (1996), Journal of the Royal Statistical Society A 159:385, section 4.

    Args:
        values: The models' figures, shape (models,).
        draws: The same figures in each resample, shape (draws, models): `joint_bootstrap_means` or a mean of several.
        level: Coverage of each interval, in (0, 1).

    Raises:
        ValueError: Shapes do not fit, or a figure is not finite.
    """
    require_level(level)
    figures = observations(values)
    drawn = np.asarray(draws, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[0] == 0 or drawn.shape[1] != figures.size:
        raise ValueError(f"draws has shape {drawn.shape}; it must be (draws, {figures.size}) for {figures.size} models")
    bad = ~np.isfinite(drawn)
    if bad.any():
        raise ValueError(
            f"model {int(np.argmax(bad.any(axis=0)))} has no score in {int(bad.any(axis=1).sum())} of {drawn.shape[0]} "
            "draws: it was asked in too few clusters to be ranked"
        )
    tail = (1.0 - level) / 2.0
    ranks = []
    for model in range(figures.size):
        above = (drawn > drawn[:, model : model + 1]).sum(axis=1)
        not_below = (drawn >= drawn[:, model : model + 1]).sum(axis=1)
        rank = 1 + int((figures > figures[model]).sum())
        low = 1 + int(np.quantile(above, tail, method="lower"))
        high = int(np.quantile(not_below, 1.0 - tail, method="higher"))
        ranks.append(Rank(rank, min(low, rank), max(high, rank)))
    return tuple(ranks)


def _cluster_totals(sums: ArrayLike, counts: ArrayLike) -> tuple[FloatArray, FloatArray]:
    totals, sizes = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if totals.ndim != 2 or totals.shape[0] < 2 or totals.shape[1] < 1:
        raise ValueError(f"sums has shape {totals.shape}; it must be (clusters, models) with at least two clusters")
    if sizes.ndim == 1 and sizes.shape == totals.shape[:1]:
        sizes = np.broadcast_to(sizes[:, None], totals.shape)
    if sizes.shape != totals.shape:
        raise ValueError(f"counts has shape {sizes.shape} and sums {totals.shape}")
    if not (np.isfinite(totals).all() and np.isfinite(sizes).all()):
        raise ValueError("sums or counts hold a number that is not finite")
    if (sizes < 0.0).any():
        raise ValueError("counts must be at least 0")
    empty = ~(sizes > 0.0).any(axis=0)
    if empty.any():
        raise ValueError(f"model {int(np.argmax(empty))} has no score in any cluster")
    return totals, sizes
