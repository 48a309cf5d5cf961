"""From the axes of a file to the canonical ones and back, and affines that no CT has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import Problem
from agcrc.volumes.grid import Affine, Grid, Triple

SMALLEST_SPACING, LARGEST_SPACING = 0.1, 20.0
LARGEST_SHEAR_DEGREES = 0.5
"""Less is rounding in a header; more would put distances in mm wrong (1° over 300 mm is 5 mm)."""


def canonical_grid(shape: Triple, affine: Affine) -> Grid:
    """Where the voxels of a file stand once every axis is turned to its nearest RAS+ direction.

    Args:
        shape: (x, y, z) in the order of the file.
        affine: (4, 4), from file indices to RAS+ mm, without `affine_problem`.
    """
    import nibabel as nib
    from nibabel.orientations import inv_ornt_aff

    flips = np.asarray(nib.io_orientation(affine), dtype=np.float64)
    turned = [0, 0, 0]
    for size, axis in zip(shape, flips[:, 0], strict=True):
        turned[int(axis)] = int(size)
    x, y, z = turned
    return Grid((z, y, x), affine @ inv_ornt_aff(flips, shape), flips)


def canonical(array: NDArray[Any], affine: Affine) -> tuple[NDArray[Any], Grid]:
    """An array (x, y, z) of a file as a view in (z, y, x), and its `canonical_grid`."""
    import nibabel as nib

    x, y, z = array.shape
    grid = canonical_grid((x, y, z), affine)
    return nib.apply_orientation(array, grid.flips).transpose(2, 1, 0), grid


def as_in_file(array: NDArray[Any], grid: Grid) -> tuple[NDArray[Any], Affine]:
    """Undo `canonical`: an array (z, y, x) on its grid as a view in the order of the file, and the file's affine."""
    import nibabel as nib
    from nibabel.orientations import inv_ornt_aff

    back = np.empty_like(grid.flips)
    for axis, (direction, sign) in enumerate(grid.flips):
        back[int(direction)] = (axis, sign)
    turned = array.transpose(2, 1, 0)
    return nib.apply_orientation(turned, back), grid.affine @ inv_ornt_aff(back, turned.shape)


def shear_degrees(affine: Affine) -> float:
    """How far the axes are from standing at right angles; 0 for a grid of cuboids."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs((axes.T @ axes)[np.triu_indices(3, 1)])
    return float(np.degrees(np.arcsin(np.clip(cosines, 0.0, 1.0))).max())


def affine_problem(affine: Affine, path: Path) -> Problem | None:
    """What makes an affine impossible for a CT: numbers that are none, voxel sizes, a shear."""
    if not np.isfinite(affine).all():
        return Problem("has an affine with NaN or infinite numbers.", "Convert it again from its source.", str(path))
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if sizes.min() < SMALLEST_SPACING or sizes.max() > LARGEST_SPACING:
        return Problem(
            f"has a spacing of {'×'.join(f'{size:g}' for size in sizes)} mm (axes as in the file); "
            f"{SMALLEST_SPACING:g} to {LARGEST_SPACING:g} mm are possible.",
            "Check the affine in its header.",
            str(path),
        )
    shear = shear_degrees(affine)
    if shear > LARGEST_SHEAR_DEGREES:
        return Problem(
            f"has axes that are {shear:.1f}° off a right angle, as a tilted gantry leaves them.",
            "Resample it to a grid with right angles, for example with dcm2niix, which does so for tilted CT.",
            str(path),
        )
    return None
