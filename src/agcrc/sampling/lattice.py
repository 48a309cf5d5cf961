"""The coarse grid on which the gain is reckoned, and the candidates on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from agcrc.sampling.patches import start_counts
from agcrc.volumes import Box, Triple


@dataclass(frozen=True)
class Lattice:
    """Cells of factor³ voxels, and candidate patches whose edges lie on edges of cells.

    Candidate i along an axis covers cells [i, i + extent) and stands for the starts around voxel i * factor. Every
    valid start belongs to exactly one candidate, so patches of different candidates never have the same centre. Where
    patch or volume are no multiple of the factor, their edges are rounded to whole cells, and the central part shrinks
    to whole cells; what it loses, the margin gets (`margin_value`).

    Attributes:
        shape: Of the volume in voxels.
        patch: In voxels.
        factor: Voxels along each side of a cell.
        cells: Cells along each axis.
        counts: Candidates along each axis.
        extent: Cells that a patch covers along each axis.
        margin: Cells at each end of them that are not, or not wholly, in the central part.
        central_volume: Share of the patch's voxels in the volume that lie in the central part.
    """

    shape: Triple
    patch: Triple
    factor: int
    cells: Triple
    counts: Triple
    extent: Triple
    margin: Triple
    central_volume: float

    @property
    def size(self) -> int:
        """Number of candidates."""
        z, y, x = self.counts
        return z * y * x

    @cached_property
    def indices(self) -> NDArray[np.int32]:
        """(z, y, x) of the candidates, shape (size, 3)."""
        return np.indices(self.counts, dtype=np.int32).reshape(3, -1).T.copy()

    @cached_property
    def corners(self) -> NDArray[np.int32]:
        """Corners in the flat integral image, shape (size, 16): eight of the patch, eight of its central part."""
        strides = np.array([(self.cells[1] + 1) * (self.cells[2] + 1), self.cells[2] + 1, 1], dtype=np.int32)
        offsets = [
            np.where(upper, np.array(self.extent) - margin, margin) @ strides
            for margin in (np.zeros(3, dtype=np.int32), np.array(self.margin, dtype=np.int32))
            for upper in product((False, True), repeat=3)
        ]
        return (self.indices @ strides)[:, None] + np.array(offsets, dtype=np.int32)

    def margin_value(self, margin_profile: float) -> float:
        """Profile of the cells that are not wholly central, so that the sum of k is that over voxels."""
        central = math.prod((n - 2 * m) / n for n, m in zip(self.extent, self.margin, strict=True))
        mean = self.central_volume + (1 - self.central_volume) * margin_profile
        return min(1.0, max(0.0, (mean - central) / (1 - central))) if central < 1 else 1.0

    def profile(self, margin_profile: float) -> NDArray[np.float64]:
        """k_p on the cells of a patch, shape `extent`: 1 in the central part, `margin_value` around it."""
        profile = np.full(self.extent, self.margin_value(margin_profile))
        z, y, x = (slice(m, length - m) for m, length in zip(self.margin, self.extent, strict=True))
        profile[z, y, x] = 1.0
        return profile

    def box(self, candidate: int) -> Box:
        """The cells of a candidate."""
        z, y, x = (slice(int(i), int(i) + n) for i, n in zip(self.indices[candidate], self.extent, strict=True))
        return z, y, x

    def jittered(self, candidates: NDArray[np.integer], random: np.random.Generator) -> NDArray[np.int64]:
        """A random start of each candidate's own, in voxels, shape (count, 3)."""
        first = self.indices[candidates].astype(np.int64) * self.factor - self.factor // 2
        last = np.minimum(first + self.factor, np.array(start_counts(self.shape, self.patch)))
        starts: NDArray[np.int64] = random.integers(np.maximum(first, 0), last)
        return starts


@lru_cache(maxsize=8)
def lattice_of(shape: Triple, patch: Triple, factor: int, central_share: float) -> Lattice:
    """The candidates of a volume.

    Args:
        shape: Of the volume in voxels (z, y, x).
        patch: In voxels; may be longer than the volume.
        factor: Voxels along each side of a cell.
        central_share: Of the patch along each axis.
    """
    axes = [_axis(size, length, factor, central_share) for size, length in zip(shape, patch, strict=True)]
    cells, counts, extent, margin = ((z, y, x) for z, y, x in zip(*axes, strict=True))
    volume = math.prod(
        min(1.0, length * central_share / min(size, length)) for size, length in zip(shape, patch, strict=True)
    )
    return Lattice(shape, patch, factor, cells, counts, extent, margin, volume)


def _axis(size: int, length: int, factor: int, central_share: float) -> tuple[int, int, int, int]:
    """Cells, candidates, and the extent and margin of a patch along an axis."""
    cells = -(-size // factor)
    # Where the patch is longer than the volume, what counts is how much of its margin reaches into it.
    margin = math.ceil(max(0.0, (min(size, length) - length * central_share) / 2) / factor)
    if size <= length:
        return cells, 1, cells, min(margin, (cells - 1) // 2)
    counts = (size - length + factor // 2) // factor + 1
    extent = max(1, int(length / factor + 0.5))
    return max(cells, counts - 1 + extent), counts, extent, min(margin, (extent - 1) // 2)
