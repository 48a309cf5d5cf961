"""Distances between the surfaces of two masks in mm, right for voxels that are no cubes.

The surface runs between voxels, as in Nikolov et al. (2021, doi 10.2196/26151) and the Medical Segmentation Decathlon:
every cube of eight neighbouring voxel centres that the surface cuts is one surface element, at the cube's centre, with
the area that marching cubes gives it there. Shares and percentiles are by area, so a stack of thick slices does not
weigh by how many voxels it happens to have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agcrc.volumes import Spacing, bounding_box

FloatArray = NDArray[np.float64]
ROUNDING_MM = 1e-6
"""A distance of five voxels of 0.8 mm is not above a tolerance of 4 mm."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The surface of a mask.

    Attributes:
        places: Of the elements, (n, 3) in mm along (z, y, x).
        areas: Of the elements in mm², (n,).
    """

    places: FloatArray
    areas: FloatArray


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """From each element of one surface to the nearest of the other, both ways.

    Attributes:
        from_prediction: In mm, (p,).
        from_truth: In mm, (t,).
        prediction_areas: In mm², (p,).
        truth_areas: In mm², (t,).
    """

    from_prediction: FloatArray
    from_truth: FloatArray
    prediction_areas: FloatArray
    truth_areas: FloatArray

    def within(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the share of both surfaces that lies within the tolerance of the other, in [0, 1].

        Source: Nikolov et al. (2021), equation 7.
        """
        limit = tolerance_mm + ROUNDING_MM
        near = self.prediction_areas[self.from_prediction <= limit].sum()
        near += self.truth_areas[self.from_truth <= limit].sum()
        return float(near / (self.prediction_areas.sum() + self.truth_areas.sum()))

    def percentile(self, share: float) -> float:
        """The distance in mm that `share` (in [0, 1]) of each surface keeps within; the larger of the two ways.

        .95 gives HD95, 1 the Hausdorff distance.
        """
        return max(
            _percentile(self.from_prediction, self.prediction_areas, share),
            _percentile(self.from_truth, self.truth_areas, share),
        )


def surface_distances(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Spacing
) -> SurfaceDistances | None:
    """Distances between two surfaces; None where either mask is empty.

    The border of the array closes a mask that reaches it.

    Args:
        prediction: Shape (z, y, x).
        truth: Shape (z, y, x).
        spacing: Voxel sizes in mm, (z, y, x).
    """
    from scipy.spatial import KDTree

    ours, theirs = surface(prediction, spacing), surface(truth, spacing)
    if ours is None or theirs is None:
        return None
    return SurfaceDistances(
        np.asarray(KDTree(theirs.places).query(ours.places)[0], dtype=np.float64),
        np.asarray(KDTree(ours.places).query(theirs.places)[0], dtype=np.float64),
        ours.areas,
        theirs.areas,
    )


def surface(mask: NDArray[np.bool_], spacing: Spacing) -> Surface | None:
    """The surface of a mask of shape (z, y, x); None for an empty one. Voxel centres lie at index × spacing."""
    box = bounding_box(mask)
    if box is None:
        return None
    # One empty voxel around, so that the surface closes at the border of the array as well.
    inside = np.pad(mask[box], 1)
    sizes = tuple(size - 1 for size in inside.shape)
    code = np.zeros(sizes, dtype=np.uint8)
    for bit, corner in enumerate(np.ndindex(2, 2, 2)):
        part = tuple(slice(start, start + size) for start, size in zip(corner, sizes, strict=True))
        code |= inside[part].astype(np.uint8) << bit
    cut = np.nonzero((code != 0) & (code != 255))
    start = np.array([part.start for part in box], dtype=np.float64)
    # Element (0, 0, 0) lies between voxel −1 and voxel 0 of the box.
    places = (np.stack(cut, axis=1) + start - 0.5) * np.array(spacing)
    return Surface(places, element_areas(spacing)[code[cut]])


@lru_cache(maxsize=32)
def element_areas(spacing: Spacing) -> FloatArray:
    """Area in mm² of the surface inside a cube of eight voxel centres, by which of them are inside, shape (256,).

    Bit i of the code is corner i of `np.ndindex(2, 2, 2)`. Diagonal corners are taken as apart from each other and a
    cube counts as its complement, which is the table of Nikolov et al.
    """
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for code in range(1, 255):
        few = code if code.bit_count() <= 4 else 255 - code
        corners = np.array([few >> bit & 1 for bit in range(8)], dtype=np.float64).reshape(2, 2, 2)
        mesh = marching_cubes(corners, 0.5, spacing=spacing, method="lorensen")
        areas[code] = mesh_surface_area(mesh[0], mesh[1])
    areas.flags.writeable = False
    return areas


def _percentile(distances: FloatArray, areas: FloatArray, share: float) -> float:
    order = np.argsort(distances, kind="stable")
    reached = np.cumsum(areas[order])
    place = int(np.searchsorted(reached, share * reached[-1] * (1.0 - 1e-12)))
    return float(distances[order[min(place, order.size - 1)]])
