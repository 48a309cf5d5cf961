from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma, norm, t
from statsmodels.stats.proportion import proportion_confint

from medbench.stats import Estimate, clustered_mean, group_means
from medbench.stats.intervals import bounded_interval, wilson_limits

UNIT = st.floats(0.0, 1.0)
ROWS = st.lists(st.tuples(UNIT, st.integers(0, 6)), min_size=1, max_size=40)


def test_standard_error_and_t_interval_are_those_of_cluster_robust_least_squares():
    generator = np.random.default_rng(1)
    clusters = generator.integers(0, 25, 200)
    values = generator.normal(size=25)[clusters] + generator.normal(size=200)
    fit = sm.OLS(values, np.ones(200)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}, use_t=True
    )
    estimate = clustered_mean(values, clusters, bounded=False)
    groups = len(set(clusters.tolist()))
    # statsmodels without its correction lacks G/(G−1); with it, that factor times (n−1)/(n−1) for one coefficient.
    assert estimate.standard_error == pytest.approx(fit.bse[0] * math.sqrt(groups / (groups - 1)), rel=1e-12)
    corrected = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    assert estimate.standard_error == pytest.approx(corrected.bse[0], rel=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(corrected.conf_int()[0]), rel=1e-12)
    assert (estimate.n, estimate.clusters, estimate.method) == (200, groups, "t_clustered")


def test_hand_worked_clustered_standard_error():
    # Means .5; residual sums of the clusters 1, 0 and −1: SE = sqrt(3/2 · 2) / 6.
    estimate = clustered_mean([1, 1, 1, 0, 0, 0], ["a", "a", "b", "b", "c", "c"])
    assert estimate.value == 0.5
    assert estimate.standard_error == pytest.approx(math.sqrt(3.0) / 6.0)


@pytest.mark.parametrize(
    ("count", "size", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_limits_of_newcombes_table(count, size, low, high):
    """Newcombe (1998), Statistics in Medicine 17:857, table I, method 3."""
    limits = wilson_limits(count / size, size, norm.ppf(0.975))
    assert limits == pytest.approx((low, high), abs=5.1e-5)
    assert limits == pytest.approx(proportion_confint(count, size, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(("right", "items"), [(30, 30), (0, 30), (15, 30), (24, 30), (70, 100), (0, 12)])
def test_single_binary_scores_get_wilson_with_a_t_quantile(right, items):
    """n_eff is G−1 (G where SE = 0); the quantile is t's, with G−1 degrees of freedom."""
    estimate = clustered_mean([1.0] * right + [0.0] * (items - right), range(items))
    size = items if right in (0, items) else items - 1
    alpha = 2.0 * norm.sf(t.ppf(0.975, items - 1))
    low, high = proportion_confint(right / items * size, size, alpha=alpha, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-9)


def test_unequal_clusters_count_as_fewer():
    # One cluster of 20 rows and ten of 2, each all or nothing: Kish's number is 40² / (20² + 10·2²) = 3.64 of 11.
    values = [1.0] * 20 + [1.0, 1.0, 0.0, 0.0] * 5
    clusters = [0] * 20 + [1 + row // 2 for row in range(20)]
    estimate = clustered_mean(values, clusters)
    effective = 40**2 / (20**2 + 10 * 2**2)
    size = 0.75 * 0.25 / estimate.standard_error**2
    if size > effective:
        weight = 1 / (1 + (0.25 * size / 2) ** 2)
        size = 1 / ((1 - weight) / size + weight / effective)
    low, high = wilson_limits(0.75, size, t.ppf(0.975, effective - 1))
    # Few failures (1.2 effective ones): the upper limit is no closer than Poisson's.
    poisson = 1.0 - gamma.ppf(0.05, 0.25 * size) / size
    assert (estimate.low, estimate.high) == pytest.approx((low, max(high, poisson)))


def test_all_right_is_not_certain():
    estimate = clustered_mean([1.0] * 30, range(30))
    assert estimate.standard_error == 0.0
    assert estimate.high == 1.0
    assert estimate.low == pytest.approx(30 / (30 + t.ppf(0.975, 29) ** 2))


def test_rounding_in_the_mean_is_no_spread():
    # .1 has no exact binary form: the mean of many differs from it in the last place.
    estimate = clustered_mean([0.1] * 1001, range(1001))
    assert estimate.standard_error == 0.0
    assert estimate.low is not None
    assert estimate.low < 0.09


def test_nearly_constant_fractional_scores_near_the_edge_stay_about_as_uncertain_as_constant_ones():
    constant = clustered_mean([1.0] * 30, range(30))
    nearly = clustered_mean([1.0] * 29 + [0.95], range(30))
    assert constant.low is not None
    assert nearly.low is not None
    # Wilson alone would say .98 here, as if 29 equal scores showed that a 0 cannot happen.
    assert nearly.low < constant.low + 0.03


def test_one_cluster_is_undefined_not_zero():
    estimate = clustered_mean([1.0, 0.0, 1.0], ["x", "x", "x"])
    assert estimate == Estimate(2 / 3, None, None, None, 3, 1, "wilson_clustered")
    assert estimate.as_dict() == {
        "value": 2 / 3,
        "low": None,
        "high": None,
        "standard_error": None,
        "n": 3,
        "clusters": 1,
        "method": "wilson_clustered",
    }


@pytest.mark.parametrize(
    ("values", "clusters", "keywords", "says"),
    [
        ([], [], {}, "empty"),
        ([[1.0]], [0], {}, "one-dimensional"),
        ([0.5, math.nan], [0, 1], {}, r"values\[1\] is not a finite"),
        ([0.5, 1.5], [0, 1], {}, r"values\[1\] = 1.5 is outside"),
        ([0.5, 1.0], [0], {}, "one label per row"),
        ([0.5, 1.0], [0, 1], {"level": 95}, "level is 95"),
    ],
)
def test_wrong_input_is_named(values, clusters, keywords, says):
    with pytest.raises(ValueError, match=says):
        clustered_mean(values, clusters, **keywords)


@given(ROWS, st.sampled_from([0.8, 0.95, 0.99]))
def test_limits_enclose_the_mean_within_the_unit_interval(rows, level):
    estimate = clustered_mean([value for value, _ in rows], [cluster for _, cluster in rows], level)
    if estimate.clusters < 2:
        assert (estimate.low, estimate.high, estimate.standard_error) == (None, None, None)
    else:
        assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0
        assert estimate.standard_error >= 0.0


@given(ROWS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_names_of_clusters_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    names = {code: label for code, label in enumerate([("a", 1), "b", None, 3.5, -7, 10**30, "x"])}  # noqa: C416
    first = clustered_mean([value for value, _ in rows], np.array([cluster for _, cluster in rows]))
    second = clustered_mean([value for value, _ in shuffled], [names[cluster] for _, cluster in shuffled])
    assert (first.n, first.clusters) == (second.n, second.clusters)
    for name in ("value", "low", "high", "standard_error"):
        ours, theirs = getattr(first, name), getattr(second, name)
        # SE is a difference of rounded sums: 1e-8 of the scale is what is left of 1e-16 under the root.
        assert (ours is None and theirs is None) or ours == pytest.approx(theirs, abs=1e-7)


@given(ROWS)
def test_right_and_wrong_mirror_each_other(rows):
    # Scores with few binary digits, so that 1 − s loses nothing.
    values = np.array([round(value * 64) / 64 for value, _ in rows])
    clusters = [cluster for _, cluster in rows]
    right, wrong = clustered_mean(values, clusters), clustered_mean(1.0 - values, clusters)
    assert right.value == pytest.approx(1.0 - wrong.value)
    if right.low is not None:
        assert right.low == pytest.approx(1.0 - wrong.high, abs=1e-7)
        assert right.high == pytest.approx(1.0 - wrong.low, abs=1e-7)


@given(st.integers(2, 120))
@settings(max_examples=40)
def test_limits_rise_with_the_number_right(items):
    estimates = [clustered_mean([1.0] * right + [0.0] * (items - right), range(items)) for right in range(items + 1)]
    assert all(a.low <= b.low and a.high <= b.high for a, b in pairwise(estimates))


@given(UNIT, UNIT, st.integers(2, 500))
def test_a_higher_level_is_never_narrower(mean, share, clusters):
    error = share * math.sqrt(mean * (1.0 - mean))
    narrow = bounded_interval(mean, error, clusters, clusters, 0.9)
    wide = bounded_interval(mean, error, clusters, clusters, 0.95)
    assert wide[0] <= narrow[0] + 1e-12
    assert wide[1] >= narrow[1] - 1e-12


@pytest.mark.parametrize(
    "clusters",
    [
        np.array([5, 5, 9, 9], dtype=np.uint8),
        np.array([-3, -3, 10**12, 10**12]),
        np.array(["a", "a", "b", "b"]),
        [10**30, 10**30, 1, 1],
        [("item", 1), ("item", 1), ("item", 2), ("item", 2)],
        (label for label in "xxyy"),
    ],
)
def test_any_labels_may_name_the_clusters(clusters):
    estimate = clustered_mean([1.0, 0.0, 0.0, 0.0], clusters)
    assert estimate.clusters == 2
    assert estimate.standard_error == pytest.approx(math.sqrt(2 * 2 * 0.5**2) / 4)


def test_group_means_keep_the_order_of_first_appearance():
    means, rows = group_means([1.0, 0.0, 0.5, 1.0], ["late", "early", "early", "late"])
    assert means.tolist() == [1.0, 0.25]
    assert rows.tolist() == [0, 1]
    means, rows = group_means([1.0, 0.0, 0.5, 1.0], np.array([7, 2, 2, 7]))
    assert means.tolist() == [1.0, 0.25]
    assert rows.tolist() == [0, 1]
