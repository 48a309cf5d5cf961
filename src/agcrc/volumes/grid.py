"""The voxel grid of a volume, and the way back to the file it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]
"""Slices in (z, y, x), with explicit ends."""
Affine = NDArray[np.float64]
SLAB_VOXELS = 2**21
"""What is worked on at a time where a whole array would cost too much memory: 16 MiB in float64."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of an array stand.

    Attributes:
        shape: (z, y, x).
        affine: (4, 4), takes (x, y, z, 1) of the canonical array to mm in RAS+ (right, front and head are positive).
        flips: Orientation of the file that the array came from, as `nibabel.orientations` writes it, shape (3, 2): file
            axis -> (canonical axis, 1 or -1). The identity for arrays that never were in a file.
    """

    shape: Triple
    affine: Affine
    flips: NDArray[np.float64]

    @staticmethod
    def of(shape: Triple, spacing: Spacing, origin: Spacing = (0.0, 0.0, 0.0)) -> Grid:
        """An axis-aligned grid; `origin` is the RAS+ position (x, y, z) of the first voxel in mm."""
        affine = np.diag([*spacing[::-1], 1.0]).astype(np.float64)
        affine[:3, 3] = origin
        return Grid(shape, affine, np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))

    @property
    def spacing(self) -> Spacing:
        """Voxel sizes in mm, (z, y, x)."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def isotropic(self, spacing_mm: float) -> Grid:
        """The grid over the same field of view with cubic voxels; at least one along each axis."""
        return self.with_spacing((spacing_mm, spacing_mm, spacing_mm))

    def with_spacing(self, spacing: Spacing) -> Grid:
        """The grid over the same field of view with other voxel sizes (z, y, x) in mm."""
        old = np.array(self.spacing)
        new = np.array(spacing, dtype=np.float64)
        sizes = np.maximum(1, np.round(np.array(self.shape) * old / new)).astype(int)
        affine = self.affine.copy()
        scale = (new / old)[::-1]
        affine[:3, :3] = self.affine[:3, :3] * scale
        # Edges of the field of view stay: the first voxel's centre moves by half the difference of the sizes.
        affine[:3, 3] = self.affine[:3, 3] + self.affine[:3, :3] @ ((scale - 1.0) / 2.0)
        return replace(self, shape=(int(sizes[0]), int(sizes[1]), int(sizes[2])), affine=affine)

    def cropped(self, box: Box) -> Grid:
        """The grid of `array[box]`."""
        start = np.array([part.start for part in box], dtype=np.float64)
        affine = self.affine.copy()
        affine[:3, 3] = self.affine[:3, 3] + self.affine[:3, :3] @ start[::-1]
        shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
        return replace(self, shape=shape, affine=affine)

    def to_mm(self, index: NDArray[Any]) -> NDArray[np.float64]:
        """Indices (..., 3) in (z, y, x) -> RAS+ mm (..., 3) in (x, y, z)."""
        return np.asarray(index, dtype=np.float64)[..., ::-1] @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, mm: NDArray[Any]) -> NDArray[np.float64]:
        """RAS+ mm (..., 3) in (x, y, z) -> indices (..., 3) in (z, y, x), not rounded."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        found: NDArray[np.float64] = (np.asarray(mm, dtype=np.float64) - self.affine[:3, 3]) @ inverse.T
        return found[..., ::-1]


@dataclass(frozen=True, eq=False)
class Volume:
    """An array on its grid.

    Attributes:
        array: Shape `grid.shape`.
        grid: Where its voxels stand.
    """

    array: NDArray[Any]
    grid: Grid


def bounding_box(mask: NDArray[np.bool_], margin: Triple = (0, 0, 0)) -> Box | None:
    """The smallest box that holds a mask, widened by `margin` voxels (z, y, x) within the array; None for no voxel."""
    ends: list[slice] = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if places.size == 0:
            return None
        start = max(0, int(places[0]) - margin[axis])
        ends.append(slice(start, min(mask.shape[axis], int(places[-1]) + 1 + margin[axis])))
    return ends[0], ends[1], ends[2]


def slabs(shape: tuple[int, ...], voxels: int = SLAB_VOXELS) -> Iterator[slice]:
    """Slices along the first axis that together cover it, each of at most `voxels` voxels, or one plane."""
    plane = max(1, int(np.prod(shape[1:], dtype=np.int64)))
    step = max(1, voxels // plane)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))
