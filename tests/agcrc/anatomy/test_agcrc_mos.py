from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from agcrc.anatomy import load_class_map, multi_organ_segmentation, use_label_map
from agcrc.errors import InputError, WorkError
from agcrc.volumes import Grid, read_labels, write_volume

GRID = Grid.of((6, 7, 8), (3.0, 2.0, 2.0))
SCRIPT = """#!{python}
import json, pathlib, sys
import nibabel as nib, numpy as np
pathlib.Path({log!r}).write_text(json.dumps(sys.argv[1:]))
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
image = nib.load(given["-i"])
labels = np.zeros({shape}, np.uint8)
labels[1:3] = {label}
{last}
nib.save(nib.Nifti1Image(labels, image.affine), given["-o"])
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch):
    """A stand-in for TotalSegmentator on the PATH, with weights."""

    def install(label=20, shape="image.shape", last="", weights=True):
        folder = tmp_path / "bin"
        folder.mkdir()
        log = tmp_path / "arguments.json"
        script = folder / "TotalSegmentator"
        script.write_text(SCRIPT.format(python=sys.executable, log=str(log), shape=shape, label=label, last=last))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        home = tmp_path / "home"
        (home / "nnunet" / "results" / ("Dataset291_TotalSegmentator_part1_organs_1559subj" if weights else "")).mkdir(
            parents=True, exist_ok=True
        )
        monkeypatch.setenv("TOTALSEG_HOME_DIR", str(home))
        monkeypatch.delenv("TOTALSEG_WEIGHTS_PATH", raising=False)
        return log

    return install


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    path = tmp_path / "a ct; rm -rf $HOME.nii.gz"
    values = np.full(GRID.shape, -900.0, dtype=np.float32)
    values[2:] = 40.0
    write_volume(path, values, GRID)
    return path


def test_it_runs_the_command_and_keeps_the_grid(command, ct, tmp_path):
    log = command()
    organs = multi_organ_segmentation(ct, tmp_path / "out" / "organs.nii.gz")
    arguments = json.loads(log.read_text())
    assert arguments[1] == str(ct)
    assert arguments[-3:] == ["--ml", "--task", "total"]
    assert organs.has("colon")
    written = read_labels(tmp_path / "out" / "organs.nii.gz")
    assert (written.array == organs.volume.array).all()
    assert written.grid.shape == GRID.shape


def test_without_the_command_it_says_what_to_do(ct, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="not installed") as caught:
        multi_organ_segmentation(ct, tmp_path / "organs.nii.gz")
    assert "existing label map" in str(caught.value)


def test_without_weights_it_does_not_let_the_command_download(command, ct, tmp_path):
    log = command(weights=False)
    with pytest.raises(InputError, match="no weights") as caught:
        multi_organ_segmentation(ct, tmp_path / "organs.nii.gz")
    assert "can't be had offline" in str(caught.value)
    assert not log.exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"last": "sys.exit('CUDA out of memory')"}, "status 1 .*CUDA out of memory"),
        ({"last": "sys.exit(0)"}, "status 0 and no label map"),
        ({"shape": "(2, 2, 2)"}, "different grids"),
    ],
)
def test_a_command_that_fails_leaves_nothing(command, ct, tmp_path, setting, message):
    command(**setting)
    with pytest.raises(WorkError, match=message):
        multi_organ_segmentation(ct, tmp_path / "organs.nii.gz")
    assert not (tmp_path / "organs.nii.gz").exists()


def test_version_1_is_renumbered_by_name(tmp_path):
    first = load_class_map("totalsegmentator_v1")
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    names = ["colon", "heart_atrium_left", "heart_myocardium", "face", "rib_left_3", "urinary_bladder"]
    for plane, name in enumerate(names):
        labels[plane] = first[name]
    write_volume(tmp_path / "v1.nii.gz", labels, GRID)
    organs, dropped = use_label_map(tmp_path / "v1.nii.gz", "totalsegmentator_v1", tmp_path / "v2.nii.gz")
    assert dropped == ("face",)
    written = read_labels(tmp_path / "v2.nii.gz").array
    assert written[:, 0, 0].tolist() == [20, 51, 51, 0, 94, 21]
    assert organs.class_map.name == "totalsegmentator_v2"


def test_a_map_of_one_s_own_is_renumbered_by_name(tmp_path):
    labels = np.full(GRID.shape, 7, dtype=np.uint8)
    labels[:2], labels[4:] = 3, 0
    (tmp_path / "mine.json").write_text('{"colon": 7, "small_bowel": 3}')
    write_volume(tmp_path / "mine.nii.gz", labels, GRID)
    use_label_map(tmp_path / "mine.nii.gz", str(tmp_path / "mine.json"), tmp_path / "v2.nii.gz")
    assert read_labels(tmp_path / "v2.nii.gz").array[:, 0, 0].tolist() == [18, 18, 20, 20, 0, 0]


def test_labels_without_a_name_are_refused_and_nothing_is_written(tmp_path):
    write_volume(tmp_path / "gca.nii.gz", np.full(GRID.shape, 9, dtype=np.uint8), GRID)
    with pytest.raises(InputError, match="9 \\(336 voxels\\)"):
        use_label_map(tmp_path / "gca.nii.gz", "gca", tmp_path / "v2.nii.gz")
    assert not (tmp_path / "v2.nii.gz").exists()
