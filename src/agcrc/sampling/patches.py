"""Where a patch may lie, and the random numbers of a case."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.sampling.case import Centres
from agcrc.volumes import Box, Triple


def require_patch(patch: Triple) -> Triple:
    """The patch size if it is one.

    Raises:
        InputError: It has not three sizes of at least one voxel.
    """
    if len(patch) != 3 or not all(isinstance(size, int | np.integer) and size >= 1 for size in patch):
        raise InputError(Problem(f"Patch size {patch}.", "Give three numbers of voxels (z, y, x), each at least 1."))
    return int(patch[0]), int(patch[1]), int(patch[2])


def require_request(count: int, epoch: int) -> None:
    """Refuse a negative number of patches or epoch.

    Raises:
        InputError: One of them is negative.
    """
    if count < 0 or epoch < 0:
        raise InputError(Problem(f"{count} patches in epoch {epoch}.", "Neither can be negative."))


def start_counts(shape: Triple, patch: Triple) -> Triple:
    """Number of places along each axis where a patch may start; 1 where the volume is not longer than the patch."""
    z, y, x = (max(1, size - length + 1) for size, length in zip(shape, patch, strict=True))
    return z, y, x


def centres_of(starts: NDArray[np.integer], shape: Triple, patch: Triple) -> Centres:
    """Centres of patches that start at voxel `starts`, shape (count, 3), each below `start_counts`.

    Along an axis shorter than the patch the start 0 stands for the patch that is centred on the volume.
    """
    half = [min(size, length) // 2 for size, length in zip(shape, patch, strict=True)]
    return np.asarray(starts, dtype=np.int64).reshape(-1, 3) + np.array(half, dtype=np.int64)


def nearest_centres(voxels: NDArray[np.integer], shape: Triple, patch: Triple) -> Centres:
    """The valid centres nearest to voxels, shape (count, 3)."""
    lowest = centres_of(np.zeros(3, dtype=np.int64), shape, patch)
    return np.clip(voxels, lowest, lowest + np.array(start_counts(shape, patch)) - 1)


def patch_box(centre: NDArray[np.integer], patch: Triple, shape: Triple, share: float = 1.0) -> Box:
    """The part of the volume that lies in the central `share` (along each axis) of a patch."""
    ends: list[slice] = []
    for place, length, size in zip(centre, patch, shape, strict=True):
        margin = int(length * (1 - share) / 2 + 0.5)
        start = int(place) - length // 2
        low = max(0, start + margin)
        ends.append(slice(low, max(low, min(size, start + length - margin))))
    return ends[0], ends[1], ends[2]


def generator(seed: int, name: str, epoch: int, rank: int = 0) -> np.random.Generator:
    """Random numbers that depend on these four only."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.PCG64([seed, int.from_bytes(digest[:16]), epoch, rank]))
