"""Sliding windows: where they stand, and what a network says in them (specs/agcrc.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agcrc.train.networks import logits_of
from agcrc.volumes import Triple

Mode = Literal["filtered", "fast", "full"]
Starts = NDArray[np.int64]

OVERLAP = 0.5
CENTRAL = 0.75
COVER_GRID = 8
"""Windows of a cover begin at multiples of the patch side divided by this."""


def window_starts(shape: Triple, patch: Triple, mode: Mode, ooi: NDArray[np.bool_] | None = None) -> Starts:
    """First voxels of the windows, shape (n, 3); a volume shorter than the patch has one window that leaves it.

    `full` tiles the volume with half overlap. `filtered` keeps the windows whose centre lies in the organ of interest,
    and adds some where a voxel of it would be in none. `fast` is a greedy set cover: every voxel of the organ of
    interest lies in the central three quarters of some window.

    Args:
        shape: Of the volume, (z, y, x).
        patch: Of the network.
        mode: See above.
        ooi: The organ of interest, for `filtered` and `fast`.
    """
    if mode == "full":
        return _tiles(shape, patch)
    assert ooi is not None
    if not ooi.any():
        return np.zeros((0, 3), dtype=np.int64)
    if mode == "fast":
        return _cover(ooi, patch, CENTRAL, np.zeros((0, 3), dtype=np.int64))
    tiles = _tiles(shape, patch)
    centres = np.minimum(tiles + np.array(patch) // 2, np.array(shape) - 1)
    kept = tiles[ooi[tuple(centres.T)]]
    return _cover(ooi, patch, 1.0, kept)


def _tiles(shape: Triple, patch: Triple) -> Starts:
    axes = []
    for whole, side in zip(shape, patch, strict=True):
        last = max(0, whole - side)
        count = 1 + int(np.ceil(last / (side * (1.0 - OVERLAP))))
        axes.append(np.round(np.linspace(0, last, count)).astype(np.int64))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _cover(ooi: NDArray[np.bool_], patch: Triple, central: float, given: Starts) -> Starts:
    """Windows, the given ones first, until each voxel of `ooi` is in the central part of one.

    At an edge of the volume, where no window can go further, the central part reaches to the edge.
    """
    left = ooi.copy()
    step = [max(1, side // COVER_GRID) for side in patch]
    axes = [
        np.unique(np.append(np.arange(0, max(1, whole - side + 1), pace), max(0, whole - side)))
        for whole, side, pace in zip(ooi.shape, patch, step, strict=True)
    ]
    margins = [int(side * (1.0 - central) / 2.0) for side in patch]

    def inside(axis: int, start: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        whole, side, margin = ooi.shape[axis], patch[axis], margins[axis]
        first = np.where(start == 0, 0, start + margin)
        end = np.where(start + side >= whole, whole, start + side - margin)
        return first, end

    chosen: list[NDArray[np.int64]] = []
    for start in given:
        chosen.append(start)
        left[_part(start, inside)] = False
    bounds = [inside(axis, starts) for axis, starts in enumerate(axes)]
    while left.any():
        # Sums over all candidate boxes at once, by an integral image.
        sums = np.zeros(tuple(size + 1 for size in left.shape), dtype=np.int32)
        sums[1:, 1:, 1:] = left.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32).cumsum(2, dtype=np.int32)
        for axis, (first, end) in enumerate(bounds):
            sums = np.take(sums, end, axis=axis) - np.take(sums, first, axis=axis)
        best = np.unravel_index(int(sums.argmax()), sums.shape)
        start = np.array([axes[axis][place] for axis, place in enumerate(best)], dtype=np.int64)
        chosen.append(start)
        left[_part(start, inside)] = False
    return np.array(chosen, dtype=np.int64).reshape(-1, 3)


def _part(
    start: NDArray[np.int64], inside: Callable[[int, NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> tuple[slice, ...]:
    ends = [inside(axis, np.asarray(place)) for axis, place in enumerate(start)]
    return tuple(slice(int(first), int(end)) for first, end in ends)


@torch.no_grad()
def infer(
    net: nn.Module,
    cut: Callable[[NDArray[np.int64]], Tensor],
    starts: Starts,
    shape: Triple,
    patch: Triple,
    *,
    batch: int,
    device: str,
    flips: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float16]:
    """Probability of a lesion, shape `shape`; 0 where no window is.

    Windows are weighted by a Gaussian. The volume is held in half precision; the sums of weights are known before, so
    that each window adds its share of the final value.

    Args:
        net: In evaluation mode, on `device`.
        cut: Gives the input (channels, z, y, x) of the window that begins at a voxel, padded to the patch.
        starts: First voxels of the windows, shape (n, 3).
        shape: Of the volume.
        patch: Of the network.
        batch: Windows at a time.
        device: Where the network is.
        flips: Average over the eight mirror images.
        progress: Called with (windows done, of).
    """
    importance = _importance(patch)
    total = np.zeros(shape, dtype=np.float16)
    for start in starts:
        part, inner = _overlap(start, patch, shape)
        total[part] += importance[inner]
    found: NDArray[np.float16] = np.zeros(shape, dtype=np.float16)
    axes = [combination for combination in _mirrors() if flips or not combination]
    for first in range(0, len(starts), batch):
        group = starts[first : first + batch]
        image = torch.stack([cut(start) for start in group]).to(device)
        lesion = torch.zeros(image.shape[0], *image.shape[2:], device=device)
        for mirror in axes:
            turned = image.flip(mirror) if mirror else image
            logits = logits_of(net(turned))[0].float()
            said = logits.softmax(dim=1)[:, 1:]
            lesion += (said.flip(mirror) if mirror else said)[:, 0] / len(axes)
        for start, window in zip(group, lesion.cpu().numpy(), strict=True):
            part, inner = _overlap(start, patch, shape)
            share = importance[inner].astype(np.float32) / total[part].astype(np.float32)
            found[part] += (window[inner] * share).astype(np.float16)
        if progress:
            progress(min(len(starts), first + batch), len(starts))
    np.clip(found, 0.0, 1.0, out=found)
    return found


def _importance(patch: Triple) -> NDArray[np.float16]:
    """A Gaussian of an eighth of the patch, as nnU-Net's; never below a hundredth, so that edges count."""
    axes = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (side / 8)) ** 2) for side in patch]
    weights = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
    found: NDArray[np.float16] = np.maximum(weights, 0.01).astype(np.float16)
    return found


def _overlap(start: NDArray[np.int64], patch: Triple, shape: Triple) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of the volume that a window covers, and that part within the window."""
    part = tuple(
        slice(int(first), min(int(first) + side, whole)) for first, side, whole in zip(start, patch, shape, strict=True)
    )
    return part, tuple(slice(0, each.stop - each.start) for each in part)


def _mirrors() -> list[list[int]]:
    return [[axis + 2 for axis in range(3) if code >> axis & 1] for code in range(8)]
