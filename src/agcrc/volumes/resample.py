"""From one grid to another along the same axes: linear with anti-aliasing, or nearest, slab by slab.

A value is taken at the mm position of each target voxel's centre. The field of view of the source ends half a voxel
beyond its outer centres: between an outer centre and that edge the outer voxel's value holds, beyond it `fill`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.volumes.grid import SLAB_VOXELS, Grid

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST_DRIFT_MM = 0.1
"""Grids run along the same axes where ignoring their rotation moves no corner further."""
POSITION_DECIMALS = 4
"""In voxels: what affines are rounded by in headers must push no centre off another, out of view or over a tie."""


def resample(
    array: NDArray[Any], source: Grid, target: Grid, *, order: Literal[0, 1], fill: float
) -> NDArray[np.generic]:
    """Values of an array at the voxels of another grid along the same axes.

    Order 1 weighs source voxels by a tent along each axis, whose half width is one voxel of the coarser of the two
    grids: plain trilinear interpolation where the target is as fine, an average without aliasing where it is coarser
    (the antialias filter of Pillow and of `torch.nn.functional.interpolate`). Memory above the result is that of a few
    slabs (`SLAB_VOXELS`), however long the scan.

    Args:
        array: Shape `source.shape`; a memory map will do.
        source: Where the voxels of the array stand.
        target: Where values are wanted.
        order: 0 nearest (of two equally near voxels the one further up the axis), 1 linear.
        fill: The value outside the source's field of view.

    Returns:
        Shape `target.shape`; of the array's type for order 0, float32 for order 1.

    Raises:
        InputError: The grids are turned against each other.
        ValueError: The array has another shape than its grid, or its type can't hold `fill`.
    """
    out = np.empty(target.shape, dtype=array.dtype if order == 0 else np.float32)
    for part, values in resample_slabs(array, source, target, order=order, fill=fill):
        out[part] = values
    return out


def resample_labels(array: NDArray[Any], source: Grid, target: Grid) -> NDArray[Any]:
    """The nearest labels, 0 outside the source's field of view; see `resample`."""
    return resample(array, source, target, order=0, fill=0)


def resample_slabs(
    array: NDArray[Any], source: Grid, target: Grid, *, order: Literal[0, 1], fill: float
) -> Iterator[tuple[slice, NDArray[np.generic]]]:
    """`resample` in pieces along z, for results that need not be held whole, such as a probability to be cut at .5.

    Yields:
        A slice of target planes, and their values, shape (planes, y, x).
    """
    if array.shape != source.shape:
        raise ValueError(f"an array of shape {array.shape} does not fit a grid of shape {source.shape}")
    if order == 0 and array.dtype.kind in "bui":
        with np.errstate(invalid="ignore"):
            if np.array(fill).astype(array.dtype) != fill:
                raise ValueError(f"{array.dtype} can't hold the fill value {fill}")
    scale, offset = _along_axes(source, target)
    places = [
        np.round(np.arange(count) * step + start, POSITION_DECIMALS)
        for count, step, start in zip(target.shape, scale, offset, strict=True)
    ]
    outside = [(place < -0.5) | (place > size - 0.5) for place, size in zip(places, source.shape, strict=True)]
    if order == 0:
        nearest = [
            np.clip(np.floor(place + 0.5).astype(np.int64), 0, size - 1)
            for place, size in zip(places, source.shape, strict=True)
        ]
    else:
        weights = [_tents(*each) for each in zip(places, source.shape, np.maximum(scale, 1.0), strict=True)]
    # A slab of the target, yet no more of the source than a slab where the target is coarser.
    plane = max(target.shape[1] * target.shape[2], int(source.shape[1] * source.shape[2] * max(1.0, scale[0])))
    planes = max(1, SLAB_VOXELS // plane)
    for first in range(0, target.shape[0], planes):
        part = slice(first, min(first + planes, target.shape[0]))
        if order == 0:
            values = array[np.ix_(nearest[0][part], nearest[1], nearest[2])]
        else:
            values = _weigh(array, weights[0][part], weights[1], weights[2])
        values[outside[0][part]] = fill
        values[:, outside[1]] = fill
        values[:, :, outside[2]] = fill
        yield part, values


def _along_axes(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Target index -> source index, per axis (z, y, x): a factor and an offset."""
    mapping = np.linalg.inv(source.affine) @ target.affine
    scale, offset = np.diag(mapping)[:3][::-1].copy(), mapping[:3, 3][::-1].copy()
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in target.shape], indexing="ij"), dtype=np.float64)
    corners = corners.reshape(3, -1).T
    drift = np.linalg.norm(target.to_mm(corners) - source.to_mm(corners * scale + offset), axis=1).max()
    if drift > LARGEST_DRIFT_MM or scale.min() <= 0:
        axes = [each.affine[:3, :3] / np.linalg.norm(each.affine[:3, :3], axis=0) for each in (source, target)]
        turned = np.degrees(np.arccos(np.clip((axes[0] * axes[1]).sum(axis=0), -1.0, 1.0))).max()
        raise InputError(
            Problem(
                f"the grids are turned against each other by {turned:.1f}°, which moves corners by {drift:.1f} mm.",
                "Resample one of them to the axes of the other first, for example in 3D Slicer.",
            )
        )
    return scale, offset


def _tents(places: NDArray[np.float64], size: int, half_width: float) -> csr_array:
    """Sparse weights (places, size) in float32; the rows of places in view sum to 1."""
    from scipy import sparse

    reach = int(np.ceil(half_width))
    columns = np.floor(places).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(columns - places[:, None]) / half_width)
    weights[(columns < 0) | (columns >= size)] = 0.0
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    rows, found = np.nonzero(weights)
    entries = (weights[rows, found].astype(np.float32), (rows, columns[rows, found]))
    return sparse.csr_array(entries, shape=(len(places), size))


def _weigh(array: NDArray[Any], along_z: csr_array, along_y: csr_array, along_x: csr_array) -> NDArray[np.float32]:
    """Apply sparse weights along each axis."""
    if along_z.nnz == 0:
        return np.zeros((along_z.shape[0], along_y.shape[0], along_x.shape[0]), dtype=np.float32)
    first, last = along_z.indices.min(), along_z.indices.max() + 1
    block = np.asarray(array[first:last], dtype=np.float32)
    _, size_y, size_x = block.shape
    planes = along_z[:, first:last] @ block.reshape(last - first, -1)
    count = planes.shape[0]
    rows = along_y @ planes.reshape(count, size_y, size_x).transpose(1, 0, 2).reshape(size_y, -1)
    columns = along_x @ rows.reshape(-1, count, size_x).transpose(2, 1, 0).reshape(size_x, -1)
    found: NDArray[np.float32] = columns.reshape(-1, count, along_y.shape[0]).transpose(1, 2, 0)
    return found
