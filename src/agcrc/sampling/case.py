"""What a sampler knows of a case, and what every sampler does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.volumes import Spacing, Triple

Centres = NDArray[np.int64]
"""Voxel centres of patches, shape (count, 3), (z, y, x). A patch of size P spans [c - P//2, c - P//2 + P)."""


@dataclass(frozen=True, eq=False)
class SamplingCase:
    """What a sampler may know of a case; arrays of shape (z, y, x) on the training grid.

    Attributes:
        name: Random numbers and the memory of earlier epochs hang on it: no two cases may share one.
        spacing: Voxel sizes in mm, (z, y, x).
        lesion: All False for a healthy case.
        ooi: Organ of interest: 0 outside, 1 ring, 2 core.
        core_distance_mm: Distance to the core; 0 in the core.
        hard: Hard negatives of the last validation, in [0, 1].

    Raises:
        InputError: Shapes that differ, an empty array, or a voxel size that is not positive.
    """

    name: str
    spacing: Spacing
    lesion: NDArray[np.bool_]
    ooi: NDArray[np.uint8]
    core_distance_mm: NDArray[np.floating]
    hard: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        arrays = {"ooi": self.ooi, "core_distance_mm": self.core_distance_mm, "hard": self.hard}
        problems = [
            Problem(
                f"Case {self.name}: {name} has shape {array.shape}, the lesion mask {self.lesion.shape}.",
                "Resample both to the training grid.",
            )
            for name, array in arrays.items()
            if array is not None and array.shape != self.lesion.shape
        ]
        if self.lesion.ndim != 3 or self.lesion.size == 0:
            problems.append(
                Problem(f"Case {self.name}: the lesion mask has shape {self.lesion.shape}.", "Give (z, y, x) voxels.")
            )
        if not all(0 < size < np.inf for size in self.spacing):
            problems.append(Problem(f"Case {self.name}: voxel sizes {self.spacing} mm.", "They must be positive."))
        if problems:
            raise InputError(*problems)

    @property
    def shape(self) -> Triple:
        """Of all arrays, (z, y, x)."""
        z, y, x = self.lesion.shape
        return z, y, x


class PatchSampler(Protocol):
    """Chooses where training looks."""

    name: str

    def centres(self, case: SamplingCase, count: int, epoch: int) -> Centres:
        """Where the patches of a case lie in an epoch.

        The same (seed, case, epoch, rank), and for a sampler with a memory the same earlier epochs, give the same
        centres, whenever and in whichever thread they are asked for.

        Args:
            case: The case.
            count: Number of patches for this rank.
            epoch: Counts from 0.

        Returns:
            Shape (count, 3), (z, y, x). Each patch lies inside the volume; along an axis that is shorter than the
            patch it is centred on the volume.
        """

    def state(self) -> dict[str, object]:
        """What is needed to go on exactly; holds only what JSON can."""

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state`.

        Raises:
            InputError: The state is that of another sampler or damaged.
        """
