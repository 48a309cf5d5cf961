"""One process, or several that `torchrun` started: who is who, and waiting for one another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

PATIENCE = timedelta(hours=24)
"""The others wait while the first one prepares all cases; torch's own 10 (NCCL) or 30 minutes (gloo) are too short."""


@dataclass(frozen=True)
class Processes:
    """The processes of a training run.

    Attributes:
        rank: Number of this one, from 0.
        ranks: How many there are.
        device: Of this one.
    """

    rank: int
    ranks: int
    device: str

    def wait(self) -> None:
        """Go on once all are here."""
        if self.ranks > 1:
            import torch

            torch.distributed.barrier()


def together() -> bool:
    """Whether several processes train together now."""
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started; alone without it.

    Args:
        device: `cpu`, or `cuda`, of which each process takes the GPU of its local rank.
    """
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if ranks == 1:
        yield Processes(0, 1, device)
        return
    import torch

    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        yield Processes(rank, ranks, device)
    finally:
        torch.distributed.destroy_process_group()
