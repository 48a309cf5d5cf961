from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from agcrc.anatomy import centreline
from agcrc.volumes import Grid

GRID = Grid.of((76, 60, 76), (3.0, 3.0, 3.0))
COURSE = [
    *((15, 60, 110), (60, 60, 110), (60, 110, 30), (200, 110, 30)),
    *((200, 110, 200), (50, 110, 200), (50, 60, 200)),
]
"""0.65 m from anus to caecum: less than 0.6 m is no whole colon."""


def along(points, step=2.0):
    pieces = [np.linspace(a, b, int(np.linalg.norm(np.subtract(b, a)) / step) + 1) for a, b in pairwise(points)]
    return np.concatenate(pieces)


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (5.0, 1.2, 1.2), (2.0, 2.5, 3.0)])
def test_it_follows_a_tube_from_its_lowest_end(tube, spacing):
    grid = GRID.with_spacing(spacing)
    found = centreline(tube(grid, COURSE, 12.0), spacing)
    millimetres = (found.points + 0.5) * np.array(spacing)
    true = along(COURSE)
    assert cKDTree(millimetres).query(true)[0].max() < 15.0
    assert np.median(cKDTree(millimetres).query(true)[0]) < 4.0
    length = np.linalg.norm(np.diff(true, axis=0), axis=1).sum()
    assert found.length_mm == pytest.approx(length, rel=0.08)
    assert np.linalg.norm(millimetres[0] - COURSE[0]) < 15.0
    assert np.linalg.norm(millimetres[-1] - COURSE[-1]) < 15.0
    assert found.radius_mm.shape == (len(found.points),)
    assert np.median(found.radius_mm) == pytest.approx(12.0, abs=3.0)
    assert (found.reliable, found.reason) == (True, "")


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_it_is_the_same_tube_whichever_way_it_lies(tube, axes, mirrored):
    course = [(40, 40, 40), (40, 150, 40), (40, 150, 150), (150, 150, 150), (150, 40, 150)]
    grid = Grid.of((64, 64, 64), (3.0, 3.0, 3.0))
    mask = tube(grid, course, 12.0).transpose(axes)
    mask = np.flip(mask, [axis for axis, flip in enumerate(mirrored) if flip])
    found = centreline(mask, grid.spacing)
    assert found.length_mm == pytest.approx(440.0, rel=0.1)
    assert found.points[0, 0] <= found.points[-1, 0] + 3.0


def test_a_low_loop_is_not_the_anus(tube):
    """The lowest place of a colon whose rectum is not in view may be the bottom of a loop."""
    course = [(120, 40, 100), (60, 40, 100), (20, 60, 60), (150, 120, 60), (150, 120, 160), (60, 120, 160)]
    found = centreline(tube(GRID, course, 12.0), GRID.spacing)
    ends = sorted([found.points[0] * 3.0, found.points[-1] * 3.0], key=lambda each: each[0])
    assert np.linalg.norm(ends[0] - course[-1]) < 20.0
    assert np.linalg.norm(ends[1] - course[0]) < 20.0
    assert found.points[0, 0] < found.points[-1, 0]


def test_loops_that_lie_against_each_other_are_no_shortcut(tube):
    course = [(20, 60, 40), (180, 60, 40), (180, 60, 68), (30, 60, 68), (30, 110, 68), (180, 110, 68)]
    # The first two limbs touch along a seam one voxel wide; a neck of more than 6 mm is beyond an erosion by 3 mm.
    mask = tube(GRID, course, 12.2)
    assert (mask[20:50, 20, 13] & mask[20:50, 20, 22] & mask[20:50, 20, 13:22].all(axis=1)).all()
    found = centreline(mask, GRID.spacing)
    length = np.linalg.norm(np.diff(along(course), axis=0), axis=1).sum()
    assert found.length_mm == pytest.approx(length, rel=0.12)


def test_a_shortcut_through_fused_loops_is_told(tube):
    course = [(20, 60, 30), (180, 60, 30), (180, 60, 110), (20, 60, 110), (20, 110, 110), (180, 110, 110)]
    fused = tube(GRID, [*course, (180, 150, 110), (180, 150, 30), (20, 150, 30)], 12.0)
    fused |= tube(GRID, [(30, 60, 30), (30, 60, 110)], 14.0)
    found = centreline(fused, GRID.spacing)
    assert not found.reliable
    assert "it takes a shortcut" in found.reason


@pytest.mark.parametrize(("gap_mm", "reason"), [(30.0, "jumps over"), (90.0, "away from the rest")])
def test_a_gap_is_told(tube, gap_mm, reason):
    mask = tube(GRID, COURSE, 12.0)
    half = round(gap_mm / 6.0)
    mask[50:, :, 38 - half : 38 + half] = False
    found = centreline(mask, GRID.spacing)
    assert not found.reliable
    assert reason in found.reason


def test_a_short_piece_is_not_reliable(tube):
    found = centreline(tube(GRID, COURSE[:3], 12.0), GRID.spacing)
    assert not found.reliable
    assert "less than 0.6 m" in found.reason


def test_two_stumps_at_the_feet_have_no_anus(tube):
    course = [(-10, 60, 50), (200, 60, 50), (200, 60, 180), (-10, 60, 180), (-10, 20, 180)]
    found = centreline(tube(GRID, course, 12.0), GRID.spacing)
    assert "2 places" in found.reason


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (5.0, 1.2, 1.2), (2.0, 2.5, 3.0)])
def test_a_collapsed_colon_is_followed_too(tube, spacing):
    """The erosion leaves nothing of it, or, with other voxels, only crumbs."""
    found = centreline(tube(GRID.with_spacing(spacing), COURSE, 4.0), spacing)
    millimetres = (found.points + 0.5) * np.array(spacing)
    assert cKDTree(millimetres).query(along(COURSE))[0].max() < 15.0
    assert (found.reliable, found.reason) == (True, "")


def test_tiny_and_empty_masks_are_no_crash():
    empty = centreline(np.zeros((5, 6, 7), dtype=bool), (1.0, 1.0, 1.0))
    assert (empty.points.shape, empty.length_mm, empty.reason) == ((0, 3), 0.0, "there is no colon")
    block = np.zeros((8, 8, 8), dtype=bool)
    block[2:6, 2:6, 2:6] = True
    assert not centreline(block, (3.0, 3.0, 3.0)).reliable
    plane = np.zeros((1, 30, 30), dtype=bool)
    plane[0, 5:25, 10:20] = True
    assert not centreline(plane, (5.0, 1.0, 1.0)).reliable
