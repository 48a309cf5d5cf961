"""The volumes that a phantom is painted on, with edges softer than a voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agcrc.volumes import Box, Grid

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
AIR_HU = -1000.0


class Canvas:
    """CT and organ labels under construction.

    Anatomy is drawn in body millimetres (x, y, z): right, front and head are positive, 0 is the middle of the field of
    view, and a grown-up body has scale 1. `scale` turns them into the grid's millimetres, so a smaller body is the same
    drawing.

    Attributes:
        grid: Where the voxels stand.
        scale: Grid mm per body mm.
        voxel: Edge of a voxel in body mm.
        ct: HU, float32, (z, y, x).
        organs: Label numbers, uint8, (z, y, x); 0 is no organ.
        x: Positions of the voxels in body mm; also `y` and `z`.
    """

    def __init__(self, grid: Grid, scale: float) -> None:
        self.grid, self.scale = grid, scale
        self.voxel = max(grid.spacing) / scale
        self.ct: Floats = np.full(grid.shape, AIR_HU, dtype=np.float32)
        self.organs: NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)
        origin = grid.affine[:3, 3]
        z, y, x = (
            ((start + np.arange(size) * step) / scale).astype(np.float32)
            for start, size, step in zip(origin[::-1], grid.shape, grid.spacing, strict=True)
        )
        self.x, self.y, self.z = x, y, z

    def box(self, low: NDArray[np.floating], high: NDArray[np.floating]) -> Box:
        """The voxels between two corners (x, y, z) in body mm, widened by a voxel and cut at the field of view."""
        ends = []
        for axis, places in enumerate((self.z, self.y, self.x)):
            start = int(np.searchsorted(places, float(low[2 - axis]) - self.voxel))
            stop = int(np.searchsorted(places, float(high[2 - axis]) + self.voxel, side="right"))
            ends.append(slice(min(start, len(places)), max(start, stop)))
        return ends[0], ends[1], ends[2]

    def mesh(self, box: Box) -> tuple[Floats, Floats, Floats]:
        """x, y and z of a box's voxels, shaped to broadcast to it."""
        return self.x[None, None, box[2]], self.y[None, box[1], None], self.z[box[0], None, None]

    @property
    def everywhere(self) -> Box:
        """The whole field of view."""
        depth, height, width = self.grid.shape
        return slice(0, depth), slice(0, height), slice(0, width)

    def points(self, where: Indices) -> Floats:
        """Positions (n, 3) as (x, y, z) in body mm of voxels given by flat index."""
        z, y, x = np.unravel_index(where, self.grid.shape)
        return np.stack([self.x[x], self.y[y], self.z[z]], axis=1)

    def fill(self, where: Box | Indices, distance: Floats, hu: Floats | float, label: int | None = None) -> None:
        """Blend a structure in.

        Args:
            where: Its voxels: a box, or flat indices.
            distance: Signed distance to its surface in body mm, negative inside, for each of them.
            hu: Its grey value.
            label: Written where at least half a voxel is covered; None leaves the labels as they are.
        """
        cover = np.clip(0.5 - distance / self.voxel, 0.0, 1.0).astype(np.float32)
        if isinstance(where, tuple):
            ct, organs = self.ct[where], self.organs[where]
            ct += cover * (hu - ct)
            if label is not None:
                organs[cover >= 0.5] = label
            return
        flat = self.ct.reshape(-1)
        flat[where] += cover * (hu - flat[where])
        if label is not None:
            self.organs.reshape(-1)[where[cover >= 0.5]] = label
