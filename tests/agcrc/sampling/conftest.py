from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from agcrc.sampling import SamplingCase

SPACING = (4.0, 4.0, 4.0)


@pytest.fixture(scope="session")
def tube() -> SamplingCase:
    """A bent tube of 20 mm radius through most of a volume, with a lesion of 12 mm radius in it."""
    shape = (56, 44, 60)
    corners = np.array([(0.2, 0.3, 0.8), (0.8, 0.4, 0.8), (0.7, 0.7, 0.5), (0.8, 0.4, 0.2), (0.2, 0.5, 0.3)])
    corners = corners * np.array(shape)
    line = np.concatenate([np.linspace(a, b, 80) for a, b in pairwise(corners)]).astype(int)
    away = np.ones(shape, dtype=bool)
    away[tuple(line.T)] = False
    distance = distance_transform_edt(away, sampling=SPACING)
    seat = np.ones(shape, dtype=bool)
    seat[tuple(line[50])] = False
    lesion = distance_transform_edt(seat, sampling=SPACING) <= 12
    ooi = np.where(distance <= 20, 2, np.where(distance <= 35, 1, 0)).astype(np.uint8)
    return SamplingCase("tube", SPACING, lesion, ooi, np.maximum(distance - 20, 0).astype(np.float32))
