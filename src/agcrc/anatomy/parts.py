"""Step 1: the parts of the colon, and where they leave the field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.anatomy.balls import EVERY_NEIGHBOUR

FACES = (("feet", "head"), ("back", "front"), ("left", "right"))
"""First and last plane along z, y and x."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The colon as found, without crumbs.

    Attributes:
        labels: int32, shape (z, y, x): 0, or the number of a part from 1 on, the largest first.
        count: Number of parts.
    """

    labels: NDArray[np.int32]
    count: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """All parts."""
        return np.asarray(self.labels > 0)


def parts_of(colon: NDArray[np.bool_], least_ml: float, voxel_ml: float) -> Parts:
    """Connected parts (voxels that share a corner) of at least `least_ml`."""
    found, _ = ndimage.label(colon, EVERY_NEIGHBOUR)
    volumes = np.bincount(found.ravel())[1:] * voxel_ml
    order = [part for part in np.argsort(-volumes, kind="stable") if volumes[part] >= least_ml]
    table = np.zeros(volumes.size + 1, dtype=np.int32)
    table[np.array(order, dtype=np.intp) + 1] = np.arange(1, len(order) + 1)
    return Parts(table[found], len(order))


def count_parts(mask: NDArray[np.bool_]) -> int:
    """Number of connected parts of any size."""
    return int(ndimage.label(mask, EVERY_NEIGHBOUR)[1])


def faces_touched(mask: NDArray[np.bool_]) -> tuple[str, ...]:
    """The faces of the field of view that a mask reaches, such as ("head",)."""
    touched: list[str] = []
    for axis, names in enumerate(FACES):
        touched += [name for name, plane in zip(names, (0, -1), strict=True) if mask.take(plane, axis=axis).any()]
    return tuple(touched)
