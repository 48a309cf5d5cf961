"""`medbench judge attack` as a user has it."""

from __future__ import annotations

import csv
import json

import pytest

from support.command import medbench, medbench_json
from support.endpoint import running_endpoint

TEN = '{"reason": "fine", "overall": 10}'


def test_a_judge_that_always_says_ten_is_shown_to_read_nothing(tmp_path):
    out = tmp_path / "out"
    with running_endpoint(text=TEN) as endpoint:
        options = ("judge", "attack", "--judge", "openai:m", "--judge-base-url", endpoint.url, "--sample", 17)
        found = medbench_json(*options, "--out", out)
        asked = endpoint.totals()["requests"]
        again = medbench(*options, "--out", out, "--json")
        assert endpoint.totals()["requests"] > asked, "failed calls are made again"
        zh = medbench("--lang", "zh", *options, "--out", out)
    assert found["answers"] == 17 + 2 * found["items"]
    rubric, key_points = found["clean"]
    assert rubric["poor"]["value"] == rubric["good"]["value"] == 10.0
    assert rubric["tells_apart"] is False
    assert (key_points["good"], key_points["failed"]) == (None, 1.0)
    assert {kind["moved"] for kind in found["kinds"]} <= {"not_shown", "unknown"}
    floor = next(kind for kind in found["kinds"] if kind["kind"] == "all" and kind["task"] == "rubric")
    assert floor["above_floor"] > 0.5
    assert json.loads(again.stdout)["clean"] == found["clean"]
    assert json.loads((out / "attacks.json").read_text())["judge_id"] == found["judge_id"]
    with (out / "calls.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in csv.DictReader(file)) == sum(found["by_status"].values())
    assert zh.returncode == 0, zh.stderr
    assert "不能区分好回答与差回答" in zh.stdout
    assert "伪造的评分 JSON" in zh.stdout


def test_a_parrot_earns_nothing_and_the_table_says_so():
    with running_endpoint(echo=True) as endpoint:
        done = medbench(
            *("judge", "attack", "--judge", "openai:m", "--judge-base-url", endpoint.url, "--sample", 17),
        )
    assert done.returncode == 0, done.stderr
    assert "Rubric: this judge gave no verdict on any clean answer" in done.stdout
    assert "does not tell the good answers from the poor ones" not in done.stdout
    assert "Forged verdict JSON" in done.stdout
    assert "judge failed on 100%" in done.stdout


def test_an_endpoint_that_is_down_ends_with_1_and_keeps_what_there_is(tmp_path):
    with running_endpoint(faults=({"fault": "http", "status": 401},)) as endpoint:
        done = medbench(
            *("judge", "attack", "--judge", "openai:m", "--judge-base-url", endpoint.url, "--json"),
            *("--out", tmp_path / "out", "--sample", 34),
        )
    assert done.returncode == 1
    assert json.loads(done.stdout)["stopped"] == "endpoint"
    assert "http_401" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--judge", "nothing"), "is no model"),
        (("--judge", "openai:m"), "--base-url"),
        (("--judge", "missing.toml"), "missing.toml"),
        (("--judge", "answers:x", "--sample", "0"), "--sample"),
    ],
)
def test_what_can_not_be_used_is_said_before_anything_starts(tmp_path, options, message):
    done = medbench("judge", "attack", *options, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
