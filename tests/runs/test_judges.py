"""What a judge file may say."""

from __future__ import annotations

import pytest

from medbench.errors import InputError
from medbench.runs.judges import read_judge
from medbench.runs.suite import run_suite

WRONG = {
    "concurrency": "-3",
    "price_input": "-1.0",
    "price_output": "nan",
    "timeout_s": "0.0",
    "repeats": "99",
    "points": '"all"',
    "colour": '"red"',
    "model": '"answers:items.jsonl"',
}


def test_all_that_is_wrong_with_a_judge_file_is_told_at_once(tmp_path):
    file = tmp_path / "judge.toml"
    file.write_text("".join(f"{name} = {value}\n" for name, value in WRONG.items()))
    with pytest.raises(InputError) as error:
        read_judge(str(file))
    assert sorted((each.file, each.field) for each in error.value.problems) == sorted(
        (str(file), name) for name in WRONG
    )


def test_a_suite_tells_it_of_a_judge_of_its_own(tmp_path):
    file = tmp_path / "suite.yaml"
    file.write_text(
        "items: i.jsonl\nmodels: [{name: a, model: 'local:smollm2'}]\n"
        "judges: [{model: 'answers:a.jsonl', concurrency: 0, timeout_s: 0}]\n"
    )
    with pytest.raises(InputError) as error:
        run_suite(file, tmp_path / "out")
    assert {each.field for each in error.value.problems} == {
        "judges[0].model", "judges[0].concurrency", "judges[0].timeout_s"
    }  # fmt: skip


def test_answers_given_elsewhere_are_no_judge(tmp_path):
    with pytest.raises(InputError, match="answers given elsewhere"):
        read_judge("answers:items.jsonl")


def test_a_file_that_is_no_toml_or_not_there_is_refused(tmp_path):
    file = tmp_path / "judge.toml"
    for content in (b"model =", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(InputError, match="is no judge file"):
            read_judge(str(file))
    with pytest.raises(InputError, match="is no judge file"):
        read_judge(str(tmp_path / "gone.toml"))
