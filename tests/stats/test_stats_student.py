from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from medbench.stats import t_quantile


@given(
    st.one_of(st.floats(1.0, 50.0), st.floats(50.0, 1e7), st.integers(1, 40).map(float)),
    st.one_of(st.floats(1e-6, 1 - 1e-6), st.sampled_from([0.5, 0.9, 0.95, 0.975, 0.995])),
)
def test_quantiles_are_those_of_scipy(degrees, probability):
    # Beyond that many degrees SciPy's own rounding is the larger one.
    tolerance = 1e-9 if degrees < 1e5 else 1e-7
    assert t_quantile(degrees, probability) == pytest.approx(
        stdtrit(degrees, probability), rel=tolerance, abs=tolerance
    )


def test_published_quantiles():
    """Two-sided 95 % in the usual table."""
    table = {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 29: 2.045, 120: 1.980}
    assert {degrees: round(t_quantile(degrees, 0.975), 3) for degrees in table} == table


@pytest.mark.parametrize(("degrees", "probability"), [(0.5, 0.9), (float("nan"), 0.9), (3, 0.0), (3, 1.0)])
def test_arguments_out_of_range_are_refused(degrees, probability):
    with pytest.raises(ValueError, match="t_quantile"):
        t_quantile(degrees, probability)
