"""Masked Dice and cross-entropy with deep supervision (specs/agcrc.md, section 3).

MONAI's masked losses are not this: they mask before the softmax, so that what is masked out still counts as a
prediction of one class or another. Here the softmax is taken first; a masked voxel adds nothing to any sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from agcrc.train.processes import together

SMOOTH = 1e-5
FALL_MM = 10.0
OUTSIDE = 0.05


def loss_weights(
    ooi: Tensor, core_distance_mm: Tensor, radius_mm: float, *, fall_mm: float = FALL_MM, outside: float = OUTSIDE
) -> Tensor:
    """How much each voxel counts: 1 in the organ of interest, falling to `outside` over `fall_mm` beyond it.

    Args:
        ooi: Shape (...), 0 outside, 1 ring, 2 core.
        core_distance_mm: Same shape, distance from the core; the organ of interest ends at `radius_mm`.
        radius_mm: Dilation of the organ of interest.
        fall_mm: Width of the fall; 0: a hard edge.
        outside: Weight far away; 0 with `fall_mm` 0 is the hard mask.

    Returns:
        Float32 weights in [outside, 1].
    """
    beyond = core_distance_mm.float() - radius_mm
    share = (1.0 - beyond / fall_mm).clamp(0.0, 1.0) if fall_mm > 0 else torch.zeros_like(beyond)
    # Voxels nearer than the radius that are no part of it are other organs: subtracted, hence outside.
    share = torch.where(beyond < 0, torch.zeros_like(share), share)
    return torch.where(ooi > 0, torch.ones_like(share), outside + (1.0 - outside) * share)


def masked_dice(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """1 − (2Σmpy + s) / (Σmp + Σmy + s) of the lesion over the whole batch; exactly 0 where no voxel counts.

    Args:
        logits: Shape (b, 2, z, y, x): background, lesion.
        target: Shape (b, z, y, x), 0 or 1.
        weights: Shape (b, z, y, x), m in [0, 1].
    """
    lesion = logits.float().softmax(dim=1)[:, 1]
    truth = target.float()
    sums = torch.stack([(weights * lesion * truth).sum(), (weights * lesion).sum(), (weights * truth).sum()])
    if together():
        sums = _over_processes(sums)
    both, predicted, true = sums
    dice: Tensor = (2.0 * both + SMOOTH) / (predicted + true + SMOOTH)
    return 1.0 - dice


def _over_processes(sums: Tensor) -> Tensor:
    """Sums over all processes; gradients are averaged over them later, so each counts once per process."""
    ranks = torch.distributed.get_world_size()
    total = sums.detach().clone()
    torch.distributed.all_reduce(total)
    return ranks * sums + (total - ranks * sums).detach()


def masked_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Σ m·ce / max(Σ m, 1); shapes as `masked_dice`."""
    each = functional.cross_entropy(logits.float(), target.long(), reduction="none")
    return (weights * each).sum() / weights.sum().clamp(min=1.0)


def masked_loss(outputs: Sequence[Tensor], target: Tensor, weights: Tensor) -> Tensor:
    """Dice plus cross-entropy, averaged over the resolutions of deep supervision with weights 1, 1/2, 1/4, ….

    Args:
        outputs: Logits, the finest first; each further one has axes that are whole fractions of the first's.
        target: Shape (b, z, y, x), 0 or 1, at the finest resolution.
        weights: Shape (b, z, y, x), at the finest resolution.
    """
    total, parts = outputs[0].new_zeros((), dtype=torch.float32), 0.0
    for level, logits in enumerate(outputs):
        share = 0.5**level
        shape = logits.shape[2:]
        # A coarse voxel counts as much as the most important of its fine ones, and is a lesion if one of them is.
        m = weights if level == 0 else functional.adaptive_max_pool3d(weights[:, None], shape)[:, 0]
        y = target if level == 0 else functional.adaptive_max_pool3d(target[:, None].float(), shape)[:, 0]
        total = total + share * (masked_dice(logits, y, m) + masked_cross_entropy(logits, y, m))
        parts += share
    return total / parts
