from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agcrc.anatomy.skeleton import SHELL_VOXELS, skeleton_of
from agcrc.volumes import Grid

GRID = Grid.of((70, 60, 60), (3.0, 3.0, 3.0))


def sure(mask):
    found = skeleton_of(mask, 3.0, 25.0, 3.0)
    return found.length_mm, [end for end in found.ends if end.sure]


@settings(max_examples=15, deadline=None)
@given(st.floats(9.0, 24.0), st.floats(0.0, 1.0), st.integers(0, 2))
def test_a_tube_has_two_ends_that_point_outward(radius, slant, axis):
    shape = np.roll(np.array([70, 60, 60]), axis)
    grid = Grid.of(tuple(int(size) for size in shape), (3.0, 3.0, 3.0))
    start, end = np.array([35.0, 60.0, 60.0]), np.array([175.0, 60.0 + 50.0 * slant, 120.0])
    start, end = np.roll(start, axis), np.roll(end, axis)
    mask = line(grid, [start, end], radius)
    length, ends = sure(mask)
    assert len(ends) == 2
    direction = (end - start) / np.linalg.norm(end - start)
    assert sorted(float(np.dot(each.outward, direction)) for each in ends) == pytest.approx([-1.0, 1.0], abs=0.2)
    whole = np.linalg.norm(end - start) + 2.0 * radius
    assert length == pytest.approx(whole, abs=2 * SHELL_VOXELS * 3.0)  # the middle of a shell at each end, on a lattice
    assert all(each.radius_mm == pytest.approx(radius, rel=0.25) for each in ends)


def line(grid, points, radius):
    from scipy import ndimage

    away = np.ones(grid.shape, dtype=bool)
    for start, end in pairwise(points):
        places = np.round(np.linspace(start, end, 200) / 3.0).astype(int)
        away[tuple(places.T)] = False
    return ndimage.distance_transform_edt(away, sampling=3.0) <= radius


def test_a_branch_is_an_end_and_a_bulge_is_none():
    trunk = line(GRID, [np.array([15.0, 90.0, 90.0]), np.array([190.0, 90.0, 90.0])], 15.0)
    branch = line(GRID, [np.array([100.0, 90.0, 90.0]), np.array([100.0, 165.0, 90.0])], 9.0)
    assert len(sure(trunk | branch)[1]) == 3
    bulge = line(GRID, [np.array([100.0, 90.0, 90.0]), np.array([100.0, 105.0, 90.0])], 18.0)
    assert len(sure(trunk | bulge)[1]) == 2


def test_a_ball_a_ring_and_nothing_have_no_ends():
    z, y, x = np.indices((40, 40, 40)) - 20.0
    assert sure(z**2 + y**2 + x**2 <= 3.0**2)[1] == []
    ring = (np.hypot(y, x) - 13.0) ** 2 + z**2 <= 3.5**2
    length, ends = sure(ring)
    assert ends == []
    assert length == pytest.approx(2 * np.pi * 39.0, rel=0.15)
    assert sure(np.zeros((5, 5, 5), dtype=bool)) == (0.0, [])


def test_a_collapsed_span_is_no_pair_of_ends():
    wide = line(GRID, [np.array([20.0, 90.0, 90.0]), np.array([75.0, 90.0, 90.0])], 15.0)
    wide |= line(GRID, [np.array([135.0, 90.0, 90.0]), np.array([190.0, 90.0, 90.0])], 15.0)
    thin = np.zeros_like(wide)
    thin[20:50, 30, 30] = True
    assert len(sure(wide)[1]) == 4
    assert len(sure(wide | thin)[1]) == 2
