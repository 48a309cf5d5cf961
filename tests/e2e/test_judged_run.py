from __future__ import annotations

import json
import signal
import subprocess
import time

import pyarrow.parquet as pq
import pytest

from medbench.board.release import freeze
from medbench.board.report.board import write_board
from medbench.catalog import load_admission
from medbench.errors import InputError
from medbench.runs.judges import read_judges
from support.command import COMMAND, environment, medbench, medbench_json, write_items
from support.endpoint import running_endpoint

ANSWER = "Take the tablet with food and drink no alcohol."
VERDICT = json.dumps(
    {
        "reason": "Mostly right.",
        "overall": 7,
        "points": [{"point": 1, "found": "hit", "span": "with food"}, {"point": 2, "found": "miss", "span": ""}],
    }
)
UNSAFE = json.dumps({"points": [{"point": 1, "found": "contradict", "span": "with food"}], "overall": 2})


def write_open_items(path, count: int, *, points: bool = True, dataset: str = "MedMC"):
    key_points = [{"text": "with food"}, {"text": "no driving", "kind": "should"}]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            item = {
                "id": f"q{number}",
                "dataset": dataset,
                "question": f"Synthetic question {number}: how is this tablet taken?",
                "answer": "With food.",
                "language": "en",
            }
            if points:
                item["key_points"] = key_points
            file.write(json.dumps(item) + "\n")
    return path


def judge_file(path, url: str, **more: object):
    lines = ['model = "openai:judge"', f'base_url = "{url}"', *(f"{k} = {json.dumps(v)}" for k, v in more.items())]
    path.write_text("\n".join(lines))
    return path


def scores(run) -> list[dict[str, object]]:
    return pq.read_table(run / "scores").to_pylist()


def figures(run, dataset: str = "MedMC") -> dict[str, object]:
    found = json.loads((run / "figures.json").read_text())
    return next(each for each in found["datasets"] if each["dataset"] == dataset)["parts"][0]


def test_answers_are_judged_while_they_come_in_and_the_score_is_the_mean_of_both_metrics(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 40)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        done = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", judge_file(tmp_path / "judge.toml", judge.url)),
        )
        assert judge.totals()["requests"] == 80
        assert model.totals()["requests"] == 40
        # The same command once more: nothing is left to be judged.
        medbench_json("score", run, "--judge", tmp_path / "judge.toml")
        assert judge.totals()["requests"] == 80
    assert done["coverage"] == 1.0
    rows = scores(run)
    assert {row["status"] for row in rows} == {"scored"}
    assert {row["judge_value"] for row in rows} == {0.7}
    assert {row["key_point_value"] for row in rows} == {0.5}
    assert all(row["value"] == pytest.approx(0.6) for row in rows)
    part = figures(run)
    # "with food" stands in the answer, "no driving" does not: half of the points, by words alone.
    assert part["lexical"]["value"] == pytest.approx(0.5)
    assert part["awaiting"] == []
    assert part["combined"]["value"] == pytest.approx(0.6)
    assert {each["metric"]: each["estimate"]["value"] for each in part["judged"]} == {
        "keypoint_macro_recall": pytest.approx(0.5),
        "llm_judge": pytest.approx(0.7),
    }
    assert done["score"] == pytest.approx(60.0)


def test_a_run_without_a_judge_is_judged_afterwards_and_without_key_points_by_rubric_alone(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 6, points=False)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        before = medbench_json("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run)
        assert before["score"] is None
        assert {row["status"] for row in scores(run)} == {"awaiting_judge"}
        done = medbench_json("score", run, "--judge", "openai:j", "--judge-base-url", judge.url)
        assert model.totals()["requests"] == 6
    assert done["score"] == pytest.approx(70.0)
    assert figures(run)["judged"][0]["by_status"] == {"no_key": 6}


def test_a_failing_judge_ends_in_statuses_and_never_in_a_zero(tmp_path):
    count = 1000
    items = write_open_items(tmp_path / "items.jsonl", count, points=False)
    run = tmp_path / "run"
    faults = ({"fault": "hang", "probability": 0.1}, {"fault": "prose", "probability": 0.3})
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT, faults=faults, seed=5) as judge:
        done = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", judge_file(tmp_path / "judge.toml", judge.url, timeout_s=1.0, concurrency=64)),
        )
        rows = scores(run)
        failed = [row for row in rows if row["status"] == "judge_failed"]
        assert 0.03 * count < len(failed) < 0.2 * count
        assert all(row["value"] is None for row in failed)
        judged = [row for row in rows if row["status"] == "scored"]
        assert len(judged) + len(failed) == count
        assert {row["value"] for row in judged} == {0.7}
        assert done["coverage"] == pytest.approx(len(judged) / count)
        assert done["score"] == pytest.approx(70.0)
        page = (run / "report.html").read_text("utf-8")
        assert f"Coverage is {100 * len(judged) / count:.1f}%, below 98.0%" in page
        assert f"of {count:,} planned answers count; {len(judged):,} have a score" in page
        # What failed is judged again on request, the rest is not.
        judge.plan()
        judge.reset()
        again = medbench_json("score", run, "--judge", tmp_path / "judge.toml")
        assert judge.totals()["requests"] == len(failed)
    assert again["coverage"] == 1.0


ONE_POINT = json.dumps({"overall": 7, "points": [{"point": 1, "found": "hit", "span": "with food"}]})


@pytest.mark.parametrize(
    ("verdict", "more", "disclosure"),
    [
        (VERDICT, {}, "local"),
        (ONE_POINT, {"points": "one_by_one", "repeats": 2}, "local"),
        (VERDICT, {}, "hidden"),
    ],
)
def test_a_verdict_counts_only_for_the_key_that_it_was_given_by(tmp_path, verdict, more, disclosure):
    items = write_open_items(tmp_path / "items.jsonl", 8)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=verdict) as judge:
        file = judge_file(tmp_path / "judge.toml", judge.url, **more)
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", file, "--disclosure", disclosure),
        )
        asked = judge.totals()["requests"]
        lines = items.read_text("utf-8").splitlines()
        lines[2] = lines[2].replace("no driving", "no alcohol")
        lines[5] = lines[5].replace('"With food."', '"With food and water."')
        items.write_text("\n".join(lines) + "\n", "utf-8")
        told = medbench("score", run)
        assert (told.returncode, told.stderr.count("Warning")) == (0, 1)
        assert "Warning: 2 answers were judged by a key" in told.stderr
        by_status = {row["uid"]: row["status"] for row in scores(run)}
        assert {uid for uid, status in by_status.items() if status == "awaiting_judge"} == {"MedMC/q2", "MedMC/q5"}
        assert f"2 answers await a judge: `medbench score {run} --judge SPEC`" in medbench("status", run).stdout
        assert judge.totals()["requests"] == asked
        again = medbench("score", run, "--judge", file)
        assert (again.returncode, again.stderr) == (0, "")
        assert judge.totals()["requests"] == asked + asked // 4
    assert {row["status"] for row in scores(run)} == {"scored"}


def test_a_judge_that_gave_no_verdict_leaves_the_score_to_the_others_and_says_why(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 12, points=False)
    run = tmp_path / "run"
    no_key = ({"fault": "http", "status": 401},)
    with (
        running_endpoint(text=ANSWER) as model,
        running_endpoint(text=VERDICT, faults=no_key) as failing,
        running_endpoint(text=VERDICT) as good,
    ):
        run_model = ("run", "--items", items, "--model", "openai:m", "--base-url", model.url)
        wrong = judge_file(tmp_path / "wrong.toml", failing.url)
        alone = medbench(*run_model, "--judge", wrong, "--out", run)
        assert "Judge judge gave no verdict at all (http_401×12)" in alone.stderr
        assert {(row["status"], row["reason"]) for row in scores(run)} == {("judge_failed", "http_401")}
        page = (run / "report.html").read_text("utf-8")
        assert "12 · http_401 12" in page
        assert "read these scores as its opinion" not in page
        other = tmp_path / "other.toml"
        other.write_text(f'model = "openai:other"\nbase_url = "{good.url}"\n')
        both = medbench("score", run, "--judge", other)
        assert "Judge judge gave no verdict at all (http_401×12): the score is that of the others" in both.stderr
        assert {(row["status"], row["value"]) for row in scores(run)} == {("scored", 0.7)}
        page = (run / "report.html").read_text("utf-8")
        assert "left out of the score" in page
        assert "read these scores as its opinion" in page
        # Once it answers, it counts.
        failing.plan()
        assert medbench("score", run, "--judge", wrong).stderr == ""
        assert {tuple(use[name] for name in ("left_out", "awaited", "failed")) for use in all_judges(run)} == {
            (False, 0, 0)
        }


def all_judges(run) -> list[dict[str, object]]:
    return json.loads((run / "figures.json").read_text())["judges"]


def test_a_judge_that_is_down_is_asked_again_by_the_same_command_and_one_that_stays_so_is_dropped(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 40, points=False)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", judge_file(tmp_path / "j.toml", judge.url)),
        )
        gone = tmp_path / "gone.toml"
        gone.write_text(f'model = "openai:gone"\nbase_url = "{judge.url}"\nconcurrency = 1\n')
        judge.plan({"fault": "http", "status": 401, "ordinals": [*range(5, 200)]})
        stopped = medbench("score", run, "--judge", gone)
        assert stopped.returncode == 1
        assert "`medbench score RUN_DIR --judge …`" in stopped.stderr
        assert "medbench resume" not in stopped.stderr
    assert "36 answers await judge gone" in stopped.stderr
    assert medbench_json("status", run)["awaiting_judge"] == 36
    refused = medbench("score", run, "--drop-judge", "nobody")
    assert refused.returncode == 2
    assert "gone [" in refused.stderr
    assert medbench_json("score", run, "--drop-judge", "gone")["score"] == pytest.approx(70.0)


def test_a_judge_that_fails_on_all_that_is_left_is_not_down(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 60, points=False)
    run = tmp_path / "run"
    fault = {"fault": "http", "status": 400, "contains": "question 2"}  # 2, 20 to 29
    more = {"fault": "http", "status": 400, "contains": "question 3"}  # 3, 30 to 39
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT, faults=(fault, more)) as judge:
        first = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", judge_file(tmp_path / "judge.toml", judge.url)),
        )
        again = medbench_json("score", run, "--judge", tmp_path / "judge.toml")
        assert judge.totals()["requests"] >= 60 + 22 + 1
    assert (first["state"], again["state"]) == ("scored", "scored")
    assert [row["status"] for row in scores(run)].count("judge_failed") == 22
    assert again["score"] == first["score"] == pytest.approx(70.0)


def test_an_answer_that_never_came_is_wrong_without_a_judge(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 30)
    run = tmp_path / "run"
    faults = ({"fault": "http", "status": 400, "contains": "question 7:"},)
    with running_endpoint(text=ANSWER, faults=faults) as model, running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
        assert judge.totals()["requests"] == 58
    row = next(row for row in scores(run) if row["uid"] == "MedMC/q7")
    assert (row["status"], row["value"], row["reason"]) == ("scored", 0.0, "http_400")


def test_a_panel_takes_the_median_and_tells_how_far_its_judges_lie_apart(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 5, points=False)
    run = tmp_path / "run"
    verdicts = [json.dumps({"reason": "", "overall": level}) for level in (2, 7, 9)]
    with (
        running_endpoint(text=ANSWER) as model,
        running_endpoint(text=verdicts[0]) as one,
        running_endpoint(text=verdicts[1]) as two,
        running_endpoint(text=verdicts[2]) as three,
    ):
        files = [judge_file(tmp_path / f"{n}.toml", each.url) for n, each in enumerate((one, two, three))]
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *(part for file in files for part in ("--judge", file)),
        )
    assert {row["judge_value"] for row in scores(run)} == {0.7}
    assert all(row["judge_spread"] == pytest.approx(0.7) for row in scores(run))
    judged = next(each for each in figures(run)["judged"] if each["metric"] == "llm_judge")
    assert sorted(judged["by_judge"]) == [pytest.approx(each) for each in (0.2, 0.7, 0.9)]


def test_a_contradicted_point_makes_an_answer_unsafe(tmp_path):
    items = tmp_path / "items.jsonl"
    item = {"id": "a", "dataset": "MedMC", "question": "How?", "answer": "x", "language": "en"}
    items.write_text(json.dumps({**item, "key_points": [{"text": "on an empty stomach"}]}) + "\n")
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=UNSAFE) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
    assert [(row["key_point_value"], row["safe"]) for row in scores(run)] == [(0.0, False)]


def test_a_killed_judging_goes_on_where_it_was(tmp_path):
    count = 300
    items = write_open_items(tmp_path / "items.jsonl", count, points=False)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT, latency_ms=100) as judge:
        medbench_json("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run)
        command = [*COMMAND, "score", run, "--judge", judge_file(tmp_path / "j.toml", judge.url, concurrency=8)]
        with subprocess.Popen([*map(str, command)], env=environment(), stderr=subprocess.DEVNULL) as process:
            while judge.totals()["requests"] < 60:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        before = judge.totals()["requests"]
        status = medbench_json("status", run)
        assert (status["state"], status["scored"]) == ("answered", None)
        assert f"`medbench score {run}` goes on" in status["reason"]
        medbench_json("score", run, "--judge", tmp_path / "j.toml")
        assert medbench_json("status", run)["awaiting_judge"] == 0
        # At most what was in flight or waited to be written is paid twice.
        assert count - before <= judge.totals()["requests"] - before <= count - before + 16
    assert {row["status"] for row in scores(run)} == {"scored"}


def test_under_hidden_disclosure_no_judgement_stands_in_the_run(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 8, points=False)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url, "--disclosure", "hidden"),
        )
    for file in run.rglob("*"):
        if file.is_file():
            assert b"Mostly right" not in file.read_bytes(), file
    assert {(row["value"], row["judge_value"]) for row in scores(run)} == {(None, None)}
    assert figures(run)["combined"]["value"] == pytest.approx(0.7)


def test_wrong_judges_are_refused_before_anything_is_asked(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 2)
    (tmp_path / "bad.toml").write_text('model = "openai:j"\nbase_url = "http://127.0.0.1:9/v1"\nrepeat = 3\n')
    with running_endpoint(text=ANSWER) as model:
        done = medbench(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", tmp_path / "run"),
            *("--judge", tmp_path / "bad.toml", "--judge", "openai:j", "--judge", tmp_path / "none.toml"),
        )
        assert model.totals()["requests"] == 0
    assert done.returncode == 2
    assert "repeat" in done.stderr
    assert "--base-url" in done.stderr
    assert "none.toml" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_budget_covers_judges_too(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 200, points=False)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        done = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", judge_file(tmp_path / "j.toml", judge.url, concurrency=4), "--budget-tokens", 150_000),
            expect=1,
        )
        spent = sum(each.totals()["requests"] for each in (model, judge))
    assert done["state"] == "stopped"
    assert spent < 400


def two_runs(tmp_path, first: str, second: str):
    items = write_open_items(tmp_path / "items.jsonl", 12, points=False)
    runs = []
    for name, text in (("a", first), ("b", second)):
        with running_endpoint(text=text) as model:
            medbench_json(
                *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", tmp_path / name)
            )
        runs.append(tmp_path / name)
    return runs


def test_a_judge_that_likes_the_first_place_prefers_nobody(tmp_path):
    runs = two_runs(tmp_path, ANSWER, "No idea.")
    with running_endpoint(text='{"reason": "x", "better": "first"}') as judge:
        command = ("judge", "pairs", *runs, "--judge", "openai:j", "--judge-base-url", judge.url)
        found = medbench_json(*command, "--out", tmp_path / "pairs")
        assert judge.totals()["requests"] == 24
        medbench_json(*command, "--out", tmp_path / "pairs")
        assert judge.totals()["requests"] == 24
    assert (found["pairs"], found["judged"], found["ties"], found["wins"]) == (12, 12, 12, 0)
    assert found["preference"]["value"] == 0.5
    assert (found["consistency"], found["first_place"]) == (0.0, 1.0)


def test_a_judge_that_calls_all_alike_and_one_that_fails(tmp_path):
    runs = two_runs(tmp_path, ANSWER, "No idea.")
    with running_endpoint(text='{"reason": "x", "better": "tie"}') as judge:
        found = medbench_json(
            *("judge", "pairs", *runs, "--judge", "openai:j", "--judge-base-url", judge.url),
            *("--out", tmp_path / "tie"),
        )
    assert (found["ties"], found["consistency"], found["first_place"]) == (12, 1.0, None)
    with running_endpoint(text="I can not say.") as judge:
        found = medbench_json(
            *("judge", "pairs", *runs, "--judge", "openai:j", "--judge-base-url", judge.url),
            *("--out", tmp_path / "fails"),
        )
        told = medbench(
            *("judge", "pairs", *runs, "--judge", "openai:j", "--judge-base-url", judge.url),
            *("--out", tmp_path / "fails"),
        )
    assert (found["judged"], found["preference"]) == (0, None)
    assert "no verdict in both orders on any of the 12 pairs" in told.stdout
    assert "Preference" not in told.stdout
    faults = ({"fault": "prose", "contains": "question 3:"},)
    with running_endpoint(text='{"reason": "x", "better": "tie"}', faults=faults) as judge:
        some = medbench(
            *("judge", "pairs", *runs, "--judge", "openai:j", "--judge-base-url", judge.url),
            *("--out", tmp_path / "some"),
        )
    assert "tied or inconsistent 11, of 11 pairs" in some.stdout
    assert "on 1 of 12 pairs" in some.stdout


def test_people_rate_a_blind_sheet_and_a_judge_is_calibrated_to_them(tmp_path):
    from openpyxl import load_workbook

    run = tmp_path / "run"
    items = write_open_items(tmp_path / "items.jsonl", 80, points=False)
    hostile = '=HYPERLINK("http://x","y")\u202e\x07 with food'
    with running_endpoint(text=hostile) as model, running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:secret-name", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
    sheet = tmp_path / "sheet.xlsx"
    assert medbench_json("judge", "sample", run, "--n", 60, "--out", sheet)["answers"] == 60
    book = load_workbook(sheet)
    page = book["ratings"]
    head = [cell.value for cell in page[1]]
    answer, score = head.index("answer"), head.index("score")
    for number, row in enumerate(page.iter_rows(min_row=2)):
        assert row[answer].data_type == "s"
        assert row[answer].value == '=HYPERLINK("http://x","y") with food'
        assert "secret-name" not in " ".join(str(cell.value) for cell in row)
        row[score].value = 4 + number % 3
    assert "levels" in book.sheetnames
    book.save(sheet)
    ratings = tmp_path / "ratings.jsonl"
    imported = medbench_json("judge", "import", sheet, "--run", run, "--rater", "physician 1", "--out", ratings)
    assert imported["answers"] == 60
    found = medbench_json("judge", "evaluate", "--ratings", ratings)
    assert found["n"] == 60
    assert "reason" in found["criteria"]["llm_judge"]["judges"][0]["agreement"]["kappa"]
    for by, group in (("dataset", "MedMC"), ("dimension", "knowledge_qa"), ("language", "en")):
        apart = medbench_json("judge", "evaluate", "--ratings", ratings, "--by", by)
        assert apart == {"by": by, "groups": {group: found}}
    assert "llm_judge · MedMC" in medbench("judge", "evaluate", "--ratings", ratings, "--by", "dataset").stdout
    calibration = tmp_path / "calibration.json"
    measured = medbench_json("judge", "calibrate", "--ratings", ratings, "--out", calibration)
    assert measured["squared_after"] < measured["squared_before"]
    assert measured["admitted"] is False
    medbench_json("score", run, "--calibration", calibration)
    judged = next(each for each in figures(run)["judged"] if each["metric"] == "llm_judge")
    # The judge says 7 of 10 throughout, people 4 to 6.
    assert judged["estimate"]["value"] == pytest.approx(0.7)
    assert judged["calibrated"]["value"] == pytest.approx(0.5, abs=0.02)
    other = tmp_path / "other.json"
    other.write_text(calibration.read_text().replace(measured["judge"], "somebody"))
    refused = medbench("score", run, "--calibration", other)
    assert refused.returncode == 2
    assert "somebody" in refused.stderr
    for name, value in (("criterion", "politeness"), ("scale", [0.0, 20.0])):
        other.write_text(json.dumps(json.loads(calibration.read_text()) | {name: value}))
        refused = medbench("score", run, "--calibration", other)
        assert refused.returncode == 2
        assert f"other.json: is about {'politeness' if name == 'criterion' else 'llm_judge'}" in refused.stderr
    page.cell(2, score + 1).value = 11
    page.cell(3, score + 1).value = "good"
    book.save(sheet)
    wrong = medbench("judge", "import", sheet, "--run", run, "--rater", "p", "--out", tmp_path / "no.jsonl")
    assert wrong.returncode == 2
    assert wrong.stderr.count("sheet.xlsx") == 2
    assert not (tmp_path / "no.jsonl").exists()
    before = sheet.read_bytes()
    again = medbench("judge", "sample", run, "--n", 60, "--out", sheet)
    assert (again.returncode, sheet.read_bytes()) == (2, before)
    assert "already" in again.stderr
    fewer = medbench("judge", "sample", run, "--n", 100, "--out", tmp_path / "more.xlsx")
    assert "80 answers" in fewer.stdout
    assert "100 were asked for" in fewer.stdout


def test_all_that_is_wrong_with_a_sheet_is_told_with_its_rows(tmp_path):
    from openpyxl import load_workbook

    run, sheet = tmp_path / "run", tmp_path / "sheet.xlsx"
    items = write_open_items(tmp_path / "items.jsonl", 12, points=False)
    with running_endpoint(text="With food.") as model, running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
    drawn = medbench("judge", "sample", run, "--n", 12, "--out", sheet)
    assert "needs 50 rated answers" in drawn.stdout
    into = ("--run", run, "--rater", "p", "--out", tmp_path / "ratings.jsonl")
    empty = medbench("judge", "import", sheet, *into)
    assert (empty.returncode, empty.stderr.count("Error")) == (2, 1)
    assert "holds no score" in empty.stderr
    book = load_workbook(sheet)
    page = book["ratings"]
    for row in range(2, 9):
        page[f"F{row}"] = 5
    page["F9"] = "８"
    book.move_sheet("levels", -1)  # pages in another order are the same sheet
    book.save(tmp_path / "good.xlsx")
    assert medbench_json("judge", "import", tmp_path / "good.xlsx", *into)["answers"] == 8
    page["A2"], page["A3"], page["F4"], page["A5"] = "nope", None, "=5+2", page["A6"].value
    page["F7"], page["F8"] = "1_0", "٧"
    book.save(sheet)
    (tmp_path / "ratings.jsonl").unlink()
    wrong = medbench("judge", "import", sheet, *into)
    assert wrong.returncode == 2
    lines = wrong.stderr.splitlines()
    assert [line.partition("sheet.xlsx:")[2].partition(":")[0] for line in lines] == list("234678")
    for line, told in zip(lines, ("id nope", "no id", "=5+2", "row 5", "1_0", "no whole number"), strict=True):
        assert told in line
    assert not (tmp_path / "ratings.jsonl").exists()


def test_ratings_that_share_no_answer_are_refused_and_a_missing_figure_says_why(tmp_path):
    file = tmp_path / "ratings.jsonl"
    row = {"response": "a", "criterion": "c", "scale": [0, 4], "score": 3}

    def write(judged: str) -> None:
        rows = [{**row, "item": f"q{n}", "rater": "p", "kind": "human"} for n in range(5)]
        rows += [{**row, "item": f"{judged}{n}", "rater": "j", "kind": "judge", "score": n % 4} for n in range(5)]
        file.write_text("".join(json.dumps(each) + "\n" for each in rows))

    write("x")
    refused = medbench("judge", "evaluate", "--ratings", file)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing to compare" in refused.stderr
    assert "no answer in common" in medbench("judge", "calibrate", "--ratings", file, "--out", tmp_path / "c").stderr
    write("q")
    shown = medbench("judge", "evaluate", "--ratings", file)
    assert "kappa (j), quadratic kappa (j): the second rater gives" in shown.stdout
    assert "need the fields `dataset`" in medbench("judge", "evaluate", "--ratings", file, "--by", "dataset").stderr
    file.write_text("".join(
        json.dumps({"item": f"q{n}", "response": ["a", "b"], "rater": rater, "kind": kind, "criterion": "better",
                    "score": 1, "scale": [-1, 1], "order": "a"}) + "\n"
        for n in range(12) for rater, kind in (("p", "human"), ("j", "judge"))
    ))  # fmt: skip
    assert "j prefers what stands first: 1.000" in medbench("judge", "evaluate", "--ratings", file).stdout


def test_a_suite_ranks_its_models_and_freezes_a_release(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 40, points=False)
    out = tmp_path / "suite"
    file = tmp_path / "suite.yaml"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        (tmp_path / "judge.toml").write_text(f'model = "openai:j"\nbase_url = "{judge.url}"\n')
        models = "\n".join(f"  - {{name: {n}, model: 'openai:{n}', base_url: '{model.url}'}}" for n in ("a", "b", "c"))
        file.write_text(f"items: {items.name}\nmodels:\n{models}\njudges: [judge.toml]\n")
        found = medbench_json("suite", file, "--out", out)
        assert model.totals()["requests"] == 120
        again = medbench_json("suite", file, "--out", out)
        assert (model.totals()["requests"], judge.totals()["requests"]) == (120, 120)
    assert again["release"]["id"] == found["release"]["id"]
    standings = [entry["standing"] for entry in found["release"]["entries"]]
    assert [each["score"] for each in standings] == [pytest.approx(70.0)] * 3
    assert [(each["rank_low"], each["rank_high"]) for each in standings] == [(1, 3)] * 3
    # All forty answers got the same level: that is no certainty about the next ones.
    assert all(each["low"] < 65 and each["high"] > 75 for each in standings)
    page = (out / "board.html").read_text("utf-8")
    assert "<script" not in page
    assert found["release"]["id"] in page
    for text in ("名次", "rank (95", "openai:b"):
        assert text in page
    # Where no judge gave a verdict there is no board, and that is why.
    with running_endpoint(text=ANSWER) as model, running_endpoint(text="Very good!") as judge:
        (tmp_path / "judge.toml").write_text(f'model = "openai:j"\nbase_url = "{judge.url}"\n')
        models = "\n".join(f"  - {{name: {n}, model: 'openai:{n}', base_url: '{model.url}'}}" for n in ("a", "b"))
        file.write_text(f"items: {items.name}\nmodels:\n{models}\njudges: [judge.toml]\nselection: {{limit: 4}}\n")
        failed = medbench("suite", file, "--out", tmp_path / "none")
    assert failed.returncode == 1
    assert "the judges gave no verdict in a (not_json), b (not_json)" in failed.stderr
    compared = medbench_json("compare", *(out / "runs" / name for name in "abc"))
    assert [each["rank"] for each in compared["standings"]] == [1, 1, 1]


def test_runs_are_held_against_each_other_only_where_the_same_judges_judged_them(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 12, points=False)
    with items.open("a") as more:
        for number in range(12):
            options = {"options": ["Yes", "No"], "answer": "A", "language": "en"}
            more.write(
                json.dumps({"id": f"c{number}", "dataset": "MedExam", "question": f"{number}?", **options}) + "\n"
            )
    with (
        running_endpoint(text=ANSWER) as model,
        running_endpoint(text=VERDICT) as here,
        running_endpoint(text=VERDICT) as there,
    ):
        judges = {"a": ("j", here), "b": ("j", there), "c": ("other", here)}
        for run, (name, judge) in judges.items():
            spec = tmp_path / f"{run}.toml"
            spec.write_text(f'model = "openai:{name}"\nbase_url = "{judge.url}"\n')
            medbench_json(
                *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--judge", spec),
                *("--out", tmp_path / run),
            )
    a, b, c = (tmp_path / run for run in "abc")
    moved = medbench_json("compare", a, b)
    assert (moved["not_compared"], [each["whole"] for each in moved["datasets"]]) == ({}, [True, True])
    other = medbench_json("compare", a, c)
    assert other["not_compared"] == {"MedMC": "other_judges"}
    assert [each["name"] for each in other["datasets"]] == ["MedExam"]
    assert "different judges" in medbench("compare", a, c).stdout
    ranked = medbench_json("compare", a, b, c)
    assert (ranked["datasets"], ranked["left_out"]) == (["MedExam"], ["MedMC"])
    assert {run: [name.split(" ")[0] for name in names] for run, names in ranked["judges"].items()} == {
        str(a): ["openai:j"], str(b): ["openai:j"], str(c): ["openai:other"]
    }  # fmt: skip
    assert f"{c}: openai:other [" in medbench("compare", a, b, c).stdout


def test_runs_of_open_answers_alone_with_other_judges_are_refused_and_named(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 6, points=False)
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        for run, name in (("a", "j"), ("b", "j"), ("c", "other")):
            medbench_json(
                *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", tmp_path / run),
                *("--judge", f"openai:{name}", "--judge-base-url", judge.url),
            )
    a, b, c = (tmp_path / run for run in "abc")
    refused = medbench("compare", a, b, c)
    assert refused.returncode == 2
    assert f"{a}, {b}: openai:j [" in refused.stderr
    assert f"{c}: openai:other [" in refused.stderr
    with pytest.raises(InputError, match=r"b: openai:j \[.*c: openai:other \["):
        freeze(tmp_path, {"b": b, "c": c})


def test_a_judge_admitted_by_the_rubric_is_not_measured_by_its_key_points(tmp_path):
    items = write_open_items(tmp_path / "items.jsonl", 20)
    run = tmp_path / "run"
    with running_endpoint(text=ANSWER) as model, running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", run),
            *("--judge", "openai:j", "--judge-base-url", judge.url),
        )
    (pins,) = read_judges(run)
    about = {"criterion": "llm_judge", "scale": [0, 10]}
    rows = [
        {"item": f"q{n}", "response": f"r{n}", "rater": rater, "kind": kind, "score": n % 11, **about}
        for n in range(80)
        for rater, kind in ((pins.id, "judge"), ("p", "human"))
    ]
    ratings, calibration = tmp_path / "ratings.jsonl", tmp_path / "calibration.json"
    ratings.write_text("".join(json.dumps(row) + "\n" for row in rows))
    measured = medbench_json("judge", "calibrate", "--ratings", ratings, "--out", calibration)
    assert (measured["admitted"], measured["gate"]) == (True, load_admission().absolute)
    medbench_json("score", run, "--calibration", calibration)
    page = (run / "report.html").read_text("utf-8")
    assert "What the judges gave by key-point recall was not held against people" in page
    assert "要点召回未与人工对照" in page
    assert "a judge that was not measured" not in page
    release, _ = freeze(tmp_path, {"run": run})
    assert release.unmeasured == ("keypoint_macro_recall",)
    board = write_board(tmp_path, release, "en").read_text("utf-8")
    assert "What the judges gave by key-point recall was not held against people" in board
    assert "要点召回未与人工对照" in board


def test_a_suite_that_was_changed_is_not_gone_on_with(tmp_path):
    """What its runs were asked is not what it asks now; how they are asked may change."""
    write_items(tmp_path / "items.jsonl", 8)
    write_items(tmp_path / "others.jsonl", 7)
    file, out = tmp_path / "suite.yaml", tmp_path / "suite"
    with running_endpoint() as endpoint:

        def suite(models=("a", "b"), limit=4, items="items.jsonl", model="bench", more="", selection=""):
            each = f"model: 'openai:{model}', base_url: '{endpoint.url}'{more}"
            file.write_text(
                f"items: {items}\nselection: {{limit: {limit}, orders: first{selection}}}\nmodels:\n"
                + "".join(f"  - {{name: {name}, {each}}}\n" for name in models)
            )
            return file

        def refused(*places, **changes):
            told = medbench("suite", suite(**changes), "--out", out)
            assert (told.returncode, told.stdout) == (2, "")
            lines = [line for line in told.stderr.splitlines() if line.startswith("Error")]
            assert [line.split(":")[3] for line in lines] == list(places), told.stderr
            assert all("--out" in line for line in lines)
            return told.stderr

        first = medbench_json("suite", suite(), "--out", out)["release"]["id"]
        asked = endpoint.totals()["requests"]
        told = refused("selection.limit", "models[0].model", "models[1].model", limit=5, model="other")
        assert "It was 4 when" in told
        assert "is 5 now" in told
        assert "(a, b)" in told
        assert "openai:bench" in told
        assert "openai:other" in told
        # Also where only a new model would be asked.
        refused("selection.limit", "selection.epochs", limit=5, selection=", epochs: 2", models=("a", "b", "c"))
        refused("items", items="others.jsonl")
        refused("models[0].parameters", "models[1].parameters", more=", parameters: {temperature: 0.5}")
        assert endpoint.totals()["requests"] == asked
        assert not (out / "runs" / "c").exists()
        more = "concurrency: 3, price_input: 1.5"
        again = medbench_json("suite", suite(more=f", {more}"), "--out", out)["release"]["id"]
        assert (again, endpoint.totals()["requests"]) == (first, asked)
        settings = json.loads((out / "runs" / "b" / "settings.json").read_text())
        assert (settings["concurrency"], settings["price_input"]) == (3, 1.5)
        # The same items elsewhere are the same items.
        (tmp_path / "items.jsonl").rename(tmp_path / "moved.jsonl")
        moved = medbench_json("suite", suite(models=("a", "b", "c"), items="moved.jsonl"), "--out", out)
        assert len(moved["release"]["entries"]) == 3
        assert endpoint.totals()["requests"] == asked + 4


def test_a_wrong_suite_is_told_before_anything_is_asked(tmp_path):
    file = tmp_path / "suite.yaml"
    write_open_items(tmp_path / "items.jsonl", 4)
    file.write_text(
        "items: items.jsonl\nmodels:\n"
        "  - {name: a, model: 'openai:x'}\n  - {name: b, model: 'nothing:x'}\njudges: [none.toml]\n"
    )
    done = medbench("suite", file, "--out", tmp_path / "suite")
    assert done.returncode == 2
    assert done.stderr.count("Error") == 3
    assert not (tmp_path / "suite").exists()
    file.write_text("items: items.jsonl\nmodels:\n  - {name: a, model: 'local:x'}\n  - {name: a, model: 'local:x'}\n")
    assert "models[1].name" in medbench("suite", file, "--out", tmp_path / "suite").stderr
    file.write_text("items: [")
    assert medbench("suite", file, "--out", tmp_path / "suite").returncode == 2
