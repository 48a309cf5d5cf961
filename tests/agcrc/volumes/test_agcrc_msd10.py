"""Task10_Colon as it is unpacked, with masks as TotalSegmentator writes them."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest

from agcrc.errors import InputError, WorkError
from agcrc.volumes import Grid, check_dataset, prepare_msd10, read_labels, write_volume

SHAPE = (5, 7, 6)
GRID = Grid(SHAPE, Grid.of(SHAPE, (5.0, 0.8, 0.8)).affine, np.array([[0.0, -1.0], [1.0, 1.0], [2.0, 1.0]]))


def ball() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 2:4, 2:4] = 1
    return mask


@pytest.fixture
def source(tmp_path) -> Path:
    """Two training cases and a test case, with what macOS left in the archive."""
    folder = tmp_path / "Task10_Colon"
    rng = np.random.default_rng(0)
    for number in (1, 5):
        write_volume(folder / f"imagesTr/colon_{number:03d}.nii.gz", rng.normal(0, 300, SHAPE).astype(np.float32), GRID)
        write_volume(folder / f"labelsTr/colon_{number:03d}.nii.gz", ball(), GRID)
        (folder / f"imagesTr/._colon_{number:03d}.nii.gz").write_bytes(b"\0\5\x16\7")
    write_volume(folder / "imagesTs/colon_003.nii.gz", rng.normal(0, 300, SHAPE).astype(np.float32), GRID)
    (folder / "imagesTs/._colon_003.nii.gz").write_bytes(b"\0\5\x16\7")
    (folder / "dataset.json").write_text(
        json.dumps({"name": "Colon", "description": "Colon Cancer Segmentation", "licence": "CC-BY-SA 4.0"})
    )
    return folder


@pytest.fixture
def masks(tmp_path) -> Path:
    folder = tmp_path / "masks"
    for number in (1, 5):
        write_volume(folder / f"colon_{number:03d}.nii.gz", ball() * 20, GRID)
    return folder


@pytest.fixture
def split_masks(tmp_path) -> Path:
    """A file per class; the first case in the subfolder that TotalSegmentator's own dataset has."""
    folder = tmp_path / "split"
    liver = np.zeros(SHAPE, np.uint8)
    liver[4] = 1
    for case in ("colon_001/segmentations", "colon_005"):
        write_volume(folder / case / "colon.nii.gz", ball(), GRID)
        write_volume(folder / case / "liver.nii.gz", liver, GRID)
    write_volume(folder / "colon_005" / "aorta.nii.gz", np.zeros(SHAPE, np.uint8), GRID)
    return folder


@pytest.mark.parametrize("link", [True, False])
def test_label_maps_are_taken_over(link, source, masks, tmp_path):
    dataset = prepare_msd10(source, masks, tmp_path / "out", link=link)
    assert [case.name for case in dataset.training] == ["colon_001", "colon_005"]
    assert [(case.name, case.label, case.organs) for case in dataset.test] == [("colon_003", None, None)]
    assert dataset.class_map == "totalsegmentator_v2"
    assert [problem.message for problem in check_dataset(dataset)] == ["has no organ mask."]
    for case in dataset.training:
        assert case.image.is_symlink() == link
        assert case.image.read_bytes() == (source / "imagesTr" / case.image.name).read_bytes()
        assert case.organs.read_bytes() == (masks / case.organs.name).read_bytes()
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert about["licence"] == "CC-BY-SA 4.0"
    assert about["labels"] == {"background": 0, "lesion": 1}


def test_files_per_class_become_one_map_with_names(source, split_masks, tmp_path):
    dataset = prepare_msd10(source, split_masks, tmp_path / "out")
    numbers = json.loads(Path(dataset.class_map).read_text())
    assert numbers == {"aorta": 1, "colon": 2, "liver": 3}
    for case in dataset.training:
        found = read_labels(case.organs).array
        np.testing.assert_array_equal(found == numbers["colon"], ball() == 1)
        assert (found[4] == numbers["liver"]).all()
        assert set(np.unique(found)) == {0, 2, 3}
    assert [problem.message for problem in check_dataset(dataset)] == ["has no organ mask."]


def test_links_hold_where_the_folders_were_named_relatively(source, masks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = prepare_msd10(Path("Task10_Colon"), Path("masks"), Path("deep/out"))
    assert all(case.image.is_file() and case.organs.is_file() for case in dataset.training)


def test_all_that_is_missing_is_told_at_once(source, masks, tmp_path):
    (source / "labelsTr" / "colon_001.nii.gz").unlink()
    (masks / "colon_001.nii.gz").unlink()
    (masks / "colon_005.nii.gz").unlink()
    with pytest.raises(InputError) as error:
        prepare_msd10(source, masks, tmp_path / "out")
    said = [problem.message for problem in error.value.problems]
    assert said == [
        "there is no label of colon_001.",
        "there are no masks of colon_001.",
        "there are no masks of colon_005.",
    ]
    assert "TotalSegmentator -i" in error.value.problems[1].advice
    assert not (tmp_path / "out").exists()


def test_both_forms_of_masks_at_once_are_refused(source, masks, split_masks, tmp_path):
    (masks / "colon_005.nii.gz").unlink()
    (split_masks / "colon_005").rename(masks / "colon_005")
    with pytest.raises(InputError, match="colon_001 has one label map, but colon_005 a file per class"):
        prepare_msd10(source, masks, tmp_path / "out")


def test_masks_on_different_grids_are_refused_and_nothing_is_left(source, split_masks, tmp_path):
    before = set(tmp_path.iterdir())
    write_volume(split_masks / "colon_005" / "liver.nii.gz", ball(), Grid.of(SHAPE, (5.0, 0.8, 0.8), (9.0, 0.0, 0.0)))
    with pytest.raises(InputError, match=r"liver\.nii\.gz are on different grids: .* mm apart"):
        prepare_msd10(source, split_masks, tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


def test_a_full_disk_leaves_nothing(source, masks, tmp_path):
    (source / "imagesTr" / "colon_005.nii.gz").write_bytes(bytes(50_000))
    existing = set(tmp_path.iterdir())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(WorkError, match="can't be written"):
            prepare_msd10(source, masks, tmp_path / "out", link=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert set(tmp_path.iterdir()) == existing


def test_a_folder_in_use_is_left_alone(source, masks, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        prepare_msd10(source, masks, tmp_path / "out")
    assert (tmp_path / "out" / "precious.txt").read_text() == "mine"


def test_folders_of_something_else_are_refused(source, masks, tmp_path):
    with pytest.raises(InputError, match="has no folder imagesTr"):
        prepare_msd10(tmp_path, masks, tmp_path / "out")
    with pytest.raises(InputError, match="no such folder"):
        prepare_msd10(source, tmp_path / "gone", tmp_path / "out")
    (tmp_path / "empty" / "imagesTr").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no NIfTI file"):
        prepare_msd10(tmp_path / "empty", masks, tmp_path / "out")
