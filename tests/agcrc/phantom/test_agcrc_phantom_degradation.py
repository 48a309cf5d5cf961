from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from agcrc.errors import InputError
from agcrc.phantom import LABELS, TIERS, Degradation, PhantomCase, PhantomSettings, degrade_organs, make_case
from agcrc.phantom.degrade import Damage
from agcrc.volumes import Grid

COLON, SMALL_BOWEL = LABELS["colon"], LABELS["small_bowel"]
NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
NONE = Degradation.none()


def damaged(case: PhantomCase, wanted: Degradation, seed: int = 0) -> tuple[np.ndarray, Damage]:
    arcs = [lesion.position_mm for lesion in case.lesions]
    rng = np.random.default_rng(seed)
    return degrade_organs(case.organs_true, case.lesion, case.centreline, arcs, case.grid, wanted, rng)


def arcs_of(case: PhantomCase, mask: np.ndarray) -> np.ndarray:
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(case.centreline, axis=0), axis=1))])
    return arc[cKDTree(case.centreline).query(case.grid.to_mm(np.argwhere(mask).astype(float)))[1]]


def test_everything_off_leaves_the_mask_alone(clean_cases):
    for case in clean_cases:
        organs, damage = damaged(case, NONE)
        assert (organs == case.organs_true).all()
        assert damage == Damage()
        assert organs is not case.organs_true


def test_dropped_segments_break_the_colon_where_they_say(clean_cases):
    wanted = dataclasses.replace(NONE, dropped_segments_mm=(40.0, 60.0))
    for case in clean_cases:
        for seed in range(3):
            organs, damage = damaged(case, wanted, seed)
            gone = organs != case.organs_true
            assert 1 <= len(damage.dropped_mm) <= 2
            assert (case.organs_true[gone] == COLON).all()
            assert (organs[gone] == 0).all()
            places = arcs_of(case, gone)
            inside = np.zeros(len(places), dtype=bool)
            for start, end in damage.dropped_mm:
                assert 40 <= end - start <= 60
                inside |= (places >= start) & (places <= end)
                left = arcs_of(case, organs == COLON)
                assert not ((left > start) & (left < end)).any()
            assert inside.all()
            assert ndimage.label(case.organs_true == COLON, NEIGHBOURS)[1] == 1
            assert ndimage.label(organs == COLON, NEIGHBOURS)[1] > 1


def test_gaps_of_a_given_length_have_that_length(clean_cases):
    for gap in (30.0, 60.0, 100.0):
        _, damage = damaged(clean_cases[0], dataclasses.replace(NONE, dropped_segments_mm=(gap, gap)))
        assert [end - start for start, end in damage.dropped_mm] == pytest.approx([gap] * len(damage.dropped_mm))


def test_gaps_prefer_lesions(clean_cases):
    """Half of the first gaps lie at a lesion, where organ networks fail."""
    case = clean_cases[0]
    wanted = dataclasses.replace(NONE, dropped_segments_mm=(40.0, 40.0))
    places = [lesion.position_mm for lesion in case.lesions]
    hits = 0
    for seed in range(40):
        _, damage = damaged(case, wanted, seed)
        hits += any(start - 5 <= place <= end + 5 for start, end in damage.dropped_mm for place in places)
    assert 0.3 < hits / 40 < 0.8


def test_the_tumour_loses_its_share_and_nothing_else_changes(clean_cases):
    for share in (0.3, 0.7, 1.0):
        for case in clean_cases:
            organs, damage = damaged(case, dataclasses.replace(NONE, tumour_drop=share))
            lesion = case.lesion > 0
            assert (organs[lesion] != COLON).mean() == pytest.approx(share, abs=0.02)
            assert damage.tumour_dropped == pytest.approx(share, abs=0.02)
            assert (organs[~lesion] == case.organs_true[~lesion]).all()


def test_jitter_moves_the_surface_by_its_standard_deviation(clean_cases):
    for case in clean_cases:
        truth = case.organs_true == COLON
        half = case.grid.spacing[0] / 2
        inside = ndimage.distance_transform_edt(truth, sampling=case.grid.spacing)
        outside = ndimage.distance_transform_edt(~truth, sampling=case.grid.spacing)
        depth = np.where(truth, half - inside, outside - half)
        spread = []
        for jitter in (1.5, 3.0):
            organs, _ = damaged(case, dataclasses.replace(NONE, boundary_jitter_mm=jitter))
            colon = organs == COLON
            # Faces between colon and fat: the surface runs half-way between the two voxels.
            free = colon | (organs == 0)
            face = colon[:, :, 1:] != colon[:, :, :-1]
            face &= free[:, :, 1:] & free[:, :, :-1]
            spread.append(float(((depth[:, :, 1:] + depth[:, :, :-1]) / 2)[face].std()))
            others = ~np.isin(case.organs_true, (0, SMALL_BOWEL, COLON))
            assert (organs[others] == case.organs_true[others]).all()
        assert 1.8 < spread[1] < 4.2
        assert spread[0] < spread[1]


def test_leaks_turn_neighbouring_small_bowel_into_colon(clean_cases):
    for case in clean_cases:
        organs, damage = damaged(case, dataclasses.replace(NONE, leaks=True))
        leaked = (case.organs_true == SMALL_BOWEL) & (organs == COLON)
        assert damage.leak_ml == pytest.approx(float(leaked.sum()) * case.grid.voxel_ml)
        assert damage.leak_ml > 1
        assert (case.organs_true[organs != case.organs_true] != COLON).all()
        # What leaked hangs together with the colon.
        assert ndimage.label(organs == COLON, NEIGHBOURS)[1] == 1


def test_a_part_is_called_small_bowel(clean_cases):
    for case in clean_cases:
        organs, damage = damaged(case, dataclasses.replace(NONE, part_called_small_bowel=True))
        changed = organs != case.organs_true
        assert changed.any()
        assert (case.organs_true[changed] == COLON).all()
        assert (organs[changed] == SMALL_BOWEL).all()
        assert damage.relabelled_mm is not None
        start, end = damage.relabelled_mm
        assert 20 <= end - start <= 60
        places = arcs_of(case, changed)
        assert start <= places.min()
        assert places.max() <= end


def test_the_colon_is_missing_in_its_share():
    grid = Grid.of((3, 3, 3), (10.0, 10.0, 10.0))
    organs = np.full((3, 3, 3), COLON, dtype=np.uint8)
    organs[0] = LABELS["liver"]
    lesion = np.zeros_like(organs)
    line = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 300.0]])
    wanted = dataclasses.replace(NONE, colon_missing=0.03)
    missing = []
    for seed in range(3000):
        found, damage = degrade_organs(organs, lesion, line, [], grid, wanted, np.random.default_rng(seed))
        assert damage.colon_missing == (not (found == COLON).any())
        assert (found[0] == LABELS["liver"]).all()
        missing.append(damage.colon_missing)
    assert np.mean(missing) == pytest.approx(0.03, abs=0.012)


def test_a_switch_changes_neither_the_ct_nor_the_other_damage(smoke_cases):
    population = PhantomSettings(TIERS["smoke"])
    full = smoke_cases[0]
    calm = make_case(
        dataclasses.replace(population, degrade=Degradation(boundary_jitter_mm=0.0, leaks=False)), full.seed
    )
    assert (calm.ct == full.ct).all()
    assert (calm.organs_true == full.organs_true).all()
    assert calm.damage.dropped_mm == full.damage.dropped_mm
    assert calm.damage.relabelled_mm == full.damage.relabelled_mm
    assert (calm.organs != full.organs).any()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tumour_drop": 1.2}, "tumour_drop is 1.2"),
        ({"colon_missing": -0.1}, "colon_missing is -0.1"),
        ({"dropped_segments_mm": (60.0, 20.0)}, "dropped_segments_mm runs from 60 to 20"),
        ({"boundary_jitter_mm": -1.0}, "boundary_jitter_mm"),
    ],
)
def test_damage_that_makes_no_sense_is_refused(change, word):
    with pytest.raises(InputError, match=word):
        Degradation(**change)
