"""Does anatomy help? The arms of specs/agcrc.md section 7 on simulated CTs: same network, steps and data for all.

    python bench/agcrc_ablation.py --split tune --arms 2b 6 6c --seeds 0
    python bench/agcrc_ablation.py --split test --publish docs/results

Resumable: what is done is not done again; a training that was cut goes on from its last epoch. With `--publish FOLDER`
each run is added to FOLDER as it ends, and a run that stands there already is taken from there, so that the grid can be
done in parts on several machines. Training cases are phantom seeds 1000-1023, `--split tune` evaluates on 1900-1923,
`--split test` on 2000-2047; each prediction of the test cases adds a line with its commit to
docs/results/agcrc_test_runs.csv.

The ceiling beside each result is the Dice of a perfect network that looks only in the arm's organ of interest.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from _common import markdown_table, report, write_json
from agcrc.anatomy import OoiRegion, OoiSettings, Organs, load_class_map, region_of_interest
from agcrc.evaluate import compare, evaluate_folders
from agcrc.evaluate.case import Case as Measured
from agcrc.evaluate.compare import RATE, Difference
from agcrc.evaluate.estimates import Figure
from agcrc.evaluate.froc import RATES, froc
from agcrc.evaluate.places import Region
from agcrc.evaluate.tables import cases_csv
from agcrc.phantom import PhantomSettings, tier_named, write_dataset
from agcrc.predict import predict_case
from agcrc.train import Plan, load_model, make_plan, prepare_cases, read_plan, write_plan
from agcrc.train.loop import Trainer
from agcrc.train.windows import Mode
from agcrc.volumes import read_ct, read_labels, write_volume
from agcrc.volumes.dataset import Case, open_dataset

REPOSITORY = Path(__file__).resolve().parents[1]
TRAIN_SEED, TRAIN_CASES = 1000, 24
PATCHES_PER_CASE = 6  # a third of it is whole, as the foreground sampler wants
SPLITS = {"tune": (1900, 24), "test": (2000, 48)}
RUNS_FILE = REPOSITORY / "docs" / "results" / "agcrc_test_runs.csv"
RUNS_NAME = "agcrc_ablation_runs.jsonl.gz"
BASELINE = "2b"


@dataclass(frozen=True)
class Arm:
    """How an arm trains, and whether its output is masked by the organ of interest."""

    what: str
    sampler: str
    loss: str
    channel: bool = False
    masked: bool = True
    organs: str = "organs"

    def network(self, seed: int) -> str:
        """Arms that train alike share a network."""
        return f"{self.sampler}-{self.loss}{'-channel' if self.channel else ''}-{self.organs}-seed{seed}"


ARMS = {
    "1": Arm("uniform patches", "uniform", "plain", masked=False),
    "2": Arm("a third of the patches on lesions (nnU-Net)", "foreground", "plain", masked=False),
    "2b": Arm("2, output masked by the organ of interest", "foreground", "plain"),
    "2c": Arm("2b + organ-distance channel", "foreground", "plain", channel=True),
    "3": Arm("2b, nothing outside counts in training", "foreground", "ignore"),
    "4": Arm("2b with guided patches", "guided", "plain"),
    "5": Arm("2b with the masked loss", "foreground", "masked"),
    "6": Arm("guided patches, masked loss", "guided", "masked"),
    "6c": Arm("6 + organ-distance channel", "guided", "masked", channel=True),
    "8": Arm("6c with true organ masks (oracle)", "guided", "masked", channel=True, organs="organsTrue"),
}


class Run(msgspec.Struct, frozen=True):
    """A network trained with one seed, and what it found.

    Attributes:
        arm: Its name.
        seed: Of the training.
        commit: The code that it was trained and measured with.
        minutes: Of training.
        cases: All that was measured of each case.
    """

    arm: str
    seed: int
    commit: str
    minutes: float
    cases: tuple[Measured, ...]


def main() -> None:
    options = _parse()
    torch.set_num_threads(options.threads)
    settings = PhantomSettings(tier_named(options.tier))
    write_dataset(options.out / "data", settings, cases=TRAIN_CASES, seed=TRAIN_SEED, split="Tr")
    first, count = SPLITS[options.split]
    held = options.out / f"data-{options.split}"
    write_dataset(held, settings, cases=count, seed=first, split="Ts")
    runs = published(options.publish) if options.publish else {}
    for seed in options.seeds:
        for name in options.arms:
            if (name, seed) not in runs:
                plan, spent = train(ARMS[name], seed, options)
                cases = tuple(measure(name, plan, seed, held, options))
                runs[name, seed] = Run(name, seed, _commit(), spent / 60.0, cases)
                if options.publish:
                    publish(runs, options)
            print(f"arm {name}, seed {seed}: {_line(runs[name, seed])}", flush=True)
    rows = _rows(runs)
    print(markdown_table(Row.head, [row.cells() for row in rows]))


def train(arm: Arm, seed: int, options: argparse.Namespace) -> tuple[Plan, float]:
    """Train to the end of the plan, or go on with what is there; the plan, and seconds of all its epochs."""
    run = options.out / "runs" / arm.network(seed)
    dataset = open_dataset(options.out / "data")
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
    trainer = Trainer(run, plan, prepared, device=options.device)
    if (run / "last").exists():
        trainer.resume()
    trainer.fit()
    with (run / "curves.csv").open(encoding="utf-8") as stream:
        return plan, sum(float(row["seconds"]) for row in csv.DictReader(stream))


def measure(name: str, plan: Plan, seed: int, held: Path, options: argparse.Namespace) -> Sequence[Measured]:
    """Predict the cases that are not predicted yet, and evaluate all."""
    arm = ARMS[name]
    out = options.out / "predictions" / options.split / f"arm{name}-seed{seed}"
    places = options.out / "places" / options.split / arm.organs
    net, _ = load_model(options.out / "runs" / arm.network(seed))
    mode: Mode = "filtered" if arm.masked else "full"
    new = 0
    for case in open_dataset(held).test:
        organs, region = organs_of(_organs(case, arm), case.image, plan.ooi_radius_mm)
        if not (places / f"{case.name}_ooi.nii.gz").exists():
            write_volume(places / f"{case.name}.nii.gz", organs.volume.array, organs.volume.grid)
            write_volume(places / f"{case.name}_ooi.nii.gz", region.on(organs.grid)[0], organs.grid)
        if (out / f"{case.name}.nii.gz").exists():
            continue
        ct = read_ct(case.image)
        found = predict_case(
            net, plan, ct, organs, mode=mode, masked=arm.masked, region=region, device=options.device, force=True
        )
        write_volume(out / f"{case.name}_prob.nii.gz", found.probability_on(ct.grid), ct.grid)
        write_volume(out / f"{case.name}.nii.gz", (found.mask > 0).astype(np.uint8), ct.grid)
        new += 1
    evaluation = evaluate_folders(out, held / "labelsTs", organs=places)
    if new and options.split == "test":
        _note(name, seed, plan, evaluation.pred.summary.dice)
    return evaluation.pred.cases


@cache
def organs_of(labels: Path, ct: Path, radius_mm: float) -> tuple[Organs, OoiRegion]:
    """The organs of a case and its organ of interest, which are the same for every arm and seed."""
    organs = Organs(read_labels(labels), load_class_map("totalsegmentator_v2"))
    return organs, region_of_interest(organs, ct=read_ct(ct), settings=OoiSettings(radius_mm=radius_mm))


@dataclass(frozen=True, eq=False)
class Row:
    """An arm over its seeds."""

    name: str
    runs: list[Run]
    baseline: list[Run]

    head = (
        "arm", "", "ceiling", "Dice (by seed)", "sensitivity at 1 FP/scan", "sensitivity of the mask",
        "FP/scan", "of these outside", "Dice − 2b", "sensitivity at 1 FP − 2b", "min/run",
    )  # fmt: skip

    def mean(self, of: Callable[[Run], float]) -> float:
        return float(np.mean([of(run) for run in self.runs]))

    def differences(self) -> dict[str, Difference]:
        """Against the baseline, over the seeds that both have."""
        others = {run.seed: run.cases for run in self.baseline}
        ours = {run.seed: run.cases for run in self.runs if run.seed in others}
        if self.name == BASELINE or not ours:
            return {}
        return {each.metric: each for each in compare(list(ours.values()), [others[seed] for seed in ours])}

    def cells(self) -> list[str]:
        found = self.differences()
        return [
            self.name,
            ARMS[self.name].what,
            f"{self.mean(_ceiling):.3f}",
            f"**{self.mean(_dice):.3f}** ({', '.join(f'{_dice(run):.3f}' for run in self.runs)})",
            f"{self.mean(_at_rate):.3f}",
            f"{self.mean(_sensitivity):.3f}",
            f"{self.mean(_wrong):.1f}",
            f"{self.mean(_outside):.2f}",
            *(_difference(found.get(metric)) for metric in ("dice", "sensitivity_at_1_fp")),
            f"{self.mean(lambda run: run.minutes):.1f}",
        ]


def _rows(runs: Mapping[tuple[str, int], Run]) -> list[Row]:
    of_arm = {name: [runs[key] for key in sorted(runs) if key[0] == name] for name in ARMS}
    return [Row(name, found, of_arm[BASELINE]) for name, found in of_arm.items() if found]


def published(folder: Path) -> dict[tuple[str, int], Run]:
    """The runs that stand in a folder of results."""
    path = folder / RUNS_NAME
    lines = gzip.decompress(path.read_bytes()).splitlines() if path.exists() else []
    runs = (msgspec.json.decode(line, type=Run, dec_hook=_range) for line in lines)
    return {(run.arm, run.seed): run for run in runs}


def publish(runs: Mapping[tuple[str, int], Run], options: argparse.Namespace) -> None:
    """Runs with all that was measured, differences, a table of cases and a figure into a folder."""
    rows = _rows(runs)
    found = {
        row.name: {
            "what": ARMS[row.name].what,
            "ceiling": row.mean(_ceiling),
            "seeds": [run.seed for run in row.runs],
            "commits": [run.commit for run in row.runs],
            "dice_by_seed": [_dice(run) for run in row.runs],
            "sensitivity_at_1_fp_by_seed": [_at_rate(run) for run in row.runs],
            "sensitivity_by_seed": [_sensitivity(run) for run in row.runs],
            "false_positives_per_scan_by_seed": [_wrong(run) for run in row.runs],
            "false_positives_outside_per_scan": row.mean(_outside),
            "minutes_per_run": [run.minutes for run in row.runs],
            "against_2b": [each.to_dict() for each in row.differences().values()],
        }
        for row in rows
    }
    held = {"split": options.split, "epochs": options.epochs, "tier": options.tier, "threads": options.threads}
    options.publish.mkdir(parents=True, exist_ok=True)
    lines = b"".join(msgspec.json.encode(runs[key], enc_hook=_ends) + b"\n" for key in sorted(runs))
    (options.publish / RUNS_NAME).write_bytes(gzip.compress(lines, mtime=0))
    write_json(options.publish / "agcrc_ablation.json", report("bench/agcrc_ablation.py", held, found))
    arms = [(f"{run.arm} seed {run.seed}", run.cases) for row in rows for run in row.runs]
    (options.publish / "agcrc_ablation_cases.csv").write_text(cases_csv(arms), encoding="utf-8")
    draw(rows, options.publish / "agcrc_ablation.svg")


def _ends(part: Any) -> list[int]:
    """A range of voxels, as JSON has none."""
    assert isinstance(part, slice)
    return [part.start, part.stop]


def _range(kind: type, ends: Any) -> slice:
    assert kind is slice
    return slice(*ends)


def draw(rows: list[Row], path: Path) -> None:
    """Dice of each arm and seed under its ceiling; FROC curves, mean over seeds."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    mpl.rcParams["svg.hashsalt"] = "agcrc"
    canvas = Canvas(figsize=(10, 4.2), layout="constrained")
    left, right = canvas.subplots(1, 2)
    for place, row in enumerate(rows):
        colour = f"C{place}"
        left.plot([place] * len(row.runs), [_dice(run) for run in row.runs], "o", color=colour, alpha=0.6)
        left.plot([place - 0.25, place + 0.25], [row.mean(_dice)] * 2, color=colour, linewidth=2.5)
        left.plot([place - 0.25, place + 0.25], [row.mean(_ceiling)] * 2, color="grey", linewidth=1)
        curve = np.mean([froc(run.cases).sensitivity(RATES)[0] for run in row.runs], axis=0)
        right.plot(RATES, curve, "o-", color=colour, markersize=3, label=f"{row.name}: {ARMS[row.name].what}")
    left.set_xticks(range(len(rows)), [row.name for row in rows])
    left.set(ylim=(0, 1), xlabel="arm", title="Dice: seeds, mean; grey: ceiling")
    right.set_xscale("log", base=2)
    right.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    right.set(ylim=(0, 1), xlabel="false positives per scan", title="Lesion sensitivity, mean over seeds")
    right.legend(fontsize=7)
    canvas.suptitle("Simulated CTs: shows that the mechanisms work as coded, nothing clinical", fontsize=10)
    canvas.savefig(path, metadata={"Date": None})


def _dice(run: Run) -> float:
    return float(np.mean([case.dice for case in run.cases if case.dice is not None]))


def _ceiling(run: Run) -> float:
    return float(np.mean([case.ceiling for case in run.cases if case.ceiling is not None]))


def _at_rate(run: Run) -> float:
    return float(froc(run.cases).sensitivity([RATE])[0, 0])


def _sensitivity(run: Run) -> float:
    return sum(case.found for case in run.cases) / sum(len(case.lesions) for case in run.cases)


def _wrong(run: Run) -> float:
    return float(np.mean([case.false_positives for case in run.cases]))


def _outside(run: Run) -> float:
    return float(np.mean([sum(place.region is Region.OUTSIDE for place in case.places or ()) for case in run.cases]))


def _line(run: Run) -> str:
    return (
        f"Dice {_dice(run):.3f} of {_ceiling(run):.3f}, sensitivity {_sensitivity(run):.3f} "
        f"({_at_rate(run):.3f} at 1 FP), {_wrong(run):.1f} FP/scan, {_outside(run):.2f} outside; "
        f"trained {run.minutes:.1f} min"
    )


def _difference(found: Difference | None) -> str:
    if found is None or found.figure.value is None:
        return ""
    figure = found.figure
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:+.3f} to {figure.high:+.3f})"
    return f"{figure.value:+.3f}{interval}"


def _organs(case: Case, arm: Arm) -> Path:
    assert case.organs is not None
    folder = case.organs.parent.name.replace("organs", arm.organs, 1)
    return case.organs.parent.parent / folder / case.organs.name


def _note(name: str, seed: int, plan: Plan, dice: Figure) -> None:
    new = not RUNS_FILE.exists()
    with RUNS_FILE.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(["date", "commit", "arm", "seed", "epochs", "dice"])
        day = time.strftime("%Y-%m-%d", time.gmtime())
        writer.writerow([day, _commit(), name, seed, plan.epochs, f"{dice.value:.4f}"])


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    return found.stdout.strip()


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
    parser.add_argument("--publish", type=Path, help="folder for the runs, the table's JSON, per-case CSV and figure")
    return parser.parse_args()


if __name__ == "__main__":
    main()
