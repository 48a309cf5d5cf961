"""Values land at their place in mm, at any spacing, and long scans cost no more memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from agcrc.errors import InputError
from agcrc.volumes import Grid, read_ct, read_labels, resample, resample_labels, resample_slabs

SHAPES = st.tuples(*[st.integers(1, 14)] * 3)
SPACINGS = st.tuples(*[st.floats(0.5, 6.0)] * 3)


def centres(grid: Grid) -> np.ndarray:
    """RAS+ mm (z, y, x, 3) of every voxel."""
    return grid.to_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def turned(grid: Grid, degrees: float) -> Grid:
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Grid(grid.shape, matrix @ grid.affine, grid.flips)


@pytest.mark.parametrize("order", [0, 1])
@given(SHAPES, SPACINGS)
@settings(max_examples=40, deadline=None)
def test_the_same_grid_gives_the_same_values(order, shape, spacing):
    grid = Grid.of(shape, spacing, (-3.3, 47.0, 812.5))
    values = np.random.default_rng(0).normal(0, 500, shape).astype(np.float32)
    np.testing.assert_array_equal(resample(values, grid, grid, order=order, fill=-1024), values)


@given(SHAPES, SPACINGS, SPACINGS)
@settings(max_examples=60, deadline=None)
def test_order_0_takes_the_nearest_voxel_in_mm(shape, old, new):
    source = Grid.of(shape, old, (5.0, -7.0, 100.0))
    target = source.with_spacing(new)
    # Every voxel knows its number, so what was taken tells from where.
    numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    taken = resample(numbers, source, target, order=0, fill=-1)
    wanted = centres(target)
    inside = taken >= 0
    found = centres(source).reshape(-1, 3)[taken[inside]]
    reach = np.array(old)[::-1] / 2 + 1e-3 * np.array(old)[::-1]
    assert (np.abs(found - wanted[inside]) <= reach).all()
    outside = source.to_index(wanted[~inside])
    assert ((outside < -0.49).any(axis=-1) | (outside > np.array(shape) - 0.51).any(axis=-1)).all()


@given(SPACINGS, SPACINGS)
@settings(max_examples=40, deadline=None)
def test_a_ramp_in_mm_stays_that_ramp_away_from_the_edges(old, new):
    source = Grid.of((20, 18, 16), old, (5.0, -7.0, 100.0))
    target = source.with_spacing(new)
    slope = np.array([0.5, -1.5, 2.0])
    values = (centres(source) @ slope).astype(np.float32)
    found = resample(values, source, target, order=1, fill=0)
    index = source.to_index(centres(target))
    # The tent reaches as far as a voxel of the coarser grid.
    reach = np.maximum(1.0, np.array(new) / old)
    inner = ((index >= reach) & (index <= np.array(source.shape) - 1 - reach)).all(axis=-1)
    # A tent over few voxels that lie unevenly around its tip leans by a part of a voxel.
    steps = np.array(old)[::-1] * np.abs(slope)
    np.testing.assert_allclose(found[inner], (centres(target) @ slope)[inner], atol=0.2 * steps.sum())
    finer = (np.array(new) <= old).all()
    if finer:
        np.testing.assert_allclose(found[inner], (centres(target) @ slope)[inner], atol=0.01)


def test_linear_equals_scipy_where_the_target_is_finer():
    rng = np.random.default_rng(1)
    source = Grid.of((7, 9, 11), (3.0, 1.5, 1.2))
    target = source.with_spacing((1.1, 0.7, 1.2))
    values = rng.normal(0, 300, source.shape).astype(np.float32)
    index = source.to_index(centres(target))
    expected = ndimage.map_coordinates(values, np.moveaxis(index, -1, 0), order=1, mode="nearest")
    np.testing.assert_allclose(resample(values, source, target, order=1, fill=0), expected, atol=0.1)


def test_a_point_marked_in_mm_lands_there_and_comes_back():
    source = Grid.of((40, 60, 50), (2.5, 0.9, 0.8), (-30.0, 12.0, 950.0))
    target = Grid.of((50, 30, 30), (1.5, 1.5, 1.5), (-25.0, 15.0, 955.0))
    place = source.to_mm(np.array([22, 33, 27]))
    values = np.exp(-((centres(source) - place) ** 2).sum(axis=-1) / (2 * 4.0**2)).astype(np.float32)
    there = resample(values, source, target, order=1, fill=0)
    weights = there / there.sum()
    np.testing.assert_allclose((centres(target) * weights[..., None]).sum(axis=(0, 1, 2)), place, atol=0.05)
    back = resample(there, target, source, order=1, fill=0)
    assert np.abs(centres(source).reshape(-1, 3)[back.argmax()] - place).max() <= 0.9 + 1e-6


def test_oblique_grids_along_the_same_axes_are_resampled_and_others_refused():
    source = turned(Grid.of((8, 20, 20), (2.0, 1.0, 1.0)), 17)
    values = (centres(source) @ [1.0, 2.0, 3.0]).astype(np.float32)
    target = source.with_spacing((1.0, 0.5, 0.5))
    found = resample(values, source, target, order=1, fill=0)
    expected = centres(target) @ [1.0, 2.0, 3.0]
    np.testing.assert_allclose(found[2:-2, 2:-2, 2:-2], expected[2:-2, 2:-2, 2:-2], atol=0.01)
    with pytest.raises(InputError, match=r"turned against each other by 17\.0°"):
        resample(values, source, Grid.of((8, 20, 20), (2.0, 1.0, 1.0)), order=1, fill=0)


def test_half_a_voxel_beyond_the_centres_is_in_view_and_more_is_not():
    source = Grid.of((1, 1, 4), (1.0, 1.0, 1.0))
    values = np.array([[[10, 20, 30, 40]]], dtype=np.float32)
    for order in (0, 1):
        for shift, first, last in ((-0.5, 10, None), (-0.51, -1, None), (0.5, None, 40), (0.51, None, -1)):
            found = resample(values, source, Grid.of((1, 1, 4), (1.0, 1.0, 1.0), (shift, 0, 0)), order=order, fill=-1)
            assert first is None or found[0, 0, 0] == first
            assert last is None or found[0, 0, 3] == last


@pytest.mark.parametrize("order", [0, 1])
def test_nothing_in_view_is_all_fill(order):
    source = Grid.of((3, 3, 3), (1.0, 1.0, 1.0))
    away = Grid.of((2, 2, 2), (1.0, 1.0, 1.0), (50.0, 0.0, 90.0))
    found = resample(np.zeros((3, 3, 3), np.float32), source, away, order=order, fill=-1024)
    assert (found == -1024).all()


@pytest.mark.parametrize("shape", [(1, 6, 6), (6, 1, 6), (6, 6, 1), (1, 1, 1)])
@pytest.mark.parametrize("spacing", [0.4, 1.0, 7.0])
def test_axes_of_one_voxel_go_both_ways(shape, spacing):
    source = Grid.of(shape, (1.0, 1.0, 1.0))
    target = source.isotropic(spacing)
    found = resample(np.full(shape, 42, np.float32), source, target, order=1, fill=42)
    np.testing.assert_allclose(found, 42, rtol=1e-6)
    back = resample(found, target, source, order=1, fill=42)
    assert back.shape == shape
    np.testing.assert_allclose(back, 42, rtol=1e-6)


def test_a_smooth_volume_survives_the_way_there_and_back():
    grid = Grid.of((30, 40, 40), (2.0, 1.0, 1.0))
    smooth = ndimage.gaussian_filter(np.random.default_rng(2).normal(0, 1, grid.shape), (3, 6, 6))
    smooth = (smooth / smooth.std() * 100).astype(np.float32)
    target = grid.isotropic(1.5)
    back = resample(resample(smooth, grid, target, order=1, fill=0), target, grid, order=1, fill=0)
    assert np.abs(back - smooth)[2:-2, 2:-2, 2:-2].mean() < 3


def test_coarser_grids_average_noise_and_do_not_alias():
    grid = Grid.of((32, 32, 32), (1.0, 1.0, 1.0))
    noise = np.random.default_rng(3).normal(0, 100, grid.shape).astype(np.float32)
    coarse = resample(noise, grid, grid.isotropic(4.0), order=1, fill=0)
    # A tent of half width 4 averages about 6 voxels per axis; picking single voxels would leave 100.
    assert coarse.std() < 12
    stripes = np.zeros(grid.shape, np.float32)
    stripes[:, :, ::2] = 100
    # Away from the edge, where less than a whole tent is in view; picking single voxels would leave 50.
    assert np.abs(resample(stripes, grid, grid.isotropic(3.0), order=1, fill=0) - 50)[:, :, 1:-1].max() < 7


def test_labels_keep_their_type_and_only_known_numbers_come_out():
    source = Grid.of((10, 10, 10), (3.0, 3.0, 3.0))
    labels = np.random.default_rng(4).choice([0, 20, 1104], source.shape).astype(np.uint16)
    target = Grid.of((40, 40, 40), (1.0, 1.0, 1.0), (-5.0, -5.0, -5.0))
    found = resample_labels(labels, source, target)
    assert found.dtype == np.uint16
    assert set(np.unique(found)) == {0, 20, 1104}
    assert (found[:3] == 0).all()
    masks = resample_labels(labels > 0, source, target)
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, found > 0)


def test_infinite_distances_do_not_become_nan():
    source = Grid.of((4, 4, 4), (1.0, 1.0, 1.0))
    values = np.full(source.shape, np.inf, np.float32)
    found = resample(values, source, source.with_spacing((0.7, 1.3, 1.0)), order=1, fill=200)
    assert not np.isnan(found).any()


def test_wrong_shapes_and_impossible_fills_are_refused():
    grid = Grid.of((4, 5, 6), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="does not fit a grid"):
        resample(np.zeros((6, 5, 4), np.uint8), grid, grid, order=0, fill=0)
    with pytest.raises(ValueError, match="uint8 can't hold the fill value -1024"):
        resample(np.zeros((4, 5, 6), np.uint8), grid, grid, order=0, fill=-1024)


@pytest.mark.parametrize("order", [0, 1])
def test_slabs_together_are_the_whole(order):
    source = Grid.of((60, 200, 200), (1.0, 1.0, 1.0))
    target = source.with_spacing((0.5, 1.0, 1.0))
    values = np.random.default_rng(5).integers(0, 100, source.shape, dtype=np.int16)
    parts = list(resample_slabs(values, source, target, order=order, fill=0))
    assert len(parts) > 1
    whole = resample(values, source, target, order=order, fill=0)
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), whole)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("there", [True, False], ids=["to 1.5 mm", "back"])
def test_memory_above_the_result_does_not_grow_with_a_thousand_slices(order, there):
    def excess(slices: int) -> float:
        source = Grid.of((slices, 128, 128), (0.8, 0.8, 0.8))
        target = source.isotropic(1.5)
        if not there:
            source, target = target, source
        values = np.zeros(source.shape, np.int16)
        tracemalloc.start()
        found = resample(values, source, target, order=order, fill=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return (peak - found.nbytes) / 2**20

    short, long = excess(300), excess(1000)
    assert long < max(short, 1) + 4
    assert long < 64


def test_real_organs_stay_where_they_are(shared):
    folder = shared / "data" / "ct" / "totalsegmentator_example"
    labels = read_labels(folder / "mask_variants" / "v2_fast_force_split_1.nii.gz")
    target = labels.grid.with_spacing((4.0, 2.0, 2.5))
    moved = resample_labels(labels.array, labels.grid, target)
    for number in (1, 5, 20):
        before, after = labels.array == number, moved == number
        assert after.sum() * target.voxel_ml == pytest.approx(before.sum() * labels.grid.voxel_ml, rel=0.03)
        centre = [grid.to_mm(np.argwhere(mask).mean(axis=0)) for grid, mask in ((labels.grid, before), (target, after))]
        # Ties go up the axis, so up to half a voxel of 3 mm is possible.
        assert np.linalg.norm(centre[0] - centre[1]) < 1.5


def test_real_ct_keeps_its_mean(shared):
    ct = read_ct(shared / "data" / "ct" / "totalsegmentator_example" / "example_ct.nii.gz")
    for spacing in ((2.0, 2.0, 2.0), (5.0, 4.0, 4.0)):
        target = ct.grid.with_spacing(spacing)
        found = resample(ct.array, ct.grid, target, order=1, fill=-1024)
        assert found.mean() == pytest.approx(ct.array.mean(), abs=6)
