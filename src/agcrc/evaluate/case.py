"""All that is measured of one case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.evaluate.detection import Candidate, Lesion, detect
from agcrc.evaluate.overlap import ceiling, dice
from agcrc.evaluate.places import Place, Surroundings, counts_as_wrong, false_positive_places
from agcrc.evaluate.surface import surface_distances
from agcrc.volumes import Grid

TOLERANCES_MM = (2.0, 4.0)
HAUSDORFF_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Case:
    """The measurements of one case; overlap and distances are None for a healthy one, whatever was predicted.

    Attributes:
        name: Of its files.
        truth_ml: Volume of the true lesions.
        predicted_ml: Volume of the mask.
        dice: In [0, 1].
        nsd_2mm: Normalised surface Dice at 2 mm; 0 for an empty mask.
        nsd_4mm: At 4 mm.
        hd95_mm: 95th percentile of the surface distances; `largest_mm` for an empty mask.
        largest_mm: Diagonal of the field of view: no distance can be larger.
        lesions: Of the truth.
        candidates: Of the prediction.
        ceiling: Best Dice that a mask inside the organ of interest can have; None without organ masks.
        places: Of each false positive of the mask; None without organ masks.
        windows: Windows that the network saw; None where the prediction does not say.
        seconds: That the prediction took; None where it does not say.
    """

    name: str
    truth_ml: float
    predicted_ml: float
    dice: float | None
    nsd_2mm: float | None
    nsd_4mm: float | None
    hd95_mm: float | None
    largest_mm: float
    lesions: tuple[Lesion, ...]
    candidates: tuple[Candidate, ...]
    ceiling: float | None = None
    places: tuple[Place, ...] | None = None
    windows: float | None = None
    seconds: float | None = None

    @property
    def healthy(self) -> bool:
        """No lesion in the truth."""
        return not self.lesions

    @property
    def found(self) -> int:
        """Lesions that the mask hits."""
        return sum(lesion.found for lesion in self.lesions)

    @property
    def false_positives(self) -> int:
        """Components of the mask that are neither a hit nor a fragment of a lesion."""
        return sum(counts_as_wrong(each) for each in self.candidates)


def measure_case(
    name: str,
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    grid: Grid,
    *,
    probability: NDArray[np.floating] | None = None,
    confidences: tuple[float, ...] | None = None,
    surroundings: Surroundings | None = None,
    windows: float | None = None,
    seconds: float | None = None,
) -> Case:
    """Measure one case.

    Args:
        name: Of the case.
        prediction: Lesion mask, shape `grid.shape`.
        truth: True lesion mask, shape `grid.shape`.
        grid: Of both.
        probability: Lesion probability in [0, 1], shape `grid.shape`.
        confidences: Of the components of the mask, where there is no probability map; see `detection.detect`.
        surroundings: Organ masks and organ of interest, on the same grid.
        windows: Windows that the network saw.
        seconds: That the prediction took.
    """
    detection = detect(prediction, truth, grid.voxel_ml, probability, confidences)
    largest = float(np.linalg.norm(np.array(grid.shape) * np.array(grid.spacing)))
    near: list[float | None] = [None, None]
    hausdorff: float | None = None
    if truth.any():
        distances = surface_distances(prediction, truth, grid.spacing)
        near = [0.0 if distances is None else distances.within(tolerance) for tolerance in TOLERANCES_MM]
        hausdorff = largest if distances is None else distances.percentile(HAUSDORFF_SHARE)
    return Case(
        name=name,
        truth_ml=int(np.count_nonzero(truth)) * grid.voxel_ml,
        predicted_ml=int(np.count_nonzero(prediction)) * grid.voxel_ml,
        dice=dice(prediction, truth),
        nsd_2mm=near[0],
        nsd_4mm=near[1],
        hd95_mm=hausdorff,
        largest_mm=largest,
        lesions=detection.lesions,
        candidates=detection.candidates,
        ceiling=None if surroundings is None else ceiling(truth, surroundings.region),
        places=None if surroundings is None else false_positive_places(detection, surroundings),
        windows=windows,
        seconds=seconds,
    )
