"""From a probability map to lesions, each with its size, place and confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy import OoiRegion, centreline
from agcrc.volumes import Grid
from agcrc.volumes.resample import resample_labels, resample_slabs

THRESHOLD = 0.5
SMALLEST_ML = 0.1
WORKING_MM = 2.0
"""Finer label maps are thinned out to this for the centreline."""


@dataclass(frozen=True)
class Lesion:
    """One connected lesion.

    Attributes:
        number: Its number in the mask, from 1.
        volume_ml: Volume.
        diameter_mm: Of the ball of the same volume.
        confidence: Largest probability in it.
        mean_probability: Mean probability in it.
        centre_mm: Centre of mass, RAS+ (x, y, z).
        along_colon: Position along the colon, 0 at the anus and 1 at the caecum; None where the centreline is not
            reliable.
    """

    number: int
    volume_ml: float
    diameter_mm: float
    confidence: float
    mean_probability: float
    centre_mm: tuple[float, float, float]
    along_colon: float | None


def find_lesions(
    probability: NDArray[np.float16], grid: Grid, ct_grid: Grid, region: OoiRegion, *, masked: bool = True
) -> tuple[NDArray[np.uint8], tuple[Lesion, ...]]:
    """Connected parts above one half, of at least 0.1 mL; the surest first.

    Parts are told apart in the plan's spacing; the mask is cut at one half after the probability is interpolated to the
    CT's grid, slab by slab, so that nothing but the mask has the CT's size.

    Args:
        probability: Shape `grid.shape`, in [0, 1].
        grid: Of the box that was looked at, in the plan's spacing.
        ct_grid: Of the CT.
        region: The organ of interest.
        masked: Keep the mask inside it.

    Returns:
        The mask on the CT's grid, lesions numbered from 1 (at most 255), and their descriptions in the same order.
    """
    from scipy import ndimage

    mask = np.zeros(ct_grid.shape, dtype=np.uint8)
    parts, count = ndimage.label(probability > THRESHOLD, structure=np.ones((3, 3, 3), dtype=bool))
    if not count:
        return mask, ()
    numbers = np.arange(1, count + 1)
    volumes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * grid.voxel_ml
    values = probability.astype(np.float32)
    peaks = np.asarray(ndimage.maximum(values, parts, numbers), dtype=np.float64)
    means = np.asarray(ndimage.mean(values, parts, numbers), dtype=np.float64)
    centres = np.asarray(ndimage.center_of_mass(parts > 0, parts, numbers), dtype=np.float64)
    order = [index for index in np.lexsort((-volumes, -peaks)) if volumes[index] >= SMALLEST_ML][:255]
    renumber = np.zeros(count + 1, dtype=np.uint8)
    renumber[np.array(order, dtype=np.intp) + 1] = np.arange(1, len(order) + 1)
    voxels = _paint(mask, probability, renumber[parts], grid, ct_grid, region if masked else None)
    line = _line(region) if order else None
    lesions = []
    for number, index in enumerate(order, start=1):
        centre_mm = grid.to_mm(centres[index])
        ml = float(voxels[number] * ct_grid.voxel_ml)
        x, y, z = (round(float(value), 1) for value in centre_mm)
        lesions.append(
            Lesion(
                number=number,
                volume_ml=round(ml, 3),
                diameter_mm=round(float((6000.0 * ml / np.pi) ** (1 / 3)), 1),
                confidence=round(float(peaks[index]), 4),
                mean_probability=round(float(means[index]), 4),
                centre_mm=(x, y, z),
                along_colon=None if line is None else _position(centre_mm, line),
            )
        )
    return mask, tuple(lesions)


def _paint(
    mask: NDArray[np.uint8],
    probability: NDArray[np.float16],
    numbered: NDArray[np.uint8],
    grid: Grid,
    ct_grid: Grid,
    region: OoiRegion | None,
) -> NDArray[np.int64]:
    """Write the lesions' numbers where the interpolated probability is above one half; voxels of each number."""
    from scipy import ndimage

    # An interpolated value above one half has a voxel above one half among its neighbours, so their number is known.
    near = ndimage.maximum_filter(numbered, size=3)
    own = np.where(numbered > 0, numbered, near)
    voxels = np.zeros(256, dtype=np.int64)
    for part, values in resample_slabs(probability, grid, ct_grid, order=1, fill=0.0):
        lesion = np.greater(values, THRESHOLD)
        if not lesion.any():
            continue
        slab = ct_grid.cropped((part, slice(0, ct_grid.shape[1]), slice(0, ct_grid.shape[2])))
        if region is not None:
            lesion &= region.on(slab)[0] > 0
        mask[part] = np.where(lesion, resample_labels(own, grid, slab), 0)
        voxels += np.bincount(mask[part].ravel(), minlength=256)
    return voxels


def _line(region: OoiRegion) -> NDArray[np.float64] | None:
    """The colon's centreline as RAS+ mm (x, y, z), (n, 3); None where positions along it can't be trusted."""
    if region.quality.mode != "colon":
        return None
    grid = region.organs.grid.isotropic(WORKING_MM) if min(region.organs.grid.spacing) < WORKING_MM else None
    organs = region.organs if grid is None else region.organs.resampled(grid)
    found = centreline(organs.mask("colon"), organs.grid.spacing)
    return organs.grid.to_mm(found.points) if found.reliable else None


def _position(centre_mm: NDArray[np.float64], line: NDArray[np.float64]) -> float:
    """Arc length of the nearest point of the centreline, as a share of its length."""
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
    nearest = int(np.linalg.norm(line - centre_mm, axis=1).argmin())
    return round(float(lengths[nearest] / lengths[-1]), 3) if lengths[-1] > 0 else 0.0
