"""The checks on real questions, gold calls and gold queries: at least what docs/results/agent_checks.md says."""

from __future__ import annotations

import re

import pytest

from medbench.catalog import load_catalog
from medbench.scoring.extract import extract
from support.agent_measures import bfcl_agreement, ehrsql_agreement, release_coverage
from support.json_lines import json_lines


@pytest.fixture(scope="module")
def agent_track(shared):
    return shared / "data" / "medbench_v4_release" / "MedBench_Agent" / "TEST"


def test_every_description_of_the_release_is_read_whole(agent_track):
    found = release_coverage(agent_track)
    assert {name: (each["items"], each["read"]) for name, each in found.items()} == {
        "MedCallAPI": (30, 30),
        "MedRetAPI": (30, 30),
        "MedPathPlan": (30, 30),
        "MedDBOps": (30, 30),
    }
    assert [found[name]["apis"] for name in ("MedCallAPI", "MedRetAPI", "MedPathPlan")] == [30, 146, 302]


def test_no_flag_of_a_parameter_is_passed_over(agent_track):
    # Counted apart from the parser: each "(type, 必填)" in brackets is one parameter or member.
    from medbench.scoring.executable.api_description import read_apis

    def names(schema):
        for value in schema.get("properties", {}).values():
            yield value
            yield from names(value)
            yield from names(value.get("items", {}))

    flag = re.compile(r"[（(]\s*[A-Za-z/]+\s*[,，][^()（）]*(?:必填|选填|可选)[^()（）]*[)）]")
    without_flag = {"MedCallAPI": 9, "MedRetAPI": 0, "MedPathPlan": 5}
    for dataset, more in without_flag.items():
        questions = [row["question"] for row in json_lines(agent_track / f"{dataset}.jsonl")]
        read = sum(1 for question in questions for api in read_apis(question).apis for _ in names(api.parameters))
        assert read - sum(len(flag.findall(question)) for question in questions) == more


def test_intents_listed_in_the_release_are_labels_of_the_catalog(agent_track):
    (part,) = load_catalog().dataset("MedIntentID").parts
    rows = json_lines(agent_track / "MedIntentID.jsonl")
    assert len(rows) == 30
    for row in rows:
        listed = re.search(r"预定义的意图识别：(.+)", row["question"])[1].split("、")
        assert len(listed) in (20, 21)
        assert set(listed) <= set(part.answer.labels)
        for label in listed:
            for answer in (label, f"意图标签：{label}", f"<think>也许是病情咨询</think>\n**{label}**"):
                assert extract(part.answer, answer, ()).value == {label}


def test_gold_calls_of_bfcl_are_read_and_valid(shared):
    found = bfcl_agreement(shared / "data" / "agent" / "bfcl")
    assert found["items"] == 800
    forms = ("json", "keyed_json", "python", "prose", "lists")
    assert [found[f"read_from_{form}"] for form in forms] == [800] * 5
    assert found["gold_valid"] >= 799  # one gold call lacks a parameter that its API requires
    faults = found["faults"]
    for fault in ("unknown_api", "unknown_parameter", "missing_parameter", "wrong_type"):
        assert faults[f"{fault}_made"] > 300
        assert faults[f"{fault}_found"] == faults[f"{fault}_made"]


def test_gold_queries_of_ehrsql_find_rows(shared):
    found = ehrsql_agreement(shared / "data" / "agent" / "ehrsql_2024", step=40)
    assert found["queries"] >= 20
    assert found["found_rows"] >= 0.8 * found["queries"]
    assert "result_differs" not in found
    assert found["unknown_column_found"] >= 0.9 * found["queries"]
