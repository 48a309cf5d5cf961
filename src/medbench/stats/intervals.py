"""Clustered means and the interval of a figure that is bounded in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import (
    ROUNDING,
    Clusters,
    ClusterSums,
    FloatArray,
    cluster_codes,
    cluster_sums,
    observations,
    require_unit_interval,
)
from medbench.stats.estimate import Estimate
from medbench.stats.student import t_quantile

# The two constants of `bounded_interval`, set by simulation (tests/stats/test_stats_coverage.py).
EDGE_COUNT = 2.0
POISSON_COUNT = 4.5


def clustered_mean(values: ArrayLike, clusters: Clusters, level: float = 0.95, bounded: bool = True) -> Estimate:
    """Mean of the values with a standard error that allows for dependence within clusters.

    With s̄ the mean of n values in G clusters,

        SE = sqrt(G/(G−1) · Σ_g (Σ_{i∈g} (s_i − s̄))²) / n,

    undefined (None, as is the interval) for G < 2: a single cluster says nothing about the spread between clusters.
    The interval is `bounded_interval` for values in [0, 1], otherwise s̄ ± t·SE with G−1 degrees of freedom (which has
    width 0 if all values are equal).

    Source: specs/scoring.md section 8; Liang & Zeger (1986) for the cluster-robust variance; Miller (2024), "Adding
    error bars to evals", arXiv 2411.00640.

    Args:
        values: Scores, shape (n,), n >= 1, finite.
        clusters: Cluster of each row, shape (n,): integer codes or any hashables. A cluster is an item family; its
            variants, epochs and sub-questions nest in it.
        level: Coverage of the interval, in (0, 1).
        bounded: The values lie in [0, 1].

    Raises:
        ValueError: Shapes differ, nothing is given, a value is not finite or out of range, or `level` is not in (0, 1).
    """
    require_level(level)
    array = observations(values)
    if bounded:
        require_unit_interval(array)
    sums = cluster_sums(array, cluster_codes(clusters, array.size))
    mean = float(array.mean())
    error = standard_error(sums, mean, scale=float(np.abs(array).max()))
    low: float | None = None
    high: float | None = None
    if error is not None:
        if bounded:
            low, high = bounded_interval(mean, error, sums.sizes.size, sums.effective, level)
        else:
            low, high = t_interval(mean, error, sums.sizes.size - 1, level)
    method = "wilson_clustered" if bounded else "t_clustered"
    return Estimate(mean, low, high, error, array.size, sums.sizes.size, method)


def standard_error(sums: ClusterSums, mean: float, scale: float = 1.0) -> float | None:
    """Clustered standard error of the mean, in the unit of the values; None for fewer than two clusters.

    Args:
        sums: Sums and sizes of the clusters.
        mean: Mean over all rows.
        scale: Largest absolute value; what is below rounding on this scale is 0.
    """
    clusters = sums.sizes.size
    if clusters < 2:
        return None
    residuals: FloatArray = sums.sums - sums.sizes * mean
    error = math.sqrt(clusters / (clusters - 1) * float(residuals @ residuals)) / float(sums.sizes.sum())
    return error if error > ROUNDING * scale else 0.0


def bounded_interval(
    mean: float, error: float, clusters: int, effective_clusters: float, level: float
) -> tuple[float, float]:
    """Interval for a figure in [0, 1] whose standard error is known: Wilson's, with an effective sample size.

    Wilson's (1927) score interval for `mean` out of n_eff = mean·(1−mean)/SE² observations, n_eff = G where SE = 0.
    For G single 0/1 scores n_eff = G−1. As plain Wilson covers too little with few or unequal clusters and for skewed
    fractional scores near 0 or 1 (67 % at .05 for beta(.05, .95) scores and G = 10), three things are added:

    1. t with G_eff − 1 degrees of freedom in place of the normal quantile, G_eff = (Σ size)²/Σ size² (Kish), which is G
       for clusters of one size; the variance is estimated, and from few clusters if a few hold most rows.
    2. Where n_eff exceeds G_eff and the effective count of the rarer outcome, x = n_eff·min(mean, 1−mean), is small, SE
       itself is unreliable: the rare large deviation may not have been seen. 1/n_eff is then drawn towards 1/G_eff, its
       value if every cluster were all or nothing, with weight 1/(1 + (x/2)²). Nothing changes for single 0/1 scores.
    3. Where x <= 4.5 the limit next to the edge is no closer to `mean` than the Poisson limit of Brown, Cai & DasGupta
       (2001, section 4.1.1), as Wilson's covers only .85 at true means of about 0.2/n.

    Args:
        mean: The figure, in [0, 1].
        error: Its standard error, >= 0; what is below rounding counts as 0.
        clusters: G >= 2.
        effective_clusters: G_eff in [1, G].
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper limit; 0 <= low <= mean <= high <= 1.
    """
    rarer = min(mean, 1.0 - mean)
    size = float(clusters)
    if error > ROUNDING and rarer > 0.0:
        size = mean * (1.0 - mean) / error**2
        if size > effective_clusters:
            weight = 1.0 / (1.0 + (rarer * size / EDGE_COUNT) ** 2)
            size = 1.0 / ((1.0 - weight) / size + weight / effective_clusters)
    quantile = t_quantile(max(effective_clusters - 1.0, 1.0), (1.0 + level) / 2.0)
    low, high = wilson_limits(mean, size, quantile)
    count = rarer * size
    if 0.0 < count <= POISSON_COUNT:
        from scipy.special import gammaincinv

        edge = float(gammaincinv(count, 1.0 - level)) / size
        if mean < 0.5:
            low = min(low, edge)
        else:
            high = max(high, 1.0 - edge)
    return max(0.0, min(low, mean)), min(1.0, max(high, mean))


def wilson_limits(mean: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's score limits for a proportion `mean` of `size` > 0 observations (fractions allowed)."""
    squared = quantile * quantile
    centre = (mean + squared / (2.0 * size)) / (1.0 + squared / size)
    half = quantile / (1.0 + squared / size) * math.sqrt(mean * (1.0 - mean) / size + squared / (4.0 * size * size))
    return centre - half, centre + half


def t_interval(value: float, error: float, degrees: int, level: float) -> tuple[float, float]:
    """`value` ± t·`error` with `degrees` >= 1 degrees of freedom."""
    half = t_quantile(degrees, (1.0 + level) / 2.0) * error
    return value - half, value + half


def require_level(level: float) -> None:
    """Raise ValueError unless `level` lies in (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; it is a share such as 0.95")
