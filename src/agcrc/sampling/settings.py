"""Settings of the gain function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agcrc.errors import InputError, Problem

Choice = Literal["greedy", "softmax", "proportional"]


@dataclass(frozen=True, slots=True)
class GainSettings:
    """Importance of a voxel and gain of a set of patches (specs/agcrc.md, section 2).

    w(v) = lesion_weight [v within lesion_margin_mm of the lesion] + boundary_weight exp(-|distance to its boundary| /
    boundary_decay_mm) + organ_weight exp(-distance to the core / organ_decay_mm) [v in the OOI] + hard_weight h(v).

    Attributes:
        lesion_weight: a_Y.
        boundary_weight: a_B.
        organ_weight: a_O.
        hard_weight: a_H, of the hard negatives of the last validation.
        lesion_margin_mm: How far the lesion is dilated.
        boundary_decay_mm: Over this distance from the lesion's boundary the weight falls to 1/e.
        organ_decay_mm: The same from the organ's core.
        absorbed: q, the share of a voxel's importance that one patch takes when the voxel lies in its central part.
        central_share: Of the patch along each axis: there k = 1.
        margin_profile: k in the rest of the patch.
        diversity: Weight of the term that keeps patches apart, as a share of the largest gain of a single patch in the
            epoch: lambda = diversity * max gain. 0 gives the (1 - 1/e) guarantee of greedy selection.
        coarsening: Voxels along each axis of one cell of the residual map, and step between candidates.
        choice: `greedy` takes the best patch; `softmax` draws one with probability ~ exp(gain / (temperature * largest
            gain)), `proportional` with probability ~ gain.
        temperature: Of `softmax`; near 0 it is greedy.
        memory: How much of what the patches of an epoch took is still missing in the next one; the epoch after it is
            this squared, and so on. 0 forgets: each epoch then starts from w.

    Raises:
        InputError: A value out of its range.
    """

    lesion_weight: float = 30.0
    boundary_weight: float = 5.0
    organ_weight: float = 1.0
    hard_weight: float = 0.0
    lesion_margin_mm: float = 5.0
    boundary_decay_mm: float = 10.0
    organ_decay_mm: float = 15.0
    absorbed: float = 0.6
    central_share: float = 0.75
    margin_profile: float = 0.5
    diversity: float = 0.05
    coarsening: int = 4
    choice: Choice = "greedy"
    temperature: float = 0.1
    memory: float = 0.7

    def __post_init__(self) -> None:
        weights = ("lesion_weight", "boundary_weight", "organ_weight", "hard_weight", "lesion_margin_mm", "diversity")
        rules: list[tuple[tuple[str, ...], bool, str]] = [
            (weights, all(0 <= getattr(self, name) < math.inf for name in weights), "must be 0 or more"),
            *(
                ((name,), 0 < getattr(self, name) < math.inf, "must be above 0")
                for name in ("boundary_decay_mm", "organ_decay_mm", "temperature")
            ),
            (("absorbed",), 0 < self.absorbed < 1, "must lie between 0 and 1"),
            (("central_share",), 0 < self.central_share <= 1, "must lie in (0, 1]"),
            (("margin_profile",), 0 <= self.margin_profile <= 1, "must lie in [0, 1]"),
            (("memory",), 0 <= self.memory < 1, "must lie in [0, 1)"),
            (("coarsening",), self.coarsening >= 1, "must be 1 or more"),
            (("choice",), self.choice in ("greedy", "softmax", "proportional"), "is greedy, softmax or proportional"),
        ]
        problems = [
            Problem(f"Sampling: {', '.join(f'{name} = {getattr(self, name)!r}' for name in names)}", f"{rule}.")
            for names, kept, rule in rules
            if not kept
        ]
        if problems:
            raise InputError(*problems)
