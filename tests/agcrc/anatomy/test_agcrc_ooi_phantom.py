"""The organ of interest on phantoms: recall, monotony, invariance; radius and files."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest

from agcrc.anatomy import (
    OoiSettings,
    Organs,
    choose_radius,
    load_class_map,
    ooi_files,
    organ_of_interest,
    use_label_map,
)
from agcrc.errors import InputError
from agcrc.phantom import PhantomSettings, make_case, tier_named
from agcrc.volumes import Volume, read_labels, write_volume


@pytest.fixture(scope="module")
def case():
    return make_case(PhantomSettings(tier_named("smoke")), 1001)


def organs_of(case, array=None):
    labels = case.organs if array is None else array
    return Organs(Volume(labels, case.grid), load_class_map("totalsegmentator_v2"))


def test_the_region_holds_the_true_colon_and_grows_with_the_radius(case):
    regions = [
        organ_of_interest(organs_of(case), ct=Volume(case.ct, case.grid), settings=OoiSettings(radius_mm=radius))
        for radius in (0.0, 10.0, 15.0, 30.0)
    ]
    sizes = [int((each.mask > 0).sum()) for each in regions]
    assert sizes == sorted(sizes)
    assert all(((a.mask > 0) <= (b.mask > 0)).all() for a, b in pairwise(regions))
    truth = case.organs_true == 20
    assert (truth & (regions[2].mask > 0)).sum() / truth.sum() > 0.95
    assert regions[0].quality.parts_before > 1
    assert regions[0].quality.parts_after == 1


def test_distances_are_zero_in_the_core_and_end_at_the_radius(case):
    ooi = organ_of_interest(organs_of(case), settings=OoiSettings(radius_mm=20.0))
    assert (ooi.core_distance_mm[ooi.mask == 2] <= 3.0).all()
    assert (ooi.core_distance_mm[ooi.mask == 1] <= 20.0 + 6.0).all()


def test_the_orientation_of_the_file_changes_nothing(case, tmp_path):
    path = tmp_path / "organs.nii.gz"
    write_volume(path, case.organs, case.grid)
    image = nib.load(path)
    turned = nib.Nifti1Image(
        np.asarray(image.dataobj)[::-1, ::-1],
        image.affine @ np.array([[-1, 0, 0, 47], [0, -1, 0, 47], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    )
    nib.save(turned, tmp_path / "turned.nii.gz")
    one = ooi_files(path, None, None, "totalsegmentator_v2", tmp_path / "one.nii.gz")
    two = ooi_files(tmp_path / "turned.nii.gz", None, None, "totalsegmentator_v2", tmp_path / "two.nii.gz")
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
    assert (read_labels(tmp_path / "one.nii.gz").array == read_labels(tmp_path / "two.nii.gz").array).all()
    record = json.loads((tmp_path / "two.json").read_text())
    assert record["mode"] == "colon"
    assert (tmp_path / "two.png").stat().st_size > 10_000


def test_the_radius_holds_the_lesions_it_was_chosen_on():
    cases = [make_case(PhantomSettings(tier_named("smoke")), seed) for seed in (1001, 1003, 1004)]
    wide = OoiSettings(radius_mm=30.0)
    pairs = [
        (organ_of_interest(organs_of(case), ct=Volume(case.ct, case.grid), settings=wide), case.lesion > 0)
        for case in cases
    ]
    choice = choose_radius(pairs)
    radius = choice.radius_mm
    assert 5.0 <= radius <= 30.0
    distances = np.concatenate([ooi.core_distance_mm[lesion] for ooi, lesion in pairs if lesion.any()])
    assert (distances <= radius).mean() >= 0.995 or not choice.enough


def test_lesions_in_training_add_their_surroundings_and_coverage_is_told_without_them(case):
    plain = organ_of_interest(organs_of(case))
    far = np.zeros(case.grid.shape, dtype=bool)
    far[tuple(np.argwhere(plain.mask == 0)[200])] = True
    with_lesion = organ_of_interest(organs_of(case), lesion=far)
    assert with_lesion.quality.lesion_coverage == 0.0
    assert (with_lesion.mask[far] > 0).all()


def test_label_maps_are_brought_into_other_numbers_by_name(case, tmp_path):
    table = {"colon": 7, "small_bowel": 3}
    (tmp_path / "mine.json").write_text(json.dumps(table))
    mine = (case.organs == 20).astype(np.uint8) * 7 + (case.organs == 18).astype(np.uint8) * 3
    write_volume(tmp_path / "mine.nii.gz", mine, case.grid)
    use_label_map(tmp_path / "mine.nii.gz", str(tmp_path / "mine.json"), tmp_path / "v2.nii.gz")
    found = read_labels(tmp_path / "v2.nii.gz").array
    assert (found == np.where(np.isin(case.organs, (18, 20)), case.organs, 0)).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"small_bowel": 3}', "colon"),
        ('{"colon": 0}', "colon"),
        ("[]", "map.json"),
        ('{"colonn": 3, "colon": 2}', "colonn"),
    ],
)
def test_wrong_class_maps_are_told(tmp_path, content, message):
    (tmp_path / "map.json").write_text(content)
    with pytest.raises(InputError, match=message):
        load_class_map(str(tmp_path / "map.json"))


def test_labels_that_the_class_map_does_not_name_are_told(case):
    array = case.organs.copy()
    array[0, 0, 0] = 250
    with pytest.raises(InputError, match="250"):
        organs_of(case, array)
