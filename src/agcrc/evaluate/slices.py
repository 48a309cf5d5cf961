"""The axial slices through the lesions of a case, to scroll through: pictures, and outlines of truth and prediction."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.evaluate.overlays import HIGHEST_HU, LOWEST_HU
from agcrc.volumes import Volume
from agcrc.volumes.slices import axial

MOST_SLICES = 24
MARGIN_MM = 25.0
LEAST_SIDE_MM = 120.0
SIDE = 320
"""Pixels of the longer side at most: up to 20 kB a slice of a noisy CT."""
JPEG_QUALITY = 60
TOLERANCE = 0.1
"""Voxels that an outline may leave the border by, so that straight stretches need no points."""

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class LesionSlice:
    """An axial slice, cut around the lesions.

    Attributes:
        index: In the volume, from 0, the lowest.
        position_mm: Of its middle along the body in RAS+: larger is nearer to the head.
        jpeg: Its picture, the patient's right on the left and front on top.
        truth: Outlines, closed, as (x, y) in mm from the top left of the picture.
        prediction: Likewise.
        truth_mm2: Area in the whole slice.
        prediction_mm2: Likewise.
    """

    index: int
    position_mm: float
    jpeg: bytes
    truth: tuple[Polygon, ...]
    prediction: tuple[Polygon, ...]
    truth_mm2: float
    prediction_mm2: float


@dataclass(frozen=True, slots=True)
class LesionSlices:
    """The slices of a case.

    Attributes:
        slices: From below, all cut alike.
        first: Place in `slices` of the one with most of the truth, or of the prediction where there is no truth.
        marked: Number of slices of the volume that show truth or prediction, and those next to them.
        size_mm: Width and height of the pictures.
    """

    slices: tuple[LesionSlice, ...]
    first: int
    marked: int
    size_mm: tuple[float, float]


def lesion_slices(ct: Volume, truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> LesionSlices:
    """Draw the slices that show truth or prediction, and those next to them; of many, some.

    Args:
        ct: HU.
        truth: On the same grid, at least one voxel in it or in the prediction.
        prediction: On the same grid.
    """
    masks = [mask[:, ::-1, ::-1] for mask in (truth, prediction)]
    areas = [np.count_nonzero(mask, axis=(1, 2)) for mask in masks]
    fullest = int((areas[0] if areas[0].any() else areas[1]).argmax())
    near_truth, near_any = (ndimage.binary_dilation(area > 0) for area in (areas[0], areas[0] + areas[1]))
    chosen = _chosen(near_truth, near_any, fullest)
    spacing = ct.grid.spacing
    either = masks[0] | masks[1]
    rows, columns = (_side(either, axis, spacing[axis]) for axis in (1, 2))
    middle = [(index, *((size - 1) / 2 for size in ct.grid.shape[1:])) for index in chosen]
    return LesionSlices(
        slices=tuple(
            LesionSlice(
                index=index,
                position_mm=float(position[2]),
                jpeg=_jpeg(axial(ct.array, index)[rows, columns]),
                truth=_outlines(masks[0][index, rows, columns], spacing[1:]),
                prediction=_outlines(masks[1][index, rows, columns], spacing[1:]),
                truth_mm2=float(areas[0][index] * spacing[1] * spacing[2]),
                prediction_mm2=float(areas[1][index] * spacing[1] * spacing[2]),
            )
            for index, position in zip(chosen, ct.grid.to_mm(np.array(middle)), strict=True)
        ),
        first=chosen.index(fullest),
        marked=int(near_any.sum()),
        size_mm=((columns.stop - columns.start) * spacing[2], (rows.stop - rows.start) * spacing[1]),
    )


def _chosen(near_truth: NDArray[np.bool_], near_any: NDArray[np.bool_], fullest: int) -> list[int]:
    """At most `MOST_SLICES`, the fullest among them: those of the truth, and in what is left those of other findings.

    Other findings have a quarter at least: a lesion that was missed is only half of what went wrong.
    """
    true, other = (near.nonzero()[0] for near in (near_truth, near_any & ~near_truth))
    other = _spread(other, max(MOST_SLICES // 4, MOST_SLICES - len(true)))
    chosen = np.sort(np.concatenate((_spread(true, MOST_SLICES - len(other)), other)))
    chosen[np.abs(chosen - fullest).argmin()] = fullest
    return [int(index) for index in chosen]


def _spread(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most so many, evenly spread from the first to the last."""
    places = np.linspace(0, len(indices) - 1, min(most, len(indices))).round().astype(int)
    spread: NDArray[np.intp] = indices[places]
    return spread


def _side(marked: NDArray[np.bool_], axis: int, spacing: float) -> slice:
    """The part of a side that shows what is marked; near a border it moves, it doesn't shrink."""
    places = np.flatnonzero(marked.any(axis=(0, 3 - axis)))
    first, end, whole = int(places[0]), int(places[-1]) + 1, marked.shape[axis]
    size = min(whole, round(max(LEAST_SIDE_MM, (end - first) * spacing + 2 * MARGIN_MM) / spacing))
    start = min(max(0, (first + end - size) // 2), whole - size)
    return slice(start, start + size)


def _jpeg(hu: NDArray[np.generic]) -> bytes:
    from PIL import Image

    grey = np.interp(hu.astype(np.float32), (LOWEST_HU, HIGHEST_HU), (0.0, 255.0)).round().astype(np.uint8)
    image = Image.fromarray(grey)
    image.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _outlines(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[Polygon, ...]:
    from skimage.measure import approximate_polygon, find_contours

    # Padded, so that an outline closes where a mask reaches the edge of the picture.
    contours = find_contours(np.pad(mask, 1).astype(np.float32), 0.5) if mask.any() else []
    # The middle of the first voxel has coordinate 1 in the padded mask; the picture begins half a voxel before it.
    return tuple(
        tuple(
            (round(float(column - 0.5) * spacing[1], 2), round(float(row - 0.5) * spacing[0], 2))
            for row, column in approximate_polygon(contour, TOLERANCE)[:-1]
        )
        for contour in contours
    )
