"""The commands as a user runs them, on a small phantom: from nothing to an evaluation, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from agcrc.train.lock import locked
from agcrc.train.plan import read_plan


def agcrc(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agcrc", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=250,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def as_json(*arguments: object) -> dict[str, object]:
    done = agcrc(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A phantom dataset and a run of two epochs."""
    root = tmp_path_factory.mktemp("agcrc")
    data, run = root / "data", root / "run"
    as_json("phantom", "--out", data, "--tier", "smoke", "--cases", 3, "--seed", 1000)
    as_json("phantom", "--out", data, "--tier", "smoke", "--cases", 2, "--seed", 1900, "--test")
    done = as_json("train", "--data", data, "--out", run, "--epochs", 2, "--device", "cpu")
    assert (done["epochs"], done["run"]) == (2, str(run))
    return root


def test_the_plan_can_be_read_and_changed(folder):
    plan = read_plan(folder / "run" / "plan.json")
    assert plan.spacing_mm == (6.0, 6.0, 6.0)
    assert plan.epochs == 2
    assert 5 <= plan.ooi_radius_mm <= 30
    assert (folder / "run" / "look.png").exists()


def test_a_run_goes_on_and_is_not_begun_twice(folder, tmp_path):
    again = agcrc("train", "--data", folder / "data", "--out", folder / "run")
    assert again.returncode == 2
    assert "--resume" in again.stderr
    nothing = agcrc("train", "--data", folder / "data", "--out", tmp_path / "none", "--resume")
    assert nothing.returncode == 2
    with locked(folder / "run"):
        busy = agcrc("train", "--data", folder / "data", "--out", folder / "run", "--resume")
    assert (busy.returncode, "another process trains" in busy.stderr) == (2, True)
    done = as_json("train", "--data", folder / "data", "--out", folder / "run", "--resume", "--epochs", 3)
    assert done["epochs"] == 3


def test_one_ct_is_predicted_and_nothing_else_is_written(folder, tmp_path):
    image, organs = (folder / "data" / name / "phantom_1900.nii.gz" for name in ("imagesTs", "organsTs"))
    counts = {}
    for mode in ((), ("--fast",), ("--full",)):
        out = tmp_path / "-".join(("out", *mode)) / "lesion.nii.gz"
        found = as_json("predict", "--model", folder / "run", "--ct", image, "--labels", organs, "--out", out, *mode)
        counts[mode] = found["windows"]
        assert sorted(path.name for path in out.parent.iterdir()) == ["lesion.json", "lesion.nii.gz", "lesion.png"]
        mask, ct = nib.load(out), nib.load(image)
        assert mask.shape == ct.shape
        assert np.abs(mask.affine - ct.affine).max() < 1e-4
        assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1}
        assert json.loads((out.parent / "lesion.json").read_text())["ooi"]["mode"] == "colon"
    # At this size a patch holds half the colon, and a margin around each costs more windows than it saves.
    assert max(counts[()], counts["--fast",]) <= counts["--full",]


def test_a_dataset_is_predicted_and_evaluated(folder, tmp_path):
    data, predictions = folder / "data", tmp_path / "predictions"
    assert as_json("predict", "--model", folder / "run", "--data", data, "--out", predictions)["cases"] == 2
    found = as_json(
        *("evaluate", "--pred", predictions, "--truth", data / "labelsTs", "--organs", data / "organsTs"),
        *("--images", data / "imagesTs", "--out", tmp_path / "report"),
    )
    assert found["cases"] == 2
    for name in ("dice", "nsd", "hd95", "lesion_sensitivity", "false_positives_per_scan"):
        figure = found[name]
        assert {"value", "low", "high"} <= figure.keys() or "reason" in figure
    html = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "simulation" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_the_organ_of_interest_lies_on_the_grid_of_the_labels(folder, tmp_path):
    labels = folder / "data" / "organsTs" / "phantom_1900.nii.gz"
    out = tmp_path / "ooi.nii.gz"
    found = as_json("ooi", "--labels", labels, "--out", out)
    assert {"mode", "parts_before", "parts_after", "colon_ml", "ooi_ml", "seconds"} <= found.keys()
    mask = nib.load(out)
    assert mask.shape == nib.load(labels).shape
    assert set(np.unique(np.asarray(mask.dataobj))) == {0, 1, 2}


def test_prepared_cases_show_where_patches_fall(folder, tmp_path):
    case = next(path for path in sorted((folder / "run" / "prepared").iterdir()) if path.is_dir())
    done = agcrc("sampling", "plot", "--case", case, "--out", tmp_path / "sampling.png", "--patch", 16)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sampling.png").stat().st_size > 10_000


def test_every_command_says_how_it_is_used():
    for command in ((), ("prepare", "msd10"), ("sampling", "plot")):
        assert agcrc(*command, "--help").returncode == 0
    for command in ("phantom", "mos", "ooi", "train", "predict", "evaluate", "items", "demo"):
        shown = agcrc(command, "--help")
        assert shown.returncode == 0
        assert "Example" in shown.stdout
        assert f"agcrc {command}" in shown.stdout


def rewrite(path: Path, to: Path, change) -> Path:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(change(np.asarray(image.dataobj).copy()), image.affine), to)
    return to


def test_two_processes_train_one_network(folder, tmp_path):
    """Each draws its own patches, the first one writes; what comes of it is a run like any other."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [
            *(*command, "-m", "agcrc", "train", "--data", folder / "data", "--out", tmp_path / "run"),
            *("--plan", folder / "run" / "plan.json", "--epochs", "1", "--device", "cpu", "--json"),
        ],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["epochs"] == 1
    assert "2 processes" in done.stderr
    assert len((tmp_path / "run" / "curves.csv").read_text().splitlines()) == 2
    alone = as_json("train", "--data", folder / "data", "--out", tmp_path / "run", "--resume", "--epochs", 2)
    assert alone["epochs"] == 2


def test_tensorboard_is_asked_for_by_name_where_it_is_missing(folder, tmp_path):
    if util.find_spec("tensorboard"):
        pytest.skip("tensorboard is installed here")
    done = agcrc("train", "--data", folder / "data", "--out", tmp_path / "run", "--tensorboard")
    assert done.returncode == 2
    assert "pip install tensorboard" in done.stderr
    assert not (tmp_path / "run").exists()
