from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.engine.budget import Budget, BudgetReached, Price

calls = st.lists(st.tuples(st.integers(1, 3_000), st.floats(0.0, 1.0), st.integers(0, 200)), min_size=1, max_size=60)


@given(calls, st.integers(0, 60_000), st.integers(1, 8))
def test_a_token_budget_is_never_passed(sizes, limit, width):
    budget = Budget(tokens=limit, cost=None, price=Price())
    flying = []
    try:
        for size, ratio, output in sizes:
            while len(flying) >= width or (reservation := budget.reserve(size, 200)) is None:
                budget.settle(*flying.pop(0))
            flying.append((reservation, int(size * ratio), output))
    except BudgetReached:
        assert not flying
    for landed in flying:
        budget.settle(*landed)
    assert budget.used_tokens <= limit


def test_the_first_calls_are_bounded_by_their_bytes():
    budget = Budget(tokens=1_000, cost=None, price=Price())
    assert budget.reserve(700, 200) is not None
    assert budget.reserve(700, 200) is None


def test_nothing_in_flight_and_no_room_is_the_end():
    budget = Budget(tokens=100, cost=None, price=Price())
    with pytest.raises(BudgetReached):
        budget.reserve(90, 20)


def test_money_counts_what_an_earlier_session_used():
    budget = Budget(tokens=None, cost=1.0, price=Price(input=1.0, output=10.0))
    budget.book(500_000, 40_000)
    assert budget.used_cost == pytest.approx(0.9)
    assert budget.reserve(1_000, 5_000) is not None
    with pytest.raises(BudgetReached):
        Budget(tokens=None, cost=0.001, price=Price(output=10.0)).reserve(1, 1_000)
