"""`medbench judge anchors` and `medbench judge drift` as a user has them."""

from __future__ import annotations

import json

import pytest
from openpyxl import load_workbook

from support.command import medbench, medbench_json
from support.endpoint import running_endpoint

ANSWER = "Take the tablet with food and drink no alcohol."


def verdict(level: int) -> str:
    points = [{"point": 1, "found": "hit", "span": "with food"}, {"point": 2, "found": "miss", "span": ""}]
    return json.dumps({"reason": "Mostly right.", "overall": level, "points": points})


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A run of 60 answers, judged, of which a person rated 12."""
    folder = tmp_path_factory.mktemp("drift")
    items, run = folder / "items.jsonl", folder / "run"
    with items.open("w") as file:
        for number in range(60):
            item = {"id": f"q{number}", "dataset": "MedMC" if number % 2 else "MedTreat", "language": "en"}
            item |= {"question": f"Synthetic question {number}?", "answer": "With food."}
            item["key_points"] = [{"text": "with food"}, {"text": "no driving", "kind": "should"}]
            file.write(json.dumps(item) + "\n")
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=verdict(7)) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
    sheet, ratings = folder / "sheet.xlsx", folder / "ratings.jsonl"
    medbench_json("judge", "sample", run, "--n", 12, "--out", sheet)
    book = load_workbook(sheet)
    for row in range(2, 14):
        book["ratings"].cell(row, 6).value = 5 + row % 3
    book.save(sheet)
    medbench_json("judge", "import", sheet, "--run", run, "--rater", "p", "--out", ratings)
    return run, ratings


def test_a_judge_is_read_twice_and_its_change_is_told(tmp_path, judged):
    run, ratings = judged
    anchors, out = tmp_path / "anchors.jsonl", tmp_path / "drift"
    drawn = medbench_json("judge", "anchors", run, "--n", 50, "--ratings", ratings, "--out", anchors)
    assert (drawn["answers"], drawn["rated"]) == (50, 12)
    assert drawn["floor"] > 5
    other = tmp_path / "other.jsonl"
    assert (
        medbench_json("judge", "anchors", run, "--n", 50, "--ratings", ratings, "--out", other)["hash"] == drawn["hash"]
    )
    with running_endpoint(text=verdict(7)) as judge:
        file = tmp_path / "judge.toml"
        file.write_text(f'model = "openai:j"\nbase_url = "{judge.url}"\nrepeats = 2\n')
        options = ("judge", "drift", "--anchors", anchors, "--judge", file, "--out", out)
        first = medbench_json(*options, "--reading", "2026-01-01")
        assert first["reason"] == "first_reading"
        assert judge.totals()["requests"] >= 2 * 2 * 50
        same = medbench(*options, "--reading", "2026-02-01")
        assert same.returncode == 0, same.stderr
        assert "No drift shown" in same.stdout
        # It gives every text a seven, a bare instruction too.
        assert "NOT AT THE FLOOR" in same.stdout
        judge.plan({"fault": "prose"})
        gone = medbench("--lang", "zh", *options, "--reading", "2026-03-01")
        assert gone.returncode == 0, gone.stderr
        assert "发现漂移" in gone.stdout
        assert "not_json" in gone.stdout
    with running_endpoint(text=verdict(9)) as judge:
        named = medbench_json(
            *("judge", "drift", "--anchors", anchors, "--judge", "openai:j", "--judge-base-url", judge.url),
            *("--out", out, "--reading", "new", "--against", "2026-01-01"),
        )
    assert named["verdict"] == "drift"
    assert named["comparison"]["changed"] == ["model", "repeats"]
    whole = next(each for each in named["comparison"]["groups"] if each["family"] == "all")
    assert whole["shift"]["value"] == pytest.approx(2.0)
    assert {each["family"] for each in named["comparison"]["groups"]} >= {"all", "floor", "consultation", "care_plan"}
    assert named["now"]["people"]["n"] == 12
    assert len((out / "history.jsonl").read_text().splitlines()) == 4


def test_what_can_not_be_used_is_told_at_once(tmp_path, judged):
    run, _ = judged
    anchors = tmp_path / "anchors.jsonl"
    anchors.write_text("here")
    (tmp_path / "ratings.jsonl").write_text('{"item": 1}\n')
    done = medbench("judge", "anchors", run, "--ratings", tmp_path / "ratings.jsonl", "--out", anchors)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert "is no rating" in done.stderr
    done = medbench(
        *("judge", "drift", "--anchors", anchors, "--judge", "openai:j", "--judge-base-url", "http://127.0.0.1:9"),
        *("--out", tmp_path / "out"),
    )
    assert done.returncode == 2
    assert "is no anchor file" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_hides_its_keys_gives_no_anchors(tmp_path, judged):
    run, _ = judged
    items = run.parent / "items.jsonl"
    medbench_json("items", "import", items, "--into", tmp_path / "bank", "--disclosure", "hidden")
    with running_endpoint(text=ANSWER) as model:
        medbench_json(
            *("run", "--items", tmp_path / "bank", "--model", "openai:m", "--base-url", model.url),
            *("--out", tmp_path / "run"),
        )
    done = medbench("judge", "anchors", tmp_path / "run", "--out", tmp_path / "anchors.jsonl")
    assert done.returncode == 2
    assert "hidden disclosure" in done.stderr
    assert not (tmp_path / "anchors.jsonl").exists()
