"""Dataset folders in three forms, and every fault of their files in one report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from agcrc.errors import InputError, Problem
from agcrc.volumes import Case, Grid, Remark, check_dataset, open_dataset, write_volume

SHAPE = (6, 8, 7)
GRID = Grid.of(SHAPE, (3.0, 2.0, 2.0), (-10.0, 5.0, 300.0))


def ct() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 200, SHAPE).astype(np.float32)


def lesion() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:4, 3:5, 3:5] = 1
    return mask


def organs() -> np.ndarray:
    return lesion() * 20


def put(folder: Path, name: str, array: np.ndarray, grid: Grid = GRID) -> str:
    write_volume(folder / name, array, grid)
    return name


def put_case(folder: Path, name: str, ending: str = "Tr", *, image_name: str | None = None) -> None:
    put(folder, f"images{ending}/{image_name or name}.nii.gz", ct())
    put(folder, f"labels{ending}/{name}.nii.gz", lesion())
    put(folder, f"organs{ending}/{name}.nii.gz", organs())


def describe(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def entry(name: str, ending: str = "Tr") -> dict[str, str]:
    kinds = {"image": "images", "label": "labels", "organs": "organs"}
    return {key: f"{kind}{ending}/{name}.nii.gz" for key, kind in kinds.items()}


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Two training cases and one test case without a fault."""
    for name in ("a", "b"):
        put_case(tmp_path, name)
    put_case(tmp_path, "c", "Ts")
    return describe(
        tmp_path,
        {
            "name": "Phantom",
            "description": "seed 1",
            "labels": {"background": 0, "lesion": 1},
            "class_map": "gca",
            "training": [entry("a"), entry("b")],
            "test": [entry("c", "Ts")],
        },
    )


def test_our_own_form(dataset):
    found = open_dataset(dataset)
    assert (found.name, found.description, found.class_map) == ("Phantom", "seed 1", "gca")
    assert [case.name for case in found.training] == ["a", "b"]
    assert found.test == (
        Case(
            "c",
            dataset / "imagesTs" / "c.nii.gz",
            dataset / "labelsTs" / "c.nii.gz",
            dataset / "organsTs" / "c.nii.gz",
        ),
    )
    assert check_dataset(found) == []


def test_the_form_of_the_decathlon(tmp_path):
    put_case(tmp_path, "colon_001")
    put(tmp_path, "imagesTs/colon_003.nii.gz", ct())
    (tmp_path / "organsTr" / "colon_009.nii.gz").write_bytes(b"of nobody")
    describe(
        tmp_path,
        {
            "name": "Colon",
            "labels": {"0": "background", "1": "colon cancer primaries"},
            "numTraining": 1,
            "training": [{"image": "./imagesTr/colon_001.nii.gz", "label": "./labelsTr/colon_001.nii.gz"}],
            "test": ["./imagesTs/colon_003.nii.gz"],
        },
    )
    found = open_dataset(tmp_path)
    (case,) = found.training
    assert case.name == "colon_001"
    assert case.label == tmp_path / "labelsTr" / "colon_001.nii.gz"
    assert case.organs == tmp_path / "organsTr" / "colon_001.nii.gz"
    assert found.test == (Case("colon_003", tmp_path / "imagesTs" / "colon_003.nii.gz", None, None),)
    assert found.class_map == "totalsegmentator_v2"


def test_the_form_of_nnunet(tmp_path):
    put_case(tmp_path, "case_0000", image_name="case_0000_0000")
    put_case(tmp_path, "x", image_name="x_0000")
    put(tmp_path, "imagesTs/y_0000.nii.gz", ct())
    (tmp_path / "imagesTr" / "._x_0000.nii.gz").write_bytes(b"macOS")
    (tmp_path / "imagesTr" / "notes.txt").write_text("no image")
    describe(
        tmp_path,
        {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "tumour": 1},
            "numTraining": 2,
            "file_ending": ".nii.gz",
        },
    )
    found = open_dataset(tmp_path)
    assert [case.name for case in found.training] == ["case_0000", "x"]
    assert [case.label.name for case in found.training] == ["case_0000.nii.gz", "x.nii.gz"]
    assert [case.name for case in found.test] == ["y"]
    assert [problem for problem in check_dataset(found) if not isinstance(problem, Remark)] == []


def test_a_case_may_be_called_like_a_channel(tmp_path):
    put_case(tmp_path, "case_0000")
    put_case(tmp_path, "case_0001")
    content = {"training": [entry("case_0000"), entry("case_0001")], "test": ["imagesTs/new_0000.nii.gz"]}
    found = open_dataset(describe(tmp_path, content))
    assert [case.name for case in found.training] == ["case_0000", "case_0001"]
    assert [case.name for case in found.test] == ["new_0000"]


def test_a_class_map_of_the_dataset_is_found_from_anywhere(dataset):
    content = json.loads((dataset / "dataset.json").read_text())
    describe(dataset, {**content, "class_map": "class_map.json"})
    assert open_dataset(dataset).class_map == str(dataset / "class_map.json")


@pytest.mark.parametrize(
    "path", ["../a.nii.gz", "imagesTr/../../a.nii.gz", "/etc/a.nii.gz", "..\\a.nii.gz", "", "a\0.nii"]
)
@pytest.mark.parametrize("key", ["image", "label", "organs"])
def test_paths_may_not_leave_the_folder(path, key, tmp_path):
    describe(tmp_path / "in", {"training": [{**entry("a"), key: path}]})
    with pytest.raises(InputError, match=rf"training\[0\](\.{key} is| names no image)"):
        open_dataset(tmp_path / "in")


def test_a_class_map_may_not_leave_the_folder(dataset):
    content = json.loads((dataset / "dataset.json").read_text())
    describe(dataset, {**content, "class_map": "../../secret.json"})
    with pytest.raises(InputError, match="class_map is"):
        open_dataset(dataset)


def test_all_faults_of_the_description_come_at_once(tmp_path):
    describe(
        tmp_path,
        {
            "labels": {"background": 0, "lesion": 1, "vessel": 2},
            "channel_names": {"0": "CT", "1": "PET"},
            "training": [entry("a"), entry("a"), {"label": "x.nii.gz"}, 7, {**entry("b"), "organs": "organs.nrrd"}],
            "test": {"image": "a"},
        },
    )
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path)
    said = [problem.message for problem in error.value.problems]
    for part in (
        "'vessel'|\"vessel\"",
        "has 2 channels",
        "2 cases are called 'a'",
        r"training\[2\] names no image",
        r"training\[3\] names no image",
        r"training\[4\]\.organs is 'organs\.nrrd'",
        "'test' is no list",
    ):
        assert any(re.search(part, each) for each in said), part


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"{", "can't be read as JSON"),
        (b"\xff\xfe", "can't be read as JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "names no case"),
    ],
)
def test_a_description_that_is_none_is_refused(content, said, tmp_path):
    if content is not None:
        (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(InputError, match=said):
        open_dataset(tmp_path)


def faults(dataset: Path) -> tuple[list[Problem], list[Problem]]:
    found = check_dataset(open_dataset(dataset))
    return [each for each in found if not isinstance(each, Remark)], [
        each for each in found if isinstance(each, Remark)
    ]


def test_every_fault_of_every_case_is_in_one_report(dataset):
    names = ["missing", "grid", "four", "nan", "cut", "labels", "fraction", "unlabelled"]
    for name in names:
        put_case(dataset, name)
    (dataset / "labelsTr" / "missing.nii.gz").unlink()
    put(dataset, "organsTr/grid.nii.gz", organs(), Grid.of(SHAPE, (3.0, 2.0, 2.0), (-10.0, 5.0, 306.0)))
    nib.save(nib.Nifti1Image(np.zeros((7, 8, 6, 2), np.int16), np.eye(4)), dataset / "imagesTr" / "four.nii.gz")
    broken = ct()
    broken[0, 0, :3] = np.nan
    put(dataset, "imagesTr/nan.nii.gz", broken)
    whole = (dataset / "imagesTr" / "cut.nii.gz").read_bytes()
    (dataset / "imagesTr" / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    put(dataset, "labelsTr/labels.nii.gz", lesion() * 3)
    put(dataset, "labelsTr/fraction.nii.gz", lesion() * 0.5)
    (dataset / "labelsTr" / "unlabelled.nii.gz").unlink()
    entries = [entry(name) for name in ("a", *names)]
    del entries[-1]["label"]
    describe(dataset, {"training": entries})

    problems, remarks = faults(dataset)

    expected = [
        ("labelsTr/missing.nii.gz", "there is no such file"),
        ("", "imagesTr/grid.nii.gz and .*organsTr/grid.nii.gz are on different grids: .* up to 6.0 mm apart"),
        ("imagesTr/four.nii.gz", r"4 dimensions, \(7, 8, 6, 2\)"),
        ("imagesTr/nan.nii.gz", "3 of 336 voxels are NaN"),
        ("imagesTr/cut.nii.gz", "can't be read as NIfTI"),
        ("labelsTr/labels.nii.gz", "unknown labels: 3"),
        ("labelsTr/fraction.nii.gz", "8 of 336 voxels are no whole numbers"),
        ("imagesTr/unlabelled.nii.gz", "no lesion label"),
    ]
    assert len(problems) == len(expected)
    for problem, (file, message) in zip(problems, expected, strict=True):
        assert problem.file.endswith(file)
        assert re.search(message, problem.message)
    assert remarks == []


def test_what_is_odd_but_possible_is_a_remark(dataset):
    for name in ("healthy", "bare", "empty", "air", "flipped"):
        put_case(dataset, name)
    put(dataset, "labelsTr/healthy.nii.gz", np.zeros(SHAPE, np.uint8))
    (dataset / "organsTr" / "bare.nii.gz").unlink()
    put(dataset, "organsTr/empty.nii.gz", np.zeros(SHAPE, np.uint8))
    put(dataset, "imagesTr/air.nii.gz", np.full(SHAPE, -1000, np.int16))
    put(dataset, "labelsTr/air.nii.gz", np.zeros(SHAPE, np.uint8))
    aired = ct()
    aired[lesion() > 0] = -950
    put(dataset, "imagesTr/flipped.nii.gz", aired)
    entries = [entry(name) for name in ("healthy", "bare", "empty", "air", "flipped")]
    del entries[1]["organs"]
    describe(dataset, {"training": entries})

    problems, remarks = faults(dataset)

    assert problems == []
    said = {(Path(remark.file).parent.name, Path(remark.file).name.split(".")[0]): remark.message for remark in remarks}
    assert said == {
        ("labelsTr", "healthy"): "holds no lesion.",
        ("imagesTr", "bare"): "has no organ mask.",
        ("organsTr", "empty"): "holds no organ.",
        ("imagesTr", "air"): "holds nothing but air.",
        ("labelsTr", "air"): "holds no lesion.",
        ("labelsTr", "flipped"): "marks lesions with a mean of -950 HU, which is air.",
    }


def test_a_test_case_needs_no_label(dataset):
    content = json.loads((dataset / "dataset.json").read_text())
    (dataset / "labelsTs" / "c.nii.gz").unlink()
    describe(dataset, {**content, "test": ["imagesTs/c.nii.gz"]})
    found = open_dataset(dataset)
    assert found.test[0].label is None
    assert check_dataset(found) == []
