"""`agcrc demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import Json, print_json, progress, say

TRAINING, TEST = 10, 4
TRAINING_SEED, TEST_SEED = 1000, 1900
EPOCHS = 18


def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything that is made.")] = Path("demo/agcrc"),
    as_json: Json = False,
) -> None:
    """From nothing to an evaluated model in a few minutes, on simulated CTs; report/report.html in the folder.

    The CTs are simulated and the training is far too short: it shows the way, not a performance. Run again, it goes on
    where it stopped.

    \b
    Example:
      agcrc demo --out demo/agcrc
    """
    import msgspec
    import torch

    from agcrc.anatomy import ooi_files
    from agcrc.evaluate import evaluate_folders, write_report
    from agcrc.phantom import PhantomSettings, tier_named, write_dataset
    from agcrc.predict import predict_files
    from agcrc.train import load_model, make_plan, prepare_cases, read_plan, write_plan
    from agcrc.train.loop import Trainer
    from agcrc.train.plan import PLAN_FILE
    from agcrc.volumes.dataset import open_dataset

    started = time.perf_counter()
    torch.set_num_threads(2)
    data, run, predictions, report = out / "data", out / "run", out / "predictions", out / "report"
    settings = PhantomSettings(tier_named("cpu"))
    with progress("simulate") as advance:
        write_dataset(data, settings, cases=TRAINING, seed=TRAINING_SEED, split="Tr", progress=advance)
        write_dataset(data, settings, cases=TEST, seed=TEST_SEED, split="Ts", progress=advance)
    dataset = open_dataset(data)
    first = dataset.test[0]
    assert first.organs is not None
    ooi_files(first.organs, first.image, None, dataset.class_map, out / "ooi" / f"{first.name}.nii.gz")
    run.mkdir(parents=True, exist_ok=True)
    if (run / PLAN_FILE).exists():
        plan = read_plan(run / PLAN_FILE)
    else:
        with progress("plan") as advance:
            plan = msgspec.structs.replace(make_plan(dataset, device="cpu", progress=advance), epochs=EPOCHS)
    with progress("prepare") as advance:
        cases = prepare_cases(dataset.training, plan, run / "prepared", progress=advance)
    trainer = Trainer(run, plan, cases, device="cpu")
    if (run / "last").exists():
        trainer.resume()
    write_plan(run / PLAN_FILE, plan)
    with progress("train") as advance:
        trainer.fit(on_epoch=lambda row: advance(int(row["epoch"]), plan.epochs))
    net, plan = load_model(run)
    with progress("predict") as advance:
        for number, case in enumerate(dataset.test):
            assert case.organs is not None
            predict_files(net, plan, case.image, case.organs, predictions / f"{case.name}.nii.gz", probability=True)
            advance(number + 1, len(dataset.test))
    found = evaluate_folders(
        predictions, data / "labelsTs", organs=data / "organsTs", class_map=dataset.class_map, out=report
    )
    write_report(found, report, images=data / "imagesTs")
    seconds = time.perf_counter() - started
    if as_json:
        print_json({"out": str(out), "report": str(report / "report.html"), "seconds": round(seconds, 1)})
    else:
        say(f"{report / 'report.html'} after {seconds:.0f} s; the CTs are simulated and the training was short")
