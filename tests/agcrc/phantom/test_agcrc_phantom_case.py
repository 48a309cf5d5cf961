from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from agcrc.errors import InputError
from agcrc.phantom import LABELS, TIERS, Degradation, PhantomCase, PhantomSettings, make_case, tier_named
from agcrc.phantom.lesions import draw_places
from agcrc.volumes import read_labels

COLON = LABELS["colon"]
NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
ARRAYS = ("ct", "organs_true", "organs", "lesion", "distractors", "centreline")


def parts(mask: np.ndarray) -> int:
    return int(ndimage.label(mask, NEIGHBOURS)[1])


def inner_hu(case: PhantomCase, mask: np.ndarray) -> float:
    """Median of the voxels that no border blurs, where there are enough of them."""
    inner = ndimage.binary_erosion(mask)
    return float(np.median(case.ct[inner if inner.sum() > 20 else mask > 0]))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_case(smoke_cases):
    first, other = smoke_cases[-1], smoke_cases[0]
    again = make_case(PhantomSettings(TIERS["smoke"]), first.seed)
    assert first.lesions
    for name in ARRAYS:
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes(), name
    assert (first.lesions, first.distractor_list, first.damage) == (again.lesions, again.distractor_list, again.damage)
    assert (first.organs_true != other.organs_true).any()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_every_seed_gives_a_whole_case(seed):
    case = make_case(PhantomSettings(TIERS["smoke"]), seed)
    low, high = TIERS["smoke"].lesion_ml
    voxel = case.grid.voxel_ml
    assert parts(case.organs_true == COLON) == 1
    assert parts(case.lesion) == len(case.lesions) <= 2
    assert 4 <= len(case.distractor_list) == parts(case.distractors) <= 7
    for mass in (*case.lesions, *case.distractor_list):
        assert low - voxel <= mass.volume_ml <= high + voxel
    assert sum(each.volume_ml for each in case.lesions) == pytest.approx(float(case.lesion.sum()) * voxel)
    assert not (ndimage.binary_dilation(case.distractors, NEIGHBOURS) & (case.organs_true == COLON)).any()


@pytest.mark.parametrize("tier", ["smoke", "cpu", "gpu"])
def test_each_tier_has_a_case_of_its_form(tier):
    chosen = tier_named(tier)
    case = make_case(PhantomSettings(chosen, healthy_share=0.0), 1)
    shapes = {"smoke": (48, 48, 48), "cpu": (96, 80, 96), "gpu": (192, 160, 192)}
    for name in ("ct", "organs_true", "organs", "lesion", "distractors"):
        assert getattr(case, name).shape == shapes[tier] == case.grid.shape
    assert case.grid.spacing == pytest.approx((chosen.spacing_mm,) * 3)
    assert case.ct.dtype == np.float32
    assert {case.organs_true.dtype, case.organs.dtype, case.lesion.dtype, case.distractors.dtype} == {np.dtype("uint8")}
    assert (case.ct == np.rint(case.ct)).all()
    assert -1024 <= case.ct.min() < -900
    assert case.ct.max() > 400
    # The whole colon lies in view: it ends before the border everywhere but at the anus.
    colon = np.argwhere(case.organs_true == COLON)
    assert (colon[:, 1:] > 0).all()
    assert (colon < np.array(case.grid.shape) - 1).all()
    assert {LABELS[name] for name in ("liver", "spleen", "sacrum", "hip_left", "small_bowel")} <= set(
        np.unique(case.organs_true)
    )


def test_small_faint_lesions_belong_to_the_fine_tier_alone():
    for name in ("smoke", "cpu"):
        assert TIERS[name].lesion_ml[0] >= 8
        assert TIERS[name].lesion_above_wall_hu[0] >= 40
    assert TIERS["gpu"].lesion_ml[0] < 8
    # Walls of 40 to 55 HU: lesions of about 60 to 85 HU.
    low, high = TIERS["gpu"].lesion_above_wall_hu
    assert 55 <= 40 + low <= 60
    assert 75 <= 40 + high <= 55 + high <= 90


def test_labels_are_those_of_totalsegmentator(shared):
    real = json.loads((shared / "data" / "ct" / "totalsegmentator_v2_class_map.json").read_text())
    assert {name: real.get(name) for name in LABELS} == dict(LABELS)


def test_lesions_sit_on_the_colon_wall(clean_cases):
    for case in clean_cases:
        assert case.lesions
        assert set(np.unique(case.lesion)) == {0, 1}
        # In the truth a lesion is colon, and healthy colon is right beside it.
        assert (case.organs_true[case.lesion > 0] == COLON).all()
        rest = (case.organs_true == COLON) & (case.lesion == 0)
        numbered, count = ndimage.label(case.lesion, NEIGHBOURS)
        for number in range(1, count + 1):
            assert (ndimage.binary_dilation(numbered == number, NEIGHBOURS) & rest).sum() > 20
        arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(case.centreline, axis=0), axis=1))])
        for lesion in case.lesions:
            assert 0 < lesion.position < 1
            assert lesion.position_mm == pytest.approx(lesion.position * arc[-1], rel=0.01)
            place = case.centreline[np.argmin(np.abs(arc - lesion.position_mm))]
            assert np.linalg.norm(place - np.array(lesion.centre_mm)) < 50
            z, y, x = np.rint(case.grid.to_index(np.array(lesion.centre_mm))).astype(int)
            near = case.lesion[z - 4 : z + 5, y - 4 : y + 5, x - 4 : x + 5]
            assert near.any()


def test_distractors_look_like_lesions_and_hu_gap_darkens_them(clean_cases):
    apart = [inner_hu(case, case.lesion) - inner_hu(case, case.distractors) for case in clean_cases]
    assert abs(np.mean(apart)) < 8
    wanted = dataclasses.replace(
        PhantomSettings(TIERS["cpu"], healthy_share=0.0, degrade=Degradation.none()), hu_gap=30.0
    )
    darker = make_case(wanted, 0)
    assert (darker.lesion == clean_cases[0].lesion).all()
    assert (darker.distractors == clean_cases[0].distractors).all()
    change = clean_cases[0].ct.astype(np.float64) - darker.ct
    assert change[ndimage.binary_erosion(darker.distractors)].mean() == pytest.approx(30, abs=2)
    assert np.abs(change[ndimage.binary_dilation(darker.distractors, iterations=3) == 0]).max() <= 1


def test_lesions_stand_out_from_the_wall_as_the_tier_says(clean_cases):
    for case in clean_cases:
        assert 75 <= inner_hu(case, case.lesion) <= 120


def test_size_and_shape_of_distractors_follow_those_of_lesions(smoke_cases, clean_cases):
    cases = [*smoke_cases, *clean_cases]
    lesions = [each for case in cases for each in case.lesions]
    distractors = [each for case in cases for each in case.distractor_list]
    assert {each.shape for each in distractors} == {"polypoid", "plaque", "annular"}
    assert {each.shape for each in lesions} == {"polypoid", "plaque", "annular"}
    assert {each.site for each in distractors} == {"bowel", "mesentery", "organ"}
    ratio = np.median([d.volume_ml for d in distractors]) / np.median([each.volume_ml for each in lesions])
    assert 0.6 < ratio < 1.7


def test_healthy_cases_come_in_their_share_and_have_distractors():
    population = PhantomSettings(TIERS["smoke"])
    draws = [draw_places(population, 1000.0, np.random.default_rng(seed)) for seed in range(2000)]
    assert np.mean([not places for places in draws]) == pytest.approx(0.2, abs=0.03)
    counts = {len(places) for places in draws if places}
    assert counts == {1, 2}
    healthy = make_case(dataclasses.replace(population, healthy_share=1.0), 3)
    assert healthy.healthy
    assert not healthy.lesion.any()
    assert healthy.distractors.any()


def test_the_centreline_runs_from_the_anus_through_the_whole_colon(clean_cases):
    for case in clean_cases:
        steps = np.linalg.norm(np.diff(case.centreline, axis=0), axis=1)
        assert 800 < steps.sum() < 1600
        assert steps.max() < 3
        # Lowest at the anus, and the caecum on the right hand side.
        assert case.centreline[0, 2] == case.centreline[:, 2].min()
        assert case.centreline[-1, 0] > 40
        z, y, x = np.rint(case.grid.to_index(case.centreline)).astype(int).T
        assert (case.organs_true[z, y, x] == COLON).mean() > 0.98


def test_noise_and_tissues_have_the_grey_values_of_a_ct(clean_cases):
    for case in clean_cases:
        liver = case.ct[ndimage.binary_erosion(case.organs_true == LABELS["liver"], iterations=2)]
        assert 75 < liver.mean() < 120
        assert 13 < liver.std() < 24
        lungs = case.ct[ndimage.binary_erosion(case.organs_true == LABELS["lung_lower_lobe_right"])]
        assert lungs.mean() < -600
        colon = case.ct[case.organs_true == COLON]
        assert (colon < -700).any()


def test_organs_are_as_large_as_real_ones(shared: Path, clean_cases):
    """Against a real mask of TotalSegmentator: volumes within a factor of 3."""
    folder = shared / "data" / "ct" / "totalsegmentator_example" / "mask_variants"
    real = read_labels(folder / "v2_fast_force_split_1.nii.gz")
    for name in ("liver", "spleen", "kidney_left", "kidney_right", "colon", "small_bowel", "sacrum", "hip_left"):
        theirs = float((real.array == LABELS[name]).sum()) * real.grid.voxel_ml
        for case in clean_cases:
            ours = float((case.organs_true == LABELS[name]).sum()) * case.grid.voxel_ml
            assert 1 / 3 < ours / theirs < 3, (name, ours, theirs)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"distractors": (7, 4)}, "distractors runs from 7 to 4"),
        ({"healthy_share": 1.5}, "healthy_share is 1.5"),
        ({"lesions": (0, 2)}, "lesions starts below 1"),
        ({"hu_gap": -3.0}, "hu_gap runs from 0 to -3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, word):
    with pytest.raises(InputError, match=word):
        PhantomSettings(TIERS["smoke"], **change)


def test_an_unknown_tier_is_refused_with_the_list():
    with pytest.raises(InputError, match="smoke, cpu, gpu"):
        tier_named("huge")
