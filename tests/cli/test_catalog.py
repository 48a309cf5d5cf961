"""`medbench catalog`: tables for people, one JSON object for scripts."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from medbench.catalog import load_catalog
from medbench.cli.catalog import app
from medbench.errors import InputError
from medbench.text import LANGUAGES, current_language, set_language


@pytest.fixture(params=LANGUAGES)
def language(request):
    before = current_language()
    set_language(request.param)
    yield request.param
    set_language(before)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80", "TERM": "dumb"})


def printed(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_datasets_as_json():
    value = json.loads(printed("datasets", "--json"))
    assert value["n"] == len(value["datasets"]) == 60
    assert value["catalog_version"] == load_catalog().version
    first = value["datasets"][0]
    assert first["name"] == "MedExam"
    assert first["parts"][0]["metrics"] == ["accuracy_circular"]


@pytest.mark.parametrize(("track", "count"), [("llm", 36), ("agent", 14), ("multimodal", 10), ("imaging", 0)])
def test_datasets_of_a_track(track, count):
    value = json.loads(printed("datasets", "--track", track, "--json"))
    assert value["n"] == len(value["datasets"]) == count
    assert {dataset["track"] for dataset in value["datasets"]} <= {track}
    assert printed("datasets", "--track", track).strip()


def test_unknown_track_is_a_usage_error():
    result = run("datasets", "--track", "speech")
    assert result.exit_code == 2
    assert "imaging" in result.output


def test_tables_name_every_dataset_and_cut_nothing_off(language):
    text = printed("datasets")
    assert all(name in text for name in load_catalog().datasets)
    assert "…" not in text


def test_specialties():
    value = json.loads(printed("specialties", "--json"))
    assert (value["n"], value["primary"], value["secondary"]) == (156, 34, 122)
    subset = json.loads(printed("specialties", "--subset", "--json"))
    assert (subset["n"], subset["primary"], subset["secondary"]) == (115, 24, 91)
    assert all(specialty["in_subset"] for specialty in subset["specialties"])


def test_specialties_table_says_whose_subset_it_is(language):
    text = printed("specialties", "--subset")
    assert "心血管内科专业" in text
    assert {"en": "unpublished", "zh": "未公开"}[language] in text


@pytest.mark.parametrize("name", list(load_catalog().datasets))
def test_show_as_json(name):
    value = json.loads(printed("show", name, "--json"))
    assert value["dataset"]["name"] == name
    assert value["dimension"]["id"] == value["dataset"]["dimension"]


def test_show_says_how_to_answer_and_how_it_is_scored(language):
    text = printed("show", "MedQC")
    assert all(word in text for word in ("MedQC", "micro_f1", "无问题", "吸气不足", "label multiple"))
    assert "…" not in text
    assert all(part in printed("show", "MedRxCheck") for part in ("SCQ", "MSQ", "SQ", "accuracy_circular"))


def test_show_unknown_name_suggests():
    result = run("show", "MedExm")
    assert isinstance(result.exception, InputError)
    assert "MedExam" in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["datasets", "specialties", "show"])
def test_help_has_examples_on_lines_of_their_own(command):
    lines = [line.strip() for line in printed(command, "--help").splitlines()]
    assert any(line.startswith(f"medbench catalog {command}") and line.endswith("--json") for line in lines)
