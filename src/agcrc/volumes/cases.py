"""Prepared cases: resampled and cropped once, then read memory-mapped by training.

A case is a folder:

    ct.npy          int16, HU
    lesion.npy      uint8, 0 or 1
    ooi.npy         uint8, 0 outside, 1 ring, 2 core of the organ of interest
    distance.npy    float16, mm from the core, clipped to 200
    case.json       name, grid, healthy or not, and what its maker has to say

All arrays are (z, y, x) on one grid.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem, WorkError
from agcrc.volumes.grid import Grid
from agcrc.volumes.orientation import affine_problem

FORMAT = 1
CASE_FILE = "case.json"
ARRAYS = {"ct": np.int16, "lesion": np.uint8, "ooi": np.uint8, "distance": np.float16}
FARTHEST_MM = 200.0
ADVICE = "Delete the folder and prepare the case again."


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case as training reads it; the arrays are memory maps that can't be written.

    Pickling one for another process copies its arrays whole: hand over the folder and open it there.

    Attributes:
        name: Of the case.
        grid: Of all arrays.
        ct: int16, HU.
        lesion: uint8, 0 or 1.
        ooi: uint8, 0 outside, 1 ring, 2 core.
        distance_mm: float16, from the organ's core, clipped to 200.
        info: What `write_case` was given.
        healthy: Without any lesion.
    """

    name: str
    grid: Grid
    ct: NDArray[np.int16]
    lesion: NDArray[np.uint8]
    ooi: NDArray[np.uint8]
    distance_mm: NDArray[np.float16]
    info: dict[str, Any]
    healthy: bool


def write_case(
    folder: Path,
    name: str,
    grid: Grid,
    ct: NDArray[np.float32],
    lesion: NDArray[np.bool_],
    ooi: NDArray[np.uint8],
    distance_mm: NDArray[Any],
    info: dict[str, object],
) -> None:
    """Write a prepared case; all or nothing. A case that stands there, whole or damaged, is replaced.

    Args:
        folder: Of the case; its parents are made.
        name: Of the case.
        grid: Of all arrays.
        ct: HU, rounded to whole numbers.
        lesion: Where lesions are; nowhere in a healthy case.
        ooi: 0 outside, 1 ring, 2 core.
        distance_mm: From the core; clipped to ±200, so that infinity, where there is no core, becomes 200.
        info: Crop box, quality of the organ of interest, hash of the settings and the like, as JSON can say it; also
            numpy numbers, arrays and slices. A number that is not finite becomes null.

    Raises:
        InputError: Something else than a case stands there.
        WorkError: It can't be written.
        ValueError: Arrays of another shape than the grid, NaN, or values of `ooi` beyond 2.
    """
    shapes = {"ct": ct.shape, "lesion": lesion.shape, "ooi": ooi.shape, "distance": distance_mm.shape}
    if wrong := {key: shape for key, shape in shapes.items() if shape != grid.shape}:
        raise ValueError(f"{name}: the grid has shape {grid.shape}, but {wrong}")
    if not np.isfinite(ct).all() or np.isnan(distance_mm).any() or (ooi.size and ooi.max() > 2):
        raise ValueError(f"{name}: NaN in the CT or the distance, or an organ of interest beyond 0, 1 and 2")
    range_of_ct = np.iinfo(np.int16)
    arrays = {
        "ct": np.clip(np.rint(ct), range_of_ct.min, range_of_ct.max),
        "lesion": lesion != 0,
        "ooi": ooi,
        "distance": np.clip(distance_mm, -FARTHEST_MM, FARTHEST_MM),
    }
    about = {
        "format": FORMAT,
        "name": name,
        "shape": grid.shape,
        "spacing_mm": grid.spacing,
        "affine": grid.affine,
        "flips": grid.flips,
        "healthy": not bool(lesion.any()),
        "info": info,
    }
    text = json.dumps(_plain(about), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _require_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Hidden, so that nothing that lists cases meets one that is being written.
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            made.chmod(0o755)
            for key, kind in ARRAYS.items():
                with (made / f"{key}.npy").open("wb") as file:
                    np.save(file, np.ascontiguousarray(arrays[key], dtype=kind))
                    _to_disk(file)
            with (made / CASE_FILE).open("wb") as file:
                file.write(text.encode())
                _to_disk(file)
            if folder.exists():
                shutil.rmtree(folder)
            made.replace(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise WorkError(f"{folder}: can't be written: {error.strerror or error}") from error


def open_case(folder: Path) -> PreparedCase:
    """Open a prepared case; its arrays are read when they are looked at.

    Raises:
        InputError: No such case, a folder of something else, or one that is damaged: files that are missing, cut, of
            another type or shape, or of a format that this version does not know.
    """
    path = folder / CASE_FILE
    if not path.is_file():
        raise InputError(Problem("is no prepared case: it has no case.json.", ADVICE, str(folder)))
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise InputError(
                Problem(f"is no prepared case of format {FORMAT}, the one this version reads.", ADVICE, str(path))
            )
        z, y, x = (int(size) for size in about["shape"])
        grid = Grid((z, y, x), np.array(about["affine"], dtype=float), np.array(about["flips"], dtype=float))
        if grid.affine.shape != (4, 4) or grid.flips.shape != (3, 2):
            raise ValueError("affine or flips of another shape")
        name, healthy, info = str(about["name"]), bool(about["healthy"]), dict(about["info"])
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(Problem(f"is damaged: {error!r}.", ADVICE, str(path))) from error
    if problem := affine_problem(grid.affine, path):
        raise InputError(problem)
    arrays = {key: _mapped(folder / f"{key}.npy", np.dtype(kind), grid.shape) for key, kind in ARRAYS.items()}
    return PreparedCase(name, grid, arrays["ct"], arrays["lesion"], arrays["ooi"], arrays["distance"], info, healthy)


def _to_disk(file: BinaryIO) -> None:
    """So that a power cut after the renaming leaves no file of zeros, which nobody would notice."""
    file.flush()
    os.fsync(file.fileno())


def _mapped(path: Path, kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(Problem(f"is missing or damaged: {error}.", ADVICE, str(path))) from error
    if array.dtype != kind or array.shape != shape:
        raise InputError(
            Problem(
                f"holds {array.dtype} of shape {array.shape} where {kind} of shape {shape} is due.", ADVICE, str(path)
            )
        )
    return array


def _require_replaceable(folder: Path) -> None:
    """Only a case is ever deleted."""
    if not folder.exists():
        return
    known = {CASE_FILE, *(f"{key}.npy" for key in ARRAYS)}
    foreign = (
        sorted(each.name for each in folder.iterdir() if each.name not in known) if folder.is_dir() else ["a file"]
    )
    if foreign:
        raise InputError(
            Problem(f"is no prepared case; it holds {', '.join(foreign[:5])}.", "Choose another folder.", str(folder))
        )


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can say
    """A value in the types of JSON."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, slice):
        return [value.start, value.stop]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
