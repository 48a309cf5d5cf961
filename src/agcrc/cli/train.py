"""`agcrc train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import Device, Json, device_named, print_json, progress, say


def train(
    data: Annotated[Path, typer.Option(help="Dataset folder with images, labels and organ masks.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    plan: Annotated[Path | None, typer.Option(help="plan.json to follow instead of deriving one.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the plan's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, sampling and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that stopped.")] = False,
    prepared: Annotated[Path | None, typer.Option(help="Prepared cases; by default OUT/prepared.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train a network where the anatomy says that it matters.

    Makes plan.json (read it, change it, give it again with --plan), prepares the cases once, then trains. After each
    epoch OUT/look.png shows the curves and a validation case. Safe to stop at any moment: --resume goes on.

    \b
    Examples:
      agcrc train --data data --out run
      agcrc train --data data --out run --resume
      agcrc train --data data --out other --plan run/plan.json --epochs 80
    """
    import msgspec

    from agcrc.errors import InputError, Problem
    from agcrc.train import make_plan, prepare_cases, read_plan, write_plan
    from agcrc.train.loop import Trainer
    from agcrc.train.plan import PLAN_FILE
    from agcrc.volumes.dataset import open_dataset

    dataset = open_dataset(data)
    where = device_named(device)
    own = out / PLAN_FILE
    if own.exists() and not resume:
        raise InputError(Problem("holds a run already.", "Go on with --resume, or take another --out.", str(out)))
    if resume and not own.exists():
        raise InputError(Problem("holds no run.", "Begin without --resume.", str(out)))
    if resume:
        chosen = read_plan(own)
    elif plan is not None:
        chosen = read_plan(plan)
    else:
        with progress("plan") as advance:
            chosen = make_plan(dataset, device=where, seed=seed, progress=advance)
    if epochs is not None:
        chosen = msgspec.structs.replace(chosen, epochs=epochs)
    out.mkdir(parents=True, exist_ok=True)
    usable = [case for case in dataset.training if case.label is not None and case.organs is not None]
    with progress("prepare") as advance:
        cases = prepare_cases(usable, chosen, prepared or out / "prepared", progress=advance)
    trainer = Trainer(out, chosen, cases, device=where)
    if resume:
        trainer.resume()
    write_plan(own, chosen)
    say(f"{len(trainer.training)} training cases, {chosen.epochs} epochs of {trainer.steps_per_epoch} steps on {where}")
    with progress("epoch") as advance:
        trainer.fit(on_epoch=lambda row: advance(int(row["epoch"]), chosen.epochs))
    if as_json:
        print_json(
            {"run": str(out), "epochs": trainer.epoch, "steps": trainer.step, "best_validation_dice": trainer.best}
        )
    else:
        say(f"best validation Dice {trainer.best or 0:.3f}; look at {out / 'look.png'}")
