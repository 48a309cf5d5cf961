"""The training loop: epochs, validation, checkpoints; a run that was stopped goes on exactly where it was."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agcrc.errors import InputError, Problem
from agcrc.sampling import PatchSampler, SamplingCase, make_sampler
from agcrc.train.batches import make_batch, organ_channel, scaled
from agcrc.train.checkpoint import (
    OPTIMISER_FILE,
    WEIGHTS_FILE,
    State,
    load_state,
    load_tensors,
    save_checkpoint,
)
from agcrc.train.loss import masked_loss
from agcrc.train.networks import build_network, logits_of
from agcrc.train.plan import PLAN_FILE, Plan, write_plan
from agcrc.train.processes import together
from agcrc.train.windows import infer, window_starts
from agcrc.volumes.cases import PreparedCase

CLIP_NORM = 12.0
FALL_POWER = 0.9
CURVES_FILE = "curves.csv"
CURVES_HEAD = ("epoch", "loss", "validation_dice", "learning_rate", "seconds")
Epoch = Callable[[dict[str, float]], None]


class Trainer:
    """Trains one network.

    Args:
        run: Folder of the run: plan.json, curves.csv, last/, best/, look.png.
        plan: What to do.
        cases: Prepared training cases, those for validation among them.
        device: `cpu` or `cuda`.
    """

    def __init__(self, run: Path, plan: Plan, cases: Sequence[PreparedCase], *, device: str) -> None:
        known = {case.name for case in cases}
        missing = [name for name in plan.validation_cases if name not in known]
        if missing:
            raise InputError(Problem(f"validation cases that are not there: {', '.join(missing)}.", "", PLAN_FILE))
        self.run, self.plan, self.device = run, plan, device
        self.training = [case for case in cases if case.name not in plan.validation_cases]
        self.validation = [case for case in cases if case.name in plan.validation_cases]
        if not self.training:
            raise InputError("No case is left for training: all are held out for validation.")
        self.rank, self.ranks = 0, 1
        if together():  # each process then draws its own patches
            self.rank, self.ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
        torch.manual_seed(plan.seed)
        self.net = build_network(plan.network, plan.channels, plan.features, plan.blocks, plan.patch).to(device)
        self.model: torch.nn.Module = self.net
        if self.ranks > 1:
            self.model = torch.nn.parallel.DistributedDataParallel(self.net)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
        self.precision = _precision(plan, device)
        self.scaler = torch.amp.GradScaler(device, enabled=self.precision is torch.float16)
        self.sampler: PatchSampler = make_sampler(
            plan.sampler, plan.patch, seed=plan.seed, rank=self.rank, ranks=self.ranks
        )
        self.sampling_cases = {case.name: _sampling_case(case) for case in self.training}
        self.epoch = self.step = 0
        self.best: float | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.training) * self.plan.patches_per_case // self.plan.batch)

    def resume(self) -> None:
        """Go on from the last checkpoint.

        Raises:
            InputError: There is none, or it belongs to another plan.
        """
        folder = self.run / "last"
        state = load_state(folder, self.plan)
        self.net.load_state_dict(load_tensors(folder / WEIGHTS_FILE))
        kept = load_tensors(folder / OPTIMISER_FILE)
        self.optimiser.load_state_dict(kept["optimiser"])
        self.scaler.load_state_dict(kept["scaler"])
        self.sampler.restore(state.sampler)
        self.epoch, self.step, self.best = state.epoch, state.step, state.best
        _cut_curves(self.run / CURVES_FILE, self.epoch)

    def fit(self, *, until: int | None = None, on_epoch: Epoch | None = None) -> None:
        """Train until the plan's last epoch, or until `until`.

        Raises:
            WorkError: The disk is full.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        if self.rank == 0:
            write_plan(self.run / PLAN_FILE, self.plan)
        last = min(self.plan.epochs, until or self.plan.epochs)
        with ThreadPoolExecutor(1) as background:
            upcoming = background.submit(self._patches, self.epoch)
            while self.epoch < last:
                patches = upcoming.result()
                sampler_state = self.sampler.state()
                # The next epoch's patches are found while this one trains.
                upcoming = background.submit(self._patches, self.epoch + 1)
                row = self._one_epoch(patches)
                if self.rank == 0:
                    self._keep(row, sampler_state)
                if on_epoch:
                    on_epoch(row)

    def _patches(self, epoch: int) -> list[tuple[PreparedCase, NDArray[np.int64]]]:
        """Every patch of an epoch, in the order in which they are trained on."""
        drawn = [
            (case, centre)
            for case in self.training
            for centre in self.sampler.centres(self.sampling_cases[case.name], self.plan.patches_per_case, epoch)
        ]
        order = np.random.default_rng((self.plan.seed, epoch, self.rank)).permutation(len(drawn))
        return [drawn[index] for index in order]

    def _one_epoch(self, patches: list[tuple[PreparedCase, NDArray[np.int64]]]) -> dict[str, float]:
        started = time.perf_counter()
        losses = []
        self.model.train()
        for group in _groups(patches, self.plan.batch, self.steps_per_epoch):
            rate = self._set_rate()
            centres = np.stack([centre for _, centre in group])
            step = self.step * self.ranks + self.rank
            batch = make_batch([case for case, _ in group], centres, self.plan, step=step, device=self.device)
            with self._autocast():
                outputs = logits_of(self.model(batch.image))
            loss = masked_loss(outputs, batch.lesion, batch.weights)
            self.optimiser.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP_NORM)
            self.scaler.step(self.optimiser)
            self.scaler.update()
            losses.append(float(loss.detach()))
            self.step += 1
        self.epoch += 1
        return {
            "epoch": self.epoch,
            "loss": float(np.mean(losses)),
            "validation_dice": self._validate() if self.rank == 0 else float("nan"),
            "learning_rate": rate,
            "seconds": time.perf_counter() - started,
        }

    def _set_rate(self) -> float:
        share = self.step / (self.steps_per_epoch * self.plan.epochs)
        rate = float(self.plan.learning_rate * max(0.0, 1.0 - share) ** FALL_POWER)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _autocast(self) -> Any:  # noqa: ANN401 - two unrelated context managers
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=self.precision)

    def _validate(self) -> float:
        """Dice over the voxels of all validation cases together, in the organ of interest."""
        both = sizes = 0
        self.net.eval()
        for case in self.validation:
            said = probability(self.net, case, self.plan, device=self.device) > 0.5
            said &= np.asarray(case.ooi) > 0
            truth = np.asarray(case.lesion) > 0
            both += int((said & truth).sum())
            sizes += int(said.sum() + truth.sum())
        return 2.0 * both / sizes if sizes else 1.0

    def _keep(self, row: dict[str, float], sampler_state: dict[str, object]) -> None:
        from agcrc.train.look import draw_look

        state = State(self.plan.model_hash(), self.epoch, self.step, self.best, sampler_state)
        if self.best is None or row["validation_dice"] >= self.best:
            self.best = row["validation_dice"]
            state = State(state.model, state.epoch, state.step, self.best, state.sampler)
            save_checkpoint(self.run / "best", state, self.net.state_dict())
        optimiser = {"optimiser": self.optimiser.state_dict(), "scaler": self.scaler.state_dict()}
        save_checkpoint(self.run / "last", state, self.net.state_dict(), optimiser)
        _add_curve(self.run / CURVES_FILE, row)
        if self.validation:
            case = self.validation[0]
            draw_look(self.run, case, probability(self.net, case, self.plan, device=self.device))


def probability(net: torch.nn.Module, case: PreparedCase, plan: Plan, *, device: str) -> NDArray[np.float16]:
    """What a network says on a prepared case, in windows over the organ of interest; shape of the case."""
    ooi = np.asarray(case.ooi) > 0
    shape = case.ooi.shape

    def cut(start: NDArray[np.int64]) -> Tensor:
        part = tuple(slice(int(first), int(first) + side) for first, side in zip(start, plan.patch, strict=True))
        return network_input(case.ct[part], case.distance_mm[part], plan)

    starts = window_starts((shape[0], shape[1], shape[2]), plan.patch, "fast", ooi)
    return infer(net, cut, starts, (shape[0], shape[1], shape[2]), plan.patch, batch=plan.batch, device=device)


def network_input(ct: NDArray[Any], distance_mm: NDArray[Any], plan: Plan) -> Tensor:
    """A window of HU and distances as the network wants it, (channels, *patch); what is short is padded by its edge."""
    pads = [(0, side - size) for side, size in zip(plan.patch, ct.shape, strict=True)]
    image = [scaled(torch.from_numpy(np.pad(np.asarray(ct, dtype=np.float32), pads, mode="edge")), plan.intensity)]
    if plan.organ_channel:
        far = np.pad(np.asarray(distance_mm, dtype=np.float32), pads, mode="edge")
        image.append(organ_channel(torch.from_numpy(far)))
    return torch.stack(image)


def _sampling_case(case: PreparedCase) -> SamplingCase:
    return SamplingCase(
        name=case.name,
        spacing=case.grid.spacing,
        lesion=np.asarray(case.lesion) > 0,
        ooi=np.asarray(case.ooi),
        core_distance_mm=np.asarray(case.distance_mm),
    )


def _groups(
    patches: list[tuple[PreparedCase, NDArray[np.int64]]], size: int, count: int
) -> Iterator[list[tuple[PreparedCase, NDArray[np.int64]]]]:
    for number in range(count):
        yield patches[number * size : (number + 1) * size] or patches[-size:]


def _precision(plan: Plan, device: str) -> torch.dtype:
    if plan.precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[plan.precision]


def _add_curve(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(CURVES_HEAD)
        writer.writerow([f"{row[name]:.6g}" for name in CURVES_HEAD])


def _cut_curves(path: Path, epoch: int) -> None:
    """Drop rows of epochs behind the checkpoint: they are trained again."""
    if path.exists():
        lines = path.read_text("utf-8").splitlines()
        kept = [lines[0], *[line for line in lines[1:] if float(line.split(",")[0]) <= epoch]]
        path.write_text("\n".join(kept) + "\n", "utf-8")
