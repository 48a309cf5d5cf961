"""From the Decathlon's Task10_Colon and TotalSegmentator's masks beside it to a dataset folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agcrc.errors import InputError, Problem, WorkError
from agcrc.volumes.dataset import CLASS_MAP, DATASET_FILE, Dataset, open_dataset, stem
from agcrc.volumes.grid import Volume
from agcrc.volumes.nifti import SUFFIXES, read_labels, require_same_grid, write_volume

CLASS_MAP_FILE = "class_map.json"
LAYOUT = "Task10_Colon holds imagesTr, labelsTr and, for the cases without labels, imagesTs."


@dataclass(frozen=True, slots=True)
class _Found:
    """A case of the source: `masks` is one label map, or one file per class."""

    name: str
    image: Path
    label: Path | None
    masks: tuple[Path, ...]
    split: bool


def prepare_msd10(source: Path, masks: Path, out: Path, *, link: bool = True) -> Dataset:
    """Write a dataset folder from the real Task10 layout; all or nothing.

    Args:
        source: Task10_Colon with imagesTr/colon_001.nii.gz, labelsTr and perhaps imagesTs; the `._` files of macOS are
            passed over.
        masks: TotalSegmentator's output for the same names: `colon_001.nii.gz` (of `--ml`, v2), or a folder `colon_001`
            with a file per class (`colon.nii.gz`, ...), there or in its subfolder `segmentations`. One form for all
            cases. Files per class are joined into one label map; its numbers go into class_map.json. Test cases may
            lack masks.
        out: The dataset folder to be made; it must not exist yet, or be empty.
        link: Link to the files of the source instead of copying them.

    Raises:
        InputError: Labels and masks that are missing, all of them at once; `out` is in use; masks of a case that are on
            different grids.
        WorkError: It can't be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(Problem("exists and is not empty.", "Name a new folder.", str(out)))
    training, test = _find(source, masks)
    classes = sorted({stem(path) or "" for case in (*training, *test) if case.split for path in case.masks})
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            made.chmod(0o755)
            about: dict[str, Any] = {
                **_description(source),
                "labels": {"background": 0, "lesion": 1},
                "class_map": CLASS_MAP_FILE if numbers else CLASS_MAP,
                "training": [_write_case(case, made, "Tr", numbers, link) for case in training],
                "test": [_write_case(case, made, "Ts", numbers, link) for case in test],
            }
            if numbers:
                _write_json(made / CLASS_MAP_FILE, numbers)
            _write_json(made / DATASET_FILE, about)
            made.replace(out)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        advice = " If links are not possible there, copy." if link else ""
        raise WorkError(f"{out}: can't be written: {error.strerror or error}.{advice}") from error
    return open_dataset(out)


def _find(source: Path, masks: Path) -> tuple[list[_Found], list[_Found]]:
    """The cases of the source, with all that is missing told at once."""
    if not (source / "imagesTr").is_dir():
        raise InputError(Problem("has no folder imagesTr.", LAYOUT, str(source)))
    if not masks.is_dir():
        raise InputError(
            Problem("there is no such folder.", "Run TotalSegmentator on imagesTr and give its output.", str(masks))
        )
    problems: list[Problem] = []
    training, test = [], []
    for path in _volumes(source / "imagesTr"):
        name = stem(path) or ""
        label = _named(source / "labelsTr", name)
        if label is None:
            problems.append(Problem(f"there is no label of {name}.", LAYOUT, str(source / "labelsTr")))
        files, split = _masks(masks, name)
        if not files:
            problems.append(
                Problem(
                    f"there are no masks of {name}.",
                    f"Run `TotalSegmentator -i {path} -o {masks / name}.nii.gz --ml`.",
                    str(masks),
                )
            )
        training.append(_Found(name, path, label, files, split))
    if not training:
        problems.append(Problem("holds no NIfTI file.", LAYOUT, str(source / "imagesTr")))
    for path in _volumes(source / "imagesTs"):
        name = stem(path) or ""
        test.append(_Found(name, path, None, *_masks(masks, name)))
    forms = {case.split: case.name for case in (*training, *test) if case.masks}
    if len(forms) > 1:
        problems.append(
            Problem(
                f"{forms[False]} has one label map, but {forms[True]} a file per class; the numbers may differ.",
                "Bring all cases into one of the two forms.",
                str(masks),
            )
        )
    if problems:
        raise InputError(*problems)
    return training, test


def _masks(masks: Path, name: str) -> tuple[tuple[Path, ...], bool]:
    """The mask files of a case, and whether there is one per class."""
    whole = _named(masks, name)
    if whole is not None:
        return (whole,), False
    for folder in (masks / name / "segmentations", masks / name):
        if files := tuple(_volumes(folder)):
            return files, True
    return (), False


def _volumes(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if stem(path) is not None)


def _named(folder: Path, name: str) -> Path | None:
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)


def _write_case(case: _Found, out: Path, ending: str, numbers: dict[str, int], link: bool) -> dict[str, str]:
    """Put the files of a case into the new folder; returns its entry of dataset.json."""
    entry = {}
    for key, kind, path in (
        ("image", "images", case.image),
        ("label", "labels", case.label),
        ("organs", "organs", None if case.split or not case.masks else case.masks[0]),
    ):
        if path is None:
            continue
        relative = f"{kind}{ending}/{case.name}{next(each for each in SUFFIXES if path.name.endswith(each))}"
        entry[key] = relative
        (out / relative).parent.mkdir(exist_ok=True)
        if link:
            os.symlink(path.resolve(), out / relative)
        else:
            shutil.copyfile(path, out / relative)
    if case.split:
        entry["organs"] = f"organs{ending}/{case.name}.nii.gz"
        joined = _joined(case.masks, numbers)
        write_volume(out / entry["organs"], joined.array, joined.grid)
    return entry


def _joined(files: Iterable[Path], numbers: dict[str, int]) -> Volume:
    """One label map from a mask per class; where masks overlap, the later class by name holds."""
    joined: Volume | None = None
    for path in files:
        mask = read_labels(path)
        if joined is None:
            joined = Volume(np.zeros(mask.grid.shape, dtype=np.uint8 if len(numbers) < 256 else np.uint16), mask.grid)
            first = path
        require_same_grid(joined, mask, (str(first), str(path)))
        joined.array[mask.array != 0] = numbers[stem(path) or ""]
    assert joined is not None
    return joined


def _description(source: Path) -> dict[str, str]:
    """What the source says about itself; its licence asks to be named."""
    about: dict[str, Any] = {}
    path = source / DATASET_FILE
    if path.is_file():
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(Problem(f"can't be read as JSON: {error}.", "Copy it again.", str(path))) from error
    kept: dict[str, str] = {key: str(about[key]) for key in ("reference", "licence", "release") if key in about}
    name = str(about.get("name", "Colon"))
    return {"name": f"MSD Task10 {name}", "description": str(about.get("description", "")), **kept}


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
