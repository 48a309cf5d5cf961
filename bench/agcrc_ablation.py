"""Does anatomy help? The arms of specs/agcrc.md section 7 on simulated CTs: same network, steps and data for all.

    python bench/agcrc_ablation.py --split tune --arms 2b 6 6c --seeds 0 --out bench/out/ablation

Resumable: what is done is not done again. Train cases are phantom seeds 1000-1023. `--split tune` evaluates on seeds
1900-1923; `--split test` on seeds 2000-2023, and adds a line with the commit to docs/results/agcrc_test_runs.csv.

Arms: 1 uniform patches; 2 a third of the patches on lesions (as nnU-Net); 2b the same network, its output masked by the
organ of interest; 2c = 2b with the organ's distance as a second channel; 3 = 2b trained with nothing counting outside;
4 guided patches, plain loss; 5 = 2b with the masked loss; 6 = 4 + 5; 6c = 6 with the channel; 8 = 6c with true organs.
Every arm prints the ceiling: the Dice of a perfect network that looks only in the organ of interest.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from agcrc.anatomy import Ooi, OoiSettings, Organs, load_class_map, organ_of_interest
from agcrc.evaluate import evaluate_folders
from agcrc.phantom import PhantomSettings, tier_named, write_dataset
from agcrc.predict import predict_case
from agcrc.train import load_model, make_plan, prepare_cases, read_plan, write_plan
from agcrc.train.loop import Trainer
from agcrc.train.windows import Mode
from agcrc.volumes import read_ct, read_labels, write_volume
from agcrc.volumes.dataset import Case, open_dataset

REPOSITORY = Path(__file__).resolve().parents[1]
TRAIN_SEED, TRAIN_CASES = 1000, 24
PATCHES_PER_CASE = 6  # a third of it is whole, as the foreground sampler wants
SPLITS = {"tune": (1900, 24), "test": (2000, 24)}
RUNS_FILE = REPOSITORY / "docs" / "results" / "agcrc_test_runs.csv"


@dataclass(frozen=True)
class Arm:
    """How an arm trains, and whether its output is masked by the organ of interest."""

    sampler: str
    loss: str
    channel: bool = False
    masked: bool = True
    organs: str = "organs"

    def folder(self) -> str:
        """Arms that train alike share a network."""
        return f"{self.sampler}-{self.loss}{'-channel' if self.channel else ''}-{self.organs}"


ARMS = {
    "1": Arm("uniform", "plain", masked=False),
    "2": Arm("foreground", "plain", masked=False),
    "2b": Arm("foreground", "plain"),
    "2c": Arm("foreground", "plain", channel=True),
    "3": Arm("foreground", "ignore"),
    "4": Arm("guided", "plain"),
    "5": Arm("foreground", "masked"),
    "6": Arm("guided", "masked"),
    "6c": Arm("guided", "masked", channel=True),
    "8": Arm("guided", "masked", channel=True, organs="organsTrue"),
}


def main() -> None:
    options = _parse()
    torch.set_num_threads(options.threads)
    data = options.out / "data"
    settings = PhantomSettings(tier_named(options.tier))
    write_dataset(data, settings, cases=TRAIN_CASES, seed=TRAIN_SEED, split="Tr")
    first, count = SPLITS[options.split]
    held = options.out / f"data-{options.split}"
    write_dataset(held, settings, cases=count, seed=first, split="Ts")
    rows = []
    for name in options.arms:
        for seed in options.seeds:
            rows.append(one(name, ARMS[name], seed, data, held, options))
            print(json.dumps(rows[-1]), flush=True)
    (options.out / f"results-{options.split}.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(table(rows))


def one(name: str, arm: Arm, seed: int, data: Path, held: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train (or go on), predict, evaluate one arm with one seed."""
    run = options.out / "runs" / f"{arm.folder()}-seed{seed}"
    predictions = options.out / "predictions" / options.split / f"arm{name}-seed{seed}"
    result_file = predictions / "result.json"
    if result_file.exists():
        return dict(json.loads(result_file.read_text()))
    started = time.perf_counter()
    train(run, arm, seed, data, options)
    trained = time.perf_counter() - started
    net, plan = load_model(run)
    ceilings = []
    for case in open_dataset(held).test:
        ct, truth = read_ct(case.image), read_labels(_label(case))
        organs, ooi = organs_of(_organs(case, arm), case.image, plan.ooi_radius_mm)
        mode: Mode = "filtered" if arm.masked else "full"
        found = predict_case(net, plan, ct, organs, mode=mode, masked=arm.masked, ooi=ooi)
        write_volume(predictions / f"{case.name}.nii.gz", (found.mask > 0).astype(np.uint8), ct.grid)
        write_volume(predictions / f"{case.name}_prob.nii.gz", found.probability.astype(np.float32), ct.grid)
        lesion = truth.array > 0
        if lesion.any():
            share = float((lesion & (found.ooi.mask > 0)).sum() / lesion.sum())
            ceilings.append(2 * share / (1 + share))
    found_all = evaluate_folders(predictions, held / "labelsTs", organs=held / "organsTrueTs", out=predictions)
    figures = found_all.to_dict()
    row: dict[str, Any] = {
        "arm": name,
        "seed": seed,
        "split": options.split,
        "epochs": plan.epochs,
        "train_seconds": round(trained, 1),
        "ceiling_dice": round(float(np.mean(ceilings)), 4),
        **{key: figures[key] for key in ("cases", "dice", "nsd", "hd95", "lesion_sensitivity")},
        "froc": figures.get("froc"),
        "false_positives_per_scan": figures["false_positives_per_scan"],
        "seconds": round(time.perf_counter() - started, 1),
    }
    result_file.write_text(json.dumps(row, indent=2) + "\n")
    if options.split == "test":
        _note(row)
    return row


@cache
def organs_of(labels: Path, ct: Path, radius_mm: float) -> tuple[Organs, Ooi]:
    """The organs of a case and its organ of interest, which are the same for every arm and seed."""
    organs = Organs(read_labels(labels), load_class_map("totalsegmentator_v2"))
    return organs, organ_of_interest(organs, ct=read_ct(ct), settings=OoiSettings(radius_mm=radius_mm))


def train(run: Path, arm: Arm, seed: int, data: Path, options: argparse.Namespace) -> None:
    """Train to the end of the plan, or go on with what is there."""
    dataset = open_dataset(data)
    plan_file = run / "plan.json"
    shared = options.out / "plan.json"
    if not shared.exists():
        write_plan(shared, make_plan(dataset, device=options.device))
    plan = msgspec.structs.replace(
        read_plan(shared),
        sampler=arm.sampler,
        loss=arm.loss,
        organ_channel=arm.channel,
        epochs=options.epochs,
        patches_per_case=PATCHES_PER_CASE,
        seed=seed,
    )
    cases = [Case(case.name, case.image, case.label, _organs(case, arm)) for case in dataset.training]
    prepared = prepare_cases(cases, plan, options.out / f"prepared-{arm.organs}")
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(run, plan, prepared, device=options.device)
    if (run / "last").exists():
        trainer.resume()
    write_plan(plan_file, plan)
    trainer.fit()


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds, one line an arm."""
    lines = [
        "| arm | seeds | ceiling | Dice | lesion sensitivity | false positives per scan |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["arm"] for row in rows):
        mine = [row for row in rows if row["arm"] == name]
        cells = [np.mean([row["ceiling_dice"] for row in mine])]
        for key in ("dice", "lesion_sensitivity", "false_positives_per_scan"):
            values = [row[key].get("value") for row in mine if row[key].get("value") is not None]
            cells.append(np.mean(values) if values else float("nan"))
        lines.append(f"| {name} | {len(mine)} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return "\n".join(lines)


def _organs(case: Case, arm: Arm) -> Path:
    assert case.organs is not None
    folder = case.organs.parent.name.replace("organs", arm.organs, 1)
    return case.organs.parent.parent / folder / case.organs.name


def _label(case: Case) -> Path:
    return case.label or case.image.parent.parent / "labelsTs" / case.image.name


def _note(row: dict[str, Any]) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    new = not RUNS_FILE.exists()
    with RUNS_FILE.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(["date", "commit", "arm", "seed", "epochs", "dice"])
        day = time.strftime("%Y-%m-%d", time.gmtime())
        writer.writerow([day, commit.stdout.strip(), row["arm"], row["seed"], row["epochs"], row["dice"].get("value")])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tier", default="cpu", choices=["smoke", "cpu", "gpu"])
    parser.add_argument("--split", default="tune", choices=sorted(SPLITS))
    parser.add_argument("--arms", nargs="+", default=["1", "2b", "2c", "3", "6", "6c", "8"], choices=sorted(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "bench" / "out" / "ablation")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
