"""Correlation of two raters' scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.agreement import moment_columns
from medbench.stats.clusters import ROUNDING, Clusters, CodeArray, FloatArray, cluster_codes, observations
from medbench.stats.outcome import Resampled, Undefined
from medbench.stats.resampling import (
    Bootstrap,
    CellFeatures,
    DenseFeatures,
    Features,
    Sample,
    Statistic,
    bootstrap_interval,
    category_counts,
    dense_codes,
    sums_by_cluster,
)

# Up to this many different pairs, and numbers in all, clusters are held as rows of counts.
FEW_CELLS = 64
# Signs of pairs of pairs are held in blocks of this many numbers.
SIGNS = 1 << 22


def pearson(
    first: ArrayLike, second: ArrayLike, clusters: Clusters, options: Bootstrap | None = None
) -> Resampled | Undefined:
    """Pearson's product-moment correlation.

    Args:
        first: Scores of the first rater, shape (n,), finite.
        second: Scores of the second rater, shape (n,).
        clusters: Cluster (item family) of each answer, shape (n,).
        options: Level, draws and seed of the bootstrap.

    Returns:
        The estimate in [−1, 1] (without an interval where the points lie on a line), or why there is none: one of the
        two gives a single score only.

    Raises:
        ValueError: Shapes differ, nothing is given, or a score is not finite.
    """
    x, y, sample, codes = _scores(first, second, clusters)
    constant = _constant(x, y)
    if constant:
        return sample.undefined(constant)
    columns = moment_columns((x - x.mean()) / np.ptp(x), (y - y.mean()) / np.ptp(y))
    features = DenseFeatures.of(sums_by_cluster(columns, codes))
    return _estimate(features, _pearson, sample, options)


def spearman(
    first: ArrayLike, second: ArrayLike, clusters: Clusters, options: Bootstrap | None = None
) -> Resampled | Undefined:
    """Spearman's rank correlation: Pearson's of the ranks, ties having their mean rank. Resamples are ranked anew.

    Args and returns as `pearson`; the interval is missing where the order is the same or the reverse throughout.

    Source: Spearman (1904), American Journal of Psychology 15:72; ties as in Kendall & Gibbons (1990), section 3.8.

    Raises:
        ValueError: As `pearson`.
    """
    x, y, sample, codes = _scores(first, second, clusters)
    constant = _constant(x, y)
    if constant:
        return sample.undefined(constant)
    features, cells_x, cells_y = _cells(x, y, codes)
    order = np.argsort(cells_y, kind="stable")
    # Cells are sorted by x already.
    ends_x, ends_y = np.flatnonzero(np.diff(cells_x, append=-1)), np.flatnonzero(np.diff(cells_y[order], append=-1))

    def statistic(totals: FloatArray) -> FloatArray:
        n = totals.sum(axis=1, keepdims=True)
        a = _middle_ranks(totals, ends_x)[:, cells_x] / n - 0.5
        b = _middle_ranks(totals[:, order], ends_y)[:, cells_y] / n - 0.5
        shares = totals / n
        weighted = shares * a
        return _correlation((weighted * b).sum(axis=1), (weighted * a).sum(axis=1), (shares * b * b).sum(axis=1))

    return _estimate(features, statistic, sample, options)


def kendall_tau_b(
    first: ArrayLike, second: ArrayLike, clusters: Clusters, options: Bootstrap | None = None
) -> Resampled | Undefined:
    """Kendall's tau-b: (concordant − discordant pairs) / sqrt((pairs not tied in x)·(pairs not tied in y)).

    In resamples an answer drawn twice is tied with itself. Time and memory traffic grow with the square of the number
    of different pairs of scores: 1,000 take about a second, 10,000 a minute or two.

    Args and returns as `pearson`; the interval is missing where the order is the same or the reverse throughout.

    Source: Kendall (1945), Biometrika 33:239.

    Raises:
        ValueError: As `pearson`.
    """
    x, y, sample, codes = _scores(first, second, clusters)
    constant = _constant(x, y)
    if constant:
        return sample.undefined(constant)
    features, cells_x, cells_y = _cells(x, y, codes)
    starts_x = np.flatnonzero(np.diff(cells_x, prepend=-1))
    order = np.argsort(cells_y, kind="stable")
    starts_y = np.flatnonzero(np.diff(cells_y[order], prepend=-1))
    step = max(1, SIGNS // cells_x.size)

    def statistic(totals: FloatArray) -> FloatArray:
        balance = np.zeros(totals.shape[0])
        for start in range(0, cells_x.size, step):
            rows = slice(start, start + step)
            signs = np.sign(cells_x[rows, None] - cells_x[None, :]) * np.sign(cells_y[rows, None] - cells_y[None, :])
            balance += ((totals @ signs.T.astype(np.float64)) * totals[:, rows]).sum(axis=1)
        n = totals.sum(axis=1)
        untied_x = n**2 - (np.add.reduceat(totals, starts_x, axis=1) ** 2).sum(axis=1)
        untied_y = n**2 - (np.add.reduceat(totals[:, order], starts_y, axis=1) ** 2).sum(axis=1)
        return _correlation(balance / n**2, untied_x / n**2, untied_y / n**2)

    return _estimate(features, statistic, sample, options)


def _estimate(
    features: Features, statistic: Statistic, sample: Sample, options: Bootstrap | None
) -> Resampled | Undefined:
    value = float(statistic(features.total()[None, :])[0])
    return bootstrap_interval(value, features, statistic, sample, options or Bootstrap(), None)


def _pearson(totals: FloatArray) -> FloatArray:
    n, x, y, xx, yy, xy = totals.T
    return _correlation(xy / n - x * y / n**2, xx / n - (x / n) ** 2, yy / n - (y / n) ** 2)


def _correlation(covariance: FloatArray, spread_x: FloatArray, spread_y: FloatArray) -> FloatArray:
    figures = np.full(covariance.shape, np.nan)
    varied = (spread_x > ROUNDING) & (spread_y > ROUNDING)
    figures[varied] = np.clip(covariance[varied] / np.sqrt(spread_x[varied] * spread_y[varied]), -1.0, 1.0)
    return figures


def _middle_ranks(totals: FloatArray, ends: CodeArray) -> FloatArray:
    """Mean rank − ½ of each group of neighbouring cells that ends at `ends`, shape (b, groups)."""
    upper = np.cumsum(totals, axis=1)[:, ends]
    ranks: FloatArray = upper.copy()
    ranks[:, 1:] += upper[:, :-1]
    return ranks / 2.0


def _cells(x: FloatArray, y: FloatArray, codes: CodeArray) -> tuple[Features, CodeArray, CodeArray]:
    """How often each different pair of scores occurs, and the places of its two scores among all, pairs sorted."""
    place_x = np.unique(x, return_inverse=True)[1].reshape(-1)
    values_y, place_y = np.unique(y, return_inverse=True)
    keys, cell = np.unique(place_x * values_y.size + place_y.reshape(-1), return_inverse=True)
    cell = cell.reshape(-1)
    if keys.size <= FEW_CELLS:
        features: Features = DenseFeatures.of(sums_by_cluster(category_counts(cell, keys.size), codes))
    else:
        order = np.argsort(cell, kind="stable")
        starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
        features = CellFeatures(codes[order], starts, int(codes.max()) + 1)
    return features, keys // values_y.size, keys % values_y.size


def _scores(
    first: ArrayLike, second: ArrayLike, clusters: Clusters
) -> tuple[FloatArray, FloatArray, Sample, CodeArray]:
    x, y = observations(first, "first"), observations(second, "second")
    if x.shape != y.shape:
        raise ValueError(f"first has {x.size} scores and second {y.size}: give one of each per answer")
    codes = dense_codes(cluster_codes(clusters, x.size))
    return x, y, Sample.of(codes), codes


def _constant(x: FloatArray, y: FloatArray) -> str | None:
    for name, scores in (("first", x), ("second", y)):
        if (scores == scores[0]).all():
            return f"the {name} rater gives {scores[0]:g} to every answer"
    return None
