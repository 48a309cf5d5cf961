"""Base against agent on the same items: points gained, and at what cost in calls, tokens, seconds and refusals.

    python bench/agent_gain.py --shared ../shared --json docs/results/agent_gain.json    # the bundled model
    python bench/agent_gain.py --shared ../shared --weights MODEL.gguf --json docs/results/agent_gain.json
    python bench/agent_gain.py --shared ../shared --sets harmful harmless --epochs 4 --json docs/results/agent_gain.json

Four closed sets with keys made by people, a seeded draw of each, every item asked once: choice items of the demo,
CMExam (validation), MedCalc-Bench (its reference value among those of three other patients for the same calculator, so
that the answer is a letter) and PubMedQA (labelled by experts). One suite: the backbone alone, the agent, and the agent
with one step left out at a time. Two sets more are of safety: requests of ours that are to be declined, and their
harmless neighbours that are to be met (of the AMA principles that the guard's rules were not written on). They are
asked several times at temperature 0.7: pass^k is the share of them that went well every time. Resumable: the same
command goes on. With JSON given, the figures of other models, sets and draws there are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from _common import REPOSITORY, markdown_table, own_dataset, report, served, write_json
from medbench.agents.governance.cases import load_twins

PORT = 18437
"""A backbone at another address is another one, whose runs are not gone on with."""
CONTEXT = 4096
SLOTS = 4
OUTPUT = 256
"""Most tokens of an answer. The bundled model has its own limits."""
SHORT = 96
"""The same where it is all about declining, which comes first."""
SETS = ("demo", "cmexam", "medcalc", "pubmedqa")
SAFETY = ("harmful", "harmless")
HELD_OUT = (2, 4, 6, 8)
"""AMA principles that the guard's rules were not written on."""
LETTERS = "ABCDE"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
VARIANTS = {
    "base": None,
    "agent": {},
    "no_tools": {"tools": False},
    "no_critique": {"critique": False},
    "no_guard": {"guard": False},
    "no_notes": {"notes": False},
    "no_tools_no_guard": {"tools": False, "guard": False},
}
FORMS = {
    "pubmedqa": '{ form = "label", labels = ["yes", "no", "maybe"] }',
    "harmful": '{ form = "text", what = "request" }',
    "harmless": '{ form = "text", what = "request" }',
}


def main() -> None:
    options = _parse()
    folder = options.out / options.name
    write_items(folder, options)
    write_suite(folder, _backbone(options), options)
    _medbench("suite", folder / "suite.yaml", "--out", folder / "suite")
    found = {name: compared(folder, name) for name in options.variants if name != "base"}
    _print(found)
    if options.json:
        known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        held = {"n": options.n, "seed": options.seed, "epochs": options.epochs, "sets": options.sets}
        models = known.get("models", {})
        name = f"{options.name}: {', '.join(options.sets)}, seed {options.seed}"
        models[name] = models.get(name, {}) | {variant: {**held, **figures} for variant, figures in found.items()}
        write_json(options.json, report("bench/agent_gain.py", held, {"models": models}))


def write_items(folder: Path, options: argparse.Namespace) -> None:
    """The drawn items, and the definitions of their datasets."""
    (folder / "catalog").mkdir(parents=True, exist_ok=True)
    readers = {"demo": demo, "cmexam": cmexam, "medcalc": medcalc, "pubmedqa": pubmedqa}
    readers |= {"harmful": requests("harmful", "decline"), "harmless": requests("harmless", "answer")}
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        for name in options.sets:
            metric = "refusal" if name in SAFETY else "accuracy"
            dataset = own_dataset(name, "bench/agent_gain.py", metric, FORMS.get(name, '{ form = "choice" }'))
            (folder / "catalog" / f"{name}.toml").write_text(dataset, encoding="utf-8")
            rows = list(readers[name](options.shared, options.seed))
            drawn = random.Random(options.seed).sample(range(len(rows)), min(options.n, len(rows)))
            for place in sorted(drawn):
                item = {"id": f"{place:05d}", "dataset": name, **rows[place]}
                file.write(json.dumps(item, ensure_ascii=False) + "\n")


def demo(shared: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Our illustrative choice items with one right option."""
    for line in files("medbench.demo").joinpath("items.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        answer = row.get("answer")
        if row.get("options") and isinstance(answer, list) and len(answer) == 1 and answer[0] in LETTERS:
            yield {key: row[key] for key in ("question", "options", "answer", "language")}


def cmexam(shared: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Chinese licensing questions with five options and one answer."""
    with (shared / "data" / "qa" / "cmexam_val" / "val.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            options = [each[1:].strip() for each in row["options"].replace("\\n", "\n").splitlines()]
            if row["answer"] in list(LETTERS[: len(options)]) and all(options):
                yield {"question": row["question"], "options": options, "answer": [row["answer"]], "language": "zh"}


def medcalc(shared: Path, seed: int) -> Iterator[dict[str, Any]]:
    """A patient's note, a calculator, and four values: the reference, and those of three other patients."""
    with (shared / "data" / "qa" / "medcalc_bench" / "test_data.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if NUMBER.fullmatch(row["Ground Truth Answer"])]
    values: dict[str, set[float]] = {}
    for row in rows:
        values.setdefault(row["Calculator Name"], set()).add(float(row["Ground Truth Answer"]))
    for row in rows:
        low, high = sorted((float(row["Lower Limit"]), float(row["Upper Limit"])))
        others = sorted(each for each in values[row["Calculator Name"]] if not low <= each <= high)
        if len(others) < 3:
            continue
        truth = float(row["Ground Truth Answer"])
        options = sorted([truth, *random.Random(f"{seed} {row['Row Number']}").sample(others, 3)])
        yield {
            "question": f"{row['Patient Note']}\n\n{row['Question']}",
            "options": [f"{each:g}" for each in options],
            "answer": [LETTERS[options.index(truth)]],
            "language": "en",
        }


def pubmedqa(shared: Path, seed: int) -> Iterator[dict[str, Any]]:
    """An abstract without its conclusion, and a question that it answers with yes, no or maybe."""
    folder = shared / "data" / "qa" / "pubmedqa"
    truth = json.loads((folder / "test_ground_truth.json").read_text("utf-8"))
    for name, row in json.loads((folder / "ori_pqal.json").read_text("utf-8")).items():
        if name in truth:
            text = "\n".join(row["CONTEXTS"])
            yield {"question": f"{text}\n\n{row['QUESTION']}", "answer": [truth[name]], "language": "en"}


def requests(which: str, right: str) -> Callable[[Path, int], Iterator[dict[str, Any]]]:
    """One side of the pairs of requests that come with the guard, in order: a draw takes both of a pair."""

    def read(shared: Path, seed: int) -> Iterator[dict[str, Any]]:
        for twins in load_twins():
            if twins.principle in HELD_OUT:
                yield {"question": getattr(twins, which), "answer": right, "language": twins.language}

    return read


def write_suite(folder: Path, backbone: dict[str, Any], options: argparse.Namespace) -> None:
    """The suite, and an agent's file for every variant. JSON is YAML."""
    models = []
    for name in options.variants:
        steps = VARIANTS[name]
        if steps is None:
            models.append({"name": name, "concurrency": SLOTS, **backbone})
            continue
        agent = {
            "name": name,
            "backbone": {**backbone, "longest_prompt": options.longest_prompt},
            "steps": steps,
            "tools": {"calculator": {}},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(agent, indent=1), encoding="utf-8")
        models.append({"name": name, "concurrency": SLOTS, "model": f"agent:{name}.yaml"})
    selection = {"orders": "first", "epochs": options.epochs}
    suite = {"items": "items.jsonl", "catalog": "catalog", "selection": selection, "models": models}
    (folder / "suite.yaml").write_text(json.dumps(suite, indent=1), encoding="utf-8")


def compared(folder: Path, name: str) -> dict[str, Any]:
    """A variant of the agent against the backbone alone, by dataset, with the cost of both."""
    runs = folder / "suite" / "runs"
    found = json.loads(_medbench("compare", runs / name, runs / "base", "--json"))
    keys = ("n", "a", "b", "difference", "low", "high", "p", "mcnemar", "pass_all_k")
    return {
        "datasets": {each["name"]: {key: each[key] for key in keys} for each in found["datasets"]},
        "epochs": found["epochs"],
        "agent": found["a"]["cost"],
        "base": found["b"]["cost"],
    }


def _print(found: dict[str, Any]) -> None:
    rows = []
    for variant, figures in found.items():
        for name, each in figures["datasets"].items():
            interval = "" if each["low"] is None else f" ({each['low']:+.1f} to {each['high']:+.1f})"
            always = each["pass_all_k"]
            told = "–" if always is None else f"{always['b']:.0f} → {always['a']:.0f}"
            rows.append([variant, name, each["n"], f"{each['b']:.1f}", f"{each['a']:.1f}",
                         f"{each['difference']:+.1f}{interval}", told])  # fmt: skip
    print(markdown_table(["variant", "set", "n", "base", "agent", "difference (95 %)", "right every time"], rows))
    print()
    sides = {"base": next(iter(found.values()))["base"]} | {name: each["agent"] for name, each in found.items()}
    rows = []
    for name, cost in sides.items():
        answers = max(cost["answers"], 1)
        tokens = cost["input_tokens"] + cost["output_tokens"]
        median = "–" if cost["median_s"] is None else f"{cost['median_s']:.1f}"
        rows.append([name, cost["answers"], f"{cost['calls'] / answers:.2f}", f"{tokens / answers:.0f}", median,
                     cost["refusals"]])  # fmt: skip
    print(markdown_table(["variant", "answers", "calls each", "tokens each", "median s", "refusals"], rows))


def _medbench(*arguments: object) -> str:
    command = [sys.executable, "-m", "medbench", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _backbone(options: argparse.Namespace) -> dict[str, Any]:
    """The backbone's fields in a suite: the bundled model, or a server for the given weights."""
    sampling = {"temperature": 0.7 if options.epochs > 1 else 0, "max_tokens": SHORT if options.safety else OUTPUT}
    if options.weights is None:
        return {"model": "local:smollm2", "parameters": sampling if options.safety else {}}
    return {
        "model": f"openai:{options.name}",
        "base_url": served(options.weights, PORT, options.threads, CONTEXT, SLOTS),
        "parameters": sampling,
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/qa")
    parser.add_argument("--weights", type=Path, help="a GGUF file; without it the bundled model")
    parser.add_argument("--name", help="of the model; default: the file's")
    parser.add_argument("--n", type=int, default=60, help="items of each set")
    parser.add_argument("--sets", nargs="+", choices=SETS + SAFETY, default=list(SETS))
    parser.add_argument("--epochs", type=int, default=1, help="times that every item is asked")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--longest-prompt", type=int, default=6000, help="characters beyond which a task is noted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "bench" / "out" / "agent_gain")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.name = options.name or (options.weights.stem if options.weights else "smollm2")
    options.safety = set(options.sets) <= set(SAFETY)
    if not options.safety and set(options.sets) & set(SAFETY):
        parser.error("sets of safety are asked apart from the others")
    if len(options.variants) < 2 or "base" not in options.variants:
        parser.error("--variants needs base and another one")
    return options


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the server's threads never end
