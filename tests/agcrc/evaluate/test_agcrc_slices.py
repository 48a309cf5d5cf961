"""Slices to scroll through: which, where they are cut, and that outlines lie on the borders of the masks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path
from PIL import Image

from agcrc.evaluate.overlays import HIGHEST_HU, LOWEST_HU
from agcrc.evaluate.slices import MOST_SLICES, SIDE, lesion_slices
from agcrc.volumes import Grid, Volume
from agcrc.volumes.slices import axial

SHAPE = (40, 90, 70)
SPACING = (5.0, 2.0, 3.0)


def ct(shape=SHAPE, spacing=SPACING, hu=0.0) -> Volume:
    return Volume(np.full(shape, hu, dtype=np.float32), Grid.of(shape, spacing, (-100.0, -50.0, 300.0)))


def filled(*parts: tuple[slice, slice, slice], shape=SHAPE) -> np.ndarray:
    array = np.zeros(shape, dtype=np.bool_)
    for part in parts:
        array[part] = True
    return array


def enclosed(outlines, shape, spacing) -> np.ndarray:
    """Voxels of a slice whose middle lies within, by the even-odd rule."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    middles = np.column_stack((columns.ravel() * spacing[1], rows.ravel() * spacing[0]))
    inside = np.zeros(len(middles), dtype=np.bool_)
    for outline in outlines:
        inside ^= Path(outline).contains_points(middles)
    return inside.reshape(shape)


def test_slices_with_either_mask_and_their_neighbours_are_shown_the_fullest_first():
    truth = filled((slice(10, 13), slice(40, 50), slice(30, 40)))
    truth[11, 50:52, 30:40] = True
    found = lesion_slices(ct(), truth, filled((slice(20, 21), slice(40, 44), slice(30, 34))))
    assert [each.index for each in found.slices] == [9, 10, 11, 12, 13, 19, 20, 21]
    assert (found.marked, found.slices[found.first].index) == (8, 11)
    assert [each.position_mm for each in found.slices[:2]] == [345.0, 350.0]
    assert [each.truth_mm2 for each in found.slices] == [0.0, 600.0, 720.0, 600.0, 0.0, 0.0, 0.0, 0.0]
    assert [each.prediction_mm2 for each in found.slices][-2:] == [96.0, 0.0]
    assert [bool(each.truth) for each in found.slices][:5] == [False, True, True, True, False]
    healthy = lesion_slices(ct(), filled(), truth)
    assert healthy.slices[healthy.first].index == 11


def test_the_patient_is_seen_from_the_feet_with_the_front_on_top():
    # Of an array in RAS+ the high end of x is the patient's right and the high end of y the front.
    truth = filled((slice(10, 12), slice(80, 88), slice(60, 68)))
    volume = ct()
    volume.array[truth] = 240.0
    found = lesion_slices(volume, truth, filled())
    each = found.slices[found.first]
    (outline,) = each.truth
    x, y = np.array(outline).T
    # 8 voxels of 3 and of 2 mm, 2 voxels from the left and from the upper border.
    assert (x.min(), x.max(), y.min(), y.max()) == (6.0, 30.0, 4.0, 20.0)
    image = np.asarray(Image.open(io.BytesIO(each.jpeg)), dtype=float)
    assert found.size_mm == (image.shape[1] * 3.0, image.shape[0] * 2.0)
    assert image[2:10, 2:10].mean() == pytest.approx(255.0, abs=6)
    assert image[20:, 20:].mean() == pytest.approx(-LOWEST_HU / (HIGHEST_HU - LOWEST_HU) * 255, abs=4)


def test_a_picture_holds_both_masks_with_a_margin_or_ends_at_the_border():
    one, two = (slice(5, 7), slice(3, 10), slice(20, 30)), (slice(30, 31), slice(70, 75), slice(40, 44))
    found = lesion_slices(ct(), filled(one), filled(two))
    width, height = found.size_mm
    assert width == pytest.approx((44 - 20) * 3.0 + 50, abs=3.0)
    assert height == pytest.approx(180.0, abs=26.0)
    for each in found.slices:
        for x, y in (point for outline in (*each.truth, *each.prediction) for point in outline):
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_a_long_lesion_gives_few_slices_and_a_fine_one_small_pictures():
    shape = (60, 400, 400)
    truth = filled((slice(5, 55), slice(100, 300), slice(100, 300)), shape=shape)
    truth[27, 50:350, 100:300] = True
    volume = ct(shape, (1.0, 0.5, 0.5))
    volume.array[:] = np.random.default_rng(0).normal(40, 30, shape[1:])
    found = lesion_slices(volume, truth, filled(shape=shape))
    indices = [each.index for each in found.slices]
    assert (len(indices), found.marked) == (MOST_SLICES, 52)
    assert indices == sorted(set(indices))
    assert (indices[0], indices[-1], indices[found.first]) == (4, 55, 27)
    for each in found.slices:
        assert max(Image.open(io.BytesIO(each.jpeg)).size) <= SIDE
        assert len(each.jpeg) < 40_000
        assert sum(map(len, each.truth)) < 12


def test_where_much_was_marked_elsewhere_the_lesion_is_still_shown_slice_by_slice():
    shape = (90, 20, 20)
    truth = filled((slice(10, 20), slice(5, 9), slice(5, 9)), shape=shape)
    everywhere = filled((slice(30, 90), slice(12, 14), slice(12, 14)), shape=shape)
    found = lesion_slices(ct(shape), truth, everywhere)
    indices = [each.index for each in found.slices]
    assert (len(indices), found.marked) == (MOST_SLICES, 12 + 61)
    assert indices[:12] == list(range(9, 21))
    assert (indices[12], indices[-1]) == (29, 89)
    long = lesion_slices(ct(shape), everywhere, truth)
    assert sum(bool(each.prediction) for each in long.slices) >= 4


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 11)] * 4), min_size=1, max_size=8), st.integers(0, 2))
def test_outlines_enclose_the_voxels_of_the_mask_and_no_others(rectangles, index):
    shape, spacing = (3, 12, 12), (5.0, 2.0, 3.0)
    truth = filled(shape=shape)
    for top, bottom, left, right in rectangles:
        truth[index, min(top, bottom) : max(top, bottom) + 1, min(left, right) : max(left, right) + 1] ^= True
    truth[index, 3, 3] = True
    found = lesion_slices(ct(shape, spacing), truth, ~truth)
    each = found.slices[found.first]
    assert each.index == index
    for outlines, mask in ((each.truth, truth), (each.prediction, ~truth)):
        assert (enclosed(outlines, shape[1:], spacing[1:]) == axial(mask, index)).all()
