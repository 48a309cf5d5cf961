from __future__ import annotations

from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.items.options import order_of, parse_fields, parse_labels, parse_options

EXAMPLE = (
    "## 任务示例：题目：\n应采取的措施是:\nA.保守治疗\nB.手术\nC.观察\nD.其他\nE.以上都不是\n\n答：<E>\n\n## 题目："
)


@pytest.mark.parametrize(
    ("text", "stem", "options"),
    [
        ("问题\nA. 甲\nB. 乙\nC. 丙\n", "问题\n", ("甲", "乙", "丙")),
        ("问题\nA.甲\nB.乙", "问题\n", ("甲", "乙")),
        (EXAMPLE + "不是特点的是 A. 甲\nB. 乙\nC. 丙", EXAMPLE + "不是特点的是 ", ("甲", "乙", "丙")),
        ("()\nA.宜监测B.半衰期短C.主要经肝脏代谢", "()\n", ("宜监测", "半衰期短", "主要经肝脏代谢")),
        ("的人是\nA、希波克拉底B、盖伦C、迈蒙尼提斯\n", "的人是\n", ("希波克拉底", "盖伦", "迈蒙尼提斯")),
        ("()\nA.维生素CB.亚硫酸氢钠C.碳酸氢钠", "()\n", ("维生素C", "亚硫酸氢钠", "碳酸氢钠")),
        ("()\nA.0.9%氯化钠B.5%葡萄糖,bidC.50%葡萄糖", "()\n", ("0.9%氯化钠", "5%葡萄糖,bid", "50%葡萄糖")),
        (
            "维生素B、C\nA. 维生素B、维生素C\nB. E2\nC. OC+GnRH方案",
            "维生素B、C\n",
            ("维生素B、维生素C", "E2", "OC+GnRH方案"),
        ),
        ("A. 甲\nB. 乙C. 丙\nD. 丁", "", ("甲", "乙", "丙", "丁")),
        ("？\nA. 与B. 相同\nB. 乙\nC. 丙", "？\n", ("与B. 相同", "乙", "丙")),
        ("Which?\nA) one\nB) two", "Which?\n", ("one", "two")),
    ],
)
def test_layouts_of_the_release(text, stem, options):
    found = parse_options(text)
    assert found is not None
    assert found.options == options
    assert text[: found.start] == stem


@pytest.mark.parametrize("text", ["", "没有选项", "A. 只有一个", "A.\nB. 空的", "维生素A。"])
def test_no_options(text):
    assert parse_options(text) is None


_TEXT = st.text(st.sampled_from("肝胆脾胃abxyz0123456789%+-()，"), min_size=1, max_size=12).filter(str.strip)


@given(
    st.lists(_TEXT, min_size=2, max_size=12),
    st.sampled_from([(". ", "\n"), (".", "\n"), ("、", "\n"), (".", ""), ("、", ""), ("：", "\n")]),
    st.sampled_from(["题干\n", EXAMPLE + "题干 ", "题干："]),
)
def test_what_is_written_in_a_layout_is_read_back(options, layout, stem):
    after, between = layout
    options = [option.strip() for option in options]
    written = between.join(f"{letter}{after}{option}" for letter, option in zip(ascii_uppercase, options, strict=False))
    found = parse_options(stem + written)
    assert found is not None
    assert list(found.options) == options


@given(st.lists(st.sampled_from("甲乙丙丁"), min_size=2, max_size=6), st.randoms())
def test_orders_lead_back_to_the_first_row(first, random):
    shuffled = list(first)
    random.shuffle(shuffled)
    order = order_of(tuple(shuffled), tuple(first))
    assert order is not None
    assert sorted(order) == list(range(len(first)))
    assert [first[index] for index in order] == shuffled


def test_same_texts_keep_their_order_and_other_texts_are_refused():
    assert order_of(("甲", "乙", "甲"), ("甲", "甲", "乙")) == (0, 2, 1)
    assert order_of(("甲", "丙"), ("甲", "乙")) is None
    assert order_of(("甲",), ("甲", "乙")) is None


def test_closed_lists_and_field_lists():
    assert parse_labels("以下科室：内科、外科 、儿科。请", "以下科室：([^。\n]+)。") == ("内科", "外科", "儿科")
    assert parse_labels("无", "以下科室：([^。\n]+)。") == ()
    assert parse_fields("需要提取的实体字段：\n- 主诉\n- 体温(℃)\n- B超-大小(mm)\n") == (
        "主诉",
        "体温(℃)",
        "B超-大小(mm)",
    )
    assert parse_fields("请提取") == ()
