"""Cluster bootstrap of figures that are functions of sums: clusters are drawn, rows are never touched again.

A coefficient of agreement depends on its data through a few sums: counts of categories, moments, disagreement. Each
cluster is reduced to its part of these sums once; a resample is then one row of a matrix product, and all resamples are
evaluated together. Clusters with equal parts are interchangeable, so that 100,000 single ratings in five categories
cost no more than the few kinds of them. Beyond 4,096 clusters that all differ, random groups of whole clusters are
drawn: their sums are independent as well, and the standard error is then known to 1.1 % of its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medbench.stats.clusters import ROUNDING, CodeArray, FloatArray, effective_number
from medbench.stats.intervals import bounded_interval, require_level
from medbench.stats.outcome import Resampled, Undefined
from medbench.stats.student import t_quantile

# More clusters than this, if they are not of few kinds, are put together at random before they are drawn.
MOST_CLUSTERS = 4_096
# Draws are evaluated in blocks of about this many numbers, so that memory does not grow with the draws.
BLOCK = 1 << 21

Statistic = Callable[[FloatArray], FloatArray]
"""Totals of shape (b, F) to figures of shape (b,), NaN where a figure does not exist; it never leaves the package."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are resampled.

    Attributes:
        level: Coverage of the interval, in (0, 1).
        draws: Number of resamples, at least 100.
        seed: Seed of the draws; the same inputs give the same interval.
    """

    level: float = 0.95
    draws: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        require_level(self.level)
        if self.draws < 100:
            raise ValueError(f"draws is {self.draws}; an interval needs at least 100")


class Features(Protocol):
    """The parts of the clusters in the sums that a figure is made of."""

    @property
    def clusters(self) -> int:
        """Number G of clusters."""

    def total(self) -> FloatArray:
        """The sums over all clusters, shape (F,)."""

    def draw(self, draws: int, generator: np.random.Generator) -> Iterator[FloatArray]:
        """Sums of resamples of G clusters with replacement, in blocks of shape (b, F)."""


@dataclass(frozen=True, slots=True)
class DenseFeatures:
    """Few sums: one row for each kind of cluster.

    Attributes:
        rows: Parts of one cluster of each kind, shape (P, F).
        multiplicities: Number of clusters of each kind, shape (P,).
    """

    rows: FloatArray
    multiplicities: NDArray[np.int64]

    @classmethod
    def of(cls, rows: FloatArray) -> DenseFeatures:
        """From the parts of the clusters, shape (G, F): equal ones are put together."""
        kinds, multiplicities = np.unique(rows, axis=0, return_counts=True)
        return cls(kinds, multiplicities.astype(np.int64))

    @property
    def clusters(self) -> int:
        """Number G of clusters."""
        return int(self.multiplicities.sum())

    def total(self) -> FloatArray:
        """The sums over all clusters, shape (F,)."""
        totals: FloatArray = self.multiplicities.astype(np.float64) @ self.rows
        return totals

    def draw(self, draws: int, generator: np.random.Generator) -> Iterator[FloatArray]:
        """Sums of resamples, in blocks of shape (b, F)."""
        kinds, clusters = self.multiplicities.size, self.clusters
        few = 2 * kinds <= clusters
        rows = self.rows if few else random_groups(np.repeat(self.rows, self.multiplicities, axis=0), generator)
        block = max(1, BLOCK // max(rows.shape))
        for start in range(0, draws, block):
            size = min(block, draws - start)
            if few:
                weights = generator.multinomial(clusters, self.multiplicities / clusters, size).astype(np.float64)
            else:
                weights = cluster_weights(rows.shape[0], size, generator)
            yield weights @ rows


@dataclass(frozen=True, slots=True)
class CellFeatures:
    """Many sums, of which each cluster touches few: numbers of rows in each of F cells.

    Attributes:
        cluster: Cluster of each row, 0 to G−1, shape (n,), the rows sorted by cell.
        starts: Where each cell begins, shape (F,); no cell is empty.
        clusters: Number G of clusters.
    """

    cluster: CodeArray
    starts: CodeArray
    clusters: int

    def total(self) -> FloatArray:
        """The sums over all clusters, shape (F,)."""
        return np.diff(self.starts, append=self.cluster.size).astype(np.float64)

    def draw(self, draws: int, generator: np.random.Generator) -> Iterator[FloatArray]:
        """Sums of resamples, in blocks of shape (b, F)."""
        group, groups = self.cluster, self.clusters
        if groups > MOST_CLUSTERS:
            group, groups = generator.permutation(groups)[group] % MOST_CLUSTERS, MOST_CLUSTERS
        block = max(1, BLOCK // max(groups, group.size))
        for start in range(0, draws, block):
            weights = cluster_weights(groups, min(block, draws - start), generator)
            yield np.add.reduceat(weights[:, group], self.starts, axis=1)


def random_groups(parts: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Parts of the clusters, shape (G, F), or of 4,096 random groups of them, which differ by one cluster at most."""
    if parts.shape[0] <= MOST_CLUSTERS:
        return parts
    starts = np.linspace(0, parts.shape[0], MOST_CLUSTERS, endpoint=False).astype(np.intp)
    return np.add.reduceat(parts[generator.permutation(parts.shape[0])], starts, axis=0)


def cluster_weights(clusters: int, draws: int, generator: np.random.Generator) -> FloatArray:
    """How often each cluster is drawn, shape (draws, clusters); the rows sum to the number of clusters."""
    picked = generator.integers(0, clusters, size=(draws, clusters))
    picked += np.arange(draws)[:, None] * clusters
    return np.bincount(picked.reshape(-1), minlength=draws * clusters).reshape(draws, clusters).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was observed, apart from the sums.

    Attributes:
        n: Number of rows.
        sizes: Rows in each cluster, shape (G,), all positive.
    """

    n: int
    sizes: FloatArray

    @classmethod
    def of(cls, codes: CodeArray) -> Sample:
        """From dense cluster codes, shape (n,)."""
        return cls(codes.size, np.bincount(codes).astype(np.float64))

    def undefined(self, reason: str) -> Undefined:
        """No estimate from this sample, for that reason."""
        return Undefined(reason, self.n, self.sizes.size)

    def unseen(self, level: float) -> float:
        """Upper limit for the share of what was seen in none of the clusters (`bounded_interval`)."""
        return bounded_interval(0.0, 0.0, self.sizes.size, effective_number(self.sizes), level)[1]


def unseen_disagreement(value: float, expected: float, share: float) -> float:
    """The figure 1 − D_o/D_e, in [−1, 1], if a share of the answers disagreed as much as two ratings can.

    Args:
        value: The figure as it is.
        expected: D_e, on a scale on which the greatest disagreement is 1.
        share: Of the answers; see `Sample.unseen`.
    """
    return min(value, max(-1.0, value - share * (1.0 / expected - (1.0 - value))))


def bootstrap_interval(
    value: float, features: Features, statistic: Statistic, sample: Sample, options: Bootstrap, unseen: float | None
) -> Resampled:
    """The estimate `value` with its cluster bootstrap interval.

    The limits are percentiles of the draws, widened for small G as Hesterberg (2015), "What teachers should know about
    the bootstrap", The American Statistician 69:371, section 5.3: the probabilities are Φ(±t·sqrt(G/(G−1))) with t the
    quantile of Student's distribution with G_eff − 1 degrees of freedom, as percentile intervals are otherwise too
    narrow by the factor that separates them from t intervals.

    Args:
        value: The figure for all clusters.
        features: The clusters' parts in the sums.
        statistic: Sums to figures.
        sample: Numbers of rows.
        options: Level, draws and seed.
        unseen: Where all draws equal `value`, what the lower limit is, at most `value`; the upper one is then what the
            figure, at most 1, would be if as many answers agreed as may have gone unseen. None: there is no interval.
    """
    count = sample.sizes.size

    def without(reason: str, draws: int = 0, undefined: int = 0) -> Resampled:
        return Resampled(value, None, None, None, sample.n, count, "cluster_bootstrap", draws, undefined, reason)

    if count < 2:
        return without("a single cluster says nothing about the spread between clusters")
    generator = np.random.default_rng(options.seed)
    drawn = np.concatenate([statistic(totals) for totals in features.draw(options.draws, generator)])
    figures = drawn[np.isfinite(drawn)]
    undefined = options.draws - figures.size
    if undefined > (1.0 - options.level) * options.draws:
        return without(
            f"the figure does not exist in {undefined} of {options.draws} resamples", options.draws, undefined
        )
    error = float(figures.std(ddof=1))
    if error <= ROUNDING * max(1.0, abs(value)):
        if unseen is None:
            return without("all resamples agree, which would claim certainty", options.draws, undefined)
        above = value + sample.unseen(options.level) * (1.0 - value)
        return Resampled(
            value, unseen, above, 0.0, sample.n, count, "cluster_bootstrap", options.draws, undefined, None
        )
    low, high = np.quantile(figures, _probabilities(count, effective_number(sample.sizes), options.level))
    return Resampled(
        value,
        min(float(low), value),
        max(float(high), value),
        error,
        sample.n,
        count,
        "cluster_bootstrap",
        options.draws,
        undefined,
        None,
    )


def _probabilities(clusters: int, effective: float, level: float) -> tuple[float, float]:
    from statistics import NormalDist

    wide = t_quantile(max(effective - 1.0, 1.0), (1.0 + level) / 2.0) * (clusters / (clusters - 1)) ** 0.5
    tail = NormalDist().cdf(-wide)
    return tail, 1.0 - tail


def dense_codes(codes: CodeArray) -> CodeArray:
    """Codes without gaps, in their order."""
    return np.unique(codes, return_inverse=True)[1].reshape(-1).astype(np.intp, copy=False)


def sums_by_cluster(columns: FloatArray, codes: CodeArray) -> FloatArray:
    """Column sums within clusters: shape (n, F) and dense codes (n,) give (G, F)."""
    clusters = int(codes.max()) + 1
    if clusters == codes.size:
        ordered = np.empty_like(columns)
        ordered[codes] = columns
        return ordered
    return np.stack([np.bincount(codes, weights=column, minlength=clusters) for column in columns.T], axis=1)


def category_counts(category: CodeArray, categories: int) -> FloatArray:
    """One-hot rows, shape (n, categories); all 0 where the category is −1."""
    rows = np.zeros((category.size, categories))
    present = np.flatnonzero(category >= 0)
    rows[present, category[present]] = 1.0
    return rows
