from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from medbench.stats import clustered_mean, pass_all_k, pass_at_k


@pytest.mark.parametrize(("right", "total"), [(right, 5) for right in range(6)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_both_are_the_share_of_all_draws_of_k(right, total, k):
    outcomes = [True] * right + [False] * (total - right)
    draws = list(itertools.combinations(outcomes, k))
    assert pass_at_k([right], total, k, [0]).value == pytest.approx(np.mean([any(draw) for draw in draws]))
    assert pass_all_k([right], total, k, [0]).value == pytest.approx(np.mean([all(draw) for draw in draws]))


def test_they_are_the_published_formulas():
    for total, right, k in [(200, 13, 100), (200, 198, 10), (50, 0, 3), (8, 8, 8)]:
        at = 1.0 - math.comb(total - right, k) / math.comb(total, k)
        assert pass_at_k([right], [total], k, [0]).value == pytest.approx(at)
        every = math.comb(right, k) / math.comb(total, k)
        assert pass_all_k([right], [total], k, [0]).value == pytest.approx(every, abs=1e-12)


def test_they_are_unbiased_and_covered():
    generator = np.random.default_rng(0)
    inside, means = [], []
    for _ in range(1_000):
        chances = generator.beta(2, 1.5, 60)
        right = generator.binomial(6, chances)
        estimate = pass_all_k(right, 6, 3, range(60))
        means.append(estimate.value)
        inside.append(estimate.low <= truth() <= estimate.high)
    assert np.mean(means) == pytest.approx(truth(), abs=0.006)
    assert 0.93 <= np.mean(inside) <= 0.975, np.mean(inside)


def truth():
    # Third moment of beta(2, 1.5).
    return math.prod((2 + i) / (3.5 + i) for i in range(3))


def test_the_interval_is_that_of_the_items_clusters():
    right, clusters = [3, 0, 4, 2], ["a", "a", "b", "c"]
    per_item = [math.comb(count, 2) / math.comb(4, 2) for count in right]
    assert pass_all_k(right, 4, 2, clusters) == clustered_mean(per_item, clusters)


@pytest.mark.parametrize(
    ("right", "total", "k", "says"),
    [
        ([1], [3], 4, "item 0 has 3 attempts, too few for k = 4"),
        ([4], [3], 1, "item 0: 4 of 3 attempts right"),
        ([0.5], [3], 1, "item 0: 0.5 of 3"),
        ([1], [3], 0, "k is 0"),
        ([1], [3, 3], 1, "correct has 1 items and attempts 2"),
    ],
)
def test_counts_that_are_none_are_refused(right, total, k, says):
    with pytest.raises(ValueError, match=says):
        pass_at_k(right, total, k, [0] * len(right))
