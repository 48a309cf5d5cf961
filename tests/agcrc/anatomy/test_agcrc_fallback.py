"""What happens without a colon that can be used: a region or nothing, and always a reason."""

from __future__ import annotations

import numpy as np
import pytest

from agcrc.anatomy import organ_of_interest
from agcrc.errors import InputError
from agcrc.volumes import Grid, Volume

GRID = Grid.of((40, 60, 60), (5.0, 5.0, 5.0))


def body_ct(grid: Grid, chest_from: int | None = None) -> Volume:
    z, y, x = np.indices(grid.shape)
    inside = ((y - 30) / 20.0) ** 2 + ((x - 30) / 26.0) ** 2 <= 1.0
    values = np.where(inside, 40.0, -1000.0).astype(np.float32)
    if chest_from is not None:
        lungs = (((y - 30) / 15.0) ** 2 + ((abs(x - 30) - 11) / 9.0) ** 2 <= 1.0) & (z >= chest_from)
        values[lungs] = -850.0
    return Volume(values, grid)


def block(grid: Grid, *slices: slice) -> np.ndarray:
    mask = np.zeros(grid.shape, dtype=bool)
    mask[slices] = True
    return mask


def test_an_empty_label_map_leaves_it_to_the_ct(organs_of):
    ooi = organ_of_interest(organs_of(GRID), ct=body_ct(GRID, chest_from=25))
    assert ooi.quality.mode == "fallback"
    assert "no colon" in ooi.quality.reason
    planes = np.flatnonzero(ooi.mask.any(axis=(1, 2)))
    # In millimetres: planes of the copy are not those of the file.
    assert planes[0] == 0
    assert 23 <= planes[-1] <= 25
    assert ooi.mask[12, 30, 30] == 2
    assert (ooi.core_distance_mm[ooi.mask == 2] == 0).all()
    assert not ooi.mask[12, 30, 5]
    assert ooi.mask[12, 30, 3] == 0


def test_an_empty_label_map_without_ct_is_absent(organs_of):
    ooi = organ_of_interest(organs_of(GRID))
    assert (ooi.quality.mode, ooi.quality.ooi_ml) == ("absent", 0.0)
    assert "no organ at all" in ooi.quality.reason
    assert not ooi.mask.any()
    assert np.isinf(ooi.core_distance_mm).all()


def test_air_is_absent_and_contradicts_organs(organs_of):
    air = Volume(np.full(GRID.shape, -1000.0, dtype=np.float32), GRID)
    assert organ_of_interest(organs_of(GRID), ct=air).quality.mode == "absent"
    liver = block(GRID, slice(20, 30), slice(20, 40), slice(30, 50))
    with pytest.raises(InputError, match="no body"):
        organ_of_interest(organs_of(GRID, liver=liver), ct=air)


def test_a_chest_is_absent_even_with_a_ct(organs_of):
    lung = block(GRID, slice(10, 35), slice(15, 45), slice(35, 50))
    ooi = organ_of_interest(organs_of(GRID, lung_upper_lobe_right=lung, heart=~lung), ct=body_ct(GRID))
    assert ooi.quality.mode == "absent"
    assert "lung_upper_lobe_right" in ooi.quality.reason


def test_the_range_ends_at_the_organs_in_view(organs_of):
    liver = block(GRID, slice(20, 28), slice(20, 40), slice(30, 50))
    sacrum = block(GRID, slice(10, 16), slice(12, 16), slice(26, 34))
    ooi = organ_of_interest(organs_of(GRID, liver=liver, sacrum=sacrum), ct=body_ct(GRID))
    planes = np.flatnonzero(ooi.mask.any(axis=(1, 2)))
    # 20 mm beyond the sacrum's and the liver's ends.
    assert (planes[0], planes[-1]) == (6, 31)
    # The liver itself, without its outer layer, is no place for the colon.
    assert not ooi.mask[24, 30, 40]


@pytest.mark.parametrize(("voxels", "mode"), [(32, "fallback"), (2000, "colon")])
def test_too_little_colon_is_implausible(organs_of, voxels, mode):
    colon = np.zeros(GRID.shape, dtype=bool)
    places = np.argwhere(block(GRID, slice(10, 30), slice(25, 35), slice(20, 30)))[:voxels]
    colon[tuple(places.T)] = True
    liver = block(GRID, slice(20, 38), slice(20, 40), slice(36, 50))
    ooi = organ_of_interest(organs_of(GRID, liver=liver, colon=colon), ct=body_ct(GRID))
    assert ooi.quality.mode == mode
    assert ooi.mask[colon].all()
    if mode == "fallback":
        assert "4.0 mL" in ooi.quality.reason


@pytest.mark.parametrize("planes", [1, 2])
def test_a_ct_of_one_or_two_planes_is_no_crash(organs_of, planes):
    grid = Grid.of((planes, 60, 60), (5.0, 5.0, 5.0))
    ct = Volume(body_ct(GRID).array[:planes], grid)
    colon = block(grid, slice(0, planes), slice(25, 35), slice(20, 30))
    found = organ_of_interest(organs_of(grid, colon=colon), ct=ct)
    assert found.quality.mode == "colon"
    assert found.mask[colon].all()
    assert set(found.quality.field_of_view_contact) >= {"feet", "head"}
    assert organ_of_interest(organs_of(grid), ct=ct).quality.mode == "fallback"


def test_a_colon_that_fills_the_body_is_implausible(organs_of):
    ooi = organ_of_interest(organs_of(GRID, colon=block(GRID, slice(0, 40), slice(10, 50), slice(5, 55))))
    assert ooi.quality.mode == "fallback"
    assert "more than 8000 mL" in ooi.quality.reason
