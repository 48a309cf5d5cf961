from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medbench.cli.items import SHOWN_WARNINGS, app
from medbench.errors import InputError
from medbench.items.source import open_source

ROW = {"id": "1", "dataset": "MedExam", "question": "首选药物是", "options": ["甲", "乙"], "answer": "B"}


def items(folder: Path, *rows: object) -> str:
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_import_says_that_nothing_is_stored_without_a_bank(tmp_path):
    result = run("import", items(tmp_path, ROW), "--format", "jsonl")
    assert result.exit_code == 0
    assert "Nothing was stored" in result.stdout
    assert "--into" in result.stdout
    assert [one.name for one in tmp_path.iterdir()] == ["items.jsonl"]


def test_import_into_a_bank(tmp_path):
    result = run("import", items(tmp_path, ROW), "--into", tmp_path / "bank", "--disclosure", "hidden", "--json")
    summary = json.loads(result.stdout)
    assert (summary["items"], summary["keys"], summary["into"]) == (1, 1, str(tmp_path / "bank"))
    source = open_source(tmp_path / "bank")
    assert (source.fingerprint, source.disclosure) == (summary["fingerprint"], "hidden")


def test_the_object_comes_before_the_refusal(tmp_path):
    result = run("validate", items(tmp_path, ROW, ROW | {"id": 2, "answer": "Z"}, {"id": 3}), "--json")
    summary = json.loads(result.stdout)
    assert isinstance(result.exception, InputError)
    assert [(problem["line"], problem["field"]) for problem in summary["problems"]] == [
        *((2, "answer"), (3, "dataset"), (3, "question"))
    ]
    assert all(problem["advice"] for problem in summary["problems"])
    assert len(result.exception.problems) == 3
    assert (summary["items"], summary["skipped"], summary["into"]) == (1, 2, None)


def test_a_refusal_lists_file_line_field_message_and_advice(tmp_path):
    path = items(tmp_path, ROW | {"answer": "Z"})
    result = run("import", path, "--into", tmp_path / "bank")
    assert isinstance(result.exception, InputError)
    assert f"{path}:1:answer: " in str(result.exception)
    assert "A to B" in str(result.exception) or "to B" in str(result.exception)
    assert not (tmp_path / "bank").exists()


def test_skip_invalid_goes_on(tmp_path):
    aside = tmp_path / "aside.jsonl"
    result = run("import", items(tmp_path, ROW, {"id": 3}), "--into", tmp_path / "bank", "--skip-invalid", aside)
    assert result.exit_code == 0, result.output
    assert str(aside) in result.stdout
    (row,) = map(json.loads, aside.read_text("utf-8").splitlines())
    assert (row["line"], row["row"], len(row["problems"])) == (2, {"id": 3}, 2)
    assert open_source(tmp_path / "bank").count == 1


def test_validate_prints_every_warning_and_import_the_first(tmp_path):
    path = items(tmp_path, *(ROW | {"id": str(n), "media": [f"{n}.png"]} for n in range(SHOWN_WARNINGS + 5)))
    assert run("validate", path).stderr.count(".png is not there") == SHOWN_WARNINGS + 5
    result = run("import", path)
    assert result.exit_code == 0
    assert result.stderr.count(".png is not there") == SHOWN_WARNINGS
    assert "5 more warnings" in result.stderr


def test_terminal_sequences_in_names_are_spelt_out(tmp_path):
    result = run("validate", items(tmp_path, ROW | {"media": ["\x1b[2J.png"], "specialty": "\x1b[31m"}))
    assert result.exit_code == 0
    assert "\x1b" not in result.output


def test_the_official_release(shared):
    result = run("import", shared / "data/medbench_v4_release", "--format", "medbench-v4", "--json")
    summary = json.loads(result.stdout)
    assert (summary["datasets"], summary["items"], summary["rows"], summary["keys"]) == (60, 1860, 2340, 0)
    assert summary["by_track"]["agent"] == {"datasets": 14, "items": 420, "rows": 420}
    assert len(summary["media"]["missing"]) == 172
    assert summary["into"] is None


@pytest.mark.parametrize("command", ["import", "validate"])
def test_help_has_examples(command):
    result = run(command, "--help")
    assert "Examples:" in result.stdout
    assert f"  medbench items {command} " in result.stdout


def test_a_usage_error_is_told():
    assert run("import", "x", "--format", "excel").exit_code == 2
