"""A folder of DICOM slices as one CT volume in HU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.volumes.grid import Affine, Volume
from agcrc.volumes.orientation import LARGEST_SHEAR_DEGREES, affine_problem, canonical_grid
from agcrc.volumes.values import Planes, to_hounsfield

if TYPE_CHECKING:
    from pydicom import Dataset as Header

TAGS = [
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "ImageType",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
]
NEEDED = (
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "RescaleSlope",
    "RescaleIntercept",
)
HU_TYPES = ("", "HU", "US")
"""US is `unspecified`, which several makers write for HU."""
UNEVEN_SHARE = 0.1
"""Slice positions are rounded in some headers; a missing slice is a whole spacing."""
SHOWN = 5
"""Of a long list."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class _Slice:
    """What one file says about itself; lengths in mm, positions and directions in DICOM's LPS+."""

    path: Path
    size: tuple[int, int]
    pixel: tuple[float, float]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    position: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.row, self.column)


def read_dicom_series(folder: Path) -> Volume:
    """One CT series as float32 HU, shape (z, y, x) in RAS+; rescale slope and intercept of every slice applied.

    Every file under the folder is looked at; files that are no DICOM are passed over. The headers are judged before any
    pixel is read. Slices are ordered by position, never by name or instance number.

    Raises:
        InputError: The extra `dicom` is not installed, no DICOM or several series in the folder, a modality other than
            CT, multi-frame files, headers without geometry or rescale, mixed sizes or directions, slices twice or
            missing, a tilted gantry, pixels that can't be read, or values that are no HU.
    """
    _require_extra()
    if not folder.is_dir():
        raise InputError(Problem("there is no such folder.", "Give the folder of one CT series.", str(folder)))
    ordered, affine = _stack(folder)
    rows, columns = ordered[0].size
    grid = canonical_grid((columns, rows, len(ordered)), affine)
    return Volume(to_hounsfield(_planes(ordered), grid, folder), grid)


def _stack(folder: Path) -> tuple[list[_Slice], Affine]:
    """The slices in order and their affine; the headers, 50 KiB each, are let go before any pixel is read."""
    headers = _headers(folder)
    _require_one_ct(headers, folder)
    _require_hu(headers, folder)
    ordered, step = _in_order([_described(path, header) for path, header in headers], folder)
    affine = _affine(ordered[0], step)
    if problem := affine_problem(affine, folder):
        raise InputError(problem)
    return ordered, affine


def _require_extra() -> None:
    try:
        import pydicom  # noqa: F401
        import SimpleITK  # noqa: F401
    except ImportError as error:
        raise InputError(
            Problem(f"reading DICOM needs {error.name}, which is not installed.", "pip install 'medbench[dicom]'")
        ) from error


def _headers(folder: Path) -> list[tuple[Path, Header]]:
    """The DICOM files under a folder, and the tags of each that matter here."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    found: list[tuple[Path, Header]] = []
    problems: list[Problem] = []
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.name == "DICOMDIR" or not path.is_file():
            continue
        try:
            found.append((path, pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))))
        except InvalidDicomError:
            continue
        except (OSError, EOFError, ValueError, NotImplementedError) as error:
            problems.append(Problem(f"can't be read as DICOM: {error}.", "Copy the file again.", str(path)))
    if problems:
        raise InputError(*problems)
    if not found:
        raise InputError(Problem("holds no DICOM file.", "Give the folder of one CT series.", str(folder)))
    return found


def _require_one_ct(headers: list[tuple[Path, Header]], folder: Path) -> None:
    counts = Counter(str(header.get("SeriesInstanceUID", "")) for _, header in headers)
    if len(counts) > 1:
        one_of = {str(header.get("SeriesInstanceUID", "")): header for _, header in headers}
        listed = "; ".join(
            f"{_modality(one_of[uid])} {str(one_of[uid].get('SeriesDescription', ''))!r} {uid}: "
            f"{count:,} file{'s' * (count > 1)}"
            for uid, count in counts.most_common()
        )
        raise InputError(
            Problem(
                f"holds {len(counts)} series: {listed}.",
                "Put the files of one CT series into a folder of their own.",
                str(folder),
            )
        )
    modality = _modality(headers[0][1])
    if modality != "CT":
        raise InputError(
            Problem(f"holds a series of modality {modality}, not CT.", "HU exist in CT only.", str(folder))
        )
    frames = [path.name for path, header in headers if int(header.get("NumberOfFrames", 1) or 1) > 1]
    if frames:
        raise InputError(
            Problem(
                f"holds {len(frames)} multi-frame file{'s' * (len(frames) > 1)} ({_some(frames)}).",
                "Convert it to NIfTI with dcm2niix and give that.",
                str(folder),
            )
        )


def _modality(header: Header) -> str:
    return str(header.get("Modality", "")) or "unknown"


def _require_hu(headers: list[tuple[Path, Header]], folder: Path) -> None:
    """Refuse slices that say too little to be placed and rescaled, or that hold something else than HU."""
    lacking = Counter(name for _, header in headers for name in NEEDED if header.get(name) in (None, ""))
    if lacking:
        listed = ", ".join(f"{name} ({count:,})" for name, count in lacking.items())
        raise InputError(
            Problem(
                f"holds {len(headers):,} slices of which some lack tags: {listed}.",
                "Export the series again from the archive, with all its tags.",
                str(folder),
            )
        )
    others = Counter(str(header.get("RescaleType", "") or "") for _, header in headers)
    if kinds := [kind for kind in others if kind not in HU_TYPES]:
        raise InputError(
            Problem(
                f"holds {', '.join(kinds)} and not HU (RescaleType).", "Give the conventional CT series.", str(folder)
            )
        )


def _described(path: Path, header: Header) -> _Slice:
    """The geometry of a slice.

    Raises:
        InputError: A tag holds no numbers.
    """
    try:
        directions = np.array([float(value) for value in header.ImageOrientationPatient])
        position = np.array([float(value) for value in header.ImagePositionPatient])
        between_rows, between_columns = (float(value) for value in header.PixelSpacing)
        if directions.shape != (6,) or position.shape != (3,):
            raise ValueError(f"{directions.size} direction and {position.size} position numbers")
    except (TypeError, ValueError) as error:
        raise InputError(
            Problem(f"has a geometry that can't be read: {error}.", "Export the series again.", str(path))
        ) from error
    return _Slice(
        path,
        (int(header.Rows), int(header.Columns)),
        (between_rows, between_columns),
        directions[:3],
        directions[3:],
        position,
    )


def _in_order(slices: list[_Slice], folder: Path) -> tuple[list[_Slice], NDArray[np.float64]]:
    """The slices along their normal, and the way from one to the next in mm.

    Raises:
        InputError: They are no stack: of several sizes, pixel spacings or directions, twice in a place, unevenly
            spaced, or shifted against each other as a tilted gantry does.
    """
    where = str(folder)
    _require_alike([each.size for each in slices], 0.0, "sizes", where)
    _require_alike([each.pixel for each in slices], 1e-4, "pixel spacings in mm", where)
    _require_alike([(*each.row, *each.column) for each in slices], 1e-3, "directions", where)
    if len(slices) < 2:
        raise InputError(Problem("holds one slice, which is no volume.", "Give the whole series.", where))
    normal = slices[0].normal
    ordered = sorted(slices, key=lambda each: float(each.position @ normal))
    heights = np.array([each.position @ normal for each in ordered])
    gaps = np.diff(heights)
    twice = np.flatnonzero(gaps < 0.01)
    if twice.size:
        names = [f"{ordered[i].path.name} and {ordered[i + 1].path.name} at {heights[i]:.1f} mm" for i in twice]
        raise InputError(
            Problem(
                f"holds several slices in {twice.size} of {len(slices) - twice.size} places: {_some(names)}.",
                "Two phases or a second copy lie in one series: keep one of them.",
                where,
            )
        )
    usual = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - usual) > UNEVEN_SHARE * usual)
    if uneven.size:
        listed = _some(f"{gaps[i]:.2f} mm from {heights[i]:.1f} to {heights[i + 1]:.1f} mm" for i in uneven)
        missing = int(np.maximum(np.rint(gaps[uneven] / usual) - 1, 0).sum())
        raise InputError(
            Problem(
                f"has uneven slices: most are {usual:.2f} mm apart, but {listed}"
                + (f"; about {missing} slice{'s are' if missing > 1 else ' is'} missing." if missing else "."),
                "Copy the whole series again, or choose a reconstruction with even spacing.",
                where,
            )
        )
    step = (ordered[-1].position - ordered[0].position) / (len(ordered) - 1)
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / np.linalg.norm(step), -1.0, 1.0))))
    if tilt > LARGEST_SHEAR_DEGREES:
        raise InputError(
            Problem(
                f"was taken with the gantry tilted by {tilt:.1f}°: its slices are shifted against each other.",
                "Convert it with dcm2niix, which corrects the tilt, and give the NIfTI file.",
                where,
            )
        )
    return ordered, step


def _require_alike(values: list[tuple[float, ...]], tolerance: float, what: str, where: str) -> None:
    numbers = np.array(values, dtype=np.float64)
    if float(np.ptp(numbers, axis=0).max()) <= tolerance:
        return
    between = "×" if numbers.shape[1] == 2 else "\\"
    counts = Counter(between.join(f"{number + 0.0:.5g}" for number in each) for each in numbers)
    listed = _some(f"{count:,} of {value}" for value, count in counts.most_common())
    raise InputError(
        Problem(
            f"holds slices of {len(counts)} {what}: {listed}.",
            "A scout or another reconstruction lies in the series: take it out.",
            where,
        )
    )


def _affine(first: _Slice, step: NDArray[np.float64]) -> Affine:
    """From (column, row, slice) indices to RAS+ mm."""
    affine = np.eye(4)
    between_rows, between_columns = first.pixel
    axes = np.column_stack([first.row * between_columns, first.column * between_rows, step])
    affine[:3, :3] = LPS_TO_RAS @ axes
    affine[:3, 3] = LPS_TO_RAS @ first.position
    return affine


def _planes(ordered: list[_Slice]) -> Planes:
    """The pixels, one file at a time."""
    import SimpleITK

    rows, columns = ordered[0].size
    for number, each in enumerate(ordered):
        try:
            # GDCM inside SimpleITK unpacks what pydicom needs plug-ins for, and applies slope and intercept.
            image = SimpleITK.ReadImage(str(each.path), SimpleITK.sitkFloat32, imageIO="GDCMImageIO")
            pixels = SimpleITK.GetArrayFromImage(image).reshape(rows, columns)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(
                Problem(f"has pixels that can't be read: {reason}.", "Copy the file again.", str(each.path))
            ) from error
        yield slice(number, number + 1), pixels.T[..., None]


def _some(parts: Iterable[str]) -> str:
    """The first few of a list, and how many more there are."""
    listed = list(parts)
    more = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
