"""Checkpoints: tensors that are loaded as nothing but tensors, and JSON beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import torch

from agcrc.errors import InputError, Problem, WorkError
from agcrc.train.plan import PLAN_FILE, Plan, read_plan

STATE_FILE = "state.json"
WEIGHTS_FILE = "weights.pt"
OPTIMISER_FILE = "optimiser.pt"


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a training run stands.

    Attributes:
        model: Hash of the plan's network; weights of another do not fit.
        epoch: Epochs done.
        step: Steps done.
        best: Highest validation Dice so far; None before the first.
        sampler: State of the sampler.
    """

    model: str
    epoch: int
    step: int
    best: float | None
    sampler: dict[str, Any]


def save_checkpoint(
    folder: Path, state: State, weights: dict[str, Any], optimiser: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint; the one before it stays until all of the new one is on the disk.

    Raises:
        WorkError: The disk is full.
    """
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    try:
        _remove(new)
        new.mkdir(parents=True)
        torch.save(weights, new / WEIGHTS_FILE)
        if optimiser is not None:
            torch.save(optimiser, new / OPTIMISER_FILE)
        (new / STATE_FILE).write_bytes(msgspec.json.encode(state))
        for file in new.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        _remove(old)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _remove(old)
    except (OSError, RuntimeError) as error:  # torch tells a full disk by RuntimeError
        _remove(new)
        raise WorkError(f"{folder}: the checkpoint can't be written: {error}") from error


def load_state(folder: Path, plan: Plan) -> State:
    """The state of a checkpoint.

    Raises:
        InputError: There is none, it is damaged, or it belongs to another plan.
    """
    old = folder.with_name(f".{folder.name}.old")
    if not folder.exists() and old.exists():
        old.rename(folder)  # killed between the two renames
    try:
        state = msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(Problem("is no checkpoint.", "Train first, or without --resume.", str(folder))) from error
    if state.model != plan.model_hash():
        raise InputError(
            Problem(
                f"was written by another plan: network {state.model}, this one is {plan.model_hash()}.",
                "Take the plan.json that lies beside it, or train anew into another folder.",
                str(folder),
            )
        )
    return state


def load_tensors(path: Path) -> dict[str, Any]:
    """Tensors of a checkpoint; anything else in the file is refused.

    Raises:
        InputError: It is damaged, or holds more than tensors.
    """
    import pickle

    try:
        tensors: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise InputError(
            Problem("can't be read as tensors.", "The file is damaged or does not come from agcrc.", str(path))
        ) from error
    return tensors


def load_model(run: Path) -> tuple[torch.nn.Module, Plan]:
    """The network of a training run with its best weights, ready to predict, and its plan.

    Raises:
        InputError: The folder is no run, or its weights do not fit its plan.
    """
    from agcrc.train.networks import build_network

    plan = read_plan(run / PLAN_FILE)
    folder = run / "best" if (run / "best").exists() else run / "last"
    load_state(folder, plan)
    net = build_network(plan.network, plan.channels, plan.features, plan.blocks, plan.patch)
    try:
        net.load_state_dict(load_tensors(folder / WEIGHTS_FILE))
    except RuntimeError as error:
        raise InputError(
            Problem("holds weights that do not fit plan.json.", "Train again.", str(folder / WEIGHTS_FILE))
        ) from error
    net.eval()
    return net, plan


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
