"""Executable checks beside the judge: scores, figures, report in both languages, hidden disclosure."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from support.agent_items import IN_BRACES, ON_LINES, TABLES
from support.command import medbench, medbench_json
from support.endpoint import running_endpoint
from support.pictures import write_jsonl

VERDICT = json.dumps({"reason": "Mostly right.", "overall": 7})
QUERY = "SELECT name FROM patient WHERE age > 60 ORDER BY name"
CASES = [
    ("MedRetAPI", ON_LINES, 'find_patient(name="a", fields=["b"])', "passed", []),
    ("MedRetAPI", ON_LINES, 'find_patient(name="a")', "failed", ["missing_parameter"]),
    ("MedRetAPI", ON_LINES, 'make_plan(profile={}, priority="x", a=1)', "failed", ["not_in_enum", "unknown_parameter"]),
    ("MedRetAPI", ON_LINES, "先查患者，再生成方案。", "not_covered", ["no_calls"]),
    ("MedPathPlan", IN_BRACES, '{"Admit": {"PatientID": "P1", "ICD": "J18"}}', "passed", []),
    ("MedPathPlan", IN_BRACES, "Admit(PatientID=P1, ICD=J18)", "passed", []),
    ("MedPathPlan", IN_BRACES, "Admit(PatientID={[1]: 2}, ICD=J18)", "passed", []),
    ("MedPathPlan", IN_BRACES, '{"Admit": {"PatientID": "\\ud800", "ICD": "J18"}}', "passed", []),
    ("MedPathPlan", "如何规划？", "Admit", "not_covered", ["no_api"]),
    ("MedDBOps", TABLES, QUERY, "passed", []),
    ("MedDBOps", TABLES, "SELECT nome FROM patient", "failed", ["unknown_column"]),
    ("MedDBOps", TABLES, "UPDATE patient SET age = 1", "not_covered", ["writes"]),
    ("MedDBOps", TABLES, "SELECT name FROM patient WHERE age > 99", "failed", ["result_differs"]),
    ("MedMC", "用药问题", "随餐服用。", None, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Items with answers in each state, as files."""
    folder = tmp_path_factory.mktemp("checks")
    items, answers = [], []
    for number, (dataset, question, answer, _, findings) in enumerate(CASES):
        items.append({"id": f"q{number}", "dataset": dataset, "question": question, "language": "zh"})
        if findings == ["result_differs"]:
            items[-1]["answer"] = QUERY
        answers.append({"dataset": dataset, "id": f"q{number}", "answer": answer})
    write_jsonl(folder / "items.jsonl", items)
    write_jsonl(folder / "answers.jsonl", answers)
    return folder


def run_it(asked, out, *more):
    arguments = ("run", "--items", asked / "items.jsonl", "--model", f"answers:{asked / 'answers.jsonl'}", "--out", out)
    return medbench_json(*arguments, *more)


def rows_of(run):
    return {row["uid"]: row for row in pq.read_table(run / "scores").to_pylist()}


def test_checks_stand_beside_the_judge_and_are_no_score(asked, tmp_path):
    run = tmp_path / "run"
    run_it(asked, run)
    rows = rows_of(run)
    for number, (dataset, _, _, status, findings) in enumerate(CASES):
        row = rows[f"{dataset}/q{number}"]
        assert row["check_status"] == status
        if status is None:
            assert row["check"] == ""
        else:
            assert [each["code"] for each in json.loads(row["check"])["findings"]] == findings
        assert (row["status"], row["value"]) == ("awaiting_judge", None)
    before = {uid: row["check"] for uid, row in rows.items()}
    with running_endpoint(text=VERDICT) as judge:
        medbench_json("score", run, "--judge", "openai:j", "--judge-base-url", judge.url)
    rows = rows_of(run)
    assert {row["value"] for row in rows.values()} == {0.7}
    assert {uid: row["check"] for uid, row in rows.items()} == before  # the same bytes again


def test_the_report_shows_coverage_passed_and_findings(asked, tmp_path):
    run = tmp_path / "run"
    run_it(asked, run)
    figures = json.loads((run / "figures.json").read_text("utf-8"))
    checked = {each["dataset"]: each["parts"][0]["checked"] for each in figures["datasets"]}
    assert checked["MedMC"] is None
    calls = checked["MedRetAPI"]
    assert (calls["covered"]["value"], calls["covered"]["n"]) == (0.75, 4)
    assert (calls["passed"]["value"], calls["passed"]["n"]) == (pytest.approx(1 / 3), 3)
    assert calls["passed"]["low"] < 1 / 3 < calls["passed"]["high"]
    assert calls["by_status"] == {"failed": 2, "not_covered": 1, "passed": 1}
    assert checked["MedDBOps"]["by_finding"] == {"result_differs": 1, "unknown_column": 1, "writes": 1}
    page = (run / "report.html").read_text("utf-8")
    for text in ("Answers that were run", "可执行检查", "unknown column (1)", "不存在的字段 (1)", "75.0 (", ", n = 4"):
        assert text in page


def test_under_hidden_disclosure_no_check_of_an_answer_is_kept(asked, tmp_path):
    run = tmp_path / "run"
    run_it(asked, run, "--disclosure", "hidden")
    assert all(row["check_status"] is None and row["check"] == "" for row in rows_of(run).values())
    assert "unknown_column" not in (run / "figures.json").read_text("utf-8")


def test_the_catalog_names_the_check():
    found = medbench_json("catalog", "show", "MedDBOps")
    assert found["dataset"]["parts"][0]["check"] == "sql"
    assert "api_calls" in medbench("catalog", "show", "MedCallAPI").stdout


CALL = 'find_patient(name="a", fields=["b"])'
PLANS = {
    "good": ([QUERY] * 5 + ["SELECT nome FROM patient"], [CALL] * 6),
    "mixed": (
        [QUERY, "SELECT nome FROM patient", "UPDATE patient SET age = 1"] * 2,
        [CALL, 'find_patient(name="a")', "先查。"] * 2,
    ),
    "silent": ([QUERY] * 6, ["先查患者，再生成方案。"] * 6),
}
"""Model -> its answers to six items of MedDBOps and six of MedRetAPI."""


@pytest.fixture(scope="module")
def boarded(tmp_path_factory):
    """A suite of three models that a judge finds equally good."""
    folder = tmp_path_factory.mktemp("boarded")
    places = [(dataset, f"q{number}") for dataset in ("MedDBOps", "MedRetAPI") for number in range(6)]
    texts = {"MedDBOps": TABLES, "MedRetAPI": ON_LINES}
    items = (
        {"id": item, "dataset": name, "question": f"{texts[name]}\n{item}", "language": "zh"} for name, item in places
    )
    write_jsonl(folder / "items.jsonl", items)
    for model, (queries, calls) in PLANS.items():
        answers = zip(places, [*queries, *calls], strict=True)
        rows = ({"dataset": name, "id": item, "answer": answer} for (name, item), answer in answers)
        write_jsonl(folder / f"{model}.jsonl", rows)
    with running_endpoint(text=VERDICT) as judge:
        suite = {
            "items": "items.jsonl",
            "models": [{"name": name, "model": f"answers:{name}.jsonl"} for name in PLANS],
            "judges": [{"model": "openai:j", "base_url": judge.url}],
        }
        (folder / "suite.yaml").write_text(json.dumps(suite), "utf-8")
        medbench_json("suite", folder / "suite.yaml", "--out", folder / "out")
    return folder / "out"


def test_a_comparison_pairs_the_checks_beside_the_score(boarded):
    runs = boarded / "runs"
    found = medbench_json("compare", runs / "good", runs / "mixed")
    assert found["overall"]["difference"] == 0.0
    by_part = {each["name"]: each for each in found["checks"]}
    assert set(by_part) == {"MedDBOps", "MedRetAPI"}
    covered, passed = by_part["MedDBOps"]["covered"], by_part["MedDBOps"]["passed"]
    assert (covered["a"], covered["b"], covered["n"]) == (100.0, pytest.approx(200 / 3), 6)
    # Of the four items whose answers could be run in both, A has the query right in all, B in two.
    assert (passed["a"], passed["b"], passed["difference"], passed["n"]) == (100.0, 50.0, 50.0, 4)
    for figure in (covered, passed):
        assert figure["low"] < figure["difference"] < figure["high"]
        assert 0 < figure["p"] <= 1
    back = {each["name"]: each for each in medbench_json("compare", runs / "mixed", runs / "good")["checks"]}
    assert back["MedDBOps"]["passed"]["difference"] == -50.0
    nothing = {each["name"]: each for each in medbench_json("compare", runs / "good", runs / "silent")["checks"]}
    assert nothing["MedRetAPI"]["covered"]["difference"] == 100.0
    assert nothing["MedRetAPI"]["passed"] is None


def test_checks_are_compared_also_where_nothing_is_scored(asked, tmp_path):
    for name in ("a", "b"):
        run_it(asked, tmp_path / name)
    for language, words in (("en", ("Answers that were run", "Could be run", "No part of any score")),
                            ("zh", ("可执行检查", "其中未发现问题", "不计入任何得分"))):  # fmt: skip
        shown = medbench("--lang", language, "compare", tmp_path / "a", tmp_path / "b")
        assert shown.returncode == 0, shown.stderr
        assert all(word in shown.stdout for word in words)
    found = medbench_json("compare", tmp_path / "a", tmp_path / "b")
    assert (found["datasets"], found["overall"]) == ([], None)
    assert {each["covered"]["difference"] for each in found["checks"]} == {0.0}


def test_the_board_shows_the_checks_of_each_model_and_ranks_without_them(boarded):
    (release,) = (boarded / "releases").glob("*.json")
    standings = {each["name"]: each["standing"] for each in json.loads(release.read_text("utf-8"))["entries"]}
    assert {name: each["score"] for name, each in standings.items()} == dict.fromkeys(PLANS, pytest.approx(70.0))
    shares = {name: each["checks"]["MedDBOps"] for name, each in standings.items()}
    assert {name: each["passed"]["value"] for name, each in shares.items()} == {
        "good": pytest.approx(5 / 6), "mixed": 0.5, "silent": 1.0,
    }  # fmt: skip
    assert shares["mixed"]["covered"]["value"] == pytest.approx(2 / 3)
    page = (boarded / "board.html").read_text("utf-8")
    for words in ("Answers that were run", "可执行检查", "Of these, nothing wrong", "其中未发现问题", ", n = 4"):
        assert words in page
    runs = [boarded / "runs" / name for name in PLANS]
    assert "Answers that were run" in medbench("compare", *runs).stdout
