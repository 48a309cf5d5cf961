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
