from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from medbench.stats import Estimate, combine_mover, jackknife_ratio, micro_f1
from medbench.stats.intervals import wilson_limits


def proportion(count, size):
    low, high = wilson_limits(count / size, size, norm.ppf(0.975))
    value = count / size
    return Estimate(value, low, high, math.sqrt(value * (1 - value) / size), size, size, "wilson_clustered")


def estimate(value, low, high, error=0.1):
    return Estimate(value, low, high, error, 10, 5, "wilson_clustered")


def test_newcombes_difference_of_two_proportions():
    """Newcombe (1998), Statistics in Medicine 17:873, table II, method 10: 56/70 − 48/80 in .0524 to .3339.

    MOVER of Wilson limits; p − q is twice the mean of p and 1 − q, less 1.
    """
    mean = combine_mover([proportion(56, 70), proportion(32, 80)])
    assert 2 * mean.value - 1 == pytest.approx(0.2)
    assert (2 * mean.low - 1, 2 * mean.high - 1) == pytest.approx((0.0524, 0.3339), abs=5.1e-5)


def test_hand_worked_weights_and_asymmetry():
    combined = combine_mover([estimate(0.5, 0.2, 0.6), estimate(0.9, 0.5, 1.0, 0.2)], [3, 1])
    assert combined.value == pytest.approx(0.6)
    assert combined.low == pytest.approx(0.6 - math.hypot(0.75 * 0.3, 0.25 * 0.4))
    assert combined.high == pytest.approx(0.6 + math.hypot(0.75 * 0.1, 0.25 * 0.1))
    assert combined.standard_error == pytest.approx(math.hypot(0.75 * 0.1, 0.25 * 0.2))
    assert (combined.n, combined.clusters, combined.method) == (20, 10, "mover")


def test_missing_makes_the_whole_missing():
    assert combine_mover([estimate(0.5, 0.4, 0.6), None]) is None


def test_an_undefined_interval_makes_the_interval_undefined_but_not_the_mean():
    combined = combine_mover([estimate(0.5, 0.4, 0.6), Estimate(1.0, None, None, None, 3, 1, "wilson_clustered")])
    assert combined == Estimate(0.75, None, None, None, 13, 6, "mover")
    without = combine_mover([estimate(0.5, 0.4, 0.6), Estimate(1.0, None, None, None, 3, 1, "t_clustered")], [1, 0])
    assert (without.value, without.low, without.high) == pytest.approx((0.5, 0.4, 0.6))


@pytest.mark.parametrize(
    ("estimates", "weights", "says"),
    [
        ([], None, "empty"),
        ([estimate(0.5, 0.4, 0.6)], [1, 2], "one weight per estimate"),
        ([estimate(0.5, 0.4, 0.6)], [0], "above 0"),
        ([estimate(0.5, 0.4, 0.6)] * 2, [2, -1], "at least 0"),
        ([estimate(0.5, 0.4, 0.6)] * 2, [1, math.nan], "finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(estimates, weights, says):
    with pytest.raises(ValueError, match=says):
        combine_mover(estimates, weights)


TRIPLES = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@given(st.lists(TRIPLES, min_size=1, max_size=8))
def test_the_interval_lies_between_that_of_full_dependence_and_the_mean(triples):
    combined = combine_mover([estimate(value, low, high) for low, value, high in triples])
    lows, values, highs = (sum(column) / len(triples) for column in zip(*triples, strict=True))
    assert lows - 1e-12 <= combined.low <= combined.value <= combined.high <= highs + 1e-12
    assert combined.value == pytest.approx(values)


COUNTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=25
)


@given(COUNTS)
def test_micro_f1_is_that_of_the_definition(rows):
    hits, invented, missed, clusters = zip(*rows, strict=True)

    def f1(kept):
        tp, fp, fn = (sum(row[column] for row in kept) for column in range(3))
        return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None

    result = micro_f1(hits, invented, missed, clusters)
    if f1(rows) is None:
        assert result is None
        return
    assert result.value == pytest.approx(f1(rows))
    # Delete one cluster at a time, by brute force.
    names = set(clusters)
    without = [f1([row for row in rows if row[3] != name]) for name in names]
    informative = {row[3] for row in rows if row[0] + row[1] + row[2]}
    if len(informative) < 2:
        assert (result.standard_error, result.low, result.high) == (None, None, None)
        return
    mean = sum(without) / len(without)
    variance = (len(names) - 1) / len(names) * sum((value - mean) ** 2 for value in without)
    assert result.standard_error == pytest.approx(math.sqrt(variance), abs=1e-9)
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_the_jackknife_of_a_mean_is_its_clustered_error():
    # With denominators of 1 the ratio is a mean, whose jackknife error is the usual one.
    result = jackknife_ratio([1, 0, 1, 1], [1, 1, 1, 1], range(4))
    assert result.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 3))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1, 2], [0], [0, 0], [0, 1]), "one of each per item"),
        (([1, 2], [0, -1], [0, 0], [0, 1]), r"false_positives\[1\] is negative"),
        (([1, -2], [0, 0], [0, 0], [0, 1]), "row 1"),
        (([], [], [], []), "empty"),
    ],
)
def test_counts_that_do_not_fit_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        micro_f1(*arguments)
