"""HealthBench's format: what a row becomes, and what is said of wrong rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medbench.errors import InputError
from medbench.items.importing import ImportRequest, import_items
from medbench.items.keys import open_keys
from medbench.items.source import open_source

SAMPLE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "samples" / "healthbench.jsonl"
ROW = {
    "prompt_id": "p",
    "prompt": [
        {"role": "user", "content": "Hot child."},
        {"role": "assistant", "content": "How old?"},
        {"role": "user", "content": "Two months."},
    ],
    "rubrics": [
        {"criterion": "sends to a doctor", "points": 10, "tags": ["axis:accuracy"]},
        {"criterion": "waits", "points": -5, "tags": []},
    ],
    "example_tags": ["theme:emergency_referrals"],
    "ideal_completions_data": {"ideal_completion": "See a doctor today.", "ideal_completions_group": "x"},
    "canary": "passed over",
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def import_file(path: Path, **more: object):
    outcome = import_items(ImportRequest(path=path, format="healthbench", **more))
    outcome.report.raise_errors()
    return outcome.summary


def test_a_conversation_becomes_turns_and_a_question_and_rubrics_become_criteria(tmp_path):
    summary = import_file(write(tmp_path / "hb.jsonl", ROW), into=tmp_path / "bank")
    assert (summary.items, summary.keys, summary.by_dataset) == (1, 1, {"HealthBench": {"items": 1, "rows": 1}})
    source = open_source(tmp_path / "bank")
    (question,) = source.questions()
    assert source.catalog.dataset("HealthBench").parts[0].metrics == ("rubric_points",)
    assert (question.text, question.language, question.tags) == ("Two months.", "en", ("theme:emergency_referrals",))
    assert [(turn.role, turn.content) for turn in question.turns] == [("user", "Hot child."), ("assistant", "How old?")]
    (key,) = open_keys(tmp_path / "bank").keys()
    assert [(each.text, each.points, each.tags) for each in key.criteria] == [
        ("sends to a doctor", 10.0, ("axis:accuracy",)),
        ("waits", -5.0, ()),
    ]
    assert key.answer == "See a doctor today."


def test_the_question_does_not_tell_its_key(tmp_path):
    import_file(write(tmp_path / "hb.jsonl", ROW), into=tmp_path / "bank")
    questions = (tmp_path / "bank" / "questions.sqlite").read_bytes()
    assert b"Two months." in questions
    for secret in (b"sends to a doctor", b"axis:accuracy", b"See a doctor"):
        assert secret not in questions


def test_an_empty_list_is_told_as_one(tmp_path):
    with pytest.raises(InputError) as caught:
        import_file(write(tmp_path / "hb.jsonl", {**ROW, "rubrics": []}), into=tmp_path / "bank")
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (1, "rubrics")
    assert "length >= 1" in problem.message


def test_everything_that_is_wrong_is_told_at_once_with_line_and_field(tmp_path):
    rubrics = ROW["rubrics"]
    wrong = [
        {**ROW, "prompt_id": 5, "prompt": []},
        {key: value for key, value in ROW.items() if key != "rubrics"},
        {**ROW, "prompt_id": "b", "prompt": ROW["prompt"][:2]},
        {**ROW, "prompt_id": "c", "prompt": [{"role": "tool", "content": "x"}, ROW["prompt"][2]]},
        {**ROW, "prompt_id": "d", "rubrics": [{"criterion": 1, "points": 1}, {"criterion": "x", "points": "many"}]},
        {
            **ROW,
            "prompt_id": "e",
            "rubrics": [rubrics[0], {"criterion": " ", "points": 1}, {"criterion": "x", "points": 0}],
        },
        {**ROW, "prompt_id": "f", "rubrics": rubrics[1:]},
        {**ROW, "prompt_id": "g", "rubrics": rubrics * 251},
        {**ROW, "example_tags": [1], "meta": [], "ideal_completions_data": {"ideal_completion": 1}},
        ROW,
        ROW,
        {**ROW, "prompt_id": "h", "prompt": [{"role": "user", "content": " "}]},
    ]
    path = write(tmp_path / "hb.jsonl", *wrong)
    with path.open("a") as file:
        file.write("{broken\n[]\n")
    with pytest.raises(InputError) as caught:
        import_file(path, into=tmp_path / "bank")
    assert [(problem.line, problem.field) for problem in caught.value.problems] == [
        (1, "prompt"),
        (1, "prompt_id"),
        (2, "rubrics"),
        (3, "prompt[1]"),
        (4, "prompt[0]"),
        (5, "rubrics[0]"),
        (5, "rubrics[1]"),
        (6, "rubrics[1]"),
        (6, "rubrics[2]"),
        (7, "rubrics"),
        (8, "rubrics"),
        (9, "example_tags"),
        (9, "meta"),
        (9, "ideal_completions_data"),
        (11, "id"),
        (12, "prompt"),
        (13, None),
        (14, None),
    ]
    assert not (tmp_path / "bank").exists()
    told = "\n".join(map(str, caught.value.problems))
    assert "many" not in told, "contents of a key are not repeated"


def test_bad_rows_can_be_set_aside(tmp_path):
    path = write(tmp_path / "hb.jsonl", ROW, {**ROW, "prompt_id": "b", "rubrics": []})
    summary = import_file(path, skip_invalid=tmp_path / "rejected.jsonl")
    assert (summary.items, summary.skipped) == (1, 1)
    (line,) = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["row"]["prompt_id"] == "b"


def test_a_catalog_of_ones_own_may_define_the_dataset(tmp_path):
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "HealthBench.toml").write_text(
        'name = "HealthBench"\ntrack = "llm"\ndimension = "own"\nsource = "ours"\n'
        'title = { zh = "甲", en = "a" }\ndescription = { zh = "甲", en = "a" }\n'
        '[[parts]]\nmetrics = ["rubric_points", "llm_judge"]\nanswer = { form = "text" }\n'
    )
    import_file(write(tmp_path / "hb.jsonl", ROW), catalog_folder=folder, into=tmp_path / "bank")
    part = open_source(tmp_path / "bank").catalog.dataset("HealthBench").parts[0]
    assert part.metrics == ("rubric_points", "llm_judge")


def test_a_mapping_is_refused(tmp_path):
    with pytest.raises(InputError, match="--mapping"):
        import_file(write(tmp_path / "hb.jsonl", ROW), mapping=tmp_path / "x.toml")


def test_the_sample_in_the_docs_is_valid_bilingual_and_marked_as_illustrative(tmp_path):
    summary = import_file(SAMPLE, into=tmp_path / "bank")
    questions = list(open_source(tmp_path / "bank").questions())
    assert summary.items == len(questions) == 4
    assert {question.language for question in questions} == {"zh", "en"}
    assert all(question.meta["illustrative"] is True for question in questions)
    assert any(question.turns for question in questions)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"criteria": [{"text": "x", "points": 0}]}, "criteria"),
        ({"criteria": [{"text": "", "points": 1}]}, "criteria[0]"),
        ({"criteria": [{"text": "x", "points": 1, "weight": 2}]}, "criteria"),
        ({"turns": [{"role": "tool", "content": "x"}]}, "turns[0]"),
        ({"turns": [{"role": "doctor", "content": "x"}]}, "turns"),
        ({"key_points": [{"text": "x"}] * 501}, "key_points"),
    ],
)
def test_item_jsonl_carries_criteria_and_turns_too(tmp_path, more, field):
    item = {"id": "1", "dataset": "MedHC", "question": "Q?"}
    good = {"criteria": [{"text": "x", "points": 2}], "turns": [{"role": "user", "content": "before"}]}
    path = write(tmp_path / "items.jsonl", {**item, **good})
    assert [len(question.turns) for question in open_source(path).questions()] == [1]
    with pytest.raises(InputError) as caught:
        open_source(write(tmp_path / "bad.jsonl", {**item, **more}))
    assert field in [problem.field for problem in caught.value.problems]
