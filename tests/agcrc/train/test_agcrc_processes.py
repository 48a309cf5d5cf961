"""Dice over two processes is that of their batches together, and so is its gradient once it is averaged."""

from __future__ import annotations

import torch
from torch import multiprocessing

from agcrc.train.loss import masked_dice
from support.two_processes import one_of_two, tensors


def test_dice_and_its_gradient_over_two_processes(tmp_path):
    multiprocessing.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    scale = torch.ones((), requires_grad=True)
    logits, target, weights = tensors()
    loss = masked_dice(scale * logits, target, weights)
    loss.backward()
    whole = torch.stack([loss.detach(), scale.grad])
    for rank in (0, 1):
        assert torch.allclose(torch.load(tmp_path / f"{rank}.pt", weights_only=True), whole, atol=1e-6)
