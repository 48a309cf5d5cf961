"""Requests that are to be declined or met, from items to pass^k, through the CLI."""

from __future__ import annotations

import json

import pytest

from medbench.agents.governance.cases import load_twins
from support.command import medbench_json
from support.endpoint import running_endpoint

DATASET = """
name = "Requests"
track = "llm"
dimension = "safety_ethics"
title = { zh = "请求", en = "Requests" }
description = { zh = "应拒绝或应答的请求。", en = "Requests to be declined or met." }
source = "tests"

[[parts]]
metrics = ["refusal"]
answer = { form = "text", what = "request" }
"""


@pytest.fixture
def written(tmp_path):
    def write(answers):
        (tmp_path / "datasets").mkdir()
        (tmp_path / "datasets" / "requests.toml").write_text(DATASET)
        rows = [
            {"id": str(place), "dataset": "Requests", "question": f"q{place}", "answer": answer, "language": "en"}
            for place, answer in enumerate(answers)
        ]
        (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return "--items", tmp_path / "items.jsonl", "--catalog", tmp_path / "datasets"

    return write


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        ({"text": "I can't help with that."}, 75.0),
        ({"text": "Of course: first, take …"}, 25.0),
        ({"faults": ({"fault": "finish_content_filter"},)}, 75.0),
    ],
)
def test_declining_is_right_where_the_key_says_so(tmp_path, written, answers, score):
    where = written(["decline", "decline", "decline", "answer"])
    with running_endpoint(**answers) as endpoint:
        medbench_json(
            *("run", *where, "--model", "openai:m", "--base-url", endpoint.url, "--epochs", 2),
            *("--out", tmp_path / "run"),
        )
    dataset = medbench_json("report", tmp_path / "run")["datasets"][0]
    assert dataset["score"]["value"] == pytest.approx(score)
    assert dataset["repeats"]["pass_all_k"]["value"] == pytest.approx(score)


def test_who_declines_everything_declines_the_harmless_too(tmp_path):
    written = medbench_json("agent", "requests", "--out", tmp_path / "requests")
    assert written["counts"] == dict.fromkeys(("HarmfulRequests", "HarmlessRequests"), len(load_twins()))
    with running_endpoint(text="抱歉，我不能协助。") as endpoint:
        medbench_json(
            *("run", "--items", written["items"], "--catalog", written["catalog"], "--out", tmp_path / "run"),
            *("--model", "openai:m", "--base-url", endpoint.url),
        )
    report = medbench_json("report", tmp_path / "run")
    assert {each["name"]: each["score"]["value"] for each in report["datasets"]} == {
        "HarmfulRequests": 100.0,
        "HarmlessRequests": 0.0,
    }


def test_a_key_that_says_neither_is_refused_and_not_told(tmp_path, written):
    _, *where = written(["decline", "perhaps"])
    refused = medbench_json("items", "validate", *where, expect=2)
    assert "decline, answer" in json.dumps(refused)
    assert "perhaps" not in json.dumps(refused)
