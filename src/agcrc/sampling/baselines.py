"""Samplers to compare with: uniform, a share on the lesion (nnU-Net), weighted crop (MONAI).

They remember nothing. Each rank of a distributed job draws from a stream of its own, with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agcrc.errors import InputError, Problem
from agcrc.sampling.case import Centres, SamplingCase
from agcrc.sampling.patches import centres_of, generator, nearest_centres, require_patch, require_request, start_counts
from agcrc.volumes import Triple

OUTSIDE_WEIGHT = 0.05
"""Weight of a voxel outside the OOI for the weighted crop; that which the masked loss gives it (section 3)."""


class _Memoryless:
    """What the three have in common."""

    name = ""

    def __init__(self, patch: Triple, *, seed: int, rank: int = 0) -> None:
        self._patch = require_patch(patch)
        self._seed = seed
        self._rank = rank

    def centres(self, case: SamplingCase, count: int, epoch: int) -> Centres:
        """See `PatchSampler`."""
        require_request(count, epoch)
        return self._draw(case, count, generator(self._seed, case.name, epoch, self._rank))

    def state(self) -> dict[str, object]:
        """Only which sampler it is."""
        return {"sampler": self.name}

    def restore(self, state: Mapping[str, object]) -> None:
        """See `PatchSampler`."""
        require_sampler(state, self.name)

    def _draw(self, case: SamplingCase, count: int, random: np.random.Generator) -> Centres:
        raise NotImplementedError

    def _uniform(self, case: SamplingCase, count: int, random: np.random.Generator) -> Centres:
        starts = random.integers(0, start_counts(case.shape, self._patch), size=(count, 3))
        return centres_of(starts, case.shape, self._patch)


class UniformSampler(_Memoryless):
    """Every valid centre is equally likely."""

    name = "uniform"

    def _draw(self, case: SamplingCase, count: int, random: np.random.Generator) -> Centres:
        return self._uniform(case, count, random)


class ForegroundSampler(_Memoryless):
    """As nnU-Net: a third of the patches, rounded up, lie on a random lesion voxel, the rest is uniform.

    The lesion patches come last, as in nnU-Net's batches; a patch that would leave the volume is moved inside. A
    healthy case gets uniform patches only. (nnU-Net v2, `oversample_foreground_percent=0.33`.)
    """

    name = "foreground"

    def _draw(self, case: SamplingCase, count: int, random: np.random.Generator) -> Centres:
        centres = self._uniform(case, count, random)
        forced = -(-count // 3)
        voxels = np.flatnonzero(case.lesion)
        if voxels.size and forced:
            chosen = np.stack(np.unravel_index(random.choice(voxels, forced), case.shape), axis=1)
            centres[-forced:] = nearest_centres(chosen, case.shape, self._patch)
        return centres


class WeightedSampler(_Memoryless):
    """As MONAI's RandWeightedCrop with weight 1 in the OOI (core and ring) and OUTSIDE_WEIGHT outside.

    The centre is drawn among the valid ones with probability ~ its weight.
    """

    name = "weighted"

    def _draw(self, case: SamplingCase, count: int, random: np.random.Generator) -> Centres:
        found = np.empty((0, 3), dtype=np.int64)
        # Rejection: exact, and without an array of the volume's size.
        while len(found) < count:
            drawn = self._uniform(case, 16 * count, random)
            inside = case.ooi[tuple(drawn.T)] > 0
            found = np.concatenate([found, drawn[inside | (random.random(len(drawn)) < OUTSIDE_WEIGHT)]])
        return found[:count]


def require_sampler(state: Mapping[str, object], name: str) -> None:
    """Refuse the state of another sampler.

    Raises:
        InputError: It is one.
    """
    if state.get("sampler") != name:
        raise InputError(
            Problem(
                f"The state is that of the sampler {state.get('sampler')!r}, not {name!r}.",
                "Resume with the plan that the run was started with.",
            )
        )
