"""Half of a batch in each of two processes. Apart from its test, since a spawned process imports this by name."""

from __future__ import annotations

import torch

from agcrc.train.loss import masked_dice


def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 6, 6, 6, generator=draw)
    target = (torch.rand(4, 6, 6, 6, generator=draw) < 0.2).to(torch.uint8)
    return logits, target, torch.rand(4, 6, 6, 6, generator=draw)


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    logits, target, weights = (each[2 * rank : 2 * rank + 2] for each in tensors())
    scale = torch.ones((), requires_grad=True)
    loss = masked_dice(scale * logits, target, weights)
    loss.backward()
    gradient = scale.grad.clone()
    torch.distributed.all_reduce(gradient)
    torch.save(torch.stack([loss.detach(), gradient / 2]), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
