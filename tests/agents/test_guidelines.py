"""Retrieval: passages, their places, their rank."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents.orchestration.guidelines import K1, LONGEST_PASSAGE, B, Guidelines, cut, split_long, terms
from medbench.agents.orchestration.notes import checked, parted
from medbench.errors import InputError


def test_passages_are_quoted_letter_by_letter_from_the_line_that_is_named():
    text = "# One\n\nFirst paragraph,\nsecond line.\n\n" + "A long sentence. " * 80 + "\n\n## Two\nLast.\n"
    lines = text.splitlines()
    found = list(cut(text))
    assert found[0] == (1, "# One\nFirst paragraph,\nsecond line.")
    assert found[-1] == (8, "## Two\nLast.")
    for line, passage in found:
        assert len(passage) <= LONGEST_PASSAGE
        assert passage.splitlines()[0].strip() in lines[line - 1]


@given(st.text(alphabet="ab。\n# ", max_size=900))
def test_no_text_is_lost_in_passages(text):
    kept = "".join(passage for _, passage in cut(text))
    assert "".join(kept.split()) == "".join(text.split())


@given(st.text(alphabet="ab。;\n ", max_size=400), st.integers(3, 50))
def test_a_long_text_is_split_without_loss(text, longest):
    pieces = split_long(text, longest)
    assert "".join(pieces) == text
    assert all(len(piece) <= longest for piece in pieces)


@given(st.text(alphabet="ab。\n", min_size=1, max_size=3000), st.integers(40, 2000))
def test_a_prompt_falls_into_beginning_middle_and_end(text, longest):
    head, middle, tail = parted(text, longest)
    assert head + middle + tail == text
    assert len(head) + len(tail) <= longest // 2


def test_terms_are_words_and_pairs_of_chinese_characters():
    assert terms("用 5 mg/kg 阿司匹林") == ["5", "mg/kg", "用", "阿司", "司匹", "匹林"]


def test_rank_is_bm25(tmp_path):
    (tmp_path / "a.md").write_text("aspirin aspirin stroke\n\nstroke care\n\nfluid balance today\n", "utf-8")
    guidelines = Guidelines(tmp_path)
    first, second = guidelines.search("aspirin stroke", 5)
    lengths, mean = (3, 2), 8 / 3

    def part(count, holding, length):
        idf = math.log(1 + (3 - holding + 0.5) / (holding + 0.5))
        return idf * count * (K1 + 1) / (count + K1 * (1 - B + B * length / mean))

    assert first.score == pytest.approx(part(2, 1, lengths[0]) + part(1, 2, lengths[0]), abs=1e-3)
    assert second.score == pytest.approx(part(1, 2, lengths[1]), abs=1e-3)
    assert guidelines.search("nothing of it", 5) == []


def test_no_guidelines_and_broken_ones_are_input_errors(tmp_path):
    with pytest.raises(InputError):
        Guidelines(tmp_path / "nowhere")
    (tmp_path / "a.md").write_bytes(b"\xff\xfe")
    (tmp_path / "b.txt").write_bytes(b"\xff")
    with pytest.raises(InputError) as caught:
        Guidelines(tmp_path)
    assert len(caught.value.problems) == 2


def test_quotations_that_are_not_in_the_text_leave_the_notes():
    written = '- potassium | "血钾 3.5"\n- made up | "从未写过"\n- without'
    notes, quotes, unfound = checked(written, "昨日血钾\n3.5 mmol/L")
    assert notes == '- potassium | "血钾 3.5"\n- made up\n- without'
    assert (quotes, unfound) == (["血钾 3.5"], ["从未写过"])
    assert checked("无。", "x") == ("", [], [])
