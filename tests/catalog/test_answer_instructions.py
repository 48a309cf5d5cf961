"""How a question tells the model to answer."""

from __future__ import annotations

import pytest

from medbench.catalog import (
    Bilingual,
    BoxesForm,
    ChoiceForm,
    FieldsForm,
    LabelForm,
    Part,
    TextForm,
    default_instruction,
    load_catalog,
)


def instruction(form, language="en") -> str:
    return default_instruction(Part(form, ("llm_judge",)), language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_prose_needs_none_and_every_other_form_has_one(language):
    for dataset in load_catalog().datasets.values():
        for part in dataset.parts:
            text = default_instruction(part, language)
            prose = isinstance(part.answer, TextForm) and part.answer.what != "sql"
            needed = part.instruction is not None or not prose
            assert bool(text) == needed, dataset.name
            assert "$" not in text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_closed_lists_and_keys_are_named(language):
    text = instruction(LabelForm(labels=("甲", "乙"), multiple=True, none_label="无"), language)
    assert all(f in text for f in ("甲", "乙", "无"))
    assert all(key in instruction(FieldsForm(fields=("身高", "体重")), language) for key in ("身高", "体重"))
    assert "未知" in instruction(FieldsForm(unknown=("未知", "不详")), language)
    assert '"结局"' in instruction(LabelForm(labels=("甲",), within="结局"), language).replace("“", '"').replace(
        "”", '"'
    )
    boxes = instruction(BoxesForm(labels=("癌",), none_label="无病变"), language)
    assert '[{"类别": ["无病变"], "边界框": []}]' in boxes
    corrections = instruction(LabelForm(labels=("甲",), multiple=True, correction_keys=("类型", "建议")), language)
    assert '"类型"' in corrections
    assert '"建议"' in corrections


def test_one_and_several_are_told_apart():
    assert instruction(ChoiceForm()) != instruction(ChoiceForm(multiple=True))
    assert instruction(LabelForm()) != instruction(LabelForm(multiple=True))
    assert "SQL" in instruction(TextForm(what="sql"))
    assert instruction(TextForm()) == ""


def test_own_instruction_goes_first_and_is_never_a_template():
    part = Part(ChoiceForm(), ("accuracy",), instruction=Bilingual("只写 $labels {x}", "Write $labels {x}"))
    assert default_instruction(part, "zh") == "只写 $labels {x}"
    assert default_instruction(part, "en") == "Write $labels {x}"


def test_labels_are_data():
    assert "$none ${x} {y}" in instruction(LabelForm(labels=("$none ${x} {y}",)))
