"""Dice with its rules for empty masks, and surface distances against MONAI, brute force and known geometry."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from agcrc.evaluate.overlap import ceiling, dice
from agcrc.evaluate.surface import element_areas, surface, surface_distances
from agcrc.volumes import read_labels

SHAPE = (20, 22, 24)
SPACINGS = [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (3.0, 1.1, 0.6)]


def box(start, stop, shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def ball(radius_mm, spacing, side_mm):
    sizes = [int(side_mm / size) | 1 for size in spacing]
    axes = [(np.arange(size) - size // 2) * step for size, step in zip(sizes, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 < radius_mm**2


def blobs(seed, shape=SHAPE):
    rng = np.random.default_rng(seed)
    a = gaussian_filter(rng.normal(size=shape), 2.0)
    b = a + 0.5 * gaussian_filter(rng.normal(size=shape), 2.0)
    return a > a.std(), b > a.std()


def test_dice_of_shifted_boxes():
    # 4·4·4 voxels each, 2·4·4 shared.
    assert dice(box((2, 2, 2), (6, 6, 6)), box((4, 2, 2), (8, 6, 6))) == 0.5


def test_dice_rules_for_empty_masks():
    empty, full = np.zeros(SHAPE, dtype=bool), box((2, 2, 2), (6, 6, 6))
    assert dice(empty, full) == 0.0
    assert dice(full, empty) is None
    assert dice(empty, empty) is None
    assert dice(full, full) == 1.0


def test_ceiling_is_what_a_perfect_mask_inside_could_reach():
    truth, allowed = box((2, 2, 2), (6, 6, 6)), box((4, 0, 0), (20, 22, 24))
    # Half of the lesion lies inside: 2·32 / (32 + 64).
    assert ceiling(truth, allowed) == pytest.approx(2 / 3)
    assert ceiling(np.zeros(SHAPE, dtype=bool), allowed) is None


@pytest.mark.parametrize("spacing", SPACINGS)
def test_nsd_equals_monai(spacing):
    import torch
    from monai.metrics import compute_surface_dice

    torch.set_num_threads(1)
    for seed in range(3):
        ours, theirs = blobs(seed)
        found = surface_distances(ours, theirs, spacing)
        for tolerance in (2.0, 4.0):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = compute_surface_dice(
                    torch.tensor(ours)[None, None].float(),
                    torch.tensor(theirs)[None, None].float(),
                    [tolerance],
                    include_background=True,
                    spacing=spacing,
                    use_subvoxels=True,
                )
            assert found.within(tolerance) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_equal_brute_force(spacing):
    ours, theirs = blobs(11, (12, 12, 12))
    found = surface_distances(ours, theirs, spacing)
    a, b = surface(ours, spacing).places, surface(theirs, spacing).places
    every = np.linalg.norm(a[:, None] - b[None], axis=-1)
    np.testing.assert_allclose(found.from_prediction, every.min(axis=1), atol=1e-9)
    np.testing.assert_allclose(found.from_truth, every.min(axis=0), atol=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_hd95_is_within_a_voxel_of_monai(spacing):
    import torch
    from monai.metrics import compute_hausdorff_distance

    for seed in range(2):
        ours, theirs = blobs(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = compute_hausdorff_distance(
                torch.tensor(ours)[None, None].float(),
                torch.tensor(theirs)[None, None].float(),
                include_background=True,
                spacing=spacing,
                percentile=95,
            )
        # MONAI's surface goes through voxel centres and counts voxels, not area.
        found = surface_distances(ours, theirs, spacing).percentile(0.95)
        assert abs(found - float(expected)) < np.linalg.norm(spacing)


def test_areas_are_those_of_the_published_table():
    from monai.metrics.utils import get_code_to_measure_table

    spacing = (3.0, 0.8, 1.1)
    expected = np.asarray(get_code_to_measure_table(spacing, device="cpu")[0])
    # MONAI's first corner has the highest bit.
    flipped = [int(f"{code:08b}"[::-1], 2) for code in range(256)]
    np.testing.assert_allclose(element_areas(spacing)[flipped], expected, atol=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_shift_along_a_thick_axis_is_measured_in_mm(spacing):
    first, second = box((4, 4, 4), (10, 12, 14)), box((5, 4, 4), (11, 12, 14))
    found = surface_distances(first, second, spacing)
    assert found.percentile(1.0) == pytest.approx(spacing[0])
    assert found.within(spacing[0]) == 1.0


def test_a_tolerance_reached_exactly_counts():
    found = surface_distances(box((4, 4, 4), (9, 9, 9)), box((4, 4, 9), (9, 9, 14)), (0.8, 0.8, 0.8))
    # Five voxels of 0.8 mm are 4.000000000000001.
    assert found.within(4.0) == 1.0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.8)])
def test_concentric_balls(spacing):
    found = surface_distances(ball(18.0, spacing, 60.0), ball(12.0, spacing, 60.0), spacing)
    assert found.percentile(0.95) == pytest.approx(6.0, abs=0.75 * max(spacing))
    assert found.within(4.0) < 0.05
    areas = [surface(ball(radius, spacing, 60.0), spacing).areas.sum() for radius in (12.0, 18.0)]
    assert areas[1] / areas[0] == pytest.approx(18**2 / 12**2, rel=0.05)


def test_slices_do_not_weigh_by_their_number():
    """The same body in thin and in thick slices has the same share within tolerance."""
    thin = surface_distances(ball(20.0, (1.0, 1.0, 1.0), 60.0), ball(17.0, (1.0, 1.0, 1.0), 60.0), (1.0, 1.0, 1.0))
    thick = surface_distances(ball(20.0, (4.0, 1.0, 1.0), 60.0), ball(17.0, (4.0, 1.0, 1.0), 60.0), (4.0, 1.0, 1.0))
    assert thin.within(4.0) == pytest.approx(thick.within(4.0), abs=0.05)


def test_one_voxel_and_the_border():
    one = box((0, 0, 0), (1, 1, 1))
    found = surface_distances(one, one, (2.0, 1.0, 1.0))
    assert found.percentile(1.0) == 0.0
    assert found.within(0.0) == 1.0
    everything = np.ones((3, 3, 3), dtype=bool)
    assert surface_distances(everything, everything, (1.0, 1.0, 1.0)).within(2.0) == 1.0


def test_empty_masks_have_no_distances():
    empty, full = np.zeros(SHAPE, dtype=bool), box((2, 2, 2), (6, 6, 6))
    assert surface_distances(empty, full, (1.0, 1.0, 1.0)) is None
    assert surface_distances(full, empty, (1.0, 1.0, 1.0)) is None


def test_percentile_weighs_by_area():
    # A plate of 1 × 10 × 10 voxels and the same with a spike: the spike's tip is less than 5 % of the area.
    plate = box((2, 2, 2), (3, 20, 22))
    spike = plate | box((3, 10, 10), (12, 11, 11))
    found = surface_distances(spike, plate, (1.0, 1.0, 1.0))
    assert found.percentile(1.0) > 8.0
    assert found.percentile(0.95) < 1.0


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.3, 4.0), axes=st.permutations([0, 1, 2]))
def test_distances_scale_and_turn_with_space(seed, factor, axes):
    ours, theirs = blobs(seed, (10, 9, 11))
    spacing = (2.0, 0.7, 1.0)
    found = surface_distances(ours, theirs, spacing)
    if found is None:
        assert not ours.any() or not theirs.any()
        return
    turned = surface_distances(ours.transpose(axes), theirs.transpose(axes), tuple(spacing[axis] for axis in axes))
    larger = surface_distances(ours, theirs, tuple(size * factor for size in spacing))
    back = surface_distances(theirs, ours, spacing)
    assert turned.percentile(0.95) == pytest.approx(found.percentile(0.95))
    assert turned.within(2.0) == pytest.approx(found.within(2.0))
    assert larger.percentile(0.95) == pytest.approx(factor * found.percentile(0.95))
    assert back.within(2.0) == pytest.approx(found.within(2.0))
    assert back.percentile(0.95) == pytest.approx(found.percentile(0.95))


def test_two_real_colon_masks(shared):
    """Two runs of TotalSegmentator over the same CT against MONAI."""
    import torch
    from monai.metrics import compute_surface_dice

    folder = shared / "data" / "ct" / "totalsegmentator_example" / "mask_variants"
    first, second = (read_labels(folder / f"v2_fast_force_split_{number}.nii.gz") for number in (1, 4))
    ours, theirs = first.array == 20, second.array == 20
    found = surface_distances(ours, theirs, first.grid.spacing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = compute_surface_dice(
            torch.tensor(ours)[None, None].float(),
            torch.tensor(theirs)[None, None].float(),
            [2.0],
            include_background=True,
            spacing=first.grid.spacing,
            use_subvoxels=True,
        )
    assert found.within(2.0) == pytest.approx(float(expected), abs=1e-4)
