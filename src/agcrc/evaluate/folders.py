"""What lies in a folder of predictions or truth, and reading it."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem, WorkError
from agcrc.evaluate.detection import components
from agcrc.volumes import Volume, bounding_box, read_labels, require_same_grid
from agcrc.volumes.nifti import SUFFIXES
from agcrc.volumes.orientation import affine_problem, canonical

PROBABILITY, REGION = "_prob", "_ooi"
CENTRE_TOLERANCE_MM = 0.5
VOLUME_TOLERANCE = 0.01


@dataclass(frozen=True)
class Folder:
    """The files of a folder by case.

    Attributes:
        path: The folder.
        masks: Case -> mask or label map.
        probabilities: Case -> probability map.
        regions: Case -> organ of interest.
        records: Case -> JSON file.
    """

    path: Path
    masks: Mapping[str, Path]
    probabilities: Mapping[str, Path]
    regions: Mapping[str, Path]
    records: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Record:
    """What the JSON beside a prediction says.

    Attributes:
        lesions: Centre (x, y, z) in mm RAS+, volume in mL and mean probability of each, (n, 5); None where it doesn't
            tell these of each.
        windows: Windows that the network saw.
        seconds: In all.
    """

    lesions: NDArray[np.float64] | None
    windows: float | None
    seconds: float | None


def list_folder(path: Path) -> Folder:
    """Find `<case>.nii.gz`, and `<case>_prob.nii.gz`, `<case>_ooi.nii.gz` and `<case>.json` beside it.

    Raises:
        InputError: No such folder, no NIfTI in it, or a case that is there twice.
    """
    if not path.is_dir():
        raise InputError(Problem("there is no such folder.", "", str(path)))
    files: dict[str, Path] = {}
    problems = []
    for file in sorted(path.iterdir()):
        suffix = next((each for each in SUFFIXES if file.name.endswith(each)), None)
        if suffix is None or file.name.startswith(".") or not file.is_file():
            continue
        name = file.name.removesuffix(suffix)
        if name in files:
            problems.append(Problem(f"has both {files[name].name} and {file.name}.", "Keep one of them.", str(path)))
        files[name] = file
    if not files:
        problems.append(Problem("holds no .nii.gz or .nii file.", "Give a folder of masks, one per case.", str(path)))
    if problems:
        raise InputError(*problems)

    def beside(ending: str) -> dict[str, Path]:
        cut = {name: name.removesuffix(ending) for name in files if name.endswith(ending)}
        return {case: files[name] for name, case in cut.items() if case in files}

    probabilities, regions = beside(PROBABILITY), beside(REGION)
    extra = {*probabilities.values(), *regions.values()}
    masks = {name: file for name, file in files.items() if file not in extra}
    records = {name: path / f"{name}.json" for name in masks if (path / f"{name}.json").is_file()}
    return Folder(path, masks, probabilities, regions, records)


def read_mask(path: Path) -> Volume:
    """A lesion mask as bool.

    Raises:
        InputError: As `read_labels`, or labels other than 0 and 1.
    """
    volume = read_labels(path)
    labels = np.unique(volume.array)
    if labels[-1] > 1:
        shown = ", ".join(str(int(label)) for label in labels[:8])
        raise InputError(
            Problem(
                f"is no lesion mask: its labels are {shown}{' …' if labels.size > 8 else ''}.",
                "Write 1 where there is a lesion and 0 elsewhere.",
                str(path),
            )
        )
    return Volume(volume.array == 1, volume.grid)


def read_probability(path: Path, mask: Volume) -> NDArray[np.float32]:
    """A probability map on the grid of a mask, float32.

    Raises:
        InputError: It can't be read, has another grid, or values outside [0, 1].
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image = cast(Any, nib.load(path))
        if problem := affine_problem(image.affine, path):
            raise InputError(problem)
        stored = np.asanyarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            Problem(f"can't be read as NIfTI: {error}.", "Copy or convert the file again.", str(path))
        ) from error
    if stored.ndim != 3:
        raise InputError(Problem(f"has {stored.ndim} dimensions.", "Give one 3-D probability map.", str(path)))
    values, grid = canonical(stored, image.affine)
    require_same_grid(mask, Volume(values, grid), ("the mask", path.name))
    if not np.isfinite(values).all():
        raise InputError(Problem("has NaN or infinite voxels.", "Predict again.", str(path)))
    low, high = float(values.min()), float(values.max())
    # Half precision and resampling may leave an excess of a rounding.
    if low < -1e-3 or high > 1.0 + 1e-3:
        raise InputError(
            Problem(
                f"has values from {low:g} to {high:g}, which are no probabilities.",
                "Save the network's output after the softmax.",
                str(path),
            )
        )
    return np.asarray(values, dtype=np.float32)


def read_record(path: Path) -> Record:
    """The JSON beside a prediction.

    Raises:
        InputError: It is no JSON object, or windows or seconds are no numbers.
    """
    content = read_json(path)
    seconds = content.get("seconds")
    if isinstance(seconds, Mapping):
        seconds = seconds.get("all")
    numbers = {"windows": content.get("windows"), "seconds": seconds}
    wrong = [name for name, value in numbers.items() if value is not None and not _is_number(value)]
    if wrong:
        raise InputError(Problem(f"{' and '.join(wrong)} should be a number from 0.", "", str(path)))
    windows, all_seconds = (None if value is None else float(value) for value in numbers.values())
    return Record(_told_lesions(content.get("lesions")), windows, all_seconds)


def component_confidences(mask: Volume, lesions: NDArray[np.float64], path: Path) -> tuple[float, ...]:
    """Mean probabilities that the JSON at `path` gives the components of the mask, in the order of `components`.

    Raises:
        InputError: It does not tell of these components.
    """
    from scipy import ndimage
    from scipy.optimize import linear_sum_assignment

    array = np.asarray(mask.array, dtype=np.bool_)
    box = bounding_box(array)
    if box is None and len(lesions) == 0:
        return ()
    labelled, count = (np.zeros((0, 0, 0), dtype=np.int32), 0) if box is None else components(array[box])
    if box is not None and count == len(lesions):
        places = np.array(ndimage.center_of_mass(labelled > 0, labelled, np.arange(1, count + 1)))
        centres = mask.grid.to_mm(places + [part.start for part in box])
        volumes = np.bincount(labelled.ravel())[1:, None] * mask.grid.voxel_ml
        near = np.linalg.norm(centres[:, None] - lesions[None, :, :3], axis=-1) <= CENTRE_TOLERANCE_MM
        same = near & (np.abs(volumes - lesions[:, 3]) <= VOLUME_TOLERANCE * (1.0 + volumes))
        rows, columns = linear_sum_assignment(same, maximize=True)
        if same[rows, columns].all():
            return tuple(lesions[columns, 4].tolist())
    raise InputError(
        Problem(
            f"tells of other lesions ({len(lesions)}) than the components of its mask ({count}).",
            "Predict again, or remove the JSON of masks that were changed afterwards.",
            str(path),
        )
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: It can't be read or is none.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(Problem(f"can't be read as JSON: {error}.", "", str(path))) from error
    if not isinstance(content, dict):
        raise InputError(Problem("is no JSON object.", "", str(path)))
    return content


def write_whole(path: Path, content: str) -> None:
    """Write a text file at once: a reader never sees half of it.

    Raises:
        WorkError: It can't be written; an older file is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise WorkError(f"{path}: can't be written: {error.strerror or error}") from error


def _told_lesions(content: object) -> NDArray[np.float64] | None:
    if not isinstance(content, list):
        return None
    try:
        rows = [[*lesion["centre_mm"], lesion["volume_ml"], lesion["mean_probability"]] for lesion in content]
        told = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return told if np.isfinite(told).all() else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value < np.inf
