"""What the commands say to input that is wrong or odd, and to DICOM: one message, nothing half-written, no crash.

The network is untrained: what it finds does not matter here.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from agcrc.cli import main as command_line
from agcrc.phantom import PhantomSettings, tier_named, write_dataset
from agcrc.train.checkpoint import State, save_checkpoint
from agcrc.train.networks import build_network
from agcrc.train.plan import write_plan
from support.plans import small_plan

COLON = 20
Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A phantom dataset of two training cases and a test case, and a run with an untrained network."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("input")
    for split, cases, seed in (("Tr", 2, 1000), ("Ts", 1, 1900)):
        write_dataset(root / "data", PhantomSettings(tier_named("smoke")), cases=cases, seed=seed, split=split)
    plan = small_plan(spacing_mm=(6.0, 6.0, 6.0), patch=(32, 32, 32), batch=1)
    torch.manual_seed(0)
    net = build_network("resenc", 1, plan.features, plan.blocks, plan.patch)
    (root / "run").mkdir()
    write_plan(root / "run" / "plan.json", plan)
    save_checkpoint(root / "run" / "last", State(plan.model_hash(), 1, 1, None, {}), net.state_dict())
    return root


@pytest.fixture
def agcrc(monkeypatch, capsys):
    """The command line in this process: (status, what it said on stderr, its JSON or None)."""

    def run(*arguments: object) -> tuple[int, str, dict]:
        monkeypatch.setattr(sys, "argv", ["agcrc", *map(str, arguments)])
        status = 0
        try:
            command_line.main()
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.err, json.loads(said.out) if said.out else {}

    return run


@pytest.fixture
def image(folder):
    return folder / "data" / "imagesTs" / "phantom_1900.nii.gz"


@pytest.fixture
def organs(folder):
    return folder / "data" / "organsTs" / "phantom_1900.nii.gz"


def rewrite(path: Path, to: Path, change: Change, affine: np.ndarray | None = None) -> Path:
    source = nib.load(path)
    array = change(np.asarray(source.dataobj).copy())
    nib.save(nib.Nifti1Image(array, source.affine if affine is None else affine), to)
    return to


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array[3:5, 3:5, 3:5] = np.nan
    return array


def cut_in_the_middle(path: Path, to: Path) -> Path:
    content = path.read_bytes()
    to.write_bytes(content[: len(content) // 2])
    return to


WRONG = {
    "labels on a shorter grid": ("labels", lambda a: a[:-3], r"different grids.*\(48, 48, 48\).*Resample"),
    "labels that lie elsewhere": ("labels", "moved", r"different grids.*up to 30\.0 mm apart"),
    "labels without a name": ("labels", lambda a: np.where(a == COLON, 200, a), r"does not name: 200 \(.*voxels\)"),
    "labels that are none": ("labels", lambda a: a + np.float32(0.5), r"no whole numbers \(the first is .*\.5\)"),
    "labels cut off": ("labels", "cut", r"cut\.nii\.gz: can't be read.*Copy or convert"),
    "a CT of air": ("ct", lambda a: np.full_like(a, -1000), r"shows no body.*-1000.*same scan"),
    "a CT with NaN": ("ct", with_nan, r"8 of 110,592 voxels are NaN.*Convert"),
    "a CT with two phases": ("ct", lambda a: np.stack([a, a], -1), r"4 dimensions, \(48, 48, 48, 2\).*one phase"),
    "a CT scaled to 0…1": ("ct", lambda a: (a / 4096 + 0.5).astype(np.float32), r"from 0.* nothing is below 0 HU"),
    "a CT cut off": ("ct", "cut", r"cut\.nii\.gz: can't be read.*Copy or convert"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["predict", "ooi"])
def test_wrong_volumes_end_with_one_message_and_nothing_written(command, name, folder, image, organs, tmp_path, agcrc):
    which, change, message = WRONG[name]
    files = {"ct": image, "labels": organs}
    wrong = tmp_path / ("cut.nii.gz" if change == "cut" else "wrong.nii.gz")
    if change == "cut":
        cut_in_the_middle(files[which], wrong)
    elif change == "moved":
        affine = nib.load(organs).affine.copy()
        affine[2, 3] += 30
        rewrite(organs, wrong, np.asarray, affine)
    else:
        rewrite(files[which], wrong, change)
    files[which] = wrong
    out = tmp_path / "out" / "mask.nii.gz"
    given = [part for key, path in files.items() for part in (f"--{key}", path)]
    model = ["--model", folder / "run"] if command == "predict" else []
    status, said, _ = agcrc(command, *model, *given, "--out", out, "--json")
    assert status == 2, said
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("Error: ")
    assert re.search(message, said), said
    assert not out.parent.exists()


def test_all_that_is_wrong_is_told_at_once(folder, image, organs, tmp_path, agcrc):
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"kolon": 20, "liver": 5}))
    status, said, _ = agcrc(
        *("predict", "--model", folder / "run", "--ct", rewrite(image, tmp_path / "nan.nii.gz", with_nan)),
        *("--labels", tmp_path / "gone.nii.gz", "--class-map", names, "--out", tmp_path / "mask.nrrd"),
    )
    assert status == 2
    for part in ("mask.nrrd", "8 of 110,592", "gone.nii.gz", "'kolon'", "Did you mean", "has no 'colon'"):
        assert part in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["names.json", "nan.nii.gz"]


def test_a_case_that_can_not_be_used_does_not_stop_the_others(folder, image, organs, tmp_path, agcrc):
    data, out = tmp_path / "data", tmp_path / "out"
    for kind, path in (("imagesTs", image), ("organsTs", organs)):
        (data / kind).mkdir(parents=True)
        for name in ("a", "b"):
            shutil.copy(path, data / kind / f"{name}.nii.gz")
    entries = [{"image": f"imagesTs/{name}.nii.gz", "organs": f"organsTs/{name}.nii.gz"} for name in ("a", "b")]
    (data / "dataset.json").write_text(
        json.dumps({"name": "two", "class_map": "totalsegmentator_v2", "training": [], "test": entries})
    )
    cut_in_the_middle(image, data / "imagesTs" / "a.nii.gz")
    given = ("predict", "--model", folder / "run", "--data", data, "--out", out)
    status, said, _ = agcrc(*given)
    assert status == 1
    assert re.search(r"1 of 2 cases are predicted.*\n.*a\.nii\.gz: can't be read", said)
    assert sorted(path.name for path in out.iterdir()) == ["b.json", "b.nii.gz", "b.png"]
    cut_in_the_middle(image, data / "imagesTs" / "b.nii.gz")
    status, said, _ = agcrc(*given)
    assert status == 2
    assert said.count("can't be read") == 2


def test_an_output_that_can_not_be_written_leaves_nothing(folder, image, organs, tmp_path, agcrc):
    (tmp_path / "file").write_text("in the way")
    given = ("--ct", image, "--labels", organs)
    status, said, _ = agcrc("predict", "--model", folder / "run", *given, "--out", tmp_path / "file" / "mask.nii.gz")
    assert status == 1
    assert "mask.nii.gz: can't be written" in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_picture_that_fails_leaves_no_mask_without_its_json(folder, image, organs, tmp_path, agcrc, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agcrc.predict.files.draw_prediction", full)
    given = ("--ct", image, "--labels", organs)
    status, said, _ = agcrc("predict", "--model", folder / "run", *given, "--out", tmp_path / "mask.nii.gz")
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert "No space left" in said


@pytest.mark.parametrize(
    ("name", "change"),
    [("no colon", lambda a: np.where(a == COLON, 0, a)), ("no organ", np.zeros_like)],
)
def test_without_a_colon_the_abdomen_is_looked_at(name, change, folder, image, organs, tmp_path, agcrc):
    given = ("--ct", image, "--labels", rewrite(organs, tmp_path / "labels.nii.gz", change))
    status, said, found = agcrc("ooi", *given, "--out", tmp_path / "ooi.nii.gz", "--json")
    assert (status, found["mode"]) == (0, "fallback"), said
    assert found["reason"]
    assert found["ooi_ml"] > 1000
    status, said, found = agcrc(
        "predict", "--model", folder / "run", *given, "--out", tmp_path / "mask.nii.gz", "--json"
    )
    assert (status, found["ooi"]["mode"]) == (0, "fallback"), said


def test_without_an_abdomen_there_is_nothing_to_look_at_unless_it_is_asked_for(folder, image, organs, tmp_path, agcrc):
    labels = rewrite(organs, tmp_path / "none.nii.gz", np.zeros_like)
    status, _, found = agcrc("ooi", "--labels", labels, "--out", tmp_path / "ooi.nii.gz", "--json")
    assert (status, found["mode"], found["ooi_ml"]) == (0, "absent", 0.0)
    assert not np.asarray(nib.load(tmp_path / "ooi.nii.gz").dataobj).any()
    air = rewrite(image, tmp_path / "air.nii.gz", lambda a: np.full_like(a, -1000))
    out = tmp_path / "out" / "mask.nii.gz"
    given = ("predict", "--model", folder / "run", "--ct", air, "--labels", labels, "--out", out, "--json")
    status, said, _ = agcrc(*given)
    assert status == 2
    assert re.search(r"no abdomen.*in view.*--force", said)
    assert not out.parent.exists()
    status, said, found = agcrc(*given, "--force")
    assert (status, found["ooi"]["mode"]) == (0, "absent"), said
    assert nib.load(out).shape == nib.load(air).shape


def test_two_slices_are_a_scan(folder, image, organs, tmp_path, agcrc):
    thin = [
        rewrite(path, tmp_path / f"{path.parent.name}.nii.gz", lambda a: a[:, :, 20:22]) for path in (image, organs)
    ]
    out = tmp_path / "mask.nii.gz"
    given = ("--ct", thin[0], "--labels", thin[1], "--out", out)
    status, said, found = agcrc("predict", "--model", folder / "run", *given, "--json")
    assert status == 0, said
    assert nib.load(out).shape == (48, 48, 2)
    assert found["ooi"]["mode"] == "colon"


def spoil(run: Path, way: str) -> None:
    plan = msgspec.json.decode((run / "plan.json").read_bytes())
    if way == "plan":
        (run / "plan.json").write_bytes(msgspec.json.encode({**plan, "features": [8, 16]}))
    elif way == "weights":
        weights = run / "last" / "weights.pt"
        weights.write_bytes(weights.read_bytes()[:1000])
    elif way == "state":
        (run / "last" / "state.json").write_text("{}")
    else:
        (run / "plan.json").unlink()


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("plan", r"another plan: network \w+, this one is \w+\. Take the plan\.json"),
        ("weights", r"weights\.pt: can't be read as tensors.*damaged"),
        ("state", r"no checkpoint.*Train first"),
        ("gone", r"plan\.json: can't be read"),
    ],
)
def test_a_model_that_is_none_is_refused(way, message, folder, image, organs, tmp_path, agcrc):
    run, out = tmp_path / "run", tmp_path / "out" / "mask.nii.gz"
    shutil.copytree(folder / "run", run)
    spoil(run, way)
    status, said, _ = agcrc("predict", "--model", run, "--ct", image, "--labels", organs, "--out", out)
    assert status == 2
    assert re.search(message, said), said
    assert len(said.strip().splitlines()) == 1
    assert not out.parent.exists()


def training(folder: Path, to: Path, *changes: tuple[str, int, Change | str]) -> Path:
    """A dataset of two cases, some of whose files are changed: (folder, case, how)."""
    shutil.copytree(folder / "data", to)
    for kind, number, change in changes:
        path = sorted((to / kind).iterdir())[number]
        if change == "cut":
            cut_in_the_middle(path, path)
        else:
            rewrite(path, path, change)
    return to


def test_training_tells_every_case_that_can_not_be_used_before_it_begins(folder, tmp_path, agcrc):
    changes = [("organsTr", 0, lambda a: np.where(a == COLON, 200, a)), ("imagesTr", 1, "cut")]
    data = training(folder, tmp_path / "data", *changes)
    status, said, _ = agcrc("train", "--data", data, "--out", tmp_path / "run", "--device", "cpu")
    assert status == 2
    first, second = said.strip().splitlines()[-2:]
    assert re.match(r"Error: phantom_1000: .*does not name: 200 \(", first)
    assert re.match(r"Error: .*imagesTr/phantom_1001\.nii\.gz: can't be read", second)
    assert not (tmp_path / "run").exists()


def test_training_without_any_lesion_is_refused(folder, tmp_path, agcrc):
    data = training(folder, tmp_path / "data", ("labelsTr", 0, np.zeros_like), ("labelsTr", 1, np.zeros_like))
    status, said, _ = agcrc("train", "--data", data, "--out", tmp_path / "run", "--device", "cpu")
    assert status == 2
    assert "no case has a lesion" in said
    assert not (tmp_path / "run").exists()


def test_training_on_air_is_refused(folder, tmp_path, agcrc):
    air = lambda a: np.full_like(a, -1000)  # noqa: E731
    changes = [("imagesTr", 0, air), ("imagesTr", 1, air), ("organsTr", 0, np.zeros_like)]
    data = training(folder, tmp_path / "data", *changes, ("organsTr", 1, np.zeros_like))
    status, said, _ = agcrc("train", "--data", data, "--out", tmp_path / "run", "--device", "cpu")
    assert status == 2
    assert re.search("no colon and no abdomen are in view in any of 2 training cases", said)
    assert not (tmp_path / "run").exists()


def write_series(image: Path, folder: Path) -> None:
    """Axial slices of a NIfTI file whose axes are those of the body, the highest slice first."""
    source = nib.as_closest_canonical(nib.load(image))
    array = np.asarray(source.dataobj)[::-1, ::-1, ::-1]  # columns to the left, rows to the back, down
    affine = source.affine
    dx, dy, dz = np.diag(affine)[:3]
    first = affine[:3, 3] + [(size - 1) * step for size, step in zip(array.shape, (dx, dy, dz), strict=True)]
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    folder.mkdir()
    for number in range(array.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset(str(folder / f"{number:03d}.dcm"), {}, file_meta=meta, preamble=bytes(128))
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.SeriesInstanceUID, file.StudyInstanceUID, file.FrameOfReferenceUID = series, study, frame
        file.Modality, file.PatientID, file.InstanceNumber = "CT", "phantom", number + 1
        file.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        file.ImagePositionPatient = [-first[0], -first[1], first[2] - number * dz]
        file.PixelSpacing, file.SliceThickness = [dy, dx], dz
        file.Columns, file.Rows = array.shape[:2]
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 1
        file.RescaleSlope, file.RescaleIntercept, file.RescaleType = 1, 0, "HU"
        file.PixelData = array[:, :, number].T.astype("<i2").tobytes()
        file.save_as(file.filename, enforce_file_format=True)


@pytest.fixture(scope="module")
def series(folder, tmp_path_factory):
    made = tmp_path_factory.mktemp("dicom") / "series"
    write_series(folder / "data" / "imagesTs" / "phantom_1900.nii.gz", made)
    return made


def test_a_dicom_series_gives_what_its_nifti_file_gives(folder, image, organs, series, tmp_path, agcrc):
    found, masks = {}, {}
    for name, ct in (("nifti", image), ("dicom", series)):
        out = tmp_path / name / "mask.nii.gz"
        given = ("--ct", ct, "--labels", organs, "--out", out, "--json")
        status, said, found[name] = agcrc("predict", "--model", folder / "run", *given)
        assert status == 0, said
        masks[name] = nib.load(out)
        status, said, quality = agcrc("ooi", *given[:-2], tmp_path / name / "ooi.nii.gz", "--json")
        assert status == 0, said
        assert quality["with_ct"]
    assert found["dicom"]["lesions"] == found["nifti"]["lesions"]
    # Stored as the slices were, columns to the left and rows to the back; the voxels stand where they stood.
    assert nib.aff2axcodes(masks["dicom"].affine) == ("L", "P", "S")
    one, other = (nib.as_closest_canonical(mask) for mask in masks.values())
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)
    np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))


def tilted(file: FileDataset, number: int) -> None:
    x, y, z = file.ImagePositionPatient
    file.ImagePositionPatient = [x, y + number * 6 * np.tan(np.radians(15)), z]


@pytest.mark.parametrize("command", ["predict", "ooi"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", r"12\.00 mm from .* mm; about 1 slice is missing"),
        ("tilted", r"tilted by 15\.0°.*dcm2niix"),
        ("empty", r"holds no DICOM file"),
    ],
)
def test_a_series_that_is_no_whole_straight_ct_is_refused(
    command, name, message, folder, organs, series, tmp_path, agcrc
):
    wrong, out = tmp_path / "series", tmp_path / "out" / "mask.nii.gz"
    if name == "empty":
        wrong.mkdir()
    else:
        shutil.copytree(series, wrong)
    if name == "missing":
        (wrong / "020.dcm").unlink()
    elif name == "tilted":
        for number, path in enumerate(sorted(wrong.iterdir())):
            file = pydicom.dcmread(path)
            tilted(file, number)
            file.save_as(path)
    model = ["--model", folder / "run"] if command == "predict" else []
    status, said, _ = agcrc(command, *model, "--ct", wrong, "--labels", organs, "--out", out)
    assert status == 2
    assert re.search(message, said), said
    assert len(said.strip().splitlines()) == 1
    assert not out.parent.exists()


def test_dicom_without_its_extra_names_what_to_install(folder, organs, series, tmp_path, agcrc, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    given = ("--ct", series, "--labels", organs, "--out", tmp_path / "mask.nii.gz")
    status, said, _ = agcrc("predict", "--model", folder / "run", *given)
    assert status == 2
    assert "medbench[dicom]" in said
    assert not list(tmp_path.iterdir())
