from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.stats import half_up


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (59.45, "59.5"),
        (Decimal("59.45"), "59.5"),
        (59.449, "59.4"),
        (23 / 80 * 100, "28.8"),  # 28.749999999999996 in binary
        (2.25, "2.3"),  # exactly a tie in binary, where round() goes to the even 2.2
        (100, "100.0"),
        (99.95, "100.0"),
        (0.05, "0.1"),
        (-0.04, "0.0"),
        (-0.05, "-0.1"),
        (1e22, "10000000000000000000000.0"),
        (Decimal("59.4499999999999999999"), "59.4"),
    ],
)
def test_halves_go_up(value, shown):
    assert str(half_up(value)) == shown


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_a_float_is_rounded_as_the_decimal_it_was_typed_as(units, places):
    typed = Decimal(units).scaleb(-(places + 1))
    expected = typed.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    assert half_up(float(typed), places) == half_up(typed, places) == expected
    assert str(half_up(float(typed), places)) == str(expected)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=400))
def test_a_mean_calculated_in_binary_is_rounded_as_the_fraction_it_is(scores):
    exact = (Decimal(sum(scores)) * 100 / Decimal(len(scores))).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
    assert half_up(sum(scores) / len(scores) * 100) == exact


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_order_is_kept(first, second):
    low, high = sorted((first, second))
    assert half_up(low) <= half_up(high)


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("NaN")])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="not a finite number"):
        half_up(value)


def test_negative_places_are_refused():
    with pytest.raises(ValueError, match="places is -1"):
        half_up(1.0, -1)
