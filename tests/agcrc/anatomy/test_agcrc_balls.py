"""Dilation, erosion and opening against the distance transform."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from agcrc.anatomy.balls import dilated, eroded, opened


def away(mask, spacing_mm):
    return ndimage.distance_transform_edt(~mask, sampling=spacing_mm) if mask.any() else np.full(mask.shape, np.inf)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.tuples(*[st.integers(1, 14)] * 3),
    st.sampled_from([0.0, 0.03, 0.3, 0.9, 1.0]),
    st.sampled_from([0.0, 3.0, 5.0, 7.5, 9.0, 12.0, 15.0, 40.0, 800.0]),
    st.sampled_from([2.0, 3.0]),
)
def test_they_are_the_thresholds_of_the_distance(seed, shape, share, radius, spacing):
    mask = np.random.default_rng(seed).random(shape) < share
    assert (dilated(mask, radius, spacing) == (away(mask, spacing) <= radius)).all()
    depth = away(~mask, spacing)
    assert (eroded(mask, radius, spacing) == (mask & (depth > radius + spacing / 2.0))).all()
    core = mask & (depth > radius)
    assert (opened(mask, radius, spacing) == (mask & (away(core, spacing) <= radius))).all()
