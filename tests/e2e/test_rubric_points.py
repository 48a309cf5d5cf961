"""Criteria with points through the command line: import, run, judge, report."""

from __future__ import annotations

import json
from itertools import cycle, islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.command import medbench, medbench_json
from support.endpoint import running_endpoint

ALL_MET = json.dumps(
    {"criteria": [{"criterion": n, "met": True, "span": ""} for n in (1, 2)], "overall": 5, "reason": ""}
)


def write_rows(path: Path, items: int = 3) -> Path:
    """Two items that gain 1 where all is met, and one that loses 2; then these again."""
    with path.open("w", encoding="utf-8") as file:
        for number, points in enumerate(islice(cycle(((4, 6), (2, 3), (1, -3))), items)):
            row = {
                "prompt_id": f"p{number}",
                "prompt": [
                    {"role": "user", "content": "Hot child."},
                    {"role": "assistant", "content": "How old?"},
                    {"role": "user", "content": f"{number} months."},
                ],
                "rubrics": [{"criterion": f"c{value}", "points": value, "tags": ["axis:accuracy"]} for value in points],
                "example_tags": ["theme:fever"],
            }
            file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def bank(tmp_path):
    rows = write_rows(tmp_path / "hb.jsonl")
    medbench_json("items", "import", rows, "--format", "healthbench", "--into", tmp_path / "bank")
    return tmp_path / "bank"


def judged_run(items, run, judge_text, *more):
    with running_endpoint(text="See a doctor.") as model, running_endpoint(text=judge_text) as judge:
        done = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url, *more),
        )
        return done, model.totals()["last_request"]


def part_of(run):
    return json.loads((run / "figures.json").read_text())["datasets"][0]["parts"][0]


def test_an_imported_conversation_is_asked_with_its_turns_and_scored_by_points(bank, tmp_path):
    run = tmp_path / "run"
    done, request = judged_run(bank, run, ALL_MET)
    assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
    assert request["messages"][2]["content"].endswith(" months.")
    rows = pq.read_table(run / "scores").to_pylist()
    assert [row["value"] for row in rows] == [1.0, 1.0, -2.0]
    assert [row["rubric_points_value"] for row in rows] == [1.0, 1.0, -2.0]
    assert done["score"] == pytest.approx(0.0), "the mean of 1, 1 and -2"
    judged = part_of(run)["judged"][0]
    assert judged["by_status"] == {"scored": 3}
    assert {tag: found["n"] for tag, found in judged["by_tag"].items()} == {"axis:accuracy": 3, "theme:fever": 3}
    page = (run / "report.html").read_text("utf-8")
    assert "axis:accuracy" in page
    assert "rubric points" in page


def test_runs_with_scores_below_0_are_compared_without_clipping(bank, tmp_path):
    none_met = ALL_MET.replace("true", "false")
    judged_run(bank, tmp_path / "a", ALL_MET)
    judged_run(bank, tmp_path / "b", none_met)
    found = medbench_json("compare", tmp_path / "a", tmp_path / "b")
    (dataset,) = found["datasets"]
    assert dataset["difference"] == pytest.approx(0.0)
    assert (tmp_path / "b" / "report.html").exists()


def test_a_judge_that_breaks_the_contract_is_a_status_and_an_empty_answer_needs_no_judge(bank, tmp_path):
    judged_run(bank, tmp_path / "a", '{"criteria": [{"criterion": 1, "met": true}]}')
    assert part_of(tmp_path / "a")["judged"][0]["by_status"] == {"judge_failed": 3}
    with running_endpoint(text="<think>hm</think>") as model, running_endpoint(text=ALL_MET) as judge:
        medbench_json(
            *("run", "--items", bank, "--model", "openai:m", "--base-url", model.url, "--out", tmp_path / "b"),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
        assert judge.totals()["requests"] == 0
    nothing = part_of(tmp_path / "b")
    assert nothing["combined"]["value"] == 0.0
    tags = {tag: (found["value"], found["n"]) for tag, found in nothing["judged"][0]["by_tag"].items()}
    assert tags == {"axis:accuracy": (0.0, 3), "theme:fever": (0.0, 3)}


def test_hidden_disclosure_gives_no_figures_by_tag(tmp_path):
    rows = write_rows(tmp_path / "hb.jsonl", items=6)  # fewer have no figures at all
    medbench_json(
        *("items", "import", rows, "--format", "healthbench", "--into", tmp_path / "bank", "--disclosure", "hidden")
    )
    judged_run(tmp_path / "bank", tmp_path / "run", ALL_MET)
    assert part_of(tmp_path / "run")["judged"][0]["by_tag"] == {}
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            assert b"axis:accuracy" not in file.read_bytes(), file


def test_the_metric_can_be_chosen_in_a_catalog_file_beside_others(tmp_path):
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "Own.toml").write_text(
        'name = "Own"\ntrack = "llm"\ndimension = "own"\nsource = "ours"\n'
        'title = { zh = "甲", en = "a" }\ndescription = { zh = "甲", en = "a" }\n'
        '[[parts]]\nmetrics = ["rubric_points", "llm_judge"]\nanswer = { form = "text" }\n'
    )
    items = tmp_path / "items.jsonl"
    criteria = [{"text": "a", "points": 3}, {"text": "b", "points": 1}]
    rows = [
        {"id": "1", "dataset": "Own", "question": "Q?", "criteria": criteria},
        {"id": "2", "dataset": "Own", "question": "Q?"},
    ]
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done, _ = judged_run(items, tmp_path / "run", ALL_MET, "--catalog", folder)
    assert [row["value"] for row in pq.read_table(tmp_path / "run" / "scores").to_pylist()] == [0.75, 0.5]
    assert done["score"] == pytest.approx(62.5)


def test_both_formats_are_named_in_the_help():
    assert "healthbench" in medbench("items", "import", "--help").stdout


def test_answers_judged_by_criteria_alone_can_not_be_sampled_and_that_is_why(bank, tmp_path):
    run = tmp_path / "run"
    judged_run(bank, run, ALL_MET)
    for command, out in (("sample", "sheet.xlsx"), ("anchors", "anchors.jsonl")):
        done = medbench("judge", command, run, "--out", tmp_path / out)
        assert done.returncode == 2
        assert "judged by rubric_points alone" in done.stderr
        assert "closed database" not in done.stderr
        assert done.stderr.count("\n") == 1
