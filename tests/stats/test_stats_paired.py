from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_rel
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from medbench.stats import (
    clustered_mean,
    holm,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_difference,
    sign_flip_permutation,
)
from medbench.stats.intervals import bounded_interval

DIFFERENCES = st.lists(st.integers(-4, 4), min_size=1, max_size=10)


def test_on_single_items_the_difference_is_the_paired_t_test():
    generator = np.random.default_rng(2)
    first, second = generator.random(40), generator.random(40)
    reference = ttest_rel(first, second)
    result = paired_difference(first, second, range(40))
    interval = reference.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), rel=1e-10)
    assert result.value / result.standard_error == pytest.approx(reference.statistic)


def test_the_error_of_a_difference_is_that_of_the_mean_of_differences():
    generator = np.random.default_rng(3)
    first, second, clusters = generator.normal(size=60), generator.normal(size=60), generator.integers(0, 12, 60)
    result = paired_difference(first, second, clusters, bounded=False)
    mean = clustered_mean(first - second, clusters, bounded=False)
    assert (result.value, result.low, result.high) == pytest.approx((mean.value, mean.low, mean.high))


def test_two_models_that_agree_everywhere_are_not_certainly_equal():
    result = paired_difference([1.0] * 20 + [0.0] * 10, [1.0] * 20 + [0.0] * 10, range(30))
    unseen = bounded_interval(0.0, 0.0, 30, 30, 0.95)[1]
    assert (result.value, result.standard_error) == (0.0, 0.0)
    assert (result.low, result.high) == pytest.approx((-unseen, unseen))
    apart = paired_difference([1.0] * 30, [0.0] * 30, range(30))
    assert (apart.low, apart.high) == pytest.approx((1.0 - 2.0 * unseen, 1.0))


def test_one_cluster_has_no_interval():
    result = paired_difference([1.0, 0.0], [0.0, 0.0], [1, 1])
    assert (result.value, result.low, result.high, result.standard_error) == (0.5, None, None, None)


def test_rows_that_are_not_aligned_are_refused():
    with pytest.raises(ValueError, match="align the two"):
        paired_difference([1.0], [1.0, 0.0], [0])
    with pytest.raises(ValueError, match=r"second\[0\] = 40.0 is outside"):
        paired_difference([1.0], [40.0], [0])


def test_hand_worked_mcnemar():
    # b = 1, c = 9: p = 2 · (1 + 10) / 2^10.
    result = mcnemar_exact([1] + [0] * 9 + [1] * 5, [0] + [1] * 9 + [1] * 5)
    assert (result.first_only, result.second_only) == (1, 9)
    assert result.p_value == pytest.approx(22 / 1024)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 3))
def test_mcnemar_is_that_of_statsmodels(only_first, only_second, both):
    if only_first + only_second + both == 0:
        return
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    result = mcnemar_exact(first, second)
    reference = mcnemar([[both, only_first], [only_second, 0]], exact=True).pvalue
    assert (result.first_only, result.second_only) == (only_first, only_second)
    assert result.p_value == pytest.approx(reference, rel=1e-9)
    assert mcnemar_exact(second, first).p_value == result.p_value


def test_mcnemar_refuses_fractions():
    with pytest.raises(ValueError, match=r"second\[1\] = 0.5"):
        mcnemar_exact([1, 0], [1, 0.5])


@given(DIFFERENCES)
@settings(max_examples=30, deadline=None)
def test_few_sign_flips_are_counted_exactly(differences):
    values = np.array(differences, dtype=float)
    reference = (
        permutation_test(
            (values, np.zeros(values.size)),
            lambda a, b: abs(np.sum(a - b)),
            permutation_type="samples",
            vectorized=False,
            n_resamples=np.inf,
            alternative="greater",
        )
        if values.any() and values.size > 1
        else None
    )
    p_value = sign_flip_permutation(differences)
    assert p_value == (pytest.approx(reference.pvalue) if reference else 1.0)
    assert p_value == sign_flip_permutation([-value for value in reversed(differences)])


def test_drawn_sign_flips_agree_with_mcnemar():
    # Differences of ±1 make the sign-flip test McNemar's: 40 wins against 20.
    differences = [1] * 40 + [-1] * 20 + [0] * 100
    p_value = sign_flip_permutation(differences, resamples=20_000, seed=5)
    exact = mcnemar_exact([1] * 40 + [0] * 20, [0] * 40 + [1] * 20).p_value
    assert p_value == pytest.approx(exact, abs=3 * math.sqrt(exact / 20_000))
    assert p_value == sign_flip_permutation(differences[::-1], resamples=20_000, seed=5)


def test_drawn_sign_flips_of_different_sizes_agree_with_counted_ones():
    differences = [0.9, 0.7, 0.35, -0.2, 0.15, 0.55, -0.4, 0.1, 0.8, -0.3, 0.25, 0.05, 0.45, -0.6, 0.9]
    signs = 1 - 2 * (np.arange(2**15)[:, None] >> np.arange(15) & 1)
    exact = np.mean(np.abs(signs @ differences) >= abs(sum(differences)) - 1e-9)
    drawn = sign_flip_permutation(differences, resamples=40_000, seed=1)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 40_000))


def test_sign_flips_hold_their_level():
    generator = np.random.default_rng(4)
    p_values = [sign_flip_permutation(generator.normal(size=12)) for _ in range(500)]
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07
    assert sign_flip_permutation(np.full(400, 0.5), resamples=199) == 1 / 200


def test_hand_worked_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_holm_is_that_of_statsmodels(p_values):
    adjusted = holm(p_values)
    assert adjusted == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)
    assert (adjusted >= np.array(p_values)).all()


def test_holm_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match=r"p_values\[1\] = nan"):
        holm([0.5, math.nan])


@pytest.mark.parametrize("degrees", [4, 29, 199])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_minimum_detectable_effect_is_that_of_the_t_tests_power(degrees, power):
    reference = TTestPower().solve_power(nobs=degrees + 1, alpha=0.05, power=power) * math.sqrt(degrees + 1)
    assert minimum_detectable_effect(1.0, 0.95, power, degrees) == pytest.approx(reference, rel=1e-4)


def test_minimum_detectable_effect_of_the_normal_distribution():
    assert minimum_detectable_effect(0.02) == pytest.approx(0.02 * (1.959964 + 0.841621), rel=1e-6)
    assert minimum_detectable_effect(0.02, degrees=1e6) == pytest.approx(minimum_detectable_effect(0.02), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((math.nan,), "standard_error"),
        ((-1.0,), "standard_error"),
        ((1.0, 1.0), "level"),
        ((1.0, 0.95, 0.3), "power"),
        ((1.0, 0.95, 0.8, 0), "degrees"),
    ],
)
def test_minimum_detectable_effect_names_what_is_wrong(arguments, says):
    with pytest.raises(ValueError, match=says):
        minimum_detectable_effect(*arguments)


def test_holm_holds_the_family_wise_error():
    # Six comparisons of one reference with others over the same items are dependent; five of the nulls are true.
    generator = np.random.default_rng(9)
    wrong = found = 0
    replications = 600
    for _ in range(replications):
        reference = generator.normal(size=40)
        others = generator.normal(size=(6, 40)) + np.array([0.9, 0, 0, 0, 0, 0])[:, None]
        adjusted = holm(ttest_rel(others, reference[None, :], axis=1).pvalue) <= 0.05
        wrong += adjusted[1:].any()
        found += adjusted[0]
    assert wrong / replications <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / replications)
    assert wrong / replications >= 0.015
    assert found / replications > 0.8
