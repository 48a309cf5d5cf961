"""Every reader is linear: 200 kB of hostile text of any sort is read in under a second, for every form."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from medbench.catalog.model import AnswerForm, ChoiceForm, FieldsForm, LabelForm, TextForm
from medbench.scoring.extract import extract
from medbench.scoring.extract.normalise import plain_number
from medbench.scoring.extract.values import same_value
from medbench.scoring.metrics import mark
from medbench.scoring.model import Extraction

SIZE = 200_000
OPTIONS = ("肺炎", "胰腺癌", "慢性胰腺炎", "胆囊炎", "A biopsy")
LABELS = ("费用争议投诉", "慢性胰腺炎", "胰腺癌", "heart failure", "无左右标识")
FORMS = {
    "single": ChoiceForm(),
    "multiple": ChoiceForm(multiple=True),
    "label": LabelForm(labels=LABELS, within="预测结局"),
    "labels": LabelForm(labels=LABELS, multiple=True, none_label="无问题"),
    "corrections": LabelForm(labels=LABELS, multiple=True, correction_keys=("错误类型", "修改建议")),
    "fields": FieldsForm(fields=("体温(℃)", "a")),
    "text": TextForm(),
}
UNITS = [
    "答案是", "答案是A", "故选", "选A", "<", ">", "<A", "<A>", "A,", "A、", "A ", "A", "AB ", "a,", "a ", "a", "A或",
    "A and ", "(", ")", "((A))", "{", "}", "{}",
    "[", "]", "[]", "{[", '{"a":', '{"a":1}', '{"a":[', '["a",', '"', '\\"', "\\", '{"', '{"a', '{a}', "{\"a\":1,",
    '[{"a":1},', "[1,", "`", "```", "```json\n", "*", "**", "**A**", "_", "#", "\n", " ", "\t",
    "\u3000", "A\n", "A.\n", "A. x\n", "B. 胰腺癌\n", "1. ", "1) ", "(1)", "①", "- ", "<think>", "</think>", "<think",
    "<think ", "◁think▷", "[THINK]", "<|channel|>analysis", "<|channel|>", "<|", "<answer>", "</answer>",
    "<answer>A</answer>", "<b>", "<b>A</b>", "</b>", "\\boxed{", "\\boxed{A", "\\boxed{A}", "the answer is ",
    "the answer is A ", "answer to ", "most likely a ", "is ", "not ", "不", "不是", "不选", "是", "为",
    "考虑", "胰腺癌", "胰腺癌、", "胰腺癌或", "考虑胰腺癌", "意图标签：", "预测结局", "预测结局：", "推荐科室：", "、",
    "，", "；", "|", "/", "1", "1,", "1,234", "1.", "0.0", "2024-", "2024年3月5日", "e", "×10", "-", "+",
    "℃", "（", "）", "Ａ", "\u0315\u0316", "\u0315", "\u200b", "\ufdfa", "a\u0301", "我无法", "I cannot ", "抱歉",
    "作为AI", "因此", "综上", "最可能的", "正确的", "最a的", "选项", "A选项正确", "A正确", "A is correct. ", "A:",
    "A。", "x\n\n", "\ud800", "😀",
]  # fmt: skip


def _repeated(units: list[str]) -> list[str]:
    return [(unit * (SIZE // len(unit) + 1))[:SIZE] for unit in units]


def _nested() -> list[str]:
    half = SIZE // 2
    texts = [
        "{" * half + "}" * half,
        "[" * half + "]" * half,
        '{"a":' * (SIZE // 6) + "1" + "}" * (SIZE // 6),
        '{"a":[' * (SIZE // 8) + "]}" * (SIZE // 8),
        '{"x":"' + "\\" * SIZE,
        '{"a":"' + "x" * SIZE,
        '{"a":' + "9" * SIZE + "}",
        '{"a":1' + " " * SIZE + "}",
        "答案是" + " " * SIZE + "A",
        "答案是" + "A," * half,
        "答案是" + "A," * half + "型",
        "A " * half + "a",
        "<think>" + "<answer>" * (SIZE // 8),
        "\n" * half + "A" + "\n" * half,
        "A" + " " * SIZE + "x",
        "\u0315\u0316" * half + "A",
        "分" * half + "选A型" * (half // 3),
        "胰腺癌" + "、" * SIZE + "x",
    ]
    return texts + [('{"k":[' * depth + '"体温(℃)",' * 300 + "x]}" + "]}" * depth) * 20 for depth in (60, 64, 65)]


# Single and multiple choice share their patterns, and so do the forms with labels: every unit meets every pattern, and
# the forms that share it meet a part each.
SHARES = {
    "single": UNITS[::2],
    "multiple": UNITS[1::2],
    "label": UNITS[::2],
    "labels": UNITS[::3],
    "corrections": UNITS[1::2],
    "fields": UNITS[::2],
}


@pytest.mark.parametrize("name", FORMS)
def test_hostile_text_is_read_in_linear_time(name):
    slowest = (0.0, "")
    for text in _repeated(SHARES.get(name, UNITS)) + _nested():
        start = time.process_time()
        extract(FORMS[name], text, OPTIONS, ("a",))
        slowest = max(slowest, (time.process_time() - start, text[:24]))
    assert slowest[0] < 5.0, slowest


def test_hostile_values_are_compared_in_linear_time():
    slowest = (0.0, "")
    form = FieldsForm(fields=("a",), compare="characters")
    for text in _repeated(UNITS[::4]) + _nested()[:8]:
        start = time.process_time()
        same_value(text, "x" * (SIZE // 8), tolerance=Decimal(0), alike=())
        mark("micro_f1", form, Extraction({"a": text}), {"a": "胰腺癌"})
        slowest = max(slowest, (time.process_time() - start, text[:24]))
    assert slowest[0] < 5.0, slowest


@pytest.mark.parametrize(
    "unit", ["答案是A", "<A", "A,", "a ", '{"a":', "[", "胰腺癌、", " ", "A是正确的", "\u0315\u0316"]
)
def test_four_times_the_text_takes_about_four_times_the_time(unit):
    """Below the caps, where a quadratic pattern would take sixteen times as long."""

    def seconds(size: int, form: AnswerForm) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        start = time.process_time()
        extract(form, text, OPTIONS)
        return time.process_time() - start

    for name in ("single", "labels", "fields"):
        longer = min(seconds(24_000, FORMS[name]) for _ in range(3))
        assert longer < 0.02 + 8 * max(seconds(6_000, FORMS[name]), 0.002)


def test_a_number_of_any_length_is_read_in_linear_time():
    start = time.process_time()
    for text in ("1" * SIZE + "x", "1" * SIZE + "." + "1" * SIZE + "x", "+" * SIZE, "1e" * SIZE, " " * SIZE):
        with pytest.raises(ValueError, match="no number"):
            plain_number(text)
    assert time.process_time() - start < 5.0
