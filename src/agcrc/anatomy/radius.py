"""Step 5, in training: how far the organ of interest must reach to hold the lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.anatomy.ooi import Ooi

SMALLEST_MM, LARGEST_MM = 5.0, 30.0
HELD_SHARE = 0.995
EVERY_NEIGHBOUR = np.ones((3, 3, 3), dtype=np.bool_)


def choose_radius(cases: Sequence[tuple[Ooi, NDArray[np.bool_]]]) -> float:
    """The smallest whole radius in mm, 5 to 30, that holds 99.5 % of the lesion voxels and touches every lesion.

    Cases without a usable colon are passed over: no radius helps there. Where even 30 mm does not do, it is 30 mm; the
    coverage that results stands in the quality record of each case.

    Args:
        cases: Organ of interest and lesions of the training cases, on one grid each; never of the test cases.
    """
    distances, nearest = [], []
    for ooi, lesion in cases:
        if ooi.quality.mode != "colon" or not lesion.any():
            continue
        distances.append(ooi.core_distance_mm[lesion])
        parts, count = ndimage.label(lesion, EVERY_NEIGHBOUR)
        nearest += list(np.atleast_1d(ndimage.minimum(ooi.core_distance_mm, parts, np.arange(1, count + 1))))
    if not distances:
        return 15.0
    held = float(np.quantile(np.concatenate(distances), HELD_SHARE))
    return float(np.clip(np.ceil(max(held, *nearest)), SMALLEST_MM, LARGEST_MM))
