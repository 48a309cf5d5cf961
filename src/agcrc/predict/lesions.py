"""From a probability map to lesions, each with its size, place and confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy import Ooi, Organs, centreline
from agcrc.volumes import Grid

THRESHOLD = 0.5
SMALLEST_ML = 0.1


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


def describe_lesions(
    probability: NDArray[np.floating], grid: Grid, organs: Organs, ooi: Ooi
) -> tuple[NDArray[np.uint8], tuple[Lesion, ...]]:
    """Connected parts above one half, of at least 0.1 mL; the surest first.

    Args:
        probability: Shape `grid.shape`, in [0, 1].
        grid: Of the CT.
        organs: For the centreline.
        ooi: Tells whether there is a colon to speak of.

    Returns:
        The mask, lesions numbered from 1 (at most 255), and their descriptions in the same order.
    """
    from scipy import ndimage

    parts, count = ndimage.label(probability > THRESHOLD, structure=np.ones((3, 3, 3), dtype=bool))
    mask = np.zeros(grid.shape, dtype=np.uint8)
    if not count:
        return mask, ()
    numbers = np.arange(1, count + 1)
    volumes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * grid.voxel_ml
    peaks = np.asarray(ndimage.maximum(probability.astype(np.float32), parts, numbers), dtype=np.float64)
    means = np.asarray(ndimage.mean(probability.astype(np.float32), parts, numbers), dtype=np.float64)
    centres = np.asarray(ndimage.center_of_mass(parts > 0, parts, numbers), dtype=np.float64)
    order = [index for index in np.lexsort((-volumes, -peaks)) if volumes[index] >= SMALLEST_ML][:255]
    line = None
    if order and ooi.quality.mode == "colon":
        found = centreline(organs.mask("colon"), grid.spacing)
        line = found.points if found.reliable else None
    lesions = []
    renumber = np.zeros(count + 1, dtype=np.uint8)
    for number, index in enumerate(order, start=1):
        renumber[index + 1] = number
        x, y, z = (round(float(value), 1) for value in grid.to_mm(centres[index]))
        lesions.append(
            Lesion(
                number=number,
                volume_ml=round(float(volumes[index]), 3),
                diameter_mm=round(float((6000.0 * volumes[index] / np.pi) ** (1 / 3)), 1),
                confidence=round(float(peaks[index]), 4),
                mean_probability=round(float(means[index]), 4),
                centre_mm=(x, y, z),
                along_colon=None if line is None else _position(centres[index], line, grid),
            )
        )
    return renumber[parts], tuple(lesions)


def _position(centre: NDArray[np.float64], line: NDArray[np.floating], grid: Grid) -> float:
    """Arc length of the nearest point of the centreline, as a share of its length."""
    points = line * np.array(grid.spacing)
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    nearest = int(np.linalg.norm(points - centre * np.array(grid.spacing), axis=1).argmin())
    return round(float(lengths[nearest] / lengths[-1]), 3) if lengths[-1] > 0 else 0.0
