"""From patch centres to batches: cutting out, scaling, augmentation. All randomness comes from (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agcrc.train.loss import loss_weights
from agcrc.train.plan import Intensity, Plan
from agcrc.volumes import Triple
from agcrc.volumes.cases import PreparedCase

DISTANCE_SCALE_MM = 20.0
BLANK = 1.0
"""The organ channel where nothing is known: as far away as it gets."""


@dataclass(frozen=True)
class Batch:
    """Patches on the device.

    Attributes:
        image: (b, channels, z, y, x): scaled HU, and the organ channel where the plan has one.
        lesion: (b, z, y, x), 0 or 1.
        weights: (b, z, y, x), what the loss counts.
    """

    image: Tensor
    lesion: Tensor
    weights: Tensor


def scaled(hu: Tensor, intensity: Intensity) -> Tensor:
    """HU clipped and scaled as the plan says."""
    return (hu.clamp(intensity.low, intensity.high) - intensity.mean) / intensity.deviation


def organ_channel(core_distance_mm: Tensor) -> Tensor:
    """The distance from the organ's core as an input: 0 in the core, towards 1 far away."""
    return torch.tanh(core_distance_mm / DISTANCE_SCALE_MM)


def make_batch(cases: list[PreparedCase], centres: NDArray[np.int64], plan: Plan, *, step: int, device: str) -> Batch:
    """Cut out and augment one batch.

    Args:
        cases: One per patch; a case may occur several times.
        centres: (b, 3) voxel centres (z, y, x).
        plan: Patch, intensity, loss and organ channel.
        step: Of the run, counted over all its processes; with the plan's seed it fixes the augmentation.
        device: Where the batch goes.
    """
    cut = [_cut(case, centre, plan.patch) for case, centre in zip(cases, centres, strict=True)]
    ct, lesion, ooi, distance = (torch.from_numpy(np.stack(arrays)).to(device) for arrays in zip(*cut, strict=True))
    draw = torch.Generator().manual_seed((plan.seed * 1_000_003 + step) % 2**63)
    ct, distance, lesion, ooi = _spatial(ct.float(), distance.float(), lesion, ooi, draw)
    image = _contrast(scaled(ct, plan.intensity), draw)[:, None]
    if plan.organ_channel:
        organ = organ_channel(distance)
        blank = torch.rand(len(cases), generator=draw) < plan.organ_dropout
        organ[blank.to(device)] = BLANK
        image = torch.cat([image, organ[:, None]], dim=1)
    if plan.loss == "plain":
        weights = torch.ones_like(ct)
    elif plan.loss == "ignore":
        weights = loss_weights(ooi, distance, plan.ooi_radius_mm, fall_mm=0.0, outside=0.0)
    else:
        weights = loss_weights(ooi, distance, plan.ooi_radius_mm)
    return Batch(image, lesion, weights)


def _cut(case: PreparedCase, centre: NDArray[np.int64], patch: Triple) -> tuple[NDArray[np.generic], ...]:
    """The patch around a centre; where it leaves the volume the edge is repeated, outside the organ of interest."""
    starts = [int(middle) - size // 2 for middle, size in zip(centre, patch, strict=True)]
    inner = tuple(
        slice(max(0, start), min(whole, start + size))
        for start, size, whole in zip(starts, patch, case.ct.shape, strict=True)
    )
    pads = [
        (part.start - start, start + size - part.stop) for part, start, size in zip(inner, starts, patch, strict=True)
    ]
    ct = np.pad(np.asarray(case.ct[inner], dtype=np.float32), pads, mode="edge")
    lesion = np.pad(np.asarray(case.lesion[inner], dtype=np.uint8), pads)
    ooi = np.pad(np.asarray(case.ooi[inner], dtype=np.uint8), pads)
    distance = np.pad(np.asarray(case.distance_mm[inner], dtype=np.float32), pads, mode="edge")
    return ct, lesion, ooi, distance


def _spatial(ct: Tensor, distance: Tensor, lesion: Tensor, ooi: Tensor, draw: torch.Generator) -> tuple[Tensor, ...]:
    """Flips of each axis with a half chance; small turns and zooms of a third of the patches."""
    for axis in (1, 2, 3):
        turn = torch.rand(len(ct), generator=draw) < 0.5
        if turn.any():
            index = turn.to(ct.device)
            for each in (ct, distance, lesion, ooi):
                each[index] = each[index].flip(axis)
    chosen = torch.nonzero(torch.rand(len(ct), generator=draw) < 1 / 3).flatten()
    angles = (torch.rand(len(ct), 3, generator=draw) - 0.5) * (torch.pi / 6)
    zooms = 0.85 + 0.3 * torch.rand(len(ct), generator=draw)
    if len(chosen) == 0:
        return ct, distance, lesion, ooi
    theta = torch.zeros(len(chosen), 3, 4)
    for row, index in enumerate(chosen.tolist()):
        theta[row, :, :3] = _turn(angles[index]) * zooms[index]
    grid = functional.affine_grid(theta, [len(chosen), 1, *ct.shape[1:]], align_corners=False).to(ct.device)
    index = chosen.to(ct.device)
    # A zoomed patch shows the anatomy at another size; distances are those of the anatomy as shown.
    shown = distance[index] / zooms[chosen].to(ct.device)[:, None, None, None]
    smooth = torch.stack([ct[index], shown], dim=1)
    smooth = functional.grid_sample(smooth, grid, padding_mode="border", align_corners=False)
    sharp = torch.stack([lesion[index].float(), ooi[index].float()], dim=1)
    sharp = functional.grid_sample(sharp, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    ct[index], distance[index] = smooth[:, 0], smooth[:, 1]
    lesion[index], ooi[index] = sharp[:, 0].to(lesion.dtype), sharp[:, 1].to(ooi.dtype)
    return ct, distance, lesion, ooi


def _turn(angles: Tensor) -> Tensor:
    """A rotation by three small angles, (3, 3)."""
    (ca, cb, cc), (sa, sb, sc) = torch.cos(angles), torch.sin(angles)
    one = torch.tensor([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    two = torch.tensor([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    three = torch.tensor([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return one @ two @ three


def _contrast(image: Tensor, draw: torch.Generator) -> Tensor:
    """Brightness, contrast and noise, each for some of the patches."""
    count = len(image)
    shape = (count, 1, 1, 1)
    gain = torch.where(torch.rand(count, generator=draw) < 0.3, 0.8 + 0.4 * torch.rand(count, generator=draw), 1.0)
    shift = torch.where(torch.rand(count, generator=draw) < 0.3, 0.4 * torch.rand(count, generator=draw) - 0.2, 0.0)
    noise = torch.where(torch.rand(count, generator=draw) < 0.2, 0.15 * torch.rand(count, generator=draw), 0.0)
    image = image * gain.reshape(shape).to(image.device) + shift.reshape(shape).to(image.device)
    if noise.any():
        image = image + noise.reshape(shape).to(image.device) * torch.randn(image.shape, generator=draw).to(
            image.device
        )
    return image
