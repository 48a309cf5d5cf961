from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from medbench.stats import chance_circular, position_preference


def shuffled_orders(option_counts, generator):
    return [generator.permutation(count).tolist() for count in option_counts]


def items_of(generator, items=60, variants=5):
    """Items with 2 to 5 options, each asked in `variants` random orders."""
    counts = np.repeat(generator.integers(2, 6, items), variants)
    return np.repeat(np.arange(items), variants), shuffled_orders(counts, generator)


def choose_by_content(orders, items, generator, strength):
    """A model that picks an item's favourite option (options 0, 1, … in turn) with the given chance, else any."""
    return [
        order.index(item % len(order)) if generator.random() < strength else int(generator.integers(len(order)))
        for order, item in zip(orders, items, strict=True)
    ]


def test_a_model_that_always_takes_the_first_position_is_found_out():
    items, orders = items_of(np.random.default_rng(1))
    result = position_preference(np.zeros(items.size, dtype=int), orders, items, resamples=500)
    assert result.p_value == 1 / 501
    assert result.shares[0] == 1.0
    assert result.expected_shares[0] < 0.7
    assert (result.responses, result.items) == (300, 60)


def test_a_model_that_always_takes_the_same_option_is_not_accused():
    items, orders = items_of(np.random.default_rng(2))
    chosen = [order.index(item % len(order)) for order, item in zip(orders, items, strict=True)]
    result = position_preference(chosen, orders, items, resamples=200)
    assert (result.p_value, result.statistic, result.informative_items) == (1.0, 0.0, 0)
    assert result.shares == result.expected_shares


@pytest.mark.parametrize("strength", [0.0, 0.6])
def test_the_level_is_held_whatever_content_is_preferred(strength):
    generator = np.random.default_rng(3)
    p_values = []
    for seed in range(300):
        items, orders = items_of(generator, items=25, variants=4)
        chosen = choose_by_content(orders, items, generator, strength)
        p_values.append(position_preference(chosen, orders, items, resamples=99, seed=seed).p_value)
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.09
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_a_mild_preference_is_found_in_a_large_set():
    generator = np.random.default_rng(4)
    items, orders = items_of(generator, items=300)
    chosen = choose_by_content(orders, items, generator, 0.6)
    chosen = [0 if generator.random() < 0.15 else position for position in chosen]
    result = position_preference(chosen, orders, items, resamples=500)
    assert result.p_value < 0.01
    assert result.shares[0] > result.expected_shares[0]


def test_the_p_value_and_the_expectation_are_those_of_all_permutations():
    orders = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [1, 0], [0, 1], [1, 0]]
    items = ["a", "a", "a", "b", "b", "b"]
    chosen = [0, 0, 1, 0, 0, 0]
    content = [order[position] for order, position in zip(orders, chosen, strict=True)]
    counts = []
    for first in permutations(content[:3]):
        for second in permutations(content[3:]):
            positions = [order.index(option) for order, option in zip(orders, (*first, *second), strict=True)]
            counts.append(np.bincount(positions, minlength=3))
    expected = np.mean(counts, axis=0)
    statistics = ((np.array(counts) - expected) ** 2 / np.where(expected > 0, expected, 1)).sum(axis=1)
    observed = statistics[0]
    result = position_preference(chosen, orders, items, resamples=20_000, seed=1)
    assert result.expected_shares == pytest.approx(tuple(expected / 6))
    assert result.statistic == pytest.approx(observed)
    assert result.p_value == pytest.approx(np.mean(statistics >= observed - 1e-9), abs=0.012)


def test_an_item_moves_only_over_its_own_positions():
    # Two options in one item, four in the other: the two-option item can never reach the positions 2 and 3.
    orders = [[0, 1], [1, 0], [0, 1, 2, 3], [0, 1, 2, 3]]
    result = position_preference([0, 0, 3, 2], orders, [0, 0, 1, 1], resamples=50)
    assert result.expected_shares == (0.25, 0.25, 0.25, 0.25)
    assert result.informative_items == 1


def test_a_padded_array_of_orders_is_the_same_as_lists():
    items, orders = items_of(np.random.default_rng(5), items=20)
    chosen = [len(order) - 1 for order in orders]
    padded = np.full((len(orders), 5), -1)
    for row, order in enumerate(orders):
        padded[row, : len(order)] = order
    first = position_preference(chosen, orders, items, resamples=100, seed=7)
    assert first == position_preference(chosen, padded, items.astype(str), resamples=100, seed=7)


def test_without_two_orders_of_an_item_there_is_no_p_value():
    result = position_preference([0, 1, 1], [[0, 1], [0, 1], [1, 0]], ["a", "a", "b"], resamples=50)
    assert result.p_value is None
    assert result.informative_items == 0


@pytest.mark.parametrize(
    ("chosen", "orders", "items", "says"),
    [
        ([0, 2], [[0, 1], [1, 0]], [0, 0], r"chosen\[1\] = 2, but that response showed 2 options"),
        ([0, -1], [[0, 1], [1, 0]], [0, 0], r"chosen\[1\] = -1"),
        ([0, 0], [[0, 1], [1, 1]], [0, 0], r"orders\[1\] = \[1, 1\] is not an order"),
        ([0, 0], [[0, 1], [1, 2]], [0, 0], r"orders\[1\]"),
        ([0, 0], np.array([[0, 1, -1], [-1, 1, 0]]), [0, 0], r"orders\[1\]"),
        ([0, 0], [[0, 1], [0, 1, 2]], [0, 0], r"orders\[0\] has 2 options, another order of its item 3"),
        ([0, 0], [[0, 1]], [0, 0], "2 responses but 1 orders"),
        ([0.5], [[0, 1]], [0], "whole numbers"),
        ([], [], [], "non-empty"),
        ([0], [[0, 1]], [0, 1], "one label per row"),
    ],
)
def test_wrong_input_is_named(chosen, orders, items, says):
    with pytest.raises(ValueError, match=says):
        position_preference(chosen, orders, items)


def test_chance_of_getting_every_order_right():
    assert chance_circular(4, 5) == 4**-5
    assert chance_circular([2, 4], [1, 2]) == pytest.approx((1 / 2 + 1 / 16) / 2)
    with pytest.raises(ValueError, match="1 or more"):
        chance_circular([4, 0], 5)
    with pytest.raises(ValueError, match="at least one item"):
        chance_circular([], 5)
