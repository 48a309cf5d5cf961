"""The organ of interest on masks that TotalSegmentator really made, and centrelines against experts' midlines."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from agcrc.anatomy import Organs, centreline, load_class_map, organ_of_interest
from agcrc.volumes import Volume, read_ct, read_labels

BROKEN = ("v1_fast_ml", "v1_full_ml", "v2_fast_force_split_4")
WHOLE = "v2_fast_force_split_1"


@pytest.fixture
def ct_folder(shared):
    return shared / "data" / "ct"


@cache
def example(folder: Path, name: str) -> tuple[Organs, Volume]:
    place = folder / "totalsegmentator_example"
    class_map = load_class_map("totalsegmentator_v1" if name.startswith("v1") else "totalsegmentator_v2")
    organs = Organs(read_labels(place / "mask_variants" / f"{name}.nii.gz"), class_map)
    return organs, read_ct(place / "example_ct.nii.gz")


@pytest.mark.parametrize("name", [*BROKEN, WHOLE])
def test_each_mask_covers_all_four_within_four_point_six_litres(ct_folder, name):
    organs, ct = example(ct_folder, name)
    ooi = organ_of_interest(organs, ct=ct)
    assert ooi.quality.mode == "colon"
    assert (ooi.quality.parts_before > 1) == (name in BROKEN)
    assert ooi.quality.parts_after == 1
    union = np.logical_or.reduce([example(ct_folder, each)[0].mask("colon") for each in (*BROKEN, WHOLE)])
    assert (union & (ooi.mask > 0)).sum() / union.sum() >= 0.985
    assert ooi.quality.ooi_ml <= 4_600


@pytest.mark.parametrize(
    ("share", "recovered"),
    # At a fifth the end of a stump is not found, and the bridge is a chord of the loop that was lost.
    [(0.2, 0.55), (0.25, 0.85), (0.5, 0.75), (0.75, 0.85)],
)
def test_a_cut_of_50_mm_in_a_whole_colon_is_bridged(ct_folder, share, recovered):
    organs, ct = example(ct_folder, WHOLE)
    colon, spacing = organs.mask("colon"), np.array(organs.grid.spacing)
    points = centreline(colon, organs.grid.spacing).points * spacing
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    places = np.argwhere(colon)
    away, nearest = cKDTree(points).query(places * spacing)
    # The line passes by some loops of this colon: what is further away than a tube is wide belongs to these.
    lost = tuple(places[(np.abs(along[nearest] - share * along[-1]) <= 25.0) & (away <= 40.0)].T)
    array = organs.volume.array.copy()
    array[lost] = 0
    ooi = organ_of_interest(Organs(Volume(array, organs.grid), organs.class_map), ct=ct)
    assert ooi.quality.parts_before > 1
    assert ooi.quality.parts_after == 1
    assert (ooi.mask[lost] > 0).mean() >= recovered


def test_a_line_with_a_shortcut_is_told(ct_folder):
    """Loops of the example's colon are fused: its line passes by a quarter of it."""
    organs, _ = example(ct_folder, WHOLE)
    found = centreline(organs.mask("colon"), organs.grid.spacing)
    assert not found.reliable
    assert "it takes a shortcut" in found.reason


@pytest.mark.parametrize(("model", "least"), [("EdinGCA_3D_00020", 1.0), ("EdinGCA_3D_00060", 0.75)])
def test_centrelines_follow_the_experts_midlines(ct_folder, model, least):
    folder = ct_folder / "gca_colon_models" / model
    organs = Organs(read_labels(folder / "labels.nii.gz"), load_class_map("gca"))
    grid = organs.grid
    found = centreline(organs.mask("colon"), grid.spacing)
    expert = np.array(json.loads((folder / "large_intestine_midline.json").read_text())["points_mm"])
    mine = grid.to_mm(found.points)
    assert found.reliable
    assert (cKDTree(mine).query(expert)[0] <= 15.0).mean() >= least
    # Anus first, as the expert's.
    assert np.linalg.norm(mine[0] - expert[0]) < np.linalg.norm(mine[0] - expert[-1])


def test_a_slab_with_a_piece_of_colon_is_handled(ct_folder):
    folder = ct_folder / "totalsegmentator_dicom_slab"
    organs = Organs(read_labels(folder / "totalseg_v2_labels.nii.gz"), load_class_map("totalsegmentator_v2"))
    ooi = organ_of_interest(organs, ct=read_ct(folder / "ct.nii.gz"))
    assert ooi.quality.mode == "colon"
    assert ooi.mask.shape == organs.grid.shape
    assert "feet" in ooi.quality.field_of_view_contact


def test_without_a_usable_colon_the_abdomen_is_looked_at(ct_folder):
    ct = read_ct(ct_folder / "abdomen_ct" / "acrin_abdomen_3mm.nii.gz")
    nothing = Organs(Volume(np.zeros(ct.grid.shape, np.uint8), ct.grid), load_class_map("totalsegmentator_v2"))
    assert organ_of_interest(nothing, ct=ct).quality.mode == "fallback"
    organs, example_ct = example(ct_folder, WHOLE)
    array = np.where(organs.volume.array == organs.class_map["colon"], 0, organs.volume.array)
    deleted = organ_of_interest(Organs(Volume(array, organs.grid), organs.class_map), ct=example_ct)
    assert deleted.quality.mode == "fallback"
    assert (organs.mask("colon") & (deleted.mask > 0)).sum() / organs.mask("colon").sum() > 0.95


def test_air_is_absent(ct_folder):
    _, ct = example(ct_folder, WHOLE)
    air = Volume(np.full(ct.grid.shape, -1000.0, np.float32), ct.grid)
    nothing = Organs(Volume(np.zeros(ct.grid.shape, np.uint8), ct.grid), load_class_map("totalsegmentator_v2"))
    ooi = organ_of_interest(nothing, ct=air)
    assert ooi.quality.mode == "absent"
    assert not ooi.mask.any()
