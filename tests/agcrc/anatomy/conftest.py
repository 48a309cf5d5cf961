from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from agcrc.anatomy.organs import Organs, load_class_map
from agcrc.volumes import Grid, Volume, read_ct

Points = list[tuple[float, float, float]]


@pytest.fixture(scope="session")
def scans(shared: Path) -> Path:
    return shared / "data" / "ct"


@pytest.fixture(scope="session")
def example_ct(scans: Path) -> Volume:
    return read_ct(scans / "totalsegmentator_example" / "example_ct.nii.gz")


def paint_tube(grid: Grid, points_mm: Points, radius_mm: float) -> np.ndarray:
    """Voxels within a radius of a line through points (z, y, x) in mm from the corner of the field of view."""
    spacing = np.array(grid.spacing)
    line = np.ones(grid.shape, dtype=bool)
    for start, end in pairwise(points_mm):
        count = int(np.linalg.norm(np.subtract(end, start)) / (spacing.min() / 2)) + 2
        places = np.round(np.linspace(start, end, count) / spacing - 0.5).astype(int)
        keep = ((places >= 0) & (places < grid.shape)).all(axis=1)
        line[tuple(places[keep].T)] = False
    return ndimage.distance_transform_edt(line, sampling=spacing) <= radius_mm


@pytest.fixture(scope="session")
def tube() -> Callable[[Grid, Points, float], np.ndarray]:
    return paint_tube


@pytest.fixture(scope="session")
def organs_of() -> Callable[..., Organs]:
    """Organs of TotalSegmentator v2 from masks by class name; later ones lie over earlier ones."""

    def make(grid: Grid, **masks: np.ndarray) -> Organs:
        names = load_class_map("totalsegmentator_v2")
        labels = np.zeros(grid.shape, dtype=np.uint8)
        for name, mask in masks.items():
            labels[mask] = names[name]
        return Organs(Volume(labels, grid), names)

    return make
