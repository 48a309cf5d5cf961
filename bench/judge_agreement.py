"""How far a real local model agrees with people as a judge, beside people's agreement with each other.

    python bench/judge_agreement.py --shared ../shared --weights MODEL.gguf --json docs/results/judge_agreement.json
    python bench/judge_agreement.py --shared ../shared --json docs/results/judge_agreement.json    # the bundled model
    python bench/judge_agreement.py --shared ../shared --words    # the words that claim and answer share, all of K-QA

Two sets of real answers with real ratings, a seeded draw of each: K-QA (claims that three physicians judged entailed,
contradicted or neither by an answer; the judge grades each claim as a key point) and the medicine part of LLMEval-2
(Chinese answers with one person's stars; the judge rates them by the rubric with the reference). The answers go through
`medbench run` and `medbench score --judge` as anybody's would, so what is measured is prompts, reading and model
together. Resumable: what was judged is not judged again. With JSON given, the figures of other models there are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from _common import REPOSITORY, markdown_table, own_dataset, report, served, write_json
from medbench.engine.ledger import Ledger
from medbench.items.model import KeyPoint
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.plan import asked
from medbench.runs.results import panel_of, responses
from medbench.scoring.judging.meta import evaluate
from medbench.scoring.judging.verdict import mean_of
from medbench.scoring.keypoints import match_lexically
from medbench.scoring.keys_along import KeysAlong
from medbench.scoring.ratings import Rating
from medbench.stats import calibrate

PORT = 18435
"""A judge at another address is another judge, whose judgements are not taken up again."""
CONTEXT = 4096
LABELS = {"Contradiction": 0.0, "Neutral": 1.0, "Entailment": 2.0}
FOUND = {"contradict": 0.0, "miss": 1.0, "hit": 2.0}
CLAIMS = (0.0, 2.0)
STARS = {"Correctness": (1.0, 3.0), "Accuracy": (1.0, 5.0)}
VERDICT = {
    "rubric": {
        "reason": {"type": "string", "maxLength": 160},
        "overall": {"type": "integer", "minimum": 0, "maximum": 10},
    },
    "points": {
        "points": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "point": {"type": "integer", "minimum": 1, "maximum": 1},
                    "found": {"enum": ["hit", "miss", "contradict"]},
                    "span": {"type": "string", "maxLength": 200},
                },
                "required": ["point", "found", "span"],
                "additionalProperties": False,
            },
        }
    },
}
"""The form of a verdict as a grammar that the server holds the model to; without it small models write prose."""


class Row(msgspec.Struct, frozen=True):
    """An answer to be judged: an item, and what people said of it."""

    id: str
    question: str
    answer: str
    cluster: str
    model: str
    people: tuple[float, ...]
    criterion: str
    claim: str = ""
    reference: str = ""


def main() -> None:
    options = _parse()
    if options.words:
        _print("kqa", by_words(kqa(options.shared)))
        return
    found: dict[str, Any] = {}
    judge = _judge(options)
    for name, rows in (("kqa", kqa(options.shared)), ("llmeval2", llmeval2(options.shared))):
        drawn = sorted(random.Random(options.seed).sample(rows, options.n), key=lambda row: row.id)
        run, seconds = judged(name, drawn, judge, options)
        found[name] = measured(name, drawn, run) | {"seconds": seconds}
        _print(name, found[name])
    if options.json:
        known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        models = known.get("models", {}) | {options.name: found}
        held = {"n": options.n, "seed": options.seed, "constrained": options.constrained}
        write_json(options.json, report("bench/judge_agreement.py", held, {"models": models}))


def kqa(shared: Path) -> list[Row]:
    """Every claim with the answer that it was checked against and three physicians' labels."""
    path = shared / "data" / "human_ratings" / "kqa" / "NLI_medical_annotator.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                id=f"{number:03d}",
                question=row["Question"],
                answer=row["answer"],
                cluster=row["Question"],
                model=row["llm_x"],
                people=tuple(LABELS[row[f"label_{rater}"]] for rater in range(3)),
                criterion="claim",
                claim=row["claim"],
            )
            for number, row in enumerate(csv.DictReader(file))
        ]


def llmeval2(shared: Path) -> list[Row]:
    """Chinese answers, by correctness or by accuracy, whichever a person rated."""
    path = shared / "data" / "human_ratings" / "llmeval2_medicine" / "Medicine.jsonl"
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines()):
        row = json.loads(line)
        criterion = next(name for name in STARS if name in row["human"])
        question, answer = (turn["content"] for turn in row["dialog"][:2])
        rows.append(
            Row(
                id=f"{number:03d}",
                question=question,
                answer=answer,
                cluster=row["question_uuid"],
                model=row["llm_name"],
                people=(float(row["human"][criterion]),),
                criterion=criterion,
                reference=str(row["hint"]),
            )
        )
    return rows


def judged(name: str, rows: Sequence[Row], judge: str, options: argparse.Namespace) -> tuple[Path, float]:
    """Bring the answers in and let the judge judge them; the run, and seconds of judging in this session."""
    folder = options.out / options.name / name
    catalog, run = folder / "catalog", folder / "run"
    catalog.mkdir(parents=True, exist_ok=True)
    metric = "keypoint_macro_recall" if name == "kqa" else "llm_judge"
    dataset = own_dataset(name, "shared/data/human_ratings", metric, '{ form = "text" }')
    (catalog / f"{name}.toml").write_text(dataset, encoding="utf-8")
    language = "en" if name == "kqa" else "zh"
    with (folder / "items.jsonl").open("w", encoding="utf-8") as items:
        for row in rows:
            item: dict[str, Any] = {"id": row.id, "dataset": name, "question": row.question, "language": language}
            item |= {"key_points": [{"text": row.claim}]} if row.claim else {"answer": row.reference}
            items.write(json.dumps(item, ensure_ascii=False) + "\n")
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as answers:
        for row in rows:
            # An answer of nothing else would be judged without a judge.
            answers.write(json.dumps({"dataset": name, "id": row.id, "answer": row.answer}, ensure_ascii=False) + "\n")
    if not run.exists():
        _medbench(
            *("run", "--items", folder / "items.jsonl", "--catalog", catalog),
            *("--model", f"answers:{folder / 'answers.jsonl'}", "--out", run),
        )
    spec = folder / "judge.toml"
    form = VERDICT["points" if name == "kqa" else "rubric"]
    spec.write_text(judge + (_grammar(form) if options.constrained else ""), encoding="utf-8")
    start = time.monotonic()
    _medbench("score", run, "--judge", spec)
    return run, time.monotonic() - start


def by_words(rows: Sequence[Row]) -> dict[str, Any]:
    """The baseline that takes no judge against people, on claims."""
    ratings = []
    for row in rows:
        (point,) = match_lexically([KeyPoint(row.claim)], row.answer)
        raters = [(f"person {place}", "human", score) for place, score in enumerate(row.people)]
        ratings += [
            Rating(row.cluster, row.id, rater, kind, row.criterion, score, CLAIMS, row.answer, row.model)
            for rater, kind, score in [*raters, ("lexical", "judge", FOUND[point.found])]
        ]
    (figures,) = evaluate(ratings)
    return {"n": len(rows), "failed": {}, "claim": msgspec.to_builtins(figures)}


def measured(name: str, rows: Sequence[Row], run: Path) -> dict[str, Any]:
    """The judge against people, and what it failed on."""
    by_id = {row.id: row for row in rows}
    ratings: dict[str, list[Rating]] = {}
    failed: dict[str, int] = {}
    count = 0
    for item, judgement, mean in _said(run):
        row = by_id[item]
        count += 1
        low, high = STARS.get(row.criterion, CLAIMS)

        def rating(rater: str, kind: Any, score: float, row: Row = row, scale: Any = (low, high)) -> Rating:
            return Rating(row.cluster, row.id, rater, kind, row.criterion, score, scale, row.answer, row.model)

        mine = ratings.setdefault(row.criterion, [])
        mine += [rating(f"person {place}", "human", score) for place, score in enumerate(row.people)]
        if row.claim:
            (point,) = match_lexically([KeyPoint(row.claim)], row.answer)
            mine.append(rating("lexical", "judge", FOUND[point.found]))
        if mean is None:
            failed[judgement.reason] = failed.get(judgement.reason, 0) + 1
        elif row.claim:
            mine.append(rating("model", "judge", FOUND[judgement.points[0].found]))
        else:
            mine.append(rating("model", "judge", low + mean * (high - low)))
    assert count == len(rows)
    found: dict[str, Any] = {"n": count, "failed": failed}
    for criterion, several in ratings.items():
        (figures,) = evaluate(several)
        found[criterion] = msgspec.to_builtins(figures)
        if criterion in STARS:
            found[criterion]["calibration"] = _calibrated(several)
    return found


def _said(run: Path) -> Iterator[tuple[str, Any, float | None]]:
    """For each answer its item's id, the judgement, and its value; None where the judge failed."""
    pins = read_pins(run)
    keys = KeysAlong(Path(pins.items), pins.own_catalog)
    with ExitStack() as files:
        ledger = files.enter_context(closing(Ledger(run / LEDGER_FILE, read_only=True)))
        panel = panel_of(run, pins, ledger, files)
        assert panel is not None
        answers = files.enter_context(closing(responses(ledger)))
        for call in asked(open_pinned(pins), pins.selection):
            seq, response = next(answers)
            assert seq == call.seq
            (opinion,) = panel.of(call, response, keys.of(call.question.uid))
            (repeats,) = opinion.repeats.values()
            yield call.question.id, repeats[0], mean_of(repeats)


def _calibrated(ratings: Sequence[Rating]) -> dict[str, Any]:
    """Errors on the scale from 0 to 1, on items that the map has not seen."""
    people = {each.unit: each for each in ratings if each.kind == "human"}
    judge = [each for each in ratings if each.kind == "judge"]
    human = [people[each.unit].share for each in judge]
    try:
        result = calibrate([each.share for each in judge], human, [each.item for each in judge])
    except ValueError as error:
        return {"reason": str(error)}
    return {
        "method": result.map.as_dict()["method"],
        "squared_before": result.squared_before,
        "squared_after": result.squared_after,
        "squared_change": [result.squared_change.low, result.squared_change.high],
        "squared_of_the_mean": float(np.var(human)),
    }


def _print(name: str, found: dict[str, Any]) -> None:
    print(f"\n{name}: {found['n']} answers, judge failed on {found['failed'] or 'none'}")
    rows = []
    for criterion, figures in found.items():
        if not isinstance(figures, dict) or "judges" not in figures:
            continue
        raters = [each["agreement"] for each in figures["judges"]] + [figures["people"]]
        rows += [[criterion, one["raters"], one["n"], *(_figure(one[key]) for key in MEASURES)] for one in raters]
        if "calibration" in figures:
            print(criterion, figures["calibration"])
    print(markdown_table(["criterion", "rater", "n", *MEASURES], rows))


MEASURES = ("exact", "kappa", "quadratic_kappa", "spearman")


def _figure(figure: dict[str, Any]) -> str:
    if figure.get("value") is None:
        return str(figure.get("reason", ""))
    interval = f" ({figure['low']:.3f} to {figure['high']:.3f})" if figure.get("low") is not None else ""
    return f"{figure['value']:.3f}{interval}"


def _medbench(*arguments: object) -> None:
    command = [Path(sys.executable).with_name("medbench"), *map(str, arguments)]
    subprocess.run(command, check=True)


def _judge(options: argparse.Namespace) -> str:
    """A judge file for the model: the bundled one, or a server for the given weights."""
    limits = f"\n[parameters]\nmax_tokens = {options.max_tokens}\ntemperature = 0\n"
    if options.weights is None:
        return f'model = "local:smollm2"\n{limits}'
    url = served(options.weights, PORT, options.threads, CONTEXT)
    return f'model = "openai:{options.name}"\nbase_url = "{url}"\nconcurrency = 1\n{limits}'


def _grammar(properties: dict[str, Any]) -> str:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    return "response_format = " + _toml(form) + "\n"


def _toml(value: Any) -> str:
    """An inline value."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/human_ratings")
    parser.add_argument("--weights", type=Path, help="a GGUF file; without it the bundled model")
    parser.add_argument("--name", help="of the model; default: the file's")
    parser.add_argument("--constrained", action="store_true", help="hold the model to the verdict's form by a grammar")
    parser.add_argument("--words", action="store_true", help="only the baseline that takes no judge, on all claims")
    parser.add_argument("--n", type=int, default=150, help="answers of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "bench" / "out" / "judge_agreement")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.name = options.name or (options.weights.stem if options.weights else "smollm2")
    return options


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the server's threads never end
