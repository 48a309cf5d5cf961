from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import agcrc.phantom.dataset as dataset_module
from agcrc.errors import InputError
from agcrc.phantom import TIERS, PhantomSettings, make_case, write_dataset
from agcrc.phantom.contact_sheet import COLON_COLOUR, DISTRACTOR_COLOUR, LESION_COLOUR
from agcrc.volumes import Remark, check_dataset, open_dataset, read_ct, read_labels

SMOKE = PhantomSettings(TIERS["smoke"])
SEED = 1000


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Two training cases and a test case; do not change it."""
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_dataset(folder, SMOKE, cases=2, seed=SEED)
    write_dataset(folder, SMOKE, cases=1, seed=SEED + 50, split="Ts")
    return folder


def test_the_files_hold_the_cases(finished):
    case = make_case(SMOKE, SEED)
    name = f"phantom_{SEED}.nii.gz"
    ct = read_ct(finished / "imagesTr" / name)
    assert (ct.array == case.ct).all()
    assert ct.grid.affine == pytest.approx(case.grid.affine)
    for folder, expected in (
        ("labelsTr", case.lesion),
        ("organsTr", case.organs),
        ("organsTrueTr", case.organs_true),
        ("distractorsTr", case.distractors),
    ):
        assert (read_labels(finished / folder / name).array == expected).all(), folder


def test_the_index_lists_both_parts_and_says_that_it_is_simulated(finished):
    index = json.loads((finished / "dataset.json").read_text())
    assert "SIMULATED" in index["description"]
    assert index["labels"] == {"background": 0, "lesion": 1}
    assert index["class_map"] == "totalsegmentator_v2"
    assert [entry["image"] for entry in index["training"]] == [
        "imagesTr/phantom_1000.nii.gz",
        "imagesTr/phantom_1001.nii.gz",
    ]
    assert index["test"][0]["organs"] == "organsTs/phantom_1050.nii.gz"
    assert index["phantom"]["seeds"] == {"Tr": [1000, 1001], "Ts": [1050]}
    assert index["phantom"]["settings"]["tier"]["name"] == index["phantom"]["tier"] == "smoke"
    case = make_case(SMOKE, SEED)
    facts = index["phantom"]["cases"]["phantom_1000"]
    assert [each["volume_ml"] for each in facts["lesions"]] == [each.volume_ml for each in case.lesions]
    assert facts["damage"]["dropped_mm"] == [list(each) for each in case.damage.dropped_mm]


def test_the_folder_is_a_valid_dataset(finished):
    dataset = open_dataset(finished)
    assert (len(dataset.training), len(dataset.test)) == (2, 1)
    assert [problem for problem in check_dataset(dataset) if not isinstance(problem, Remark)] == []


def test_a_contact_sheet_lies_beside_it(finished):
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    picture = imread(finished / "contact_sheet.png")[..., :3]
    assert picture.shape[1] > 1000
    below_the_legend = picture[120:]
    for colour in (LESION_COLOUR, DISTRACTOR_COLOUR, COLON_COLOUR):
        assert (np.abs(below_the_legend - to_rgb(colour)).max(axis=2) < 0.1).sum() > 100, colour
    # Most of it is grey: CT, and the black around it.
    assert (picture.max(axis=2) - picture.min(axis=2) < 0.02).mean() > 0.5


def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(finished, tmp_path, monkeypatch):
    folder = tmp_path / "data"

    def stops(settings, seed):
        if seed > SEED:
            raise KeyboardInterrupt
        return make_case(settings, seed)

    monkeypatch.setattr(dataset_module, "make_case", stops)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(folder, SMOKE, cases=2, seed=SEED)
    assert len(json.loads((folder / "dataset.json").read_text())["training"]) == 1
    kept = folder / "imagesTr" / "phantom_1000.nii.gz"
    before = kept.stat().st_mtime_ns
    made: list[int] = []

    def counts(settings, seed):
        made.append(seed)
        return make_case(settings, seed)

    monkeypatch.setattr(dataset_module, "make_case", counts)
    seen: list[tuple[int, int]] = []
    write_dataset(folder, SMOKE, cases=2, seed=SEED, progress=lambda done, wanted: seen.append((done, wanted)))
    assert made == [SEED + 1]
    assert seen == [(1, 2), (2, 2)]
    assert kept.stat().st_mtime_ns == before
    write_dataset(folder, SMOKE, cases=1, seed=SEED + 50, split="Ts")
    assert contents(folder) == contents(finished)
    # A case that lost a file is made again.
    (folder / "organsTr" / "phantom_1000.nii.gz").unlink()
    made.clear()
    write_dataset(folder, SMOKE, cases=2, seed=SEED)
    assert made == [SEED]
    assert contents(folder) == contents(finished)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"settings": dataclasses.replace(SMOKE, hu_gap=10.0)}, "hu_gap is 0.0, not 10.0"),
        ({"cases": 1}, "seeds 1001 that were not asked for"),
        ({"seed": 2000}, "1000, 1001"),
        ({"split": "Ts"}, "seeds 1000, 1001 as training cases"),
    ],
)
def test_what_does_not_belong_together_is_refused(finished, arguments, words):
    before = contents(finished)
    wanted = {"settings": SMOKE, "cases": 2, "seed": SEED, "split": "Tr", **arguments}
    with pytest.raises(InputError, match=words):
        write_dataset(finished, wanted.pop("settings"), **wanted)
    assert contents(finished) == before


@pytest.mark.parametrize("content", ['{"name": "Task10_Colon", "training": []}', "[1]", '{"phantom": {}}', "{"])
def test_another_dataset_is_refused(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        write_dataset(tmp_path, SMOKE, cases=1, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


def test_images_without_an_index_are_refused(tmp_path):
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(InputError, match=r"holds imagesTr but no dataset\.json"):
        write_dataset(tmp_path, SMOKE, cases=1, seed=0)


@pytest.mark.parametrize(("cases", "seed"), [(0, 1), (1, -1)])
def test_no_cases_and_negative_seeds_are_refused(tmp_path, cases, seed):
    with pytest.raises(InputError, match="at least"):
        write_dataset(tmp_path / "new", SMOKE, cases=cases, seed=seed)
    assert not (tmp_path / "new").exists()
