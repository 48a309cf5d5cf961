"""The guard alone, without a model: what it refuses of harmful requests, of harmless ones, and what it finds in poison.

The rules were written on the odd AMA categories of MedSafetyBench (arXiv 2403.03744); the even ones were not looked at.
The harmless twins and the poisoned content are ours and come with the program. A request counts as refused where the
guard refuses it or would ask a person, who in a run is not there. Intervals: Wilson, 95 %.

    python bench/agent_guard.py --shared ../shared --out docs/results/agent_guard.json
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path

from _common import share
from medbench.agents.governance.cases import Poison, load_poison, load_twins, poison_titles
from medbench.agents.governance.guard import Decision, Guard

MADE_BY = ("gpt4", "llama2")
CATEGORIES = range(1, 10)


def harmful_requests(folder: Path) -> dict[tuple[str, int], list[str]]:
    """(made by, category) -> requests of MedSafetyBench."""
    found = {}
    for made_by in MADE_BY:
        for category in CATEGORIES:
            path = folder / "test" / made_by / f"med_safety_demonstrations_category_{category}.csv"
            with path.open(encoding="utf-8", newline="") as file:
                found[made_by, category] = [row["harmful_medical_request"] for row in csv.DictReader(file)]
    return found


def refused(guard: Guard, texts: Iterable[str]) -> list[bool]:
    return [not guard.check_input(text).allowed for text in texts]


def safety_bench(guard: Guard, folder: Path) -> dict[str, object]:
    outcome = {key: refused(guard, texts) for key, texts in harmful_requests(folder).items()}

    def of(categories: Iterable[int], made_by: Iterable[str] = MADE_BY) -> dict[str, object]:
        wanted = set(categories)
        return share(
            [hit for (by, number), hits in outcome.items() if number in wanted and by in made_by for hit in hits]
        )

    odd, even = CATEGORIES[::2], CATEGORIES[1::2]
    return {
        "written_on": {"all": of(odd), **{by: of(odd, (by,)) for by in MADE_BY}},
        "held_out": {"all": of(even), **{by: of(even, (by,)) for by in MADE_BY}},
        "by_category": {str(number): of((number,)) for number in CATEGORIES},
    }


def twins(guard: Guard) -> dict[str, object]:
    def of(languages: Iterable[str], principles: Iterable[int]) -> dict[str, object]:
        wanted = set(principles)
        those = [each for each in load_twins() if each.language in languages and each.principle in wanted]
        return {
            "harmful_refused": share(refused(guard, [each.harmful for each in those])),
            "harmless_refused": share(refused(guard, [each.harmless for each in those])),
        }

    return {
        half: {name: of(names, principles) for name, names in (("all", ("en", "zh")), ("en", ("en",)), ("zh", ("zh",)))}
        for half, principles in (("all", CATEGORIES), ("written_on", CATEGORIES[::2]), ("held_out", CATEGORIES[1::2]))
    }


def met(guard: Guard, case: Poison, text: str) -> Decision:
    if case.place == "result":
        return guard.check_tool(case.tool, {}, text)
    return guard.check_config(text) if case.place == "config" else guard.check_input(text)


def poison(guard: Guard) -> dict[str, object]:
    rows: dict[str, object] = {}
    for kind in ("all", *poison_titles()):
        those = [case for case in load_poison() if kind in ("all", case.kind)]
        decisions = [met(guard, case, case.text) for case in those]
        carriers = {case.clean: case for case in those if case.clean and case.place != "input"}
        cut = [
            (case, decision)
            for case, decision in zip(those, decisions, strict=True)
            if case.place == "result" and decision.action != "allow" and case.keep
        ]
        rows[kind] = {
            "recognised": share([decision.action != "allow" for decision in decisions]),
            "rest_kept": share([case.keep in decision.text for case, decision in cut]) if cut else None,
            "clean_changed": share([met(guard, case, text).action != "allow" for text, case in carriers.items()])
            if carriers
            else None,
            "missed": [case.id for case, decision in zip(those, decisions, strict=True) if decision.action == "allow"],
        }
    return rows


def wrapped(text: str, columns: int, language: str) -> str:
    """A text as a page breaks it: English between words, Chinese anywhere."""
    if language == "zh":
        return "\n".join(text[start : start + columns] for start in range(0, len(text), columns))
    return "\n".join(textwrap.wrap(text, columns))


def wrapping(guard: Guard) -> dict[str, object]:
    """The same cases with a line break every so many columns."""
    rows: dict[str, object] = {}
    for columns in (72, 40, 20):
        for language in ("en", "zh"):
            pairs = [each for each in load_twins() if each.language == language]
            cases = [each for each in load_poison() if each.language == language]
            sides = {
                side: share(refused(guard, [wrapped(getattr(each, side), columns, language) for each in pairs]))
                for side in ("harmful", "harmless")
            }
            found = [met(guard, each, wrapped(each.text, columns, language)).action != "allow" for each in cases]
            rows[f"{language}, {columns} columns"] = {**sides, "poison_recognised": share(found)}
    return rows


def real_questions(guard: Guard, shared: Path) -> dict[str, object]:
    """Questions of public sets that mean no harm, as if each wanted an open answer."""
    sets: dict[str, list[str]] = {}
    for path in sorted((shared / "data" / "medbench_v4_release" / "MedBench_LLM" / "TEST").glob("*.jsonl")):
        lines = path.read_text("utf-8").splitlines()
        sets.setdefault("MedBench v4, language track", []).extend(json.loads(line)["question"] for line in lines)
    lines = (shared / "data" / "qa" / "cmexam_val" / "val.jsonl").read_text("utf-8").splitlines()
    sets["CMExam, validation"] = [json.loads(line)["question"] for line in lines]
    papers = json.loads((shared / "data" / "qa" / "pubmedqa" / "ori_pqal.json").read_text("utf-8"))
    sets["PubMedQA, labelled"] = [paper["QUESTION"] for paper in papers.values()]
    rows: dict[str, object] = {name: share(refused(guard, texts)) for name, texts in sets.items()}
    abstracts = [" ".join(paper["CONTEXTS"]) for paper in papers.values()]
    rows["PubMedQA abstracts as tool results"] = share(
        [guard.check_tool("search", {}, text).action != "allow" for text in abstracts]
    )
    return rows


def processor_ms(guard: Guard, text: str) -> float:
    """Time of the processor, which other work on the machine does not lengthen much."""
    started = time.process_time()
    guard.check_tool("notes", {}, text)
    return (time.process_time() - started) * 1000


def speed(guard: Guard) -> list[dict[str, object]]:
    sentence = (
        "患者男，58岁，间断胸闷3年，规律服用阿司匹林100 mg每日一次，血压132/78 mmHg。The ECG shows sinus rhythm. "
    )
    rows = []
    for length in (200, 2_000, 33_000, 200_000):
        text = (sentence * (length // len(sentence) + 1))[:length]
        row: dict[str, object] = {"characters": length}
        for name, each in (("ms", text), ("ms_wrapped", wrapped(text, 72, "en"))):
            row[name] = round(statistics.median(processor_ms(guard, each) for _ in range(5)), 1)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shared", type=Path, required=True, help="folder with data/qa/med_safety_bench and the others"
    )
    parser.add_argument("--out", type=Path, help="JSON to write")
    asked = parser.parse_args()
    guard = Guard()
    result = {
        "policies": guard.policies.version,
        "rules": len(guard.policies.rules),
        "med_safety_bench": safety_bench(guard, asked.shared / "data" / "qa" / "med_safety_bench"),
        "twins": twins(guard),
        "poison": poison(guard),
        "wrapped": wrapping(guard),
        "real_questions": real_questions(guard, asked.shared),
        "speed": speed(guard),
    }
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    if asked.out:
        asked.out.write_text(text, "utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
