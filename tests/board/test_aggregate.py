from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.board.aggregate import aggregate, official_members, read_scores
from medbench.catalog import load_catalog
from medbench.errors import InputError


def test_the_published_figures_come_out(shared, tmp_path):
    published = json.loads((shared / "facts" / "medbench_v4_leaderboard.json").read_text("utf-8"))
    catalog = load_catalog()
    checked = 0
    for track in ("llm", "agent"):
        for system in published[track]:
            path = tmp_path / "scores.json"
            path.write_text(json.dumps(system["datasets"]))
            result = aggregate(read_scores(path, track, catalog), track, catalog)
            hidden = {name for name in system["dimensions"] if name == "memory_context"}
            for name, value in system["dimensions"].items():
                assert result.dimensions[name] == (None if name in hidden else value), (system["system"], name)
            assert result.overall == (None if hidden else system["overall"])
            assert result.incomplete == (("MedLongConv", "MedLongQA") if hidden else ())
            checked += 1
    assert checked == 6


def test_a_missing_dataset_makes_its_dimension_and_the_overall_incomplete():
    catalog = load_catalog()
    members = official_members(catalog, "llm")
    scores = {name: Decimal(80) for names in members.values() for name in names if name != "MedTerm"}
    result = aggregate(scores, "llm", catalog)
    assert result.overall is None
    assert result.dimensions["language_understanding"] is None
    assert result.dimensions["knowledge_qa"] == 80.0
    assert result.incomplete == ("MedTerm",)


def test_rounding_is_decimal_half_up_and_for_display_only():
    catalog = load_catalog()
    members = official_members(catalog, "multimodal")
    scores = {name: Decimal("59.45") for names in members.values() for name in names}
    result = aggregate(scores, "multimodal", catalog)
    assert result.overall == 59.5
    assert result.unrounded["overall"] == "59.45"


@given(st.decimals(0, 100, places=1))
def test_equal_scores_aggregate_to_themselves(score):
    catalog = load_catalog()
    scores = {name: score for names in official_members(catalog, "agent").values() for name in names}
    assert Decimal(str(aggregate(scores, "agent", catalog).overall)) == score


def test_every_wrong_entry_is_named_at_once(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text('{"MedExam": 101, "MedExamm": 3, "MedCOT": 50, "MedHC": "80", "MedMC": 80, "MedTerm": null}')
    with pytest.raises(InputError) as caught:
        read_scores(path, "llm", load_catalog())
    assert [problem.field for problem in caught.value.problems] == ["MedExam", "MedExamm", "MedCOT", "MedHC"]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"MedExam": 1, "MedExam": 2}', '{"MedExam": NaN}', "[" * 100_000])
def test_what_is_no_object_of_scores_is_refused(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(InputError):
        read_scores(path, "llm", load_catalog())
