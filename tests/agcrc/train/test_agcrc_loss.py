"""The masked loss against a loop, plain Dice and cross-entropy, and its own limits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agcrc.train.loss import SMOOTH, loss_weights, masked_cross_entropy, masked_dice, masked_loss


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def example(seed: int = 0, side: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, side, side, side, generator=draw)
    target = (torch.rand(2, side, side, side, generator=draw) < 0.3).long()
    weights = torch.rand(2, side, side, side, generator=draw)
    weights[weights < 0.4] = 0.0
    return logits, target, weights


def by_loop(logits: Tensor, target: Tensor, weights: Tensor) -> tuple[float, float]:
    both = predicted = true = cross = mass = 0.0
    for index in torch.cartesian_prod(*[torch.arange(size) for size in target.shape]).tolist():
        b, z, y, x = index
        background, lesion = (float(value) for value in logits[b, :, z, y, x])
        probability = math.exp(lesion) / (math.exp(background) + math.exp(lesion))
        m, truth = float(weights[b, z, y, x]), int(target[b, z, y, x])
        both += m * probability * truth
        predicted += m * probability
        true += m * truth
        cross -= m * math.log(probability if truth else 1 - probability)
        mass += m
    return 1 - (2 * both + SMOOTH) / (predicted + true + SMOOTH), cross / max(mass, 1.0)


def test_it_equals_a_loop_over_the_voxels():
    logits, target, weights = example()
    dice, cross = by_loop(logits, target, weights)
    assert float(masked_dice(logits, target, weights)) == pytest.approx(dice, abs=1e-6)
    assert float(masked_cross_entropy(logits, target, weights)) == pytest.approx(cross, abs=1e-6)
    assert float(masked_loss([logits], target, weights)) == pytest.approx(dice + cross, abs=1e-5)


def test_with_every_weight_one_it_is_plain_dice_and_cross_entropy():
    from monai.losses import DiceLoss

    logits, target, _ = example(1)
    ones = torch.ones(target.shape)
    plain = DiceLoss(
        include_background=False, softmax=True, to_onehot_y=True, batch=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH
    )
    assert float(masked_dice(logits, target, ones)) == pytest.approx(float(plain(logits, target[:, None])), abs=1e-6)
    assert float(masked_cross_entropy(logits, target, ones)) == pytest.approx(
        float(functional.cross_entropy(logits, target)), abs=1e-6
    )


def test_nothing_outside_the_hard_mask_has_a_gradient():
    logits, target, weights = example(2)
    logits.requires_grad_()
    masked_loss([logits], target, (weights > 0).float()).backward()
    assert logits.grad is not None
    outside = (weights == 0)[:, None].expand_as(logits)
    assert (logits.grad[outside] == 0).all()
    assert (logits.grad[~outside] != 0).any()
    # And what is said there changes nothing.
    changed = logits.detach().clone()
    changed[outside] += 50 * torch.randn(changed.shape)[outside]
    same = masked_loss([changed], target, (weights > 0).float())
    assert float(same) == float(masked_loss([logits.detach()], target, (weights > 0).float()))


def test_an_empty_mask_gives_exactly_zero_and_a_graph():
    logits, target, _ = example(3)
    logits.requires_grad_()
    coarse = functional.avg_pool3d(logits, 2)
    loss = masked_loss([logits, coarse], target, torch.zeros(target.shape))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_it_is_finite_in_half_precision(kind):
    logits, target, weights = example(4, side=16)
    loss = masked_loss([(logits * 200).to(kind)], target, weights)
    assert loss.dtype is torch.float32
    assert torch.isfinite(loss)


def test_deep_supervision_takes_the_most_important_voxel_and_weighs_levels_by_halves():
    logits, target, weights = example(5)
    coarse = torch.randn(2, 2, 2, 2, 2)
    pooled_m = functional.max_pool3d(weights[:, None], 2)[:, 0]
    pooled_y = functional.max_pool3d(target[:, None].float(), 2)[:, 0]
    fine = masked_loss([logits], target, weights)
    rough = masked_dice(coarse, pooled_y, pooled_m) + masked_cross_entropy(coarse, pooled_y, pooled_m)
    together = masked_loss([logits, coarse], target, weights)
    assert float(together) == pytest.approx(float((fine + 0.5 * rough) / 1.5), abs=1e-6)


def test_weights_fall_from_the_edge_of_the_organ_of_interest():
    distance = torch.tensor([0.0, 14.0, 15.0, 20.0, 25.0, 90.0, 3.0])
    ooi = torch.tensor([2, 1, 1, 0, 0, 0, 0])  # the last one belongs to another organ and was subtracted
    soft = loss_weights(ooi, distance, 15.0)
    assert soft.tolist() == pytest.approx([1.0, 1.0, 1.0, 0.525, 0.05, 0.05, 0.05])
    hard = loss_weights(ooi, distance, 15.0, fall_mm=0.0, outside=0.0)
    assert hard.tolist() == [1, 1, 1, 0, 0, 0, 0]
