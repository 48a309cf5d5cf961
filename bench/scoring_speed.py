"""How many closed-set responses are read and marked a second on one core.

    python bench/scoring_speed.py [--json FILE]

The responses are synthetic: made here from a seed, after the forms that the official questions ask for (one letter,
several letters, one label, a set of labels, JSON fields, JSON corrections; one in twenty gives no verdict), in Chinese
and English. Two lengths: about 40 characters (a clause of reasoning before what is shorter), and 2,000 characters of
reasoning before each answer, half of the time in a think block and half in plain text.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from _common import report, write_json
from medbench.catalog.model import AnswerForm, ChoiceForm, FieldsForm, LabelForm, Metric
from medbench.scoring.extract import extract
from medbench.scoring.metrics import mark

OPTIONS = ("社区获得性肺炎", "胰腺癌", "慢性胰腺炎", "急性胆囊炎", "肝硬化")
INTENTS = (
    *("病情咨询", "用药咨询", "康复咨询", "检查咨询", "预约挂号", "预约复诊", "服务态度投诉", "诊疗质量投诉"),
    *("费用争议投诉", "检验报告解读", "住院费用查询"),
)
DEPARTMENTS = (
    *("头颈外科", "乳腺外科", "胸外科", "消化内科", "呼吸内科", "淋巴瘤科", "血液科", "急诊科", "营养科", "内镜科"),
    *("病理科", "麻醉科"),
)
FIELDS = ("体温(℃)", "脉搏(次/分)", "初步诊断")
ERRORS = ("多字或少字", "错别字", "单位错误", "方位错误", "用词不当")

SHORT = 40

Case = tuple[Metric, AnswerForm, str, Sequence[str], object]
Maker = Callable[[random.Random], Case]

SINGLE = ChoiceForm()
MULTIPLE = ChoiceForm(multiple=True)
INTENT = LabelForm(labels=INTENTS)
TRIAGE = LabelForm(multiple=True)
STRUCTURE = FieldsForm(fields=FIELDS, unknown=("未知", "无", "否认"))
CORRECTIONS = LabelForm(labels=ERRORS, multiple=True, correction_keys=("错误类型", "修改建议"))

SINGLE_TEXTS = (
    *(
        "{0}",
        "<{0}>",
        "{0}.",
        "**{0}**",
        "{0}. {1}",
        "答案是{0}",
        "正确答案：{0}",
        "\\boxed{{{0}}}",
        "Answer: {0}. {1}",
    ),
    "综合患者的症状与体征，并结合影像学检查结果，本题应选{0}。",
    "根据题干所给出的信息，最符合的诊断为下列选项，故选{0}项。",
    "The correct answer is ({0}).",
)


def single(draw: random.Random) -> Case:
    position = draw.randrange(len(OPTIONS))
    text = draw.choice(SINGLE_TEXTS).format("ABCDE"[position], OPTIONS[position])
    return "accuracy_circular", SINGLE, text, OPTIONS, frozenset((draw.randrange(5),))


def several(draw: random.Random) -> Case:
    letters = sorted(draw.sample("ABCDE", 3))
    text = draw.choice(("{0}", "{1}", "{2}", "正确答案为{1}", "The correct answers are {3}.", "故选{0}。")).format(
        "".join(letters), "、".join(letters), ",".join(letters), f"{letters[0]}, {letters[1]} and {letters[2]}"
    )
    return "accuracy", MULTIPLE, text, OPTIONS, frozenset("ABCDE".index(letter) for letter in letters)


def label(draw: random.Random) -> Case:
    wanted = draw.choice(INTENTS)
    texts = ("{0}", "意图标签：{0}", "该对话的意图属于**{0}**。", "患者对本次就诊的安排提出了疑问，因此最终意图为：{0}")
    return "accuracy", INTENT, draw.choice(texts).format(wanted), (), [wanted]


def labels(draw: random.Random) -> Case:
    wanted = draw.sample(DEPARTMENTS, 3)
    text = draw.choice(("、", "，", "\n")).join(wanted)
    return "accuracy", TRIAGE, draw.choice(("{0}", "推荐科室：{0}", "{0}。")).format(text), DEPARTMENTS, wanted


def fields(draw: random.Random) -> Case:
    # Values that hardly repeat, so that no cache flatters the figure.
    warm, pulse, days = f"{draw.randrange(3500, 4200) / 100}", str(draw.randrange(40, 200)), draw.randrange(100_000)
    key = {"体温(℃)": warm, "脉搏(次/分)": pulse, "初步诊断": f"胰腺癌，病程{days}天"}
    said = {"体温(℃)": f"{warm}℃", "脉搏(次/分)": int(pulse), "初步诊断": f"{draw.choice(OPTIONS)}, 病程{days}天"}
    text = json.dumps(said, ensure_ascii=False)
    return "accuracy_field", STRUCTURE, draw.choice(("{0}", "```json\n{0}\n```")).replace("{0}", text), (), key


def unread(draw: random.Random) -> Case:
    """Prose without a verdict: every way of reading is tried."""
    return "accuracy_circular", SINGLE, reasoning(draw, SHORT), OPTIONS, frozenset((0,))


def corrections(draw: random.Random) -> Case:
    said = [{"错误类型": name, "修改建议": "描述：建议修改"} for name in draw.sample(ERRORS, draw.randrange(2))]
    text = json.dumps(said, ensure_ascii=False)
    return "micro_f1", CORRECTIONS, text, (), [draw.choice(ERRORS)]


# Shares after the official release's closed-set rows: 540 of one letter, 60 of several, then labels and JSON; and one
# in twenty that says nothing.
MIX: tuple[tuple[Maker, int], ...] = (
    (single, 54),
    (several, 6),
    (label, 9),
    (labels, 3),
    (fields, 6),
    (corrections, 3),
    (unread, 4),
)

CHINESE = (
    "患者，男性，50岁，因“上腹痛伴体重下降3天”入院；查体：体温37.5℃，"
    "巩膜黄染（+），A选项提到的疾病多有发热，与本例不符。"
)
ENGLISH = (
    "The patient is 50 years old and presents with jaundice and weight loss; option A is usually seen with fever. "
)


def reasoning(draw: random.Random, length: int) -> str:
    sentence = draw.choice((CHINESE, CHINESE, ENGLISH))
    return (sentence * (length // len(sentence) + 1))[:length]


def responses(count: int, length: int, seed: int) -> list[Case]:
    """`count` responses of about `length` characters where that is short, else with so much reasoning before each."""
    draw = random.Random(seed)
    makers = [maker for maker, _ in MIX]
    shares = [share for _, share in MIX]
    cases: list[Case] = []
    for maker in draw.choices(makers, shares, k=count):
        metric, form, text, options, answer = maker(draw)
        if length <= SHORT:
            if len(text) < length:
                text = f"{reasoning(draw, length - len(text) - 1)}\n{text}"
        else:
            before = reasoning(draw, length)
            text = f"<think>{before}</think>\n\n{text}" if draw.random() < 0.5 else f"{before}\n\n{text}"
        cases.append((metric, form, text, options, answer))
    return cases


def measure(cases: list[Case]) -> tuple[float, float]:
    """Seconds of processor time for all cases, and the share that was read."""
    read = 0
    start = time.process_time()
    for metric, form, text, options, answer in cases:
        found = extract(form, text, options)
        read += found.value is not None
        mark(metric, form, found, answer, options)  # type: ignore[arg-type]
    return time.process_time() - start, read / len(cases)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--count", type=int, default=100_000, help="short responses; a tenth as many long ones")
    arguments = parser.parse_args()
    rows: list[Mapping[str, object]] = []
    for length, count, wanted in ((SHORT, arguments.count, 50_000), (2000, arguments.count // 10, 5_000)):
        cases = responses(count, length, seed=20251114)
        cases.sort(key=lambda case: (case[0], str(case[1])))  # a run scores dataset by dataset
        measure(cases[: min(2000, count)])
        seconds, read = measure(cases)
        characters = sum(len(text) for _, _, text, _, _ in cases) / len(cases)
        row = {"characters": length, "mean_characters": round(characters, 1), "responses": count, "data": "synthetic"}
        speed = {"per_second": round(count / seconds), "required_per_second": wanted, "read": round(read, 4)}
        rows.append(row | speed)
    if arguments.json:
        write_json(arguments.json, report("bench/scoring_speed.py", {"count": arguments.count}, {"rows": rows}))
    print("Synthetic responses, one core")
    print(f"{'characters':>10} {'mean':>7} {'responses':>10} {'per second':>11} {'required':>9} {'read':>7}")
    for row in rows:
        print(
            f"{row['characters']:>10} {row['mean_characters']:>7} {row['responses']:>10} {row['per_second']:>11} "
            f"{row['required_per_second']:>9} {row['read']:>7}"
        )


if __name__ == "__main__":
    main()
