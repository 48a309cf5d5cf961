"""Agreement of two raters who rated the same answers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import ROUNDING, Clusters, FloatArray, cluster_codes
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import clustered_mean
from medbench.stats.outcome import Resampled, Undefined
from medbench.stats.ratings import Ratings, Weights, coded, require_few
from medbench.stats.resampling import (
    Bootstrap,
    DenseFeatures,
    Sample,
    Statistic,
    bootstrap_interval,
    category_counts,
    dense_codes,
    sums_by_cluster,
    unseen_disagreement,
)


def exact_agreement(first: ArrayLike, second: ArrayLike, clusters: Clusters, level: float = 0.95) -> Estimate:
    """Share of the answers that both raters rate alike, with the interval of `clustered_mean`.

    Args:
        first: Ratings of the first rater, shape (n,): numbers or names, none missing.
        second: Ratings of the second rater, shape (n,).
        clusters: Cluster (item family) of each answer, shape (n,).
        level: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: Shapes differ, nothing is given, or a rating is missing.
    """
    codes = _pairs(first, second, None).codes
    return clustered_mean((codes[:, 0] == codes[:, 1]).astype(np.float64), clusters, level)


def adjacent_agreement(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Clusters,
    categories: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Share of the answers whose two ratings are equal or neighbours on the scale.

    Args:
        first: Ratings of the first rater, shape (n,), none missing.
        second: Ratings of the second rater, shape (n,).
        clusters: Cluster of each answer, shape (n,).
        categories: The steps of the scale in order. None: the ratings that occur; a step that nobody used is then
            unknown and its neighbours count as adjacent.
        level: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: As `exact_agreement`, a rating is not among the categories, or names have no order.
    """
    pairs = _pairs(first, second, categories)
    pairs.require_order("adjacent agreement")
    close = np.abs(pairs.codes[:, 0] - pairs.codes[:, 1]) <= 1
    return clustered_mean(close.astype(np.float64), clusters, level)


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Clusters,
    weights: Weights = "nominal",
    categories: Sequence[Hashable] | None = None,
    options: Bootstrap | None = None,
) -> Resampled | Undefined:
    """Cohen's kappa, 1 − D_o/D_e: observed disagreement over that of independent raters with the same margins.

    D_o = mean of d(x_i, y_i) and D_e = Σ_jk p_j q_k d(j, k), with d = 1 for any two different categories (nominal,
    Cohen 1960), |j − k| (linear) or (j − k)² (quadratic, Cohen 1968). Distances are between the ratings themselves
    where these are numbers and between places in `categories` where they are names. Where all
    clusters are alike, resampling would claim certainty. With u the upper limit for the share of answers of a kind that
    was not seen, the limits are then what kappa would be if u of the answers had the greatest disagreement (1 − u/D_e
    where all agree) and if u of them agreed.

    Source: Cohen (1960), Educational and Psychological Measurement 20:37; Cohen (1968), Psychological Bulletin 70:213.

    Args:
        first: Ratings of the first rater, shape (n,): numbers or names, none missing.
        second: Ratings of the second rater, shape (n,).
        clusters: Cluster (item family) of each answer, shape (n,).
        weights: What a disagreement costs.
        categories: All categories in order; needed for weights on names.
        options: Level, draws and seed of the bootstrap.

    Returns:
        The estimate in [−1, 1], or why there is none: a rater who gives one rating only agrees with anybody exactly as
        chance does, whatever the other does.

    Raises:
        ValueError: Shapes differ, nothing is given, a rating is missing or unknown, or weights need an order.
    """
    options = options or Bootstrap()
    pairs = _pairs(first, second, categories)
    codes = dense_codes(cluster_codes(clusters, pairs.codes.shape[0]))
    sample = Sample.of(codes)
    for name, column in (("first", pairs.codes[:, 0]), ("second", pairs.codes[:, 1])):
        if (column == column[0]).all():
            return sample.undefined(f"the {name} rater gives {pairs.labels[column[0]]!r} to every answer")
    if weights == "quadratic":
        pairs.require_order(weights)
        scaled = _unit_scale(pairs)[pairs.codes]
        columns = moment_columns(scaled[:, 0], scaled[:, 1])
        statistic: Statistic = _quadratic_kappa
    else:
        require_few(pairs)
        columns, statistic = _margin_columns(pairs, weights)
    features = DenseFeatures.of(sums_by_cluster(columns, codes))
    value = float(statistic(features.total()[None, :])[0])
    expected = _expected(pairs, weights)
    unseen = unseen_disagreement(value, expected, sample.unseen(options.level))
    return bootstrap_interval(value, features, statistic, sample, options, unseen)


def moment_columns(first: FloatArray, second: FloatArray) -> FloatArray:
    """1, x, y, x², y², xy for each row, shape (n, 6); sums of them give every moment up to the second."""
    return np.stack([np.ones_like(first), first, second, first**2, second**2, first * second], axis=1)


def _quadratic_kappa(totals: FloatArray) -> FloatArray:
    n, x, y, xx, yy, xy = totals.T
    spread = (n * xx - x**2, n * yy - y**2)
    varied = (spread[0] > ROUNDING * n**2) & (spread[1] > ROUNDING * n**2)
    expected = n * (xx + yy) - 2.0 * x * y
    figures = np.full(n.shape, np.nan)
    figures[varied] = 1.0 - (n * (xx + yy - 2.0 * xy))[varied] / expected[varied]
    return figures


def _margin_columns(pairs: Ratings, weights: Weights) -> tuple[FloatArray, Statistic]:
    """Disagreement and both raters' categories of each row, and kappa from their sums."""
    cost = pairs.disagreement(weights)
    size = pairs.positions.size
    first, second = pairs.codes.T
    columns = np.concatenate(
        [cost[first, second][:, None], category_counts(first, size), category_counts(second, size)], axis=1
    )

    def statistic(totals: FloatArray) -> FloatArray:
        ours, theirs = totals[:, 1 : 1 + size], totals[:, 1 + size :]
        n = ours.sum(axis=1)
        varied = (ours.max(axis=1) < n) & (theirs.max(axis=1) < n)
        expected = ((ours @ cost) * theirs).sum(axis=1)
        figures = np.full(n.shape, np.nan)
        figures[varied] = 1.0 - (n * totals[:, 0])[varied] / expected[varied]
        return figures

    return columns, statistic


def _expected(pairs: Ratings, weights: Weights) -> float:
    """Disagreement of independent raters with these margins, on a scale on which the greatest is 1."""
    if weights == "quadratic":
        x, y = _unit_scale(pairs)[pairs.codes].T
        return float((x**2).mean() + (y**2).mean() - 2.0 * x.mean() * y.mean())
    size = pairs.positions.size
    margins = [np.bincount(column, minlength=size) / column.size for column in pairs.codes.T]
    return float(margins[0] @ pairs.disagreement(weights) @ margins[1])


def _unit_scale(pairs: Ratings) -> FloatArray:
    lowest, highest = pairs.positions.min(), pairs.positions.max()
    scaled: FloatArray = (pairs.positions - lowest) / (highest - lowest)
    return scaled


def _pairs(first: ArrayLike, second: ArrayLike, categories: Sequence[Hashable] | None) -> Ratings:
    """Both raters' ratings as a table of shape (n, 2) without gaps."""
    ours, theirs = list(np.asarray(first, dtype=object)), list(np.asarray(second, dtype=object))
    if len(ours) != len(theirs):
        raise ValueError(f"first has {len(ours)} ratings and second {len(theirs)}: give one of each per answer")
    if not ours:
        raise ValueError("first is empty: there is nothing to compare")
    table = np.empty((len(ours), 2), dtype=object)
    table[:, 0], table[:, 1] = ours, theirs
    pairs = coded(table, categories, "first and second")
    missing = (pairs.codes < 0).any(axis=1)
    if missing.any():
        raise ValueError(f"row {int(np.argmax(missing))} lacks a rating; leave rows out that only one rater rated")
    return pairs
