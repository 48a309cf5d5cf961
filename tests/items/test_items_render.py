from __future__ import annotations

from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.catalog.instructions import default_instruction
from medbench.catalog.load import load_catalog
from medbench.errors import InputError
from medbench.items.model import Question, Variant
from medbench.items.render import keeps_its_place, make_variants, render


def question(*options: str, **fields: object) -> Question:
    return Question(id="1", dataset="MedExam", text="首选药物是", options=options, **fields)  # type: ignore[arg-type]


def displayed(item: Question, variant: Variant) -> list[str]:
    return [item.options[index] for index in variant.order or range(len(item.options))]


@pytest.mark.parametrize(
    "option",
    [
        "以上都对",
        "以上都不是",
        "以上均非",
        "以上答案全是",
        "上述各项均正确",
        "都对",
        "均不正确",
        "A和B",
        "A、B、C都对",
        "AB",
        "A+C",
        "All of the above",
        "none of the above",
        "Both A and B",
        "A, B and C",
        "A & D",
        "Neither of the above",
        "选项A",
    ],
)
def test_options_about_other_options_keep_their_place(option):
    assert keeps_its_place(option, 5)


@pytest.mark.parametrize(
    "option",
    [
        "维生素A和维生素D",
        "B和T细胞",
        "以上腹痛为主",
        "38℃以上",
        "A型",
        "B超",
        "ACTH",
        "肝炎",
        "A1 and C3 fractions",
        "C00H",
        "All patients",
        "Both kidneys",
        "None",
        "Aspirin",
        "Cd",
        "DNA",
        "全部切除",
    ],
)
def test_medical_words_are_not_taken_for_references(option):
    assert not keeps_its_place(option, 5)


@given(st.integers(2, 9), st.data())
def test_rotation_brings_every_movable_option_to_every_movable_place(count, data):
    fixed = data.draw(st.sets(st.integers(0, count - 1), max_size=count))
    item = question(*("以上都不是" if index in fixed else f"药物{index}" for index in range(count)))
    variants = make_variants(item, "rotate")
    free = [index for index in range(count) if index not in fixed]
    assert len(variants) == max(1, len(free))
    assert variants[0] == Variant()
    for variant in variants:
        assert sorted(displayed(item, variant)) == sorted(item.options)
        assert all(displayed(item, variant)[place] == "以上都不是" for place in fixed)
    if len(free) > 1:
        for place in free:
            assert {displayed(item, variant)[place] for variant in variants} == {item.options[index] for index in free}


def test_all_orders_and_their_limit():
    assert len(set(make_variants(question(*"abcde"), "all"))) == factorial(5)
    assert len(make_variants(question("a", "b", "c", "以上都对"), "all")) == factorial(3)
    with pytest.raises(InputError, match="rotate"):
        make_variants(question(*"abcdef"), "all")


def test_variants_that_came_with_the_item_are_used_as_they_came():
    own = (Variant(prompt="一", row=1), Variant(order=(1, 0), prompt="二", row=2))
    item = question("a", "b", variants=own)
    assert make_variants(item, "rotate") == make_variants(item, "all") == own
    assert make_variants(item, "first") == own[:1]


def test_a_question_without_options_is_asked_once():
    assert make_variants(question(), "rotate") == (Variant(),)


def test_rendering_letters_follow_the_variant():
    part = load_catalog().dataset("MedExam").part("")
    text = render(question("青霉素", "红霉素"), Variant(order=(1, 0)), part, default_instruction(part, "zh"))
    assert text.startswith("首选药物是\n\nA. 红霉素\nB. 青霉素\n\n")
    assert text.endswith(default_instruction(part, "zh"))


def test_a_verbatim_prompt_is_never_touched():
    part = load_catalog().dataset("MedExam").part("")
    assert render(question("a", "b"), Variant(prompt=" 原文 \n", row=3), part, "x") == " 原文 \n"


def test_a_closed_list_is_shown_unless_the_question_names_it():
    part = load_catalog().dataset("MedHG").part("")
    item = Question(id="1", dataset="MedHG", text="胸痛应挂什么科？", options=("心内科", "呼吸科"))
    assert "可选标签：心内科、呼吸科" in render(item, Variant(), part, "")
    item = Question(id="1", dataset="MedHG", text="胸痛应挂什么科？心内科、呼吸科", options=("心内科", "呼吸科"))
    assert render(item, Variant(), part, "只回答科室。") == "胸痛应挂什么科？心内科、呼吸科\n\n只回答科室。"
