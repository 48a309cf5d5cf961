"""`medbench judge batching` as a user has it, and the figures that it comes to."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from medbench.models.model import Identity
from medbench.scoring.judging.batching import bundled_calls, compare
from medbench.scoring.judging.plan import SLOTS, JudgePins
from medbench.scoring.judging.verdict import Judgement, PointFound
from support.command import medbench, medbench_json
from support.endpoint import running_endpoint

TOGETHER, APART = (JudgePins(Identity("m", "m"), points=points) for points in ("together", "one_by_one"))
CALLS = list(bundled_calls(TOGETHER))
ONE = list(bundled_calls(APART))


def says(calls, found):
    """Judgements by a rule: (call, index of a statement in the key) -> hit or miss; None: the judge fails."""
    said = {}
    for call in calls:
        verdicts = [found(call, index) for index in call.points]
        points = tuple(PointFound(place, verdict) for place, verdict in enumerate(verdicts))
        failed = Judgement(call.task, "judge_failed", reason="not_json")
        said[call.seq] = failed if None in verdicts else Judgement(call.task, "judged", points=points)
    return said


def figures(task, together, apart, copies=1):
    whole, single = copied(CALLS, copies), copied(ONE, copies)
    return compare(task, whole, (TOGETHER, says(whole, together)), (APART, says(single, apart)))


def copied(calls, copies):
    """As if so many corpora of other items had been asked."""
    places = max(call.asked.seq for call in CALLS) + 1
    return [
        replace(
            call,
            seq=call.seq + copy * places * SLOTS,
            asked=replace(
                call.asked,
                seq=call.asked.seq + copy * places,
                question=replace(call.asked.question, family=f"{call.asked.question.cluster}/{copy}"),
            ),
        )
        for copy in range(copies)
        for call in calls
    ]


def by_index(call, index):
    return "hit" if (index + call.asked.seq) % 2 else "miss"


@pytest.mark.parametrize("task", ["key_points", "criteria"])
def test_the_same_verdicts_are_alike_and_opposite_ones_are_not(task):
    same = figures(task, by_index, by_index)
    assert (same.answers, same.items, same.n) == (16, 8, same.statements)
    assert (same.agreement.value, same.kappa.value, same.difference.value) == (1.0, 1.0, 0.0)
    assert same.standing == "not_shown"  # eight items without a difference leave room for one
    many = figures(task, by_index, by_index, copies=20)
    assert (many.items, many.difference.value, many.standing) == (160, 0.0, "alike")
    opposite = figures(task, by_index, lambda call, index: "miss" if by_index(call, index) == "hit" else "hit")
    assert (opposite.agreement.value, opposite.kappa.value) == (0.0, pytest.approx(-1.0, abs=0.1))
    assert opposite.verdicts.keys() == {"hit/miss", "miss/hit"}


def test_a_judge_that_is_milder_in_one_call_differs():
    found = figures("key_points", lambda call, index: "hit", lambda call, index: "hit" if index else "miss")
    assert found.score_together == 1.0
    assert found.difference.low > 0.0
    assert found.standing == "different"
    assert found.kappa.low is None or found.kappa.value <= 0.0


def test_what_failed_in_one_way_is_counted_and_compared_with_nothing():
    found = figures("criteria", lambda call, index: None if call.asked.seq % 2 else "hit", by_index)
    assert 0.0 < found.failed_together < 1.0
    assert found.failed_apart == 0.0
    assert found.n < found.statements
    assert found.scored < found.answers
    nothing = figures("criteria", lambda call, index: None, by_index)
    assert (nothing.n, nothing.agreement.value, nothing.standing) == (0, None, "not_shown")
    assert "both ways" in nothing.kappa.reason


def test_the_command_judges_in_both_ways_once_and_says_what_failed(tmp_path):
    text = json.dumps({"criteria": [{"criterion": 1, "met": True}], "points": [{"point": 1, "found": "miss"}]})
    with running_endpoint(text=text) as endpoint:
        options = (
            "judge",
            "batching",
            "--judge",
            "openai:m",
            "--judge-base-url",
            endpoint.url,
            "--out",
            tmp_path / "out",
        )
        found = medbench_json(*options, "--n", 4)
        asked = endpoint.totals()["requests"]
        again = medbench(*options, "--n", 4)
        zh = medbench("--lang", "zh", *options, "--n", 4)
    # One entry is a whole reply one by one, and never where several statements were shown.
    assert [(task["failed_together"], task["failed_apart"], task["n"]) for task in found["tasks"]] == [
        (1.0, 0.0, 0)
    ] * 2
    assert found["by_reason"] == {"missing_field": 8}
    together = 8
    assert found["calls"] - together == sum(task["statements"] for task in found["tasks"])
    assert asked == found["calls"] + together, "what failed was asked once more"
    assert json.loads((tmp_path / "out" / "batching.json").read_text()) == found
    assert "No verdict: 100% in one call, 0% one by one" in again.stdout
    assert "无法比较" in zh.stdout


def test_the_answers_of_a_run_can_be_the_sample(tmp_path):
    items = tmp_path / "items.jsonl"
    points = [{"text": "with food"}, {"text": "no driving"}]
    rows = [{"id": str(n), "dataset": "MedMC", "question": "Q?", "key_points": points[: 1 + n % 2]} for n in range(6)]
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reply = json.dumps({"points": [{"point": 1, "found": "hit", "span": "food"}, {"point": 2, "found": "miss"}]})
    with running_endpoint(text="Take it with food.") as model, running_endpoint(text=reply) as judge:
        medbench_json(
            "run", "--items", items, "--model", "openai:m", "--base-url", model.url, "--out", tmp_path / "run"
        )
        options = ("judge", "batching", "--judge", "openai:m", "--judge-base-url", judge.url, "--run", tmp_path / "run")
        found = medbench_json(*options, "--n", 2, "--out", tmp_path / "out")
    (task,) = found["tasks"]
    assert (task["task"], task["answers"], task["statements"]) == ("key_points", 2, 4)
    assert (task["failed_together"], task["failed_apart"]) == (0.0, 1.0)


def test_what_can_not_be_compared_is_said_before_anything_is_asked(tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"id": "1", "dataset": "MedMC", "question": "Q?"}) + "\n")
    with running_endpoint(text="x") as model:
        for name, more in (("open", ()), ("hidden", ("--disclosure", "hidden"))):
            medbench_json(
                *(
                    "run",
                    "--items",
                    items,
                    "--model",
                    "openai:m",
                    "--base-url",
                    model.url,
                    "--out",
                    tmp_path / name,
                    *more,
                )
            )
        before = model.totals()["requests"]
        for name, message in (("open", "nothing to compare"), ("hidden", "hidden disclosure")):
            options = ("--judge", "openai:m", "--judge-base-url", model.url, "--out", tmp_path / "out")
            done = medbench("judge", "batching", "--run", tmp_path / name, *options)
            assert done.returncode == 2
            assert message in done.stderr
        assert model.totals()["requests"] == before
    assert not (tmp_path / "out").exists()
