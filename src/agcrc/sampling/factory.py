"""One way to get any sampler."""

from __future__ import annotations

from typing import Literal, get_args

from agcrc.errors import InputError, Problem
from agcrc.sampling.baselines import ForegroundSampler, UniformSampler, WeightedSampler
from agcrc.sampling.case import PatchSampler
from agcrc.sampling.guided import GuidedSampler
from agcrc.sampling.settings import GainSettings
from agcrc.volumes import Triple

SamplerKind = Literal["uniform", "foreground", "weighted", "guided"]


def make_sampler(
    kind: SamplerKind,
    patch: Triple,
    *,
    seed: int,
    rank: int = 0,
    ranks: int = 1,
    settings: GainSettings = GainSettings(),  # noqa: B008 - frozen
) -> PatchSampler:
    """A sampler by name.

    Args:
        kind: `uniform`, `foreground` (a third of the patches on the lesion), `weighted` (crop weighted by the OOI) or
            `guided` (the gain function).
        patch: Voxels (z, y, x).
        seed: Of its random numbers, 0 or more.
        rank: Of this process in a distributed job.
        ranks: Number of them.
        settings: Of the guided sampler; the others need none.

    Raises:
        InputError: An unknown kind, a patch that is none, a negative seed or a rank that is not below `ranks`.
    """
    if seed < 0 or not 0 <= rank < ranks:
        raise InputError(
            Problem(f"Sampler with seed {seed}, rank {rank} of {ranks}.", "The seed is 0 or more, ranks count from 0.")
        )
    match kind:
        case "uniform":
            return UniformSampler(patch, seed=seed, rank=rank)
        case "foreground":
            return ForegroundSampler(patch, seed=seed, rank=rank)
        case "weighted":
            return WeightedSampler(patch, seed=seed, rank=rank)
        case "guided":
            return GuidedSampler(patch, seed=seed, rank=rank, ranks=ranks, settings=settings)
    raise InputError(Problem(f"There is no sampler {kind!r}.", f"There are {', '.join(get_args(SamplerKind))}."))
