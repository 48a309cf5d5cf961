"""One's own datasets: read, checked and put beside the official ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.catalog import (
    Bilingual,
    BoxesForm,
    ChoiceForm,
    Dataset,
    FieldsForm,
    LabelForm,
    MaskForm,
    Metric,
    OfficialFile,
    Part,
    StateForm,
    TextForm,
    load_catalog,
)
from medbench.catalog.check import metric_fits
from medbench.errors import InputError
from medbench.text import LANGUAGES, current_language, set_language

OWN = """
name = "WardRounds"
track = "llm"
dimension = "knowledge_qa"
title = { zh = "查房", en = "Ward rounds" }
description = { zh = "本院查房题。", en = "Questions of our ward rounds." }
source = "Our hospital"

[[parts]]
metrics = ["accuracy_circular"]
answer = { form = "choice" }
"""


def own(**changes) -> Dataset:
    base = Dataset(
        name="WardRounds",
        track="llm",
        dimension="knowledge_qa",
        title=Bilingual("查房", "Ward rounds"),
        description=Bilingual("本院查房题。", "Questions of our ward rounds."),
        parts=(Part(ChoiceForm(), ("accuracy",)),),
    )
    return msgspec.structs.replace(base, **changes)


def with_answer(form, *metrics) -> Dataset:
    return own(parts=(Part(form, metrics or ("llm_judge",)),))


def write(folder: Path, text: str, name: str = "own.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def problems_of(source) -> list:
    with pytest.raises(InputError) as caught:
        load_catalog().with_datasets(source)
    return list(caught.value.problems)


def test_own_datasets_stand_behind_the_official_ones(tmp_path):
    catalog = load_catalog()
    extended = catalog.with_datasets(write(tmp_path / "own", OWN))
    assert list(extended.datasets) == [*catalog.datasets, "WardRounds"]
    assert extended.dataset("WardRounds").source == "Our hospital"
    assert extended.specialties == catalog.specialties
    assert extended.version != catalog.version
    assert "WardRounds" not in catalog.datasets


def test_version_follows_the_content_not_the_way_it_came():
    catalog = load_catalog()
    once = catalog.with_datasets([own()])
    assert once.version == catalog.with_datasets(iter([own()])).version
    assert once.with_datasets([own()]).version == once.version
    assert catalog.with_datasets([own(source="elsewhere")]).version != once.version


def test_a_new_dimension_is_made_once():
    extended = load_catalog().with_datasets(
        [
            own(dimension="ward_rounds"),
            own(name="Second", dimension="ward_rounds"),
            own(name="Third", track="imaging", dimension="lesions"),
        ]
    )
    assert [d.id for d in extended.dimensions("llm")][-1] == "ward_rounds"
    assert len(extended.dimensions("llm")) == 6
    imaging = extended.dimensions("imaging")[-1]
    assert imaging.title == Bilingual("lesions", "lesions")


def test_every_problem_of_every_file_in_one_error(tmp_path):
    folder = tmp_path / "own"
    write(folder, OWN.replace('"llm"', '"speech"'), "a.toml")
    write(folder, OWN.replace('name = "WardRounds"', 'name = "MedExam"'), "b.toml")
    write(folder, OWN.replace('{ form = "choice" }', '{ form = "choice", multiple = true }'), "c.toml")
    write(folder, OWN.replace("[[parts]]", "[[parts"), "d.toml")
    (folder / "e.toml").write_bytes(OWN.encode("gb18030"))
    write(folder, OWN.replace("track =", "trakc ="), "f.toml")
    write(folder, OWN.replace('metrics = ["accuracy_circular"]', "metrics = [3]"), "g.toml")
    write(folder, OWN.replace('zh = "查房"', 'zh = " "').replace("knowledge_qa", "tool_use"), "h.toml")
    found = {(Path(problem.file).name, problem.field, problem.line) for problem in problems_of(folder)}
    assert found == {
        ("a.toml", "track", None),
        ("b.toml", "name", None),
        ("c.toml", "parts[0].metrics", None),
        ("d.toml", None, 9),
        ("e.toml", None, None),
        ("f.toml", "trakc", None),
        ("g.toml", "parts[0].metrics[0]", None),
        ("h.toml", "title.zh", None),
        ("h.toml", "dimension", None),
    }


def test_missing_field_is_named(tmp_path):
    text = OWN.replace('answer = { form = "choice" }\n', "")
    (problem,) = problems_of(write(tmp_path / "own", text))
    assert problem.field == "parts[0].answer"


def test_byte_order_mark_is_no_part_of_the_text(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.toml").write_bytes(OWN.encode("utf-8-sig"))
    assert "WardRounds" in load_catalog().with_datasets(str(folder)).datasets


def test_folder_must_exist_and_hold_datasets(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        (problem,) = problems_of(folder)
        assert problem.file == str(folder)
        assert ".toml" in problem.advice


def test_same_content_may_come_again_other_content_may_not():
    catalog = load_catalog()
    assert catalog.with_datasets([catalog.dataset("MedHG")]).version == catalog.version
    (problem,) = problems_of([msgspec.structs.replace(catalog.dataset("MedHG"), source="copy")])
    assert problem.field == "MedHG.name"
    (problem,) = problems_of([own(), own(source="other")])
    assert problem.field == "WardRounds.name"


def two_parts(first: str, second: str) -> tuple[Part, Part]:
    return Part(TextForm(), ("llm_judge",), name=first), Part(TextForm(), ("llm_judge",), name=second)


@pytest.mark.parametrize(
    ("dataset", "field"),
    [
        (own(name="a/b"), "name"),
        (own(name="../a"), "name"),
        (own(name=""), "name"),
        (own(name="x" * 65), "name"),
        (own(dimension="Knowledge QA"), "dimension"),
        (own(dimension="tool_use"), "dimension"),
        (own(title=Bilingual("查房", "")), "title.en"),
        (own(description=Bilingual("红\x1b[31m", "red")), "description.zh"),
        (own(source="a\x07"), "source"),
        (own(parts=()), "parts"),
        (own(parts=two_parts("A", "A")), "parts[1].name"),
        (own(parts=two_parts("A", "")), "parts[1].name"),
        (own(parts=two_parts("A", "b/c")), "parts[1].name"),
        (own(parts=(Part(ChoiceForm(), ()),)), "parts[0].metrics"),
        (own(parts=(Part(ChoiceForm(), ("accuracy", "accuracy")),)), "parts[0].metrics"),
        (own(parts=(Part(TextForm(), ("llm_judge",), instruction=Bilingual("", "x")),)), "parts[0].instruction.zh"),
        (
            own(parts=(Part(TextForm(), ("llm_judge",), official=OfficialFile("f.jsonl", 4, 3)),)),
            "parts[0].official.rows",
        ),
        (
            own(parts=(Part(TextForm(), ("llm_judge",), official=OfficialFile("../f.jsonl", 3, 3)),)),
            "parts[0].official.name",
        ),
        (with_answer(LabelForm(labels=("甲", "甲"))), "parts[0].answer.labels"),
        (with_answer(LabelForm(labels=("A", "Ａ"))), "parts[0].answer.labels"),
        (with_answer(LabelForm(labels=("甲", " "))), "parts[0].answer.labels"),
        (with_answer(LabelForm(labels=("甲",), synonyms={"a": "乙"})), "parts[0].answer.synonyms"),
        (with_answer(LabelForm(labels=("甲", "乙"), synonyms={"甲": "乙"})), "parts[0].answer.synonyms"),
        (with_answer(LabelForm(question_pattern="(")), "parts[0].answer.question_pattern"),
        (with_answer(LabelForm(question_pattern="科室：.+")), "parts[0].answer.question_pattern"),
        (with_answer(LabelForm(labels=("甲",), question_pattern="(.)")), "parts[0].answer.question_pattern"),
        (with_answer(LabelForm(labels=("甲",), none_label="无")), "parts[0].answer.none_label"),
        (with_answer(LabelForm(labels=("甲", "无"), none_label="无", multiple=True)), "parts[0].answer.none_label"),
        (with_answer(LabelForm(labels=("甲",), correction_keys=("a", "b"))), "parts[0].answer.correction_keys"),
        (
            with_answer(LabelForm(labels=("甲",), multiple=True, correction_keys=("a", "a"))),
            "parts[0].answer.correction_keys",
        ),
        (
            with_answer(LabelForm(labels=("甲",), multiple=True, within="c", correction_keys=("a", "b"))),
            "parts[0].answer.correction_keys",
        ),
        (with_answer(LabelForm(labels=("甲",), within="")), "parts[0].answer.within"),
        (with_answer(FieldsForm(fields=("a", "a"))), "parts[0].answer.fields"),
        (with_answer(FieldsForm(unknown=("无",), absent=("无",))), "parts[0].answer.absent"),
        (with_answer(FieldsForm(tolerance=-0.1)), "parts[0].answer.tolerance"),
        (with_answer(FieldsForm(tolerance=float("nan"))), "parts[0].answer.tolerance"),
        (with_answer(BoxesForm()), "parts[0].answer.labels"),
        (with_answer(BoxesForm(labels=("无",), none_label="无")), "parts[0].answer.none_label"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_problem_names_its_field(dataset, field, language):
    before = current_language()
    set_language(language)
    try:
        (problem,) = problems_of([dataset])
    finally:
        set_language(before)
    assert problem.field == f"{dataset.name}.{field}"
    assert problem.message


FITTING: dict[Metric, list] = {
    "accuracy": [ChoiceForm(), ChoiceForm(multiple=True), LabelForm(), LabelForm(multiple=True)],
    "accuracy_circular": [ChoiceForm()],
    "accuracy_field": [FieldsForm()],
    "micro_f1": [LabelForm(multiple=True), FieldsForm(compare="characters")],
    "detection_iou": [BoxesForm()],
    "lesion_dice": [MaskForm()],
    "environment_state": [StateForm()],
    "refusal": [TextForm(what="request")],
}
FORMS = [
    ChoiceForm(),
    ChoiceForm(multiple=True),
    LabelForm(),
    LabelForm(multiple=True),
    FieldsForm(),
    FieldsForm(compare="characters"),
    BoxesForm(),
    MaskForm(),
    StateForm(),
    TextForm(),
    TextForm(what="sql"),
    TextForm(what="request"),
]


@pytest.mark.parametrize("metric", FITTING)
def test_metrics_fit_only_the_forms_they_are_defined_on(metric):
    assert [form for form in FORMS if metric_fits(metric, form)] == FITTING[metric]


def test_judges_read_every_form():
    assert all(metric_fits("llm_judge", form) and metric_fits("keypoint_macro_recall", form) for form in FORMS)


@given(labels=st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5), target=st.text(min_size=1, max_size=6))
def test_checking_never_fails_on_strange_text(labels, target):
    dataset = with_answer(LabelForm(labels=tuple(labels), multiple=True, synonyms={target: target}, none_label=target))
    # `target` is label and synonym at once, which is always wrong.
    assert any(problem.field.endswith("synonyms") for problem in problems_of([dataset]))
