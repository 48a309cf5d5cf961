"""Agreement of any number of raters, of whom each may have rated some of the items only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import ROUNDING, Clusters, CodeArray, FloatArray, cluster_codes
from medbench.stats.outcome import Resampled, Undefined
from medbench.stats.ratings import Ratings, Weights, coded, require_few
from medbench.stats.resampling import (
    Bootstrap,
    DenseFeatures,
    Sample,
    Statistic,
    bootstrap_interval,
    dense_codes,
    sums_by_cluster,
    unseen_disagreement,
)

Scale = Literal["nominal", "ordinal", "interval"]

# A coincidence matrix per cluster is kept for the ordinal alpha.
MOST_ORDINAL = 50


def fleiss_kappa(
    ratings: ArrayLike,
    clusters: Clusters,
    weights: Weights = "nominal",
    categories: Sequence[Hashable] | None = None,
    options: Bootstrap | None = None,
) -> Resampled | Undefined:
    """Fleiss' kappa, in Gwet's form for items with different numbers of ratings.

    With r_ik ratings of category k among the r_i of item i and agreement weights w = 1 − d,

        P_o = mean over items with r_i >= 2 of Σ_k r_ik (Σ_l w_kl r_il − 1) / (r_i (r_i − 1)),
        π_k = mean over items with r_i >= 1 of r_ik / r_i,    P_e = Σ_kl w_kl π_k π_l,    κ = (P_o − P_e)/(1 − P_e).

    With the same number of ratings for every item and nominal weights this is Fleiss (1971), Psychological Bulletin
    76:378; with missing ratings Gwet (2014), Handbook of Inter-Rater Reliability, 4th ed.
    Where all clusters are alike, the limits are as in `cohen_kappa`.

    Args:
        ratings: Shape (items, raters), NaN or None where there is no rating. Which rater a column is does not matter.
        clusters: Cluster (family) of each item, shape (items,).
        weights: What a disagreement costs; `nominal` is Fleiss' own.
        categories: All categories in order; needed for weights on names.
        options: Level, draws and seed of the bootstrap.

    Returns:
        The estimate, or why there is none: no item has two ratings, or all ratings are the same.

    Raises:
        ValueError: Not a table, no rating, an unknown category, or weights need an order.
    """
    table = coded(ratings, categories)
    cost = table.disagreement(weights)

    def expected(shares: FloatArray) -> FloatArray:
        products: FloatArray = ((shares @ cost) * shares).sum(axis=1)
        return products

    return _chance_corrected(table, clusters, cost, expected, options or Bootstrap())


def gwet_ac(
    ratings: ArrayLike,
    clusters: Clusters,
    weights: Weights = "nominal",
    categories: Sequence[Hashable] | None = None,
    options: Bootstrap | None = None,
) -> Resampled | Undefined:
    """Gwet's AC1 (nominal weights) and AC2 (linear or quadratic ones).

    P_o and π as in `fleiss_kappa`; P_e = T_w / (q (q − 1)) · Σ_k π_k (1 − π_k) with q categories and T_w the sum of all
    agreement weights. It does not collapse where nearly all ratings are the same, as kappa does.

    Source: Gwet (2008), British Journal of Mathematical and Statistical Psychology 61:29 (AC1); Gwet (2014),
    Handbook of Inter-Rater Reliability, 4th ed. (weights and missing ratings).

    Args:
        ratings: Shape (items, raters), NaN or None where there is no rating.
        clusters: Cluster (family) of each item, shape (items,).
        weights: What a disagreement costs.
        categories: All categories in order; those that nobody used count in q, so give them where they are known.
        options: Level, draws and seed of the bootstrap.

    Returns:
        The estimate, or why there is none: no item has two ratings, or there is one category only.

    Raises:
        ValueError: As `fleiss_kappa`.
    """
    table = coded(ratings, categories)
    cost = table.disagreement(weights)
    size = table.positions.size
    if size < 2:
        codes = dense_codes(cluster_codes(clusters, table.codes.shape[0]))
        return Sample.of(codes).undefined(f"{table.labels[0]!r} is the only category: there is nothing to agree on")
    factor = float((1.0 - cost).sum()) / (size * (size - 1))

    def expected(shares: FloatArray) -> FloatArray:
        chance: FloatArray = 1.0 - factor * (shares * (1.0 - shares)).sum(axis=1)
        return chance

    return _chance_corrected(table, clusters, cost, expected, options or Bootstrap())


def _chance_corrected(
    table: Ratings, clusters: Clusters, cost: FloatArray, expected: Statistic, options: Bootstrap
) -> Resampled | Undefined:
    """1 − D_o/D_e, where `expected` gives D_e from shares of the categories, shape (b, K)."""
    require_few(table)
    codes = dense_codes(cluster_codes(clusters, table.codes.shape[0]))
    sample = Sample.of(codes)
    counts = _counts(table)
    rated = counts.sum(axis=1)
    several = rated >= 2
    if not several.any():
        return sample.undefined("no item has two ratings")
    disagreements = ((counts @ cost) * counts).sum(axis=1) / np.maximum(rated * (rated - 1.0), 1.0)
    columns = np.concatenate(
        [several[:, None], disagreements[:, None], (rated > 0)[:, None], counts / np.maximum(rated, 1.0)[:, None]],
        axis=1,
    ).astype(np.float64)

    def statistic(totals: FloatArray) -> FloatArray:
        figures = np.full(totals.shape[0], np.nan)
        usable = totals[:, 0] > 0
        chance = expected(totals[usable, 3:] / totals[usable, 2:3])
        ratios = np.full(chance.shape, np.nan)
        np.divide(totals[usable, 1] / totals[usable, 0], chance, out=ratios, where=chance > ROUNDING)
        figures[usable] = 1.0 - ratios
        return figures

    features = DenseFeatures.of(sums_by_cluster(columns, codes))
    totals = features.total()[None, :]
    value = float(statistic(totals)[0])
    if np.isnan(value):
        return sample.undefined(f"all ratings are {_only(table)!r}: agreement cannot be told from chance")
    chance = float(expected(totals[:, 3:] / totals[:, 2:3])[0])
    return bootstrap_interval(
        *(value, features, statistic, sample, options),
        unseen_disagreement(value, chance, sample.unseen(options.level)),
    )


def krippendorff_alpha(
    ratings: ArrayLike,
    clusters: Clusters,
    scale: Scale = "nominal",
    categories: Sequence[Hashable] | None = None,
    options: Bootstrap | None = None,
) -> Resampled | Undefined:
    """Krippendorff's alpha, 1 − D_o/D_e over the pairable ratings (items with at least two).

    With m_u ratings of item u, n pairable ratings, n_c of them c and o_ck = Σ_u (pairs c, k in u)/(m_u − 1),

        α = 1 − (n − 1) Σ_ck o_ck δ²_ck / Σ_ck n_c n_k δ²_ck,

    δ² = 1 for c ≠ k (nominal); (Σ_{g=c..k} n_g − (n_c + n_k)/2)² (ordinal); (c − k)² (interval).

    Source: Krippendorff (2011), "Computing Krippendorff's alpha-reliability", University of Pennsylvania
    ScholarlyCommons. Its own bootstrap draws pairs; here whole clusters of items are drawn.

    Args:
        ratings: Shape (items, raters), NaN or None where there is no rating.
        clusters: Cluster (family) of each item, shape (items,).
        scale: What kind of scale the ratings are on. `interval` takes any number of different ratings, `ordinal` 50.
        categories: All categories in order; needed for `ordinal` and `interval` on names.
        options: Level, draws and seed of the bootstrap.

    Returns:
        The estimate, or why there is none: no item has two ratings, or all pairable ratings are the same.

    Raises:
        ValueError: As `fleiss_kappa`, or the scale is unknown.
    """
    options = options or Bootstrap()
    table = coded(ratings, categories)
    codes = dense_codes(cluster_codes(clusters, table.codes.shape[0]))
    sample = Sample.of(codes)
    rated = (table.codes >= 0).sum(axis=1)
    if not (rated >= 2).any():
        return sample.undefined("no item has two ratings")
    used = np.unique(table.codes[(rated >= 2)[:, None] & (table.codes >= 0)])
    if used.size == 1:
        return sample.undefined(
            f"all pairable ratings are {table.labels[used[0]]!r}: there is no variation to agree on"
        )
    if scale == "nominal":
        columns, statistic = _nominal_alpha(table)
    elif scale == "ordinal":
        columns, statistic = _ordinal_alpha(table)
    elif scale == "interval":
        columns, statistic = _interval_alpha(table)
    else:
        raise ValueError(f"scale is {scale!r}; it is one of nominal, ordinal, interval")
    features = DenseFeatures.of(sums_by_cluster(columns, codes))
    value = float(statistic(features.total()[None, :])[0])
    unseen = unseen_disagreement(value, _expected(table, rated, scale), sample.unseen(options.level))
    return bootstrap_interval(value, features, statistic, sample, options, unseen)


def _expected(table: Ratings, rated: CodeArray, scale: Scale) -> float:
    """D_e of two ratings drawn at random, on a scale on which the greatest disagreement is 1."""
    pairable = table.codes[(rated >= 2)[:, None] & (table.codes >= 0)]
    shares = np.bincount(pairable, minlength=table.positions.size) / pairable.size
    if scale == "nominal":
        return float(1.0 - (shares**2).sum())
    places = np.cumsum(shares) - shares / 2.0 if scale == "ordinal" else table.positions
    used = shares > 0.0
    spread = shares @ places**2 - (shares @ places) ** 2
    return float(2.0 * spread / np.ptp(places[used]) ** 2)


def _nominal_alpha(table: Ratings) -> tuple[FloatArray, Statistic]:
    require_few(table)
    counts = _pairable(_counts(table))
    m = counts.sum(axis=1)
    differing = (m**2 - (counts**2).sum(axis=1)) / np.maximum(m - 1.0, 1.0)

    def statistic(totals: FloatArray) -> FloatArray:
        margins = totals[:, 1:]
        n = margins.sum(axis=1)
        return _alpha((n - 1.0) * totals[:, 0], n**2 - (margins**2).sum(axis=1))

    return np.concatenate([differing[:, None], counts], axis=1), statistic


def _ordinal_alpha(table: Ratings) -> tuple[FloatArray, Statistic]:
    table.require_order("ordinal alpha")
    size = table.positions.size
    if size > MOST_ORDINAL:
        raise ValueError(f"{size} different ratings; ordinal alpha takes {MOST_ORDINAL}: round them, or use interval")
    counts = _pairable(_counts(table))
    share = 1.0 / np.maximum(counts.sum(axis=1) - 1.0, 1.0)
    pairs = counts[:, :, None] * counts[:, None, :] * share[:, None, None]
    pairs[:, np.arange(size), np.arange(size)] -= counts * share[:, None]

    def statistic(totals: FloatArray) -> FloatArray:
        coincidences = totals.reshape(-1, size, size)
        margins = coincidences.sum(axis=2)
        middle = np.cumsum(margins, axis=1) - margins / 2.0
        distances = np.square(middle[:, :, None] - middle[:, None, :])
        observed = (coincidences * distances).sum(axis=(1, 2))
        chance = (margins[:, :, None] * margins[:, None, :] * distances).sum(axis=(1, 2))
        return _alpha((margins.sum(axis=1) - 1.0) * observed, chance)

    return pairs.reshape(-1, size * size), statistic


def _interval_alpha(table: Ratings) -> tuple[FloatArray, Statistic]:
    table.require_order("interval alpha")
    rated = table.codes >= 0
    rated &= (rated.sum(axis=1) >= 2)[:, None]
    # Centred and scaled, so that the moments keep their digits.
    centre, width = table.positions.mean(), np.ptp(table.positions)
    values = np.where(rated, (table.positions[table.codes] - centre) / width, 0.0)
    m, first, second = rated.sum(axis=1).astype(np.float64), values.sum(axis=1), (values**2).sum(axis=1)
    observed = 2.0 * (m * second - first**2) / np.maximum(m - 1.0, 1.0)

    def statistic(totals: FloatArray) -> FloatArray:
        n, x, xx, disagreement = totals.T
        return _alpha((n - 1.0) * disagreement, 2.0 * (n * xx - x**2))

    return np.stack([m, first, second, observed], axis=1), statistic


def _alpha(observed: FloatArray, chance: FloatArray) -> FloatArray:
    ratios = np.full(chance.shape, np.nan)
    np.divide(observed, chance, out=ratios, where=chance > ROUNDING)
    return 1.0 - ratios


def _counts(table: Ratings) -> FloatArray:
    """Ratings of each category per item, shape (items, K)."""
    items, size = table.codes.shape[0], table.positions.size
    rows, _ = np.nonzero(table.codes >= 0)
    flat = rows * size + table.codes[table.codes >= 0]
    return np.bincount(flat, minlength=items * size).reshape(items, size).astype(np.float64)


def _pairable(counts: FloatArray) -> FloatArray:
    return np.where(counts.sum(axis=1, keepdims=True) >= 2.0, counts, 0.0)


def _only(table: Ratings) -> object:
    return table.labels[int(table.codes.max())]
