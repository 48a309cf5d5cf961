"""The smallest dilation that holds the lesions of a training fold (spec, section 1 step 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.anatomy.balls import EVERY_NEIGHBOUR
from agcrc.anatomy.ooi import OUTSIDE, Ooi
from agcrc.errors import InputError, Problem

SMALLEST_MM, LARGEST_MM = 5, 30
LEAST_COVERAGE = 0.995


@dataclass(frozen=True, slots=True)
class RadiusChoice:
    """The chosen radius, and what each radius would give.

    Attributes:
        radius_mm: The smallest that suffices, else `LARGEST_MM`.
        enough: Whether it suffices.
        coverage: Radius in mm -> share of all lesion voxels in the region.
        untouched: Radius in mm -> lesions without any voxel in it.
        lesions: Number of lesions.
    """

    radius_mm: int
    enough: bool
    coverage: Mapping[int, float]
    untouched: Mapping[int, int]
    lesions: int


def choose_radius(cases: Iterable[tuple[Ooi, NDArray[np.bool_]]]) -> RadiusChoice:
    """The smallest whole r from 5 to 30 mm whose regions hold 99.5 % of the lesion voxels and touch every lesion.

    Give the training fold only, never the test fold. Lesions are connected voxels (sharing a corner).

    Args:
        cases: For each case a mask of r = 30 mm or more that was made without the lesion, and the lesion on its grid.

    Raises:
        InputError: Masks with a smaller r or with the lesion in them, or no lesion at all.
    """
    radii = np.arange(SMALLEST_MM, LARGEST_MM + 1)
    held = np.zeros(radii.size, dtype=np.int64)
    touched = np.zeros(radii.size, dtype=np.int64)
    voxels = lesions = 0
    for number, (ooi, lesion) in enumerate(cases, start=1):
        _require_usable(number, ooi, lesion)
        places = np.nonzero(lesion)
        if places[0].size == 0:
            continue
        # The smallest r with which each voxel of the lesion is in the region.
        reach = np.where(ooi.mask[places] > OUTSIDE, ooi.core_distance_mm[places], np.inf)
        labels, count = ndimage.label(lesion, EVERY_NEIGHBOUR)
        nearest = np.full(count, np.inf)
        np.minimum.at(nearest, labels[places] - 1, reach)
        held += (reach[:, None] <= radii).sum(axis=0)
        touched += (nearest[:, None] <= radii).sum(axis=0)
        voxels += reach.size
        lesions += count
    if voxels == 0:
        raise InputError(Problem("no case has a lesion.", "Give the training cases with their lesion labels."))
    enough = (held >= LEAST_COVERAGE * voxels) & (touched == lesions)
    chosen = int(radii[np.argmax(enough)]) if enough.any() else LARGEST_MM
    return RadiusChoice(
        radius_mm=chosen,
        enough=bool(enough.any()),
        coverage={int(r): float(count) / voxels for r, count in zip(radii, held, strict=True)},
        untouched={int(r): int(lesions - count) for r, count in zip(radii, touched, strict=True)},
        lesions=lesions,
    )


def _require_usable(number: int, ooi: Ooi, lesion: NDArray[np.bool_]) -> None:
    problems: list[Problem] = []
    if lesion.shape != ooi.mask.shape:
        problems.append(Problem(f"case {number}: the lesion's shape is {lesion.shape}, the mask's {ooi.mask.shape}."))
    if ooi.quality.radius_mm < LARGEST_MM:
        problems.append(
            Problem(
                f"case {number}: the mask has r = {ooi.quality.radius_mm:g} mm.",
                f"Make it with r = {LARGEST_MM} mm; every smaller r is read off its distances.",
            )
        )
    if ooi.quality.lesion_coverage is not None:
        problems.append(Problem(f"case {number}: the mask was made with the lesion.", "Make it without."))
    if problems:
        raise InputError(*problems)
