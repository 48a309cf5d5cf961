"""Places in mm survive cropping and new spacings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agcrc.volumes import Grid, bounding_box
from agcrc.volumes.grid import slabs

SIZES = st.tuples(*[st.integers(1, 40)] * 3)
SPACINGS = st.tuples(*[st.floats(0.3, 8.0)] * 3)


@given(SIZES, SPACINGS, st.tuples(*[st.floats(-500, 500)] * 3))
@settings(max_examples=50, deadline=None)
def test_an_index_comes_back_from_mm(shape, spacing, origin):
    grid = Grid.of(shape, spacing, origin)
    index = np.array([[0, 0, 0], [size - 1 for size in shape], [0.5, 1.25, -3]])
    np.testing.assert_allclose(grid.to_index(grid.to_mm(index)), index, atol=1e-6)
    np.testing.assert_allclose(grid.spacing, spacing)
    assert grid.voxel_ml == pytest.approx(np.prod(spacing) / 1000)
    np.testing.assert_allclose(grid.to_mm(np.zeros(3)), origin)


@given(SIZES, SPACINGS, SPACINGS)
@settings(max_examples=50, deadline=None)
def test_a_new_spacing_keeps_the_edge_and_about_the_size_of_the_field_of_view(shape, old, new):
    grid = Grid.of(shape, old, (10.0, -20.0, 30.0))
    other = grid.with_spacing(new)
    first_edge = np.array([-0.5, -0.5, -0.5])
    np.testing.assert_allclose(other.to_mm(first_edge), grid.to_mm(first_edge), atol=1e-6)
    np.testing.assert_allclose(other.spacing, new)
    sizes = np.array(shape) * old
    assert (
        np.abs(np.array(other.shape) * new - sizes) <= np.maximum(0.5 * np.array(new), np.array(new) - sizes) + 1e-9
    ).all()


def test_a_crop_keeps_places():
    grid = Grid.of((10, 20, 30), (2.5, 0.8, 0.7), (1.0, 2.0, 3.0))
    part = grid.cropped((slice(2, 5), slice(4, 20), slice(7, 8)))
    assert part.shape == (3, 16, 1)
    np.testing.assert_allclose(part.to_mm(np.array([1, 2, 0])), grid.to_mm(np.array([3, 6, 7])))


def test_the_bounding_box_holds_the_mask_and_stays_within_the_array():
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert bounding_box(mask) is None
    mask[1, 2, 3] = mask[2, 5, 6] = True
    assert bounding_box(mask) == (slice(1, 3), slice(2, 6), slice(3, 7))
    assert bounding_box(mask, (9, 1, 2)) == (slice(0, 5), slice(1, 6), slice(1, 7))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 400))
def test_slabs_cover_everything_once_and_stay_small(planes, plane, voxels):
    parts = list(slabs((planes, plane), voxels))
    assert [index for part in parts for index in range(part.start, part.stop)] == list(range(planes))
    assert all((part.stop - part.start) * plane <= max(voxels, plane) for part in parts)
