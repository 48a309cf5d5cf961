"""Balls and distances in mm on grids of cubic voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.volumes import bounding_box

EVERY_NEIGHBOUR = np.ones((3, 3, 3), dtype=np.bool_)
"""Voxels that share a corner are connected."""


def distance_mm(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """Distance of each voxel to the nearest voxel of a mask, 0 inside; infinite where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    found: NDArray[np.float32] = ndimage.distance_transform_edt(~mask, sampling=spacing_mm).astype(np.float32)
    return found


def calibre_mm(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """Distance of each voxel of a mask to the nearest voxel outside it, 0 outside; the array's border is no outside."""
    found = np.zeros(mask.shape, dtype=np.float32)
    box = bounding_box(mask, (1, 1, 1))
    if box is not None:
        found[box] = distance_mm(~mask[box], spacing_mm)
    return found


def dilated(mask: NDArray[np.bool_], radius_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """All voxels within a distance of a mask; works on the mask's surroundings only.

    The squared distance grows axis by axis up to the radius: exact, and many times faster than a distance transform.
    """
    limit = int((radius_mm / spacing_mm) ** 2 + 1e-6)
    reach = int(np.sqrt(limit))
    out = np.zeros_like(mask)
    box = bounding_box(mask, (reach, reach, reach))
    if box is None:
        return out
    squares: NDArray[np.unsignedinteger] = np.where(mask[box], 0, limit + 1).astype(np.min_scalar_type(4 * limit + 1))
    for axis in range(3):
        nearest = squares.copy()
        here, before = np.moveaxis(nearest, axis, 0), np.moveaxis(squares, axis, 0)
        for step in range(1, min(reach, len(here) - 1) + 1):
            further = before + np.array(step**2, dtype=squares.dtype)
            np.minimum(here[step:], further[:-step], out=here[step:])
            np.minimum(here[:-step], further[step:], out=here[:-step])
        squares = nearest
    out[box] = squares <= limit
    return out


def eroded(mask: NDArray[np.bool_], thickness_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """A mask without its outer layer; at the array's border there is none.

    The surface runs half a voxel before the nearest voxel outside.
    """
    return _further_inside(mask, thickness_mm + spacing_mm / 2.0, spacing_mm)


def opened(mask: NDArray[np.bool_], radius_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """All voxels within a distance of those that are further than it from any voxel outside: what is thin goes."""
    return dilated(_further_inside(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) & mask


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask; the mask itself where it is empty."""
    labels, count = ndimage.label(mask, EVERY_NEIGHBOUR)
    if count <= 1:
        return mask
    found: NDArray[np.bool_] = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return found


def _further_inside(mask: NDArray[np.bool_], distance_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """The voxels of a mask that are further than a distance from all voxels outside it."""
    found = np.zeros_like(mask)
    box = bounding_box(mask, (1, 1, 1))
    if box is not None:
        inside = mask[box]
        found[box] = inside & ~dilated(~inside, distance_mm, spacing_mm)
    return found
