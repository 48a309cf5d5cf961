from __future__ import annotations

import numpy as np
import pytest

from agcrc.anatomy import OoiSettings, choose_radius, organ_of_interest
from agcrc.errors import InputError
from agcrc.volumes import Grid

GRID = Grid.of((40, 50, 50), (3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def organs(organs_of, tube):
    return organs_of(GRID, colon=tube(GRID, [(60, 60, 20), (60, 60, 130)], 12.0))


@pytest.fixture(scope="module")
def widest(organs):
    return organ_of_interest(organs, settings=OoiSettings(radius_mm=30.0))


def lesion_at(widest, low, high, count):
    """Voxels whose distance to the core is in a range, all in one corner so that they touch each other."""
    away = widest.core_distance_mm
    places = np.argwhere((away >= low) & (away < high) & (np.indices(GRID.shape)[1] > 20))[:count]
    lesion = np.zeros(GRID.shape, dtype=bool)
    lesion[tuple(places.T)] = True
    return lesion


def test_it_is_the_smallest_that_holds_the_lesions(organs, widest):
    lesion = lesion_at(widest, 0.0, 17.5, 4000)
    choice = choose_radius([(widest, lesion), (widest, np.zeros(GRID.shape, dtype=bool))])
    assert choice.enough
    held = [
        float((organ_of_interest(organs, settings=OoiSettings(radius_mm=float(r))).mask[lesion] > 0).mean())
        for r in (choice.radius_mm - 1, choice.radius_mm)
    ]
    assert held[0] < 0.995 <= held[1]
    assert choice.coverage[choice.radius_mm] == pytest.approx(held[1])
    assert list(choice.coverage.values()) == sorted(choice.coverage.values())


def test_a_small_lesion_far_away_counts_as_much_as_a_large_one(widest):
    large, small = lesion_at(widest, 0.0, 6.0, 3000), np.zeros(GRID.shape, dtype=bool)
    place = np.argwhere((widest.core_distance_mm > 21.0) & (widest.core_distance_mm < 22.0))[0]
    small[tuple(place)] = True
    assert choose_radius([(widest, large)]).radius_mm <= 6
    both = choose_radius([(widest, large | small)])
    # 99.5 % of the voxels are held long before: the one lesion decides.
    assert both.coverage[10] > 0.999
    assert both.untouched[21] == 1
    assert both.radius_mm == 22


def test_where_none_suffices_the_largest_is_given_and_said(organs):
    far = np.zeros(GRID.shape, dtype=bool)
    far[38, 48, 48] = True
    choice = choose_radius([(organ_of_interest(organs, settings=OoiSettings(radius_mm=30.0)), far)])
    assert (choice.radius_mm, choice.enough, choice.lesions) == (30, False, 1)


def test_masks_that_can_not_tell_are_refused(organs, widest):
    lesion = lesion_at(widest, 0.0, 6.0, 100)
    narrow = organ_of_interest(organs)
    leaked = organ_of_interest(organs, lesion=lesion, settings=OoiSettings(radius_mm=30.0))
    for ooi, message in ((narrow, "r = 15 mm"), (leaked, "with the lesion")):
        with pytest.raises(InputError, match=message):
            choose_radius([(ooi, lesion)])
    with pytest.raises(InputError, match="no case has a lesion"):
        choose_radius([(widest, np.zeros(GRID.shape, dtype=bool))])
