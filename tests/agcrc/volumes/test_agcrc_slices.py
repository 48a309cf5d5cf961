from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from agcrc.volumes.slices import BOX_LIMIT, axial, slice_boxes


def test_the_patients_right_is_on_the_left_and_front_on_top():
    volume = np.zeros((2, 4, 6))
    volume[1, 3, 5] = 1  # RAS+: right and front are the ends of x and y
    assert np.argwhere(axial(volume, 1)).tolist() == [[0, 0]]


def test_parts_that_touch_at_a_corner_are_one_and_the_largest_comes_first():
    mask = np.zeros((10, 20), dtype=bool)
    mask[0, 0] = True
    mask[4, 10] = mask[5, 11] = True
    assert slice_boxes(mask) == [(500, 400, 600, 600), (0, 0, 50, 100)]
    assert slice_boxes(np.zeros((3, 3), dtype=bool)) == []


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans()))
def test_every_voxel_lies_in_a_box_and_every_box_is_one(mask):
    height, width = mask.shape
    boxes = slice_boxes(mask)
    assert all(0 <= x1 < x2 <= BOX_LIMIT and 0 <= y1 < y2 <= BOX_LIMIT for x1, y1, x2, y2 in boxes)
    for row, column in np.argwhere(mask):
        left, right = column / width * BOX_LIMIT, (column + 1) / width * BOX_LIMIT
        top, bottom = row / height * BOX_LIMIT, (row + 1) / height * BOX_LIMIT
        assert any(x1 <= left and right <= x2 and y1 <= top and bottom <= y2 for x1, y1, x2, y2 in boxes)
