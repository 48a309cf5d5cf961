"""Lesions found, missed and invented: connected parts of the prediction against connected parts of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from agcrc.evaluate.overlap import lesion_dice
from agcrc.volumes import Box, bounding_box

HIT_IOU = 0.1
"""A component is a hit where it shares this much of the union with a lesion."""
FRAGMENT_SHARE = 0.5
"""An unmatched component of which this share lies in true lesions is a piece of a lesion, not a false positive."""
FAINT = 0.1
"""Where a probability map is given, its parts above this that the mask lacks are candidates too."""
MASK_PROBABILITY = 0.5
"""A part that reaches this and yet isn't in the mask was discarded by the maker of the mask."""

Labelled = NDArray[np.int32]


class Verdict(Enum):
    """What a predicted component turned out to be."""

    HIT = "hit"
    FRAGMENT = "fragment"
    FALSE_POSITIVE = "false_positive"


@dataclass(frozen=True, slots=True)
class Lesion:
    """A connected lesion of the truth.

    Attributes:
        volume_ml: Volume.
        diameter_mm: Of the ball of the same volume.
        dice: With all components of the mask that touch it; see `overlap.lesion_dice`.
        found: The mask has a hit on it.
        score: Confidence of the candidate that hits it, from the mask or fainter; None where none does.
    """

    volume_ml: float
    diameter_mm: float
    dice: float
    found: bool
    score: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connected component of the prediction.

    Attributes:
        volume_ml: Volume.
        confidence: Mean probability in it, or its volume in mL where there are no probabilities.
        in_mask: Part of the mask; otherwise a fainter part of the probability map.
        verdict: Hit, fragment of a lesion, or false positive.
        box: Where it is, (z, y, x).
        number: Its number in `Detection.labelled`.
    """

    volume_ml: float
    confidence: float
    in_mask: bool
    verdict: Verdict
    box: Box
    number: int


@dataclass(frozen=True, eq=False)
class Detection:
    """Lesions and candidates of a case.

    Attributes:
        lesions: Of the truth.
        candidates: Of the prediction; those of the mask first.
        labelled: Numbers of the candidates on `box`, 0 elsewhere.
        box: The part of the volume that holds all lesions and candidates; None where there are none.
    """

    lesions: tuple[Lesion, ...]
    candidates: tuple[Candidate, ...]
    labelled: Labelled
    box: Box | None


def detect(
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    voxel_ml: float,
    probability: NDArray[np.floating] | None = None,
    confidences: tuple[float, ...] | None = None,
) -> Detection:
    """Match predicted components with true lesions, one to one.

    Components are 26-connected and none is too small to count. Pairs with an IoU of at least 0.1 may be matched; of all
    one-to-one assignments the one with the largest sum of IoU is taken (PI-CAI's rule). A component that is left over
    and lies to at least half in true lesions is a fragment, neither hit nor false positive; all others are false
    positives, also a leak so large that the lesion in it is below the IoU.

    With a probability map, parts of at least 0.1 that don't touch the mask and stay below 0.5 are candidates as well:
    they carry the FROC curve past the mask's own operating point. They are matched after the mask's components and only
    with lesions that these left.

    Args:
        prediction: Shape (z, y, x).
        truth: Shape (z, y, x).
        voxel_ml: Volume of a voxel.
        probability: Shape (z, y, x), in [0, 1].
        confidences: Of the mask's components, in the order of `components`, where there is no probability map.
    """
    faint = None if probability is None else probability >= FAINT
    box = bounding_box(prediction | truth if faint is None else prediction | truth | faint)
    if box is None:
        return Detection((), (), np.zeros((0, 0, 0), dtype=np.int32), None)
    shown = None if probability is None else probability[box]
    labelled, in_mask = _candidates(prediction[box], shown)
    lesions, lesion_count = components(truth[box])
    count = in_mask.size
    shared = np.zeros((lesion_count, count), dtype=np.intp)
    both = (labelled > 0) & (lesions > 0)
    np.add.at(shared, (lesions[both] - 1, labelled[both] - 1), 1)
    lesion_sizes = np.bincount(lesions.ravel(), minlength=lesion_count + 1)[1:]
    sizes = np.bincount(labelled.ravel(), minlength=count + 1)[1:]
    confidence = _confidence(labelled, sizes, voxel_ml, shown, confidences)
    partner = _match(lesion_sizes, sizes, shared, in_mask)
    hits = set(partner[partner >= 0].tolist())
    inside = shared.sum(axis=0) >= FRAGMENT_SHARE * sizes
    dices = lesion_dice(lesion_sizes, sizes[in_mask], shared[:, in_mask])
    return Detection(
        tuple(
            Lesion(
                volume_ml=float(size * voxel_ml),
                diameter_mm=ball_diameter(float(size * voxel_ml)),
                dice=float(dices[index]),
                found=bool(partner[index] >= 0 and in_mask[partner[index]]),
                score=float(confidence[partner[index]]) if partner[index] >= 0 else None,
            )
            for index, size in enumerate(lesion_sizes)
        ),
        tuple(
            Candidate(
                volume_ml=float(size * voxel_ml),
                confidence=float(confidence[index]),
                in_mask=bool(in_mask[index]),
                verdict=(
                    Verdict.HIT if index in hits else Verdict.FRAGMENT if inside[index] else Verdict.FALSE_POSITIVE
                ),
                box=part,
                number=index + 1,
            )
            for index, (size, part) in enumerate(zip(sizes, _boxes(labelled), strict=True))
        ),
        labelled,
        box,
    )


def components(mask: NDArray[np.bool_]) -> tuple[Labelled, int]:
    """Connected components over faces, edges and corners (26 neighbours): their numbers from 1, and how many."""
    from scipy import ndimage

    labelled = np.empty(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=np.ones((3, 3, 3), dtype=np.bool_), output=labelled)
    return labelled, int(count)


def ball_diameter(volume_ml: float) -> float:
    """Diameter in mm of the ball of this volume."""
    return float((6000.0 * volume_ml / np.pi) ** (1.0 / 3.0))


def _candidates(
    prediction: NDArray[np.bool_], probability: NDArray[np.floating] | None
) -> tuple[Labelled, NDArray[np.bool_]]:
    """Numbers of the candidates, those of the mask first, and which of them are of the mask, shape (P,)."""
    labelled, in_mask_count = components(prediction)
    if probability is None:
        return labelled, np.ones(in_mask_count, dtype=np.bool_)
    parts, part_count = components(prediction | (probability >= FAINT))
    peaks = np.zeros(part_count + 1, dtype=np.float64)
    where = parts > 0
    np.maximum.at(peaks, parts[where], probability[where])
    faint = peaks < MASK_PROBABILITY
    faint[0] = False
    faint[np.unique(parts[prediction])] = False
    numbers = np.zeros(part_count + 1, dtype=np.int32)
    numbers[faint] = in_mask_count + 1 + np.arange(int(faint.sum()), dtype=np.int32)
    labelled += numbers[parts]
    return labelled, np.arange(in_mask_count + int(faint.sum())) < in_mask_count


def _confidence(
    labelled: Labelled,
    sizes: NDArray[np.intp],
    voxel_ml: float,
    probability: NDArray[np.floating] | None,
    confidences: tuple[float, ...] | None,
) -> NDArray[np.float64]:
    if probability is None:
        return np.asarray(sizes * voxel_ml if confidences is None else confidences, dtype=np.float64)
    where = labelled > 0
    sums = np.bincount(labelled[where] - 1, weights=probability[where].astype(np.float64), minlength=sizes.size)
    return np.asarray(sums / np.maximum(sizes, 1), dtype=np.float64)


def _match(
    lesion_sizes: NDArray[np.intp], sizes: NDArray[np.intp], shared: NDArray[np.intp], in_mask: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """For each lesion the index of the candidate that hits it, or −1."""
    from scipy.optimize import linear_sum_assignment

    union = lesion_sizes[:, None] + sizes[None, :] - shared
    iou = shared / np.maximum(union, 1)
    iou[iou < HIT_IOU] = 0.0
    partner = np.full(lesion_sizes.size, -1, dtype=np.intp)
    for group in (np.flatnonzero(in_mask), np.flatnonzero(~in_mask)):
        free = np.flatnonzero(partner < 0)
        rows, columns = linear_sum_assignment(iou[np.ix_(free, group)], maximize=True)
        for row, column in zip(free[rows], group[columns], strict=True):
            if iou[row, column] > 0.0:
                partner[row] = column
    return partner


def _boxes(labelled: Labelled) -> list[Box]:
    from scipy import ndimage

    return [(part[0], part[1], part[2]) for part in ndimage.find_objects(labelled)]
