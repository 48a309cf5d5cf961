"""NIfTI in and out: every array comes in one orientation and goes back in that of its file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem, WorkError
from agcrc.volumes.grid import Grid, Volume

SUFFIXES = (".nii.gz", ".nii")
SMALLEST_SPACING, LARGEST_SPACING = 0.1, 20.0
AFFINE_TOLERANCE_MM = 0.1
"""Two grids are the same where no corner lies further apart."""
LOWEST_HU, HIGHEST_HU = -2048.0, 32767.0


def read_ct(path: Path) -> Volume:
    """A CT in HU as float32, shape (z, y, x) in RAS+.

    Raises:
        InputError: Not a readable 3-D NIfTI, values that are no HU, or a spacing that no CT has.
    """
    array, grid = _read(path)
    values = np.asarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        count = int(values.size - np.isfinite(values).sum())
        raise InputError(
            Problem(
                f"{count:,} of {values.size:,} voxels are NaN or infinite.",
                "Convert the CT again; a CT has a number in every voxel.",
                str(path),
            )
        )
    low, high = float(values.min()), float(values.max())
    if low < LOWEST_HU or high > HIGHEST_HU:
        raise InputError(
            Problem(
                f"values run from {low:g} to {high:g}, which are no HU.",
                "Apply the rescale slope and intercept of the DICOM files.",
                str(path),
            )
        )
    return Volume(values, grid)


def read_labels(path: Path) -> Volume:
    """A label map as uint8 or uint16, shape (z, y, x) in RAS+.

    Raises:
        InputError: Not a readable 3-D NIfTI, or values that are no labels.
    """
    array, grid = _read(path)
    values = np.asarray(array)
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        raise InputError(
            Problem(
                "holds values that are no whole numbers, so it is no label map.",
                "Save the labels with nearest-neighbour interpolation.",
                str(path),
            )
        )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InputError(
            Problem(f"labels run from {low} to {high}; 0 to 65535 are possible.", "Renumber them.", str(path))
        )
    return Volume(values.astype(np.uint8 if high < 256 else np.uint16), grid)


def write_volume(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write an array on its grid as NIfTI, in the orientation of the file that the grid came from; all or nothing.

    Raises:
        InputError: The name does not end in .nii.gz or .nii.
        WorkError: It can't be written.
    """
    import nibabel as nib
    from nibabel.orientations import inv_ornt_aff

    if not str(path).endswith(SUFFIXES):
        raise InputError(Problem("must end in .nii.gz or .nii.", "", str(path)))
    image = nib.Nifti1Image(array.transpose(2, 1, 0), grid.affine)
    back = _inverse(grid.flips)
    affine = grid.affine @ inv_ornt_aff(back, image.shape)
    out = nib.Nifti1Image(nib.apply_orientation(np.asarray(image.dataobj), back), affine)
    out.header.set_xyzt_units("mm")
    suffix = next(each for each in SUFFIXES if str(path).endswith(each))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=suffix, dir=path.parent)
        os.close(handle)
        try:
            nib.save(out, name)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise WorkError(f"{path}: can't be written: {error.strerror or error}") from error


def require_same_grid(first: Volume, second: Volume, names: tuple[str, str]) -> None:
    """Refuse two volumes whose voxels do not stand in the same places.

    Raises:
        InputError: With shapes, spacings and the largest distance of corresponding corners.
    """
    a, b = first.grid, second.grid
    if a.shape == b.shape:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in a.shape], indexing="ij"), dtype=np.float64)
        places = corners.reshape(3, -1).T
        apart = float(np.linalg.norm(a.to_mm(places) - b.to_mm(places), axis=1).max())
        if apart <= AFFINE_TOLERANCE_MM:
            return
        detail = f"their corners lie up to {apart:.1f} mm apart"
    else:
        detail = f"their shapes (z, y, x) are {a.shape} and {b.shape}"
    spacing = " and ".join("×".join(f"{size:g}" for size in np.round(grid.spacing, 3)) for grid in (a, b))
    raise InputError(
        Problem(
            f"{names[0]} and {names[1]} are on different grids: {detail}; spacings {spacing} mm.",
            "Resample the label map to the CT with nearest-neighbour interpolation.",
        )
    )


def _read(path: Path) -> tuple[NDArray[Any], Grid]:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    if not path.is_file():
        raise InputError(Problem("there is no such file.", "", str(path)))
    try:
        image = cast(Any, nib.load(path))
        if len(image.shape) == 4 and image.shape[3] == 1:
            image = image.slicer[..., 0]
        if len(image.shape) != 3:
            raise InputError(
                Problem(f"has {len(image.shape)} dimensions, {image.shape}.", "Give one 3-D volume.", str(path))
            )
        if min(image.shape) < 1:
            raise InputError(Problem(f"is empty, {image.shape}.", "", str(path)))
        affine = np.asarray(image.affine, dtype=np.float64)
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        if not np.isfinite(affine).all() or sizes.min() < SMALLEST_SPACING or sizes.max() > LARGEST_SPACING:
            shown = "×".join(f"{size:g}" for size in sizes)
            raise InputError(
                Problem(
                    f"has a spacing of {shown} mm; {SMALLEST_SPACING:g} to {LARGEST_SPACING:g} mm are possible.",
                    "Check the affine in its header.",
                    str(path),
                )
            )
        flips = nib.io_orientation(affine)
        if not np.isfinite(flips).all():
            raise InputError(Problem("has an affine that is no orientation.", "Check its header.", str(path)))
        canonical = nib.as_closest_canonical(image)
        # nibabel scales on reading; an unscaled integer file keeps its type.
        array = np.asanyarray(canonical.dataobj)
    except InputError:
        raise
    except (ImageFileError, OSError, EOFError, ValueError, OverflowError) as error:
        raise InputError(
            Problem(f"can't be read as NIfTI: {error}.", "Copy or convert the file again.", str(path))
        ) from error
    shape = (array.shape[2], array.shape[1], array.shape[0])
    grid = Grid(shape, np.asarray(canonical.affine, dtype=np.float64), np.asarray(flips, dtype=np.float64))
    return np.ascontiguousarray(array.transpose(2, 1, 0)), grid


def _inverse(flips: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orientation change that undoes `flips`: canonical axis -> (file axis, direction)."""
    back = np.empty_like(flips)
    for axis, (canonical, direction) in enumerate(flips):
        back[int(canonical)] = (axis, direction)
    return back
