"""Where false positives lie: in the colon, elsewhere in the organ of interest, or outside; and in which organ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.organs import Organs
from agcrc.evaluate.detection import Candidate, Detection, Verdict
from agcrc.volumes import Box

SHARE = 0.5
"""A component lies where at least half of its voxels are."""


class Region(Enum):
    """The three places that matter."""

    COLON = "colon"
    OOI = "ooi"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a false positive lies.

    Attributes:
        region: Colon label, else organ of interest, else outside of both.
        organ: The class that at least half of it lies in; empty where there is none.
    """

    region: Region
    organ: str


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known of the anatomy of a case.

    Attributes:
        organs: Label map on the grid of the prediction.
        region: Organ of interest on the same grid.
    """

    organs: Organs
    region: NDArray[np.bool_]


def false_positive_places(detection: Detection, surroundings: Surroundings) -> tuple[Place, ...]:
    """The place of each false positive of the mask, in the order of the candidates."""
    if detection.box is None:
        return ()
    class_map = surroundings.organs.class_map
    names = {number: name for name, number in class_map.numbers.items()}
    labels = surroundings.organs.volume.array
    return tuple(
        _place(labels[part][inside], surroundings.region[part][inside], names, class_map["colon"])
        for part, inside in (
            (_shifted(each.box, detection.box), detection.labelled[each.box] == each.number)
            for each in detection.candidates
            if counts_as_wrong(each)
        )
    )


def counts_as_wrong(candidate: Candidate) -> bool:
    """A false positive of the mask itself."""
    return candidate.in_mask and candidate.verdict is Verdict.FALSE_POSITIVE


def _place(labels: NDArray[np.generic], region: NDArray[np.bool_], names: dict[int, str], colon: int) -> Place:
    counts = np.bincount(labels)
    counts[0] = 0
    most = int(counts.argmax())
    organ = names[most] if most and counts[most] >= SHARE * labels.size else ""
    if np.count_nonzero(labels == colon) >= SHARE * labels.size:
        return Place(Region.COLON, organ)
    inside = np.count_nonzero(region | (labels == colon))
    return Place(Region.OOI if inside >= SHARE * labels.size else Region.OUTSIDE, organ)


def _shifted(part: Box, box: Box) -> Box:
    moved = [slice(a.start + b.start, a.stop + b.start) for a, b in zip(part, box, strict=True)]
    return moved[0], moved[1], moved[2]
