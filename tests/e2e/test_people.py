"""People's ratings of a run's answers, from the sheet to the report and the comparison of two runs."""

from __future__ import annotations

import json
import random
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from medbench.scoring.judging.sheet import code_of, strata_of
from medbench.stats import RatedAnswers, prediction_powered_difference, prediction_powered_mean
from support.command import medbench, medbench_json
from support.judge import merit_of, reading_judge

COUNTS = {"MedMC": 120, "MedTreat": 60, "MedDiag": 6}
"""Open items by dataset; of the last there are too few for an estimate."""


def judged_run(folder: Path, seed: int, merit: float, *judges: str, more: tuple[str, ...] = ()) -> Path:
    """A run whose answers say what they are worth and of which judges think too well; every 20th has no text."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    items, answers = folder.parent / "items.jsonl", folder / "answers.jsonl"
    with items.open("w") as questions, answers.open("w") as texts:
        for dataset, count in COUNTS.items():
            for number in range(count):
                where = {"id": f"q{number}", "dataset": dataset}
                key = {"question": f"Synthetic question {number}?", "answer": "Rest.", "language": "en"}
                questions.write(json.dumps(where | key) + "\n")
                level = max(0, min(10, round(chance.gauss(merit, 2))))
                text = f"An answer of merit {level}. " + "Take care and drink enough. " * chance.randint(0, 9)
                texts.write(json.dumps(where | {"answer": text if number % 20 else ""}) + "\n")
    named = [part for judge in judges for part in ("--judge", judge)]
    # The path is part of the run's identity, by which its sheet is drawn: a relative one draws the same each time.
    medbench_json(
        *("run", "--items", items, "--model", "answers:answers.jsonl", "--out", folder / "run", *named, *more),
        cwd=folder,
    )
    return folder / "run"


def rate(run: Path, raters: int, size: int = 70) -> list[Path]:
    """Ratings files of people who fill in the same sheet; each after the first leaves out half of it."""
    sheet = run.parent / "sheet.xlsx"
    medbench_json("judge", "sample", run, "--n", size, "--out", sheet)
    chance = random.Random(7)
    files = []
    for rater in range(raters):
        book = load_workbook(sheet)
        page = book["ratings"]
        head = [cell.value for cell in page[1]]
        for row in page.iter_rows(min_row=2):
            if rater == 0 or chance.random() < 0.5:
                score = merit_of(row[head.index("answer")].value) + chance.choice((-1, 0, 0, 1))
                row[head.index("score")].value = max(0, min(10, score))
        book.save(run.parent / f"p{rater}.xlsx")
        files.append(run.parent / f"p{rater}.jsonl")
        medbench_json("judge", "import", run.parent / f"p{rater}.xlsx", "--run", run, "--rater", f"p{rater}",
                      "--out", files[-1])  # fmt: skip
    return files


def attach(run: Path, files: list[Path], *more: object) -> None:
    medbench_json("score", run, *(part for file in files for part in ("--ratings", file)), *more)


def by_hand(run: Path, files: list[Path], dataset: str) -> RatedAnswers:
    """The rated answers of a dataset, put together from the files of the run alone."""
    given: dict[str, dict[str, float]] = {}
    for file in files:
        for line in file.read_text().splitlines():
            rating = json.loads(line)
            if rating["kind"] == "human":
                given.setdefault(rating["response"], {})[rating["rater"]] = rating["score"] / 10
    name = next(iter(given)).split("/")[0]
    rows = [
        row
        for row in pq.read_table(run / "scores").to_pylist()
        if row["dataset"] == dataset and row["judge_read"] and row["judge_value"] is not None
    ]
    people = [given.get(f"{name}/{row['seq']}") for row in rows]
    judge = np.array([row["judge_value"] for row in rows])
    codes = [int(code_of(row["family"], f"{name}/{row['seq']}"), 16) for row in rows]
    strata, uid = strata_of(judge, codes), np.array([row["family"] for row in rows])
    rated = np.array([each is not None for each in people])
    human = np.array([np.mean(list(each.values())) for each in people if each])
    return RatedAnswers(
        human, judge[rated], uid[rated], judge[~rated], uid[~rated], strata[rated], strata[~rated]
    )  # fmt: skip


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Two rated runs over the same items: the first judged by two judges and rated by two people."""
    folder = tmp_path_factory.mktemp("people")
    with reading_judge(lambda level: min(10, level + 2)) as kind, reading_judge(lambda level: level) as fair:
        judges = []
        for name, url in (("qwen3-32b", kind), ("answers-7b", fair)):
            judges.append(folder / f"{name}.toml")
            judges[-1].write_text(f'model = "openai:{name}"\nbase_url = "{url}"\n')
        first = judged_run(folder / "a", 1, 7.0, *map(str, judges))
        second = judged_run(folder / "b", 2, 5.0, str(judges[0]))
    files = [rate(first, 2), rate(second, 1)]
    attach(first, files[0])
    attach(second, files[1])
    return (first, second), files


def people_of(report, dataset: str):
    part = next(each for each in report["datasets"] if each["name"] == dataset)["parts"][0]
    return next(each for each in part["judged"] if each["metric"] == "llm_judge")["people"]


def test_the_estimate_shown_is_that_of_the_estimator(two_runs):
    (run, _), (files, _) = two_runs
    report = medbench_json("report", run)
    page = (run / "report.html").read_text("utf-8")
    for dataset in ("MedMC", "MedTreat"):
        answers = by_hand(run, files, dataset)
        expected = prediction_powered_mean(answers, scale=(0.0, 1.0))
        found = people_of(report, dataset)
        assert (found["n"], found["judged"]) == (len(answers.human), len(answers.judge_only))
        assert found["n"] + found["judged"] == COUNTS[dataset] * 19 // 20
        assert [found["estimate"][name] for name in ("value", "low", "high")] == pytest.approx(
            [expected.estimate.value, expected.estimate.low, expected.estimate.high], abs=1e-12
        )
        assert found["labels"]["value"] == pytest.approx(expected.labels_alone.value, abs=1e-12)
        assert found["judge"]["value"] == pytest.approx(expected.judge_alone.value, abs=1e-12)
        assert found["weight"] == pytest.approx(expected.weights[0], abs=1e-12)
        assert sum(each["answers"] for each in found["strata"]) == found["n"] + found["judged"]
        # The judges are one level too kind on average; people are not. Which answers people rated is drawn anew each
        # time: the judges' ports are part of the run's identity.
        error = found["estimate"]["standard_error"]
        assert found["judge"]["value"] - found["estimate"]["value"] == pytest.approx(0.09, abs=4 * error)
        shown = [f"{100 * found['estimate'][name]:.1f}" for name in ("value", "low", "high")]
        for label in ("people, estimated (95 %)", "人工（推算，95 %）"):
            assert page.count(f'data-label="{label}">{shown[0]} ({shown[1]}–{shown[2]})<') == 1
    few = people_of(report, "MedDiag")
    assert (few["reason"], few["estimate"]) == ("too_few_rated", None)
    assert "fewer than 10 rated answers" in page
    assert "人工评分的回答不足 10 份" in page


def test_the_report_tells_what_the_judges_are_worth_and_what_it_can_not_tell(two_runs):
    (run, alone), _ = two_runs
    people = medbench_json("report", run)["people"]
    assert [file["name"] for file in people["files"]] == ["p0.jsonl", "p1.jsonl"]
    kind, fair, panel = people["figures"]["judges"]
    assert panel["judge"] == "panel"
    # One judge is kind by two levels, one is fair; the panel of both lies between them.
    means = [each["bias"]["mean"]["value"] for each in (fair, panel, kind)]
    assert means == pytest.approx([0.0, 0.09, 0.18], abs=0.03)
    assert sum(each["n"] for each in kind["bias"]["by_length"]) == kind["agreement"]["n"] == people["answers"]
    assert sum(each["n"] for each in kind["curve"]) == people["answers"]
    assert people["figures"]["people"]["n"] > 20
    page = unescape((run / "report.html").read_text("utf-8"))
    told = ["Chart: people's mean rating by the level", "Chart: agreement of the judges", "Chart: how far the judges"]
    told += ["judge's level", "评审等级", "quadratic κ · qwen3-32b", "Bias by position", "位置偏差", "p0.jsonl ["]
    told += ["answers-7b and the model under test are of one family (answers)"]
    for text in told:
        assert text in page, text
    only = (alone / "report.html").read_text("utf-8")
    assert "no answer was rated by two people" in only
    assert "no judge is of the family" in only
    assert "<script" not in page + only


def test_two_runs_are_compared_by_what_people_would_say(two_runs):
    runs, files = two_runs
    found = medbench_json("compare", *runs)
    comparisons = {each["name"]: each for each in found["people"]}
    answers = [by_hand(run, rated, "MedMC") for run, rated in zip(runs, files, strict=True)]
    expected = prediction_powered_difference(*answers)
    shown = comparisons["MedMC"]
    assert [shown["people"][name] for name in ("difference", "low", "high")] == pytest.approx(
        [100 * expected.estimate.value, 100 * expected.estimate.low, 100 * expected.estimate.high], abs=1e-9
    )
    assert shown["labels"]["difference"] == pytest.approx(100 * expected.labels_alone.value, abs=1e-9)
    assert shown["weights"] == pytest.approx(expected.weights)
    assert shown["people"]["difference"] == pytest.approx(20, abs=8)
    # A was judged by a kinder and a fair judge, B by the kinder one alone: the judges see less of the difference.
    assert shown["judge"]["high"] < 20
    assert comparisons["MedDiag"]["reason"] == "too_few_rated"
    # What people would say can be compared; what different judges read can't.
    assert (found["datasets"], found["overall"]) == ([], None)
    assert found["not_compared"] == dict.fromkeys(COUNTS, "other_judges")
    printed = medbench("compare", *runs)
    assert printed.returncode == 0
    assert "People (95%)" in printed.stdout
    assert f"{shown['people']['difference']:+.1f}" in printed.stdout


def test_ratings_that_are_not_of_the_run_are_told_at_once_and_change_nothing(two_runs, tmp_path):
    (run, other), (files, _) = two_runs
    before = (run / "ratings.json").read_bytes()
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    people = [row for row in rows if row["kind"] == "human"]
    name = people[0]["response"].split("/")[0]
    wrong = [
        people[0],
        people[0],
        {**people[1], "criterion": "tone", "scale": [0, 20]},
        {**people[2], "response": f"{name}/99999"},
        {**people[3], "item": "MedMC/q999"},
        {**people[4], "text": "Another answer."},
        {**people[5], "response": "00000000/1"},
    ]
    file = tmp_path / "wrong.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in wrong))
    done = medbench("score", run, "--ratings", file)
    assert done.returncode == 2
    assert [f"wrong.jsonl:{line}" in done.stderr for line in range(1, 8)] == [False, *[True] * 6]
    assert (run / "ratings.json").read_bytes() == before
    judges_only = tmp_path / "judges.jsonl"
    judges_only.write_text("".join(json.dumps(row) + "\n" for row in rows if row["kind"] == "judge"))
    assert medbench("score", run, "--ratings", judges_only).returncode == 2
    # Ratings of the other run, whose answers have the same places in the plan.
    assert medbench("score", other, "--ratings", files[0]).returncode == 2


def test_later_ratings_take_the_place_of_earlier_ones_and_few_give_a_reason(tmp_path):
    with reading_judge(lambda level: level) as url:
        more = ("--judge-base-url", url)
        run = judged_run(tmp_path / "a", 3, 6.0, "openai:j", more=more)
    files = rate(run, 1, size=12)
    attach(run, files)
    first = medbench_json("report", run)["people"]
    assert (first["ratings"], first["raters"]) == (12, 1)
    kept = [line for line in files[0].read_text().splitlines() if '"human"' in line][:5]
    shorter = tmp_path / "shorter.jsonl"
    shorter.write_text("\n".join(kept))
    attach(run, [shorter])
    second = medbench_json("report", run)
    assert second["people"]["ratings"] == 5
    assert second["people"]["files"][0]["name"] == "shorter.jsonl"
    assert {found["reason"] for name in COUNTS if (found := people_of(second, name))} == {"too_few_rated"}
    # Scored again without a word of ratings, the run keeps them.
    medbench_json("score", run)
    assert medbench_json("report", run)["people"] == second["people"]


def test_a_run_without_judges_takes_no_ratings(tmp_path):
    run = judged_run(tmp_path / "a", 4, 6.0)
    file = tmp_path / "ratings.jsonl"
    rating = {"item": "MedMC/q1", "response": "x/1", "rater": "p", "kind": "human", "criterion": "llm_judge"}
    file.write_text(json.dumps({**rating, "score": 5, "scale": [0, 10]}))
    done = medbench("score", run, "--ratings", file)
    assert done.returncode == 2
    assert "no judged answers" in done.stderr
    assert "x/1" in done.stderr


def test_under_hidden_disclosure_no_rating_stands_in_the_run(tmp_path):
    with reading_judge(lambda level: level) as url:
        run = judged_run(tmp_path / "a", 5, 6.0, "openai:j", more=("--judge-base-url", url, "--disclosure", "hidden"))
    files = rate(run, 1)
    rows = list(load_workbook(run.parent / "sheet.xlsx")["ratings"].iter_rows(values_only=True))
    place = rows[0].index("reference")
    assert {row[place] for row in rows[1:]} == {None}, "the sheet leaves the scorer's hands"
    attach(run, files)
    assert not (run / "ratings.json").exists()
    assert {(row["people_value"], row["judge_read"]) for row in pq.read_table(run / "scores").to_pylist()} == {
        (None, None)
    }
    report = medbench_json("report", run)
    assert people_of(report, "MedMC")["estimate"]["value"] == pytest.approx(0.6, abs=0.1)
    (judge,) = report["people"]["figures"]["judges"]
    assert all(step["n"] >= 5 for step in judge["curve"])
