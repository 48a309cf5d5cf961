"""The organ of interest on drawn colons, step by step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from agcrc.anatomy import OoiSettings, Organs, load_class_map, organ_of_interest
from agcrc.errors import InputError
from agcrc.volumes import Grid, Volume
from agcrc.volumes.resample import resample_labels

GRID = Grid.of((68, 68, 68), (3.0, 3.0, 3.0))
COURSE = [(12, 60, 100), (60, 60, 100), (60, 100, 40), (160, 100, 40), (160, 100, 160), (80, 100, 160)]
"""Anus, sigmoid, descending, transverse and ascending colon, caecum; (z, y, x) mm, x to the right."""


def without(mask, start, stop, axis=2):
    cut = mask.copy()
    cut[tuple(slice(start, stop) if each == axis else slice(None) for each in range(3))] = False
    return cut


@pytest.fixture(scope="module")
def colon(tube):
    return tube(GRID, COURSE, 11.0)


def test_a_whole_colon_is_its_own_core_and_the_ring_is_the_dilation(colon, organs_of):
    ooi = organ_of_interest(organs_of(GRID, colon=colon))
    quality = ooi.quality
    assert (quality.mode, quality.parts_before, quality.parts_after, quality.dead_ends) == ("colon", 1, 1, 0)
    assert ((ooi.mask == 2) == colon).all()
    distance = ndimage.distance_transform_edt(~colon, sampling=3.0)
    assert np.allclose(ooi.core_distance_mm, np.where(colon, 0.0, np.maximum(distance, 1.5)), atol=1e-3)
    assert ((ooi.mask > 0) == (distance <= 15.0)).all()
    assert quality.ooi_ml == pytest.approx((distance <= 15.0).sum() * 0.027)
    assert quality.colon_ml == quality.core_ml == pytest.approx(colon.sum() * 0.027)
    length = sum(np.linalg.norm(np.subtract(b, a)) for a, b in pairwise(COURSE))
    assert quality.skeleton_mm == pytest.approx(length, rel=0.12)
    assert quality.field_of_view_contact == ()


@pytest.mark.parametrize("gap_mm", [20.0, 50.0, 80.0])
def test_a_gap_is_bridged_and_found_again(colon, organs_of, gap_mm):
    # In the transverse colon, which runs along x at z = 160 mm.
    half = round(gap_mm / 6.0)
    cut = colon & ~without(~colon, 0, 0)
    cut[46:, :, 33 - half : 33 + half] = False
    lost = colon & ~cut
    regions = [
        organ_of_interest(organs_of(GRID, colon=cut), settings=OoiSettings(radius_mm=radius)) for radius in (0.0, 15.0)
    ]
    recalls = [float((region.mask > 0)[lost].mean()) for region in regions]
    assert [region.quality.parts_before for region in regions] == [2, 2]
    assert [region.quality.parts_after for region in regions] == [1, 1]
    (bridge,) = regions[1].quality.bridges
    # It begins and ends inside the two stumps.
    assert gap_mm - 6.0 <= bridge["length_mm"] <= gap_mm + 36.0
    assert recalls[0] >= 0.4
    assert recalls[1] == 1.0
    whole = organ_of_interest(organs_of(GRID, colon=colon)).quality
    assert regions[1].quality.ooi_ml <= whole.ooi_ml * 1.02


def test_what_is_lost_between_two_loops_is_no_shortcut(tube, organs_of):
    """Stumps that face each other are joined, not the flanks that lie nearer."""
    near = tube(GRID, [(150, 100, 30), (150, 100, 80)], 10.0)
    far = tube(GRID, [(150, 100, 130), (150, 100, 175), (117, 100, 175), (117, 100, 60)], 10.0)
    assert ndimage.distance_transform_edt(~near, sampling=3.0)[far].min() < 20.0
    ooi = organ_of_interest(organs_of(GRID, colon=near | far))
    # The lost straight piece between x = 80 and 130 mm.
    lost = tube(GRID, [(150, 100, 80), (150, 100, 130)], 8.0)
    assert (ooi.mask[lost] > 0).mean() > 0.95
    assert ooi.quality.parts_after == 1


def test_a_lost_hairpin_is_found_again(tube, organs_of):
    """Two stumps that point the same way: what is lost lies beyond them, not between them."""
    turn = [(130, 100, 100), (148, 100, 107), (155, 100, 125), (148, 100, 143), (130, 100, 150)]
    whole = tube(GRID, [(12, 100, 100), *turn, (60, 100, 150)], 9.0)
    cut = without(whole, 43, 68, axis=0)
    ooi = organ_of_interest(organs_of(GRID, colon=cut))
    assert ooi.quality.parts_after == 1
    assert (ooi.mask[whole & ~cut] > 0).mean() > 0.9


def test_a_lost_end_gets_a_ball_and_anus_and_caecum_do_not(tube, organs_of):
    descending = tube(GRID, [*COURSE[:3], (120, 100, 40)], 11.0)
    whole = organ_of_interest(organs_of(GRID, colon=descending))
    assert whole.quality.dead_ends == 1
    beyond = (44, 33, 13)
    assert not descending[beyond]
    assert whole.mask[beyond] == 2
    # Its other end, the anus, has no ball: nothing is core below it.
    assert not (whole.mask[0] == 2).any()


def test_an_end_that_leaves_the_field_of_view_is_no_dead_end(tube, organs_of):
    leaving = tube(GRID, [*COURSE[:3], (220, 100, 40)], 11.0)
    ooi = organ_of_interest(organs_of(GRID, colon=leaving))
    assert ooi.quality.dead_ends == 0
    assert ooi.quality.field_of_view_contact == ("head",)


def test_crumbs_are_dropped_yet_show_the_way(colon, organs_of):
    cut = colon.copy()
    cut[46:, :, 22:44] = False
    detour = cut.copy()
    # A trail of crumbs well in front of the straight way.
    for x in range(20, 47, 3):
        detour[52:54, 44:46, x] = True
    ooi = organ_of_interest(organs_of(GRID, colon=detour))
    assert ooi.quality.parts_before == 2
    assert ooi.quality.parts_after == 1


def test_sure_organs_leave_the_region_and_small_bowel_stays(colon, organs_of):
    beside = np.zeros(GRID.shape, dtype=bool)
    beside[46:62, 38:60, 20:45] = True
    plain = organ_of_interest(organs_of(GRID, colon=colon)).mask > 0
    both = beside & plain & ~colon
    depth = ndimage.distance_transform_edt(np.pad(beside & ~colon, 1), sampling=3.0)[1:-1, 1:-1, 1:-1]
    liver = organ_of_interest(organs_of(GRID, liver=beside, colon=colon)).mask > 0
    assert not liver[both & (depth > 6.0)].any()
    assert liver[both & (depth < 4.0)].all()
    assert liver[colon].all()
    bowel = organ_of_interest(organs_of(GRID, small_bowel=beside, colon=colon)).mask > 0
    assert (bowel == plain).all()


def sacrum_and(grid, colon, organs_of):
    sacrum = np.zeros(grid.shape, dtype=bool)
    for z in range(14, 45):
        sacrum[z, 5 + (z - 14) // 6 : 11 + (z - 14) // 6, 26:42] = True
    return organs_of(grid, sacrum=sacrum, colon=colon)


def test_a_lost_rectum_is_added_along_the_sacrum(tube, organs_of):
    rectum = [(24, 73, 102), (45, 58, 102), (90, 66, 102), (120, 90, 102), (120, 100, 40), (170, 100, 40)]
    whole = tube(GRID, rectum, 11.0)
    high = whole.copy()
    high[:32] = False
    lost = whole & ~high
    found = organ_of_interest(sacrum_and(GRID, high, organs_of))
    assert found.quality.rectum_added
    assert (found.mask[lost] > 0).mean() > 0.9
    assert not organ_of_interest(sacrum_and(GRID, whole, organs_of)).quality.rectum_added
    # Without the sacrum nobody knows where it ran.
    assert not organ_of_interest(organs_of(GRID, colon=high)).quality.rectum_added


def test_the_region_grows_with_the_radius(colon, organs_of):
    cut = colon.copy()
    cut[46:, :, 25:40] = False
    organs = organs_of(GRID, colon=cut)
    regions = [
        organ_of_interest(organs, settings=OoiSettings(radius_mm=radius)).mask for radius in (0.0, 5.0, 12.5, 30.0)
    ]
    assert all(((small > 0) <= (large > 0)).all() for small, large in pairwise(regions))
    assert all(((small == 2) == (large == 2)).all() for small, large in pairwise(regions))
    assert ((regions[0] > 0) == (regions[0] == 2)).all()


@settings(max_examples=6, deadline=None)
@given(st.sampled_from([(2.0, 2.0, 2.0), (5.0, 1.5, 1.5), (1.3, 2.2, 4.1), (4.0, 4.0, 4.0)]))
def test_the_region_does_not_depend_on_the_spacing(tube, spacing):
    # One colon, drawn finely with a gap of 40 mm, as two segmenters would see it.
    drawn = GRID.with_spacing((1.5, 1.5, 1.5))
    colon = tube(drawn, COURSE, 11.0)
    colon[94:, :, 54:80] = False
    names = load_class_map("gca")
    whole = Organs(Volume(np.where(colon, names["colon"], 0).astype(np.uint8), drawn), names)
    fine = GRID.with_spacing(spacing)
    regions = [organ_of_interest(whole.resampled(grid)) for grid in (GRID, fine)]
    one, other = regions
    assert other.quality.parts_after == one.quality.parts_after == 1
    assert other.quality.ooi_ml == pytest.approx(one.quality.ooi_ml, rel=0.05)
    moved = resample_labels(other.mask, fine, GRID) > 0
    overlap = 2.0 * (moved & (one.mask > 0)).sum() / (moved.sum() + (one.mask > 0).sum())
    assert overlap > 0.94


def test_the_same_input_gives_the_same_bytes(colon, organs_of):
    organs = organs_of(GRID, colon=without(colon, 30, 36))
    one, other = organ_of_interest(organs), organ_of_interest(organs)
    assert one.mask.tobytes() == other.mask.tobytes()
    assert one.core_distance_mm.tobytes() == other.core_distance_mm.tobytes()


def test_a_lesion_joins_the_ring_and_its_coverage_is_told_without(colon, organs_of):
    plain = organ_of_interest(organs_of(GRID, colon=colon))
    lesion = np.zeros(GRID.shape, dtype=bool)
    lesion[53, 33, 30] = True  # within the region
    lesion[20, 60, 20] = True  # far outside
    ooi = organ_of_interest(organs_of(GRID, colon=colon), lesion=lesion)
    assert ooi.quality.lesion_coverage == 0.5
    near = ndimage.distance_transform_edt(~lesion, sampling=3.0) <= 10.0
    assert ((ooi.mask > 0) == ((plain.mask > 0) | near)).all()
    assert ((ooi.mask == 2) == (plain.mask == 2)).all()
    # A network may see the distance: it must not know the lesion.
    assert (ooi.core_distance_mm == plain.core_distance_mm).all()
    nothing = organ_of_interest(organs_of(GRID, colon=colon), lesion=np.zeros_like(lesion))
    assert nothing.quality.lesion_coverage is None


def test_a_ct_keeps_the_region_in_the_body_and_bridges_follow_gas(colon, organs_of):
    hounsfield = np.full(GRID.shape, -1000.0, dtype=np.float32)
    hounsfield[:, 10:52, 5:63] = -100.0
    cut = colon.copy()
    cut[46:, :, 22:44] = False
    # The lost piece runs through gas, in an arc in front of the straight way.
    arc = np.zeros(GRID.shape, dtype=bool)
    arc[50:57, 33:44, 18:22] = arc[50:57, 39:44, 18:48] = arc[50:57, 33:44, 44:48] = True
    hounsfield[arc] = -990.0  # the mean of a voxel of aerated lung is above -930 HU
    organs = organs_of(GRID, colon=cut)
    ooi = organ_of_interest(organs, ct=Volume(hounsfield, GRID))
    assert not (ooi.mask[:, :10] > 0).any()
    middle = arc[:, :, 28:38]
    assert ((ooi.mask[:, :, 28:38] == 2) & middle).any(axis=(0, 1)).all()
    assert (ooi.mask[:, :, 28:38][middle] > 0).all()
    assert not ((organ_of_interest(organs).mask[:, :, 28:38] == 2) & middle).any()


def test_another_grid_is_refused_with_numbers(colon, organs_of):
    organs = organs_of(GRID, colon=colon)
    other = Grid.of(GRID.shape, (3.0, 3.0, 3.0), (0.0, 0.0, 40.0))
    with pytest.raises(InputError, match=r"40\.0 mm apart"):
        organ_of_interest(organs, ct=Volume(np.zeros(GRID.shape, np.float32), other))
    with pytest.raises(InputError, match=r"\(2, 3, 4\)"):
        organ_of_interest(organs, lesion=np.zeros((2, 3, 4), dtype=bool))


@pytest.mark.parametrize("values", [{"radius_mm": -1.0}, {"radius_mm": float("nan")}, {"spacing_mm": 0.2}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(InputError):
        OoiSettings(**values)
