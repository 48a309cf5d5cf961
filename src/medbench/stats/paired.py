"""Two models on the same items: the difference, its interval and its tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import (
    Clusters,
    FloatArray,
    cluster_codes,
    cluster_sums,
    observations,
    require_unit_interval,
)
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import bounded_interval, require_level, standard_error, t_interval

# All 2^m sign patterns are enumerated up to this m; beyond it they are drawn.
EXACT_FLIPS = 14
# Draws are made in blocks of about this many numbers, so that memory does not grow with the clusters.
BLOCK = 1 << 21


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test.

    Attributes:
        first_only: Items that only the first model has right (b).
        second_only: Items that only the second model has right (c).
        p_value: Two-sided, exact.
    """

    first_only: int
    second_only: int
    p_value: float


def paired_difference(
    first: ArrayLike, second: ArrayLike, clusters: Clusters, level: float = 0.95, bounded: bool = True
) -> Estimate:
    """Mean difference, first minus second, with clustered standard error and t interval (G−1 degrees of freedom).

    Rows are aligned beforehand: row i of both is the same item and, if asked several times, the mean over its variants
    (`group_means`). SE and interval are None for fewer than two clusters.

    Where the scores are bounded in [0, 1] and every row has the same difference d, t would claim certainty (SE = 0).
    The interval then allows for the clusters that may differ and were not drawn: their share is below the upper limit u
    for 0 of G (`bounded_interval`), which gives [d − u·(1+d), d + u·(1−d)].

    Source: specs/scoring.md section 8; Miller (2024), arXiv 2411.00640, section 4.

    Args:
        first: Scores of the first model, shape (n,), n >= 1.
        second: Scores of the second model, shape (n,).
        clusters: Cluster (item family) of each row, shape (n,).
        level: Coverage of the interval, in (0, 1).
        bounded: The scores lie in [0, 1].

    Raises:
        ValueError: Shapes differ, nothing is given, or a value is not finite or out of range.
    """
    require_level(level)
    ours, theirs = _aligned(first, second)
    if bounded:
        require_unit_interval(ours, "first")
        require_unit_interval(theirs, "second")
    differences = ours - theirs
    sums = cluster_sums(differences, cluster_codes(clusters, differences.size))
    count = sums.sizes.size
    value = float(differences.mean())
    error = standard_error(sums, value, scale=float(max(np.abs(ours).max(), np.abs(theirs).max())))
    low: float | None = None
    high: float | None = None
    if error is not None:
        low, high = t_interval(value, error, count - 1, level)
        if bounded and error == 0.0:
            unseen = bounded_interval(0.0, 0.0, count, sums.effective, level)[1]
            low, high = value - unseen * (1.0 + value), value + unseen * (1.0 - value)
    return Estimate(value, low, high, error, differences.size, count, "paired_t_clustered")


def mcnemar_exact(first: ArrayLike, second: ArrayLike) -> McNemar:
    """McNemar's exact test of two models on the items' binary outcomes.

    Two-sided binomial test of b against b + c at one half: p = min(1, 2·P(X <= min(b, c))); not mid-p. One outcome per
    item: several variants of an item are not independent, and on them the test rejects a third of true nulls.

    Source: McNemar (1947); specs/scoring.md section 8.

    Args:
        first: 0/1 or boolean outcomes of the first model, shape (n,), one per item.
        second: As above, of the second model.

    Raises:
        ValueError: Shapes differ, nothing is given, or an outcome is neither 0 nor 1.
    """
    from scipy.special import bdtr

    ours, theirs = _aligned(first, second)
    for name, outcomes in (("first", ours), ("second", theirs)):
        graded = (outcomes != 0.0) & (outcomes != 1.0)
        if graded.any():
            row = int(np.argmax(graded))
            raise ValueError(f"{name}[{row}] = {outcomes[row]}: McNemar's test needs 0 or 1; use a permutation test")
    only_first = int(np.count_nonzero(ours > theirs))
    only_second = int(np.count_nonzero(ours < theirs))
    discordant = only_first + only_second
    tail = float(bdtr(min(only_first, only_second), discordant, 0.5)) if discordant else 1.0
    return McNemar(only_first, only_second, min(1.0, 2.0 * tail))


def sign_flip_permutation(differences_by_cluster: ArrayLike, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p value of the sign-flip permutation test that the differences are symmetric about 0.

    Null: exchanging the two models within any cluster leaves the distribution as it is. The statistic is the absolute
    sum of the differences. All 2^m sign patterns of the m differences other than 0 are counted if m <= 14; else
    `resamples` patterns are drawn and p = (1 + #{as extreme}) / (1 + resamples) (Phipson & Smyth, 2010), never 0.

    Args:
        differences_by_cluster: Sum of the paired differences within each cluster, shape (G,); the mean, where clusters
            are of one size or are to count alike.
        resamples: Number of drawn patterns, >= 1.
        seed: Seed of the draws; the same inputs give the same p value.

    Raises:
        ValueError: Nothing is given, a difference is not finite, or `resamples` is below 1.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    differences = observations(differences_by_cluster, "differences_by_cluster")
    # Sorted, so that the order of the clusters does not change which of them a draw flips.
    differences = np.sort(differences[differences != 0.0])
    if differences.size == 0:
        return 1.0
    # Sums of the same numbers in another order differ by rounding; they are ties.
    observed = abs(float(differences.sum())) - 1e-10 * float(np.abs(differences).sum())
    if differences.size <= EXACT_FLIPS:
        totals = np.zeros(1)
        for difference in differences:
            totals = np.concatenate((totals - difference, totals + difference))
        return float(np.mean(np.abs(totals) >= observed))
    # Differences of one size are flipped together: their signed sum is binomial.
    sizes, counts = np.unique(np.abs(differences), return_counts=True)
    generator = np.random.default_rng(seed)
    extreme = 0
    block = max(1, BLOCK // sizes.size)
    for start in range(0, resamples, block):
        shape = (min(block, resamples - start), sizes.size)
        signed = (2 * generator.binomial(counts, 0.5, size=shape) - counts) @ sizes
        extreme += int(np.count_nonzero(np.abs(signed) >= observed))
    return (1 + extreme) / (1 + resamples)


def _aligned(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    ours, theirs = observations(first, "first"), observations(second, "second")
    if ours.shape != theirs.shape:
        raise ValueError(f"first has {ours.size} rows and second {theirs.size}: align the two on (item, variant)")
    return ours, theirs
