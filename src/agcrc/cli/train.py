"""`agcrc train`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agcrc.cli.output import Device, Json, device_named, print_json, progress, say

if TYPE_CHECKING:
    from agcrc.train import Plan
    from agcrc.volumes.dataset import Dataset


def train(
    data: Annotated[Path, typer.Option(help="Dataset folder with images, labels and organ masks.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    plan: Annotated[Path | None, typer.Option(help="plan.json to follow instead of deriving one.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the plan's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, sampling and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that stopped.")] = False,
    prepared: Annotated[Path | None, typer.Option(help="Prepared cases; by default OUT/prepared.")] = None,
    device: Device = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write OUT/tensorboard too.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network where the anatomy says that it matters.

    Makes plan.json (read it, change it, give it again with --plan), prepares the cases once, then trains. After each
    epoch OUT/look.png shows the curves and a validation case. Safe to stop at any moment: --resume goes on.
    Under torchrun each process draws its own patches; the first one writes.

    \b
    Examples:
      agcrc train --data data --out run
      agcrc train --data data --out run --resume
      agcrc train --data data --out other --plan run/plan.json --epochs 80
      torchrun --standalone --nproc-per-node 2 -m agcrc train --data data --out run
    """
    from agcrc.errors import InputError, Problem
    from agcrc.train import prepare_cases, read_plan, write_plan
    from agcrc.train.lock import locked
    from agcrc.train.loop import Trainer
    from agcrc.train.plan import PLAN_FILE
    from agcrc.train.processes import processes
    from agcrc.volumes.dataset import open_dataset

    dataset = open_dataset(data)
    own, folder = out / PLAN_FILE, prepared or out / "prepared"
    usable = [case for case in dataset.training if case.label is not None and case.organs is not None]
    with processes(device_named(device)) as group, ExitStack() as held:
        if group.rank == 0:
            if own.exists() and not resume:
                raise InputError(
                    Problem("holds a run already.", "Go on with --resume, or take another --out.", str(out))
                )
            if resume and not own.exists():
                raise InputError(Problem("holds no run.", "Begin without --resume.", str(out)))
            scalars = _scalars(out) if tensorboard else None
            chosen = _plan(dataset, read_plan(own) if resume else plan, group.device, seed, epochs)
            held.enter_context(locked(out))
            with progress("prepare") as advance:
                cases = prepare_cases(usable, chosen, folder, progress=advance)
            write_plan(own, chosen)
        group.wait()
        if group.rank > 0:
            chosen = read_plan(own)
            cases = prepare_cases(usable, chosen, folder)
        trainer = Trainer(out, chosen, cases, device=group.device)
        if resume:
            trainer.resume()
        if group.rank == 0:
            steps = f"{chosen.epochs} epochs of {trainer.steps_per_epoch} steps"
            say(f"{len(trainer.training)} training cases, {steps} on {group.device}, {group.ranks} processes")
            with progress("epoch") as advance:

                def on_epoch(row: dict[str, float]) -> None:
                    advance(int(row["epoch"]), chosen.epochs)
                    if scalars:
                        scalars(row)

                trainer.fit(on_epoch=on_epoch)
        else:
            trainer.fit()
            return
    if as_json:
        print_json(
            {"run": str(out), "epochs": trainer.epoch, "steps": trainer.step, "best_validation_dice": trainer.best}
        )
    else:
        say(f"best validation Dice {trainer.best or 0:.3f}; look at {out / 'look.png'}")


def _plan(dataset: Dataset, given: Plan | Path | None, device: str, seed: int, epochs: int | None) -> Plan:
    """The plan that is given, or one derived from the data."""
    import msgspec

    from agcrc.train import make_plan, read_plan

    if given is None:
        with progress("plan") as advance:
            chosen = make_plan(dataset, device=device, seed=seed, progress=advance)
    else:
        chosen = read_plan(given) if isinstance(given, Path) else given
    return chosen if epochs is None else msgspec.structs.replace(chosen, epochs=epochs)


def _scalars(out: Path) -> Callable[[dict[str, float]], None]:
    """Writes the numbers of each epoch for TensorBoard.

    Raises:
        InputError: TensorBoard is not installed.
    """
    from agcrc.errors import InputError

    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs a package that is not installed: pip install tensorboard") from error
    writer: Any = SummaryWriter(str(out / "tensorboard"))

    def write(row: dict[str, float]) -> None:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, int(row["epoch"]))
        writer.flush()

    return write
