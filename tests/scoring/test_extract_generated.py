"""10,000 generated wrappers for every form of answer in each script: the intended value is read, and nothing else.

A wrapper puts reasoning (that mentions other options), think blocks, fences, bold print, full-width characters, quotes
and closing punctuation around an answer. A mention is a sentence that names options without choosing one: no value.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from medbench.catalog.model import AnswerForm, ChoiceForm, FieldsForm, LabelForm
from medbench.scoring.extract import extract

WRAPPERS = 10_000

OPTIONS = {
    "zh": ("社区获得性肺炎", "胰腺癌", "慢性胰腺炎", "急性胆囊炎", "肝硬化"),
    "en": ("Pneumonia", "Pancreatic cancer", "Chronic pancreatitis", "Acute cholecystitis", "Cirrhosis"),
}
REASONING = {
    "zh": (
        "患者黄疸伴体重下降，", "A选项提到的药物是禁忌，B 也不合适。", "选项C多见于青年人。", "首先排除D。",
        "维生素B缺乏可有类似表现。", "该患者为A型血，C反应蛋白升高。", "B超未见结石。", "不选E，因为没有发热。",
        "如果答案是A，则应有咳嗽。", "很多人会选C。", "E选项是错误的。", "查体：体温37.5℃（腋温）；脉搏80次/分。",
        "D-二聚体正常。",
    ),
    "en": (
        "The patient presents with jaundice. ", "Option A mentions a drug that is contraindicated. ",
        "Vitamin B deficiency may look alike. ", "Hepatitis B was ruled out. ", "A biopsy would help. ",
        "The answer is not D. ", "I would not choose C. ",
        "If the answer is A, there should be a cough. ", "E. coli was not found. ", "C is wrong because of the age. ",
        "Type A behaviour is unrelated. ", "I think a CT scan helps. ",
    ),
}  # fmt: skip
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
SINGLE = {
    "zh": (
        "答案是{0}", "答案：{0}", "正确答案：{0}", "正确答案是{0}", "故选{0}", "因此选{0}项", "本题选{0}", "应选{0}",
        "选{0}", "最终答案：{0}", "【答案】{0}", "答案为{0}。{1}", "答案：{0}. {1}", "答案是{0}（{1}）",
        "所以，答案选{0}",
        "最合适的选项是{0}", "综上所述，选择{0}", "答案是选项{0}", "答：{0}", "\\boxed{{{0}}}", "<{0}>",
        "我的选择是{0}", "答案是{1}", "故选{0}，理由是{1}最符合",
    ),
    "en": (
        "The answer is {0}", "The correct answer is {0}", "The correct answer is ({0})", "Answer: {0}",
        "Final answer: {0}", "The best option is {0}", "I choose {0}", "I would select option {0}", "Answer: {0}. {1}",
        "The answer is {0}) {1}",
        "The answer is {0} because it fits best", "\\boxed{{{0}}}", "\\boxed{{\\text{{{0}}}}}", "<{0}>",
        "The correct choice is: {0}", "Therefore, {0}", "The answer is {0}, not any other", "My answer: {0}",
        "The answer is option {0}", "The answer is: {1}",
    ),
}  # fmt: skip
BARE = (
    "{0}",
    "<{0}>",
    "({0})",
    "[{0}]",
    "{0}.",
    "**{0}**",
    "{0}. {1}",
    "{0}) {1}",
    "({0}) {1}",
    "**{0}. {1}**",
    '"{0}"',
    "`{0}`",
    "{0}\n",
    "- {0}",
)
CLOSING = ("", "", "。", ".", "！", "\n", " ", "\n\n")

INTENTS = {
    "zh": ("病情咨询", "用药咨询", "费用争议投诉", "服务态度投诉", "单次费用查询", "住院费用查询", "费用查询"),
    "en": ("Drug advice", "Billing complaint", "Service complaint", "Complaint", "Follow-up", "Lab report reading"),
}
LABEL = {
    "zh": (
        *("{0}", "意图标签：{0}", "标签为{0}", "该对话的意图是{0}", "属于{0}", "答案：{0}", "不是其他意图，而是{0}"),
        *("应归类为{0}", "最终意图：**{0}**", '{{"意图": "{0}"}}'),
    ),
    "en": (
        *("{0}", "Label: {0}", "The label is {0}", "The intent is {0}", "Answer: {0}", "The category is **{0}**"),
        *("This is classified as {0}", '{{"label": "{0}"}}', "The answer is {0}"),
    ),
}
LABEL_REASONING = {
    "zh": (
        "患者情绪激动。",
        "对话的前半段提到了用药咨询的内容。",
        "不属于病情咨询。",
        "与费用查询相关的词语出现了两次。",
        "排除服务态度投诉。",
    ),
    "en": (
        "The patient is upset. ",
        "They mention drug advice given last week. ",
        "It is not a service complaint. ",
        "This rules out follow-up. ",
    ),
}
SET = {
    "zh": (("、", "，", "；", "|", "/", "\n", ","), ("{0}", "推荐科室：{0}", "答案：{0}", "建议就诊{0}")),
    "en": ((", ", "; ", " | ", "\n", " / "), ("{0}", "Labels: {0}", "Answer: {0}", "Departments: {0}")),
}
KEYS = {"zh": ("体温(℃)", "血压(mmHg)", "初步诊断"), "en": ("temperature (°C)", "blood pressure", "diagnosis")}
ERRORS = {
    "zh": ("多字或少字", "错别字", "单位错误", "方位错误"),
    "en": ("Missing words", "Typing error", "Wrong unit", "Wrong side"),
}

Case = tuple[AnswerForm, str, tuple[str, ...], object]
SINGLE_FORM, MULTIPLE_FORM = ChoiceForm(), ChoiceForm(multiple=True)
LABEL_FORMS = {script: LabelForm(labels=INTENTS[script]) for script in INTENTS}
FIELD_FORMS = {script: FieldsForm(fields=KEYS[script]) for script in KEYS}
SET_FORM = LabelForm(multiple=True)
ERROR_FORMS = {
    script: LabelForm(labels=ERRORS[script], multiple=True, correction_keys=("错误类型", "修改建议"))
    for script in ERRORS
}


def wrapped(draw: random.Random, answer: str, reasoning: tuple[str, ...], *, alone: bool, closing: bool = True) -> str:
    """`answer` behind reasoning; on a line of its own where it could not be told from prose (`alone`)."""
    text = answer + (draw.choice(CLOSING) if closing else "")
    kind = draw.randrange(6)
    before = "".join(draw.choices(reasoning, k=draw.randrange(1, 12)))
    if kind == 0:
        return text
    if kind == 1:
        return f"<think>{before}</think>{draw.choice(('', chr(10), chr(10) * 2))}{text}"
    if kind == 2:
        return f"{before}</think>\n{text}"
    if kind == 3:
        return f"◁think▷{before}◁/think▷{text}"
    if kind == 4 and not alone:
        return f"{before}{draw.choice(('', chr(10)))}{text}"
    return f"{before}\n\n{text}"


def single(draw: random.Random, script: str) -> Case:
    position = draw.randrange(5)
    letter, option = "ABCDE"[position], OPTIONS[script][position]
    bare = draw.random() < 0.3
    answer = draw.choice(BARE if bare else SINGLE[script]).format(letter, option)
    if draw.random() < 0.2:
        answer = answer.translate(FULL_WIDTH) if "{" not in answer and "\\" not in answer else answer
    elif draw.random() < 0.2 and not bare:
        answer = answer.replace(letter, f"**{letter}**", 1) if script == "zh" else answer
    text = wrapped(draw, answer, REASONING[script], alone=bare)
    return SINGLE_FORM, text, OPTIONS[script], frozenset((position,))


def several(draw: random.Random, script: str) -> Case:
    chosen = sorted(draw.sample(range(5), draw.randrange(2, 5)))
    letters = ["ABCDE"[position] for position in chosen]
    joined = draw.choice(("", ",", ", ", "、", " ", "；", "和" if script == "zh" else " and ")).join(letters)
    bare = draw.random() < 0.3
    answer = joined if bare else draw.choice([form for form in SINGLE[script] if "{1}" not in form]).format(joined)
    if draw.random() < 0.2 and "\\" not in answer:
        answer = answer.translate(FULL_WIDTH)
    return MULTIPLE_FORM, wrapped(draw, answer, REASONING[script], alone=bare), OPTIONS[script], frozenset(chosen)


def label(draw: random.Random, script: str) -> Case:
    wanted = draw.choice(INTENTS[script])
    form = draw.choice(LABEL[script])
    answer = form.format(wanted if draw.random() < 0.8 else wanted.upper())
    text = wrapped(draw, answer, LABEL_REASONING[script], alone=form == "{0}", closing="{{" not in form)
    return LABEL_FORMS[script], text, (), frozenset((wanted,))


def labels(draw: random.Random, script: str) -> Case:
    wanted = draw.sample(INTENTS[script], draw.randrange(1, 4))
    separators, forms = SET[script]
    separator = draw.choice(separators)
    members = [f"{number}. {name}" for number, name in enumerate(wanted, 1)] if separator == "\n" else wanted
    answer = separator.join(members)
    if separator != "\n":
        answer = draw.choice(forms).format(answer)
    kind = draw.randrange(3)
    text = (
        f"<think>{draw.choice(LABEL_REASONING[script])}</think>{answer}" if kind == 0 else answer + draw.choice(CLOSING)
    )
    return SET_FORM, text, INTENTS[script], frozenset(wanted)


def fenced(draw: random.Random, value: object, script: str) -> str:
    text = json.dumps(value, ensure_ascii=draw.random() < 0.2, indent=draw.choice((None, 2)))
    text = draw.choice(("{0}", "```json\n{0}\n```", "```\n{0}\n```", "{0}\n。", "JSON: {0}")).replace("{0}", text)
    return wrapped(draw, text, REASONING[script], alone=True, closing=False)


def fields(draw: random.Random, script: str) -> Case:
    value = {
        key: draw.choice(("37.0", "120/80", '说"好"', "胰腺癌{可能}", "a: [b]", "", "未知")) for key in KEYS[script]
    }
    return FIELD_FORMS[script], fenced(draw, value, script), (), value


def corrections(draw: random.Random, script: str) -> Case:
    wanted = draw.sample(ERRORS[script], draw.randrange(4))
    value: object = dict.fromkeys(wanted, "描述：建议修改")
    if draw.random() < 0.5:
        value = [{"错误类型": name, "修改建议": "诊断：{删去}"} for name in wanted]
    return ERROR_FORMS[script], fenced(draw, value, script), (), frozenset(wanted)


MAKERS = (single, several, label, labels, fields, corrections)


@pytest.mark.parametrize("script", ["zh", "en"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_every_wrapper_gives_the_intended_value(maker: Callable[[random.Random, str], Case], script: str):
    draw = random.Random(f"{maker.__name__} {script}")
    wrong = []
    for _ in range(WRAPPERS):
        form, text, options, wanted = maker(draw, script)
        found = extract(form, text, options)
        if found.value != wanted:
            wrong.append((text, wanted, found))
    assert not wrong, (len(wrong), wrong[:5])


@pytest.mark.parametrize("script", ["zh", "en"])
@pytest.mark.parametrize("form", [SINGLE_FORM, MULTIPLE_FORM], ids=["single", "several"])
def test_mentions_are_never_a_verdict(form: ChoiceForm, script: str):
    draw = random.Random(f"mentions {script}")
    wrong = []
    for _ in range(WRAPPERS):
        parts = draw.choices(REASONING[script], k=draw.randrange(1, 8))
        text = draw.choice(("", "\n")).join(parts) + draw.choice(CLOSING)
        if draw.random() < 0.2:
            text = text.translate(FULL_WIDTH)
        found = extract(form, text, OPTIONS[script])
        if found.value is not None:
            wrong.append((text, found))
    assert not wrong, (len(wrong), wrong[:5])


@pytest.mark.parametrize("script", ["zh", "en"])
def test_mentioned_labels_are_never_a_verdict(script: str):
    draw = random.Random(f"label mentions {script}")
    for _ in range(WRAPPERS):
        text = "".join(draw.choices(LABEL_REASONING[script], k=draw.randrange(1, 8)))
        for form, options in ((LABEL_FORMS[script], ()), (SET_FORM, INTENTS[script])):
            found = extract(form, text, options)
            assert found.value is None, (text, found)
