from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.catalog.model import BoxesForm, ChoiceForm, FieldsForm, LabelForm, TextForm
from medbench.scoring.extract import extract
from medbench.scoring.metrics import mark
from medbench.scoring.model import Extraction, Marking

OPTIONS = ("a", "b", "c")
FILM = LabelForm(
    labels=("体位不正", "偏中心", "吸气不足"), multiple=True, none_label="无问题", synonyms={"不居中": "偏中心"}
)
BILL = FieldsForm(fields=("总费用", "个人支付"), tolerance=0.01)
RECORD = FieldsForm(unknown=("未知", "无"))
OCR = FieldsForm(fields=("影像描述", "影像诊断"), compare="characters")


def test_choice_is_right_or_wrong_as_a_whole():
    for metric in ("accuracy", "accuracy_circular"):
        assert mark(metric, ChoiceForm(), extract(ChoiceForm(), "B", OPTIONS), frozenset({1}), OPTIONS) == Marking(1.0)
        assert mark(metric, ChoiceForm(), extract(ChoiceForm(), "C", OPTIONS), frozenset({1}), OPTIONS) == Marking(0.0)
        assert mark(metric, ChoiceForm(), extract(ChoiceForm(), "?", OPTIONS), frozenset({1}), OPTIONS) == Marking(0.0)
    form = ChoiceForm(multiple=True)
    for text, value in (("AC", 1.0), ("CA", 1.0), ("A", 0.0), ("ABC", 0.0)):
        assert mark("accuracy", form, extract(form, text, OPTIONS), frozenset({0, 2}), OPTIONS).value == value


def test_labels_are_right_as_a_whole_set():
    for text, answer, value in (
        ("体位不正|偏中心", ["偏中心", "体位不正"], 1.0),
        ("体位不正|不居中", ["偏中心", "体位不正"], 1.0),
        ("体位不正", ["偏中心", "体位不正"], 0.0),
        ("无问题", ["无问题"], 1.0),
        ("无问题", [], 1.0),
        ("体位不正", [], 0.0),
        ("体位不正|旋转", ["体位不正"], 0.0),
        ("看不清", [], 0.0),
    ):
        assert mark("accuracy", FILM, extract(FILM, text), answer).value == value, text


@pytest.mark.parametrize(
    ("text", "answer", "marking"),
    [
        ("体位不正|偏中心", ["体位不正"], Marking(2 / 3, 1, 1, 0)),
        ("体位不正", ["体位不正", "偏中心"], Marking(2 / 3, 1, 0, 1)),
        ("体位不正|旋转", ["体位不正"], Marking(2 / 3, 1, 1, 0)),
        ("无问题", ["体位不正"], Marking(0.0, 0, 0, 1)),
        ("体位不正", ["无问题"], Marking(0.0, 0, 1, 0)),
        ("无问题", ["无问题"], Marking(None)),
        ("看不清", ["体位不正", "偏中心"], Marking(0.0, 0, 0, 2)),
        ("看不清", ["无问题"], Marking(0.0)),
    ],
)
def test_micro_f1_counts_labels(text, answer, marking):
    assert mark("micro_f1", FILM, extract(FILM, text), answer) == marking


def test_labels_of_the_item_serve_as_the_list():
    form = LabelForm()
    assert (
        mark("accuracy", form, extract(form, "胰腺癌。", ("胰腺癌", "胰腺炎")), ["胰腺癌"], ("胰腺癌", "胰腺炎")).value
        == 1
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"总费用": 100, "个人支付": 20.5}', 1.0),
        ('{"总费用": "100.00元", "个人支付": 20.51}', 1.0),
        ('{"总费用": 100, "个人支付": 20.52}', 0.5),
        ('{"总费用": 100}', 0.5),
        ('{"总费用": 100, "个人支付": 20.5, "备注": ""}', 2 / 3),
        ('{"总费用": 100, "备注": ""}', 1 / 3),
        ('{"总 费用": "１００", "个人支付": "20.5"}', 1.0),
        ("无法计算", 0.0),
    ],
)
def test_field_accuracy_is_matches_over_required_and_given(text, value):
    assert mark("accuracy_field", BILL, extract(BILL, text), {"总费用": "100", "个人支付": "20.5"}).value == value


def test_the_key_names_the_fields_where_the_form_does_not():
    answer = {"体温(℃)": "37", "既往史": "未知"}
    found = extract(RECORD, '{"体温（℃）": "37℃", "既往史": "无"}', fields=tuple(answer))
    assert mark("accuracy_field", RECORD, found, answer).value == 1.0
    found = extract(RECORD, '{"体温（℃）": "37℃"}', fields=tuple(answer))
    assert mark("accuracy_field", RECORD, found, answer).value == 0.5


def test_character_f1_by_hand():
    answer = {"影像描述": "双肺清晰", "影像诊断": "未见异常"}
    for text, wanted in (
        ('{"影像描述": "双肺 清淅", "影像诊断": "未见异常"}', Marking(7 / 8, 7, 1, 1)),
        ('{"影像描述": "双肺清晰"}', Marking(2 / 3, 4, 0, 4)),
        ('{"影像描述": "双肺清晰", "x": "ab"}', Marking(8 / 14, 4, 2, 4)),
        ("无", Marking(0.0, 0, 0, 8)),
    ):
        assert msgspec.structs.replace(mark("micro_f1", OCR, extract(OCR, text), answer), details=()) == wanted
    # Characters in the wrong field are wrong.
    swapped = extract(OCR, '{"影像描述": "未见异常", "影像诊断": "双肺清晰"}')
    assert mark("micro_f1", OCR, swapped, answer).value == 0.0


@given(st.text("双肺清晰 未见AＡ1", max_size=12), st.text("双肺清晰 未见AＡ1", max_size=12))
def test_character_f1_against_a_count(given_text, expected):
    def count(text: str) -> Counter[str]:
        return Counter(text.replace("Ａ", "A").replace(" ", ""))

    marking = mark("micro_f1", OCR, Extraction({"影像描述": given_text}), {"影像描述": expected})
    shared = sum(min(number, count(expected)[character]) for character, number in count(given_text).items())
    assert marking.true_positives == shared
    assert marking.false_positives == count(given_text).total() - shared
    assert marking.false_negatives == count(expected).total() - shared
    assert (marking.value is None) == (not given_text.strip() and not expected.strip())


@pytest.mark.parametrize(
    ("metric", "form", "answer"),
    [
        ("detection_iou", BoxesForm(), {}),
        ("llm_judge", TextForm(), ["a"]),
        ("accuracy", TextForm(), ["a"]),
        ("accuracy", BoxesForm(), ["a"]),
        ("accuracy_field", FILM, ["体位不正"]),
        ("micro_f1", ChoiceForm(), frozenset({1})),
        ("micro_f1", BILL, {"总费用": "1"}),
        ("accuracy", ChoiceForm(), ["A"]),
        ("accuracy", FILM, "体位不正"),
    ],
)
def test_a_metric_that_does_not_go_with_the_form_is_refused(metric, form, answer):
    with pytest.raises(ValueError, match=metric):
        mark(metric, form, Extraction("x"), answer)


def test_not_stated_and_denied_match_within_themselves_and_never_across():
    form = FieldsForm(unknown=("未知", "不详"), absent=("无", "否认"))

    def value(given: str, expected: str) -> float | None:
        return mark("accuracy_field", form, Extraction({"传染病史": given}), {"传染病史": expected}).value

    assert value("否认", "无") == value("不详", "未知") == 1.0
    assert value("否认", "未知") == value("未知", "无") == 0.0
