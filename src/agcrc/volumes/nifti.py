"""NIfTI in and out: every array comes in one orientation and goes back in that of its file."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem, WorkError
from agcrc.volumes.grid import Grid, Volume, slabs
from agcrc.volumes.orientation import affine_problem, as_in_file, canonical_grid, shear_degrees
from agcrc.volumes.values import Planes, to_hounsfield, to_labels

SUFFIXES = (".nii.gz", ".nii")
AFFINE_TOLERANCE_MM = 0.1
"""Two grids are the same where no corner lies further apart."""


def read_nifti_ct(path: Path) -> Volume:
    """A CT in HU as float32, shape (z, y, x) in RAS+.

    Values below -1024 HU, which stand for the padding outside a scanner's field of view, become -1024.

    Raises:
        InputError: Not a readable 3-D NIfTI, a spacing or a shear that no CT has, NaN, or values that are no HU (beyond
            16 bits, or none below 0: neither air nor fat).
    """
    with _opened(path) as (planes, grid):
        return Volume(to_hounsfield(planes, grid, path), grid)


def read_labels(path: Path) -> Volume:
    """A label map as uint8, or uint16 where a label is above 255, shape (z, y, x) in RAS+.

    Raises:
        InputError: Not a readable 3-D NIfTI, or values that are no whole numbers from 0 to 65535.
    """
    with _opened(path) as (planes, grid):
        return Volume(to_labels(planes, grid, path), grid)


def write_volume(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write an array on its grid as NIfTI, in the orientation of the file that the grid came from; all or nothing.

    Args:
        path: Ends in .nii.gz or .nii; a file of that name is replaced.
        array: Shape `grid.shape`. bool is stored as uint8, float16 as float32, 64-bit integers as int32.
        grid: Where its voxels stand.

    Raises:
        InputError: The name does not end in .nii.gz or .nii.
        WorkError: It can't be written.
        ValueError: The array has another shape than the grid, or integers beyond 32 bits.
    """
    import nibabel as nib

    if not path.name.endswith(SUFFIXES):
        raise InputError(Problem("must end in .nii.gz or .nii.", "", str(path)))
    if array.shape != grid.shape:
        raise ValueError(f"an array of shape {array.shape} does not fit a grid of shape {grid.shape}")
    stored, affine = as_in_file(_storable(array), grid)
    image = nib.Nifti1Image(stored, affine)
    # Some readers look at one of the two forms only. A quaternion can't say a shear; then it stays unset.
    image.header.set_sform(affine, code="scanner")
    if shear_degrees(affine) < 0.01:
        image.header.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    suffix = next(each for each in SUFFIXES if path.name.endswith(each))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=suffix, dir=path.parent)
        os.close(handle)
        try:
            nib.save(image, name)
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


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Planes, Grid]]:
    """The rescaled planes of a file, read one after the other, and its grid; what fails meanwhile is an input error."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    where = str(path)
    if not path.name.endswith(SUFFIXES):
        raise InputError(Problem("is no NIfTI by its name.", "Give a file that ends in .nii.gz or .nii.", where))
    if not path.is_file():
        raise InputError(Problem("there is no such file.", "", where))
    try:
        # Left open, a compressed file is unpacked once from its beginning to its end, and not anew for each plane.
        image = cast(Any, nib.load(path, keep_file_open=True))
        shape = tuple(image.shape)
        if len(shape) < 3 or any(size != 1 for size in shape[3:]):
            raise InputError(
                Problem(f"has {len(shape)} dimensions, {shape}.", "Give one 3-D volume, one phase in a file.", where)
            )
        if min(shape) < 1:
            raise InputError(Problem(f"is empty, {shape}.", "Copy or convert the file again.", where))
        if image.get_data_dtype().kind not in "iuf":
            kind = image.get_data_dtype()
            raise InputError(
                Problem(f"holds {kind} and not one number in a voxel.", "Give a grey-scale volume.", where)
            )
        if image.header["qform_code"] == 0 and image.header["sform_code"] == 0:
            raise InputError(
                Problem(
                    "says nothing about its orientation (qform and sform code are 0), so left and right are unknown.",
                    "Convert it again from DICOM, or set the sform in its header.",
                    where,
                )
            )
        affine = np.asarray(image.affine, dtype=np.float64)
        if problem := affine_problem(affine, path):
            raise InputError(problem)
        yield _planes(image.dataobj), canonical_grid(shape[:3], affine)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            Problem(f"can't be read as NIfTI: {error}.", "Copy or convert the file again.", where)
        ) from error
    except (MemoryError, OverflowError) as error:
        raise InputError(
            Problem(f"says that it has {shape} voxels, which do not fit in memory.", "Check its header.", where)
        ) from error


def _planes(data: Any) -> Planes:  # noqa: ANN401 - nibabel's array proxy
    more = (0,) * (len(data.shape) - 3)
    for part in slabs(data.shape[2::-1]):
        yield part, data[(slice(None), slice(None), part, *more)]


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """The array in a type that NIfTI has and that other programs read."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype in (np.int64, np.uint64):
        if array.size and (array.min() < -(2**31) or array.max() >= 2**31):
            raise ValueError(f"integers from {array.min()} to {array.max()} do not fit in 32 bits")
        return array.astype(np.int32)
    return array
