from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.catalog.model import FieldsForm
from medbench.scoring.extract import extract, quantity
from medbench.scoring.extract.values import plain_text, same_value

FORM = FieldsForm(fields=("体温(℃)", "血压(mmHg)"))
UNKNOWN = frozenset(map(plain_text, ("未知", "无", "否认", "不详")))


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        '{"体温(℃)": 37, "血压(mmHg)": "120/80"}': {"体温(℃)": "37", "血压(mmHg)": "120/80"},
        '结果如下：\n```json\n{"体温(℃)": "37.0"}\n```\n以上。': {"体温(℃)": "37.0"},
        '{"体温（°C）": "37"}': {"体温(℃)": "37"},
        '{" 体温 ( ℃ ) ": "37", "其他": 1}': {"体温(℃)": "37", "其他": "1"},
        '{"体温【℃】": "37"}': {"体温(℃)": "37"},
        '{"体温(℃)": null, "血压(mmHg)": true}': {"体温(℃)": "", "血压(mmHg)": "true"},
        '{"体温(℃)": ["a", "b"], "血压(mmHg)": {"收缩压": 120, "舒张压": [80]}}': {
            "体温(℃)": "a;b",
            "血压(mmHg)": "收缩压:120;舒张压:80",
        },
        '{"体温(℃)": "a\nb"}': {"体温(℃)": "a\nb"},
        '草稿 {"体温(℃)": 36} 更正 {"体温(℃)": 37}': {"体温(℃)": "37"},
        '{"体温(℃)": 37}\n注：{单位} 为摄氏度': {"体温(℃)": "37"},
        '{"体温(℃)": 37} {"其他": 1}': {"体温(℃)": "37"},
        '{"answer": {"体温(℃)": 37}}': {"体温(℃)": "37"},
        '{"体温(℃)"：37，"血压(mmHg)"："120"}': {"体温(℃)": "37", "血压(mmHg)": "120"},
        '｛"体温(℃)": 37｝': {"体温(℃)": "37"},
        '{"体温(℃)": "说\\"{\\"话"}': {"体温(℃)": '说"{"话'},
        '身高 6" 的 {"体温(℃)": 37}': {"体温(℃)": "37"},
        '{{{{{"体温(℃)": 37}': {"体温(℃)": "37"},
        '{"体温(℃)": "含\\":\\"引号"}': {"体温(℃)": '含":"引号'},
        '<think>{"体温(℃)": 1}</think>{"体温(℃)": 2}': {"体温(℃)": "2"},
        '{"体温(℃)": 1} {"体温(℃)": 2': {"体温(℃)": "1"},
        '{"体温(℃)": NaN}': "not_json",
        '{"体温(℃)": Infinity}': "not_json",
        '{"体温(℃)": -Infinity}': "not_json",
        '{"体温(℃)": 1e999}': "not_json",
        '{"体温(℃)": 1, "体温(℃)": 2}': "duplicate_key",
        '{"体温(℃)": 1, "体温（℃）": 2}': "duplicate_key",
        '{"体温(℃)": {"a": 1, "a": 2}}': "duplicate_key",
        '{"体温(℃)": 1} 更正 {"体温(℃)": NaN}': "not_json",
        '{"体温(℃)": 1} 更正 {"体温(℃)": 1, "体温(℃)": 2}': "duplicate_key",
        '{"体温(℃)": 37,}': "not_json",
        "{'体温(℃)': 37}": "not_json",
        '{"体温(℃)": 37': "not_json",
        '{"其他": 37}': "not_json",
        '["体温(℃)"]': "not_json",
        "体温(℃)：37": "not_json",
        "{}": "not_json",
        "": "empty",
        '{"体温(℃)": ' + "[" * 63 + "]" * 63 + "}": {"体温(℃)": ""},
        '{"体温(℃)": ' + "[" * 64 + "]" * 64 + "}": "too_long",
        '{"体温(℃)": ' + "9" * 5000 + "}": "not_json",
        '{"体温(℃)": "' + "x" * 1_000_001 + '"}': "too_long",
    }.items(),
)  # fmt: skip
def test_the_last_object_with_a_required_key(text, wanted):
    found = extract(FORM, text)
    assert (found.reason if found.value is None else found.value) == wanted


def test_required_keys_may_come_from_the_item_and_any_object_will_do_without():
    form = FieldsForm()
    assert extract(form, '{"b": 2} {"a": 1}', fields=("b",)).value == {"b": "2"}
    assert extract(form, '{"b": 2} {"a": 1}').value == {"a": "1"}


@pytest.mark.parametrize(
    ("given_value", "expected", "same"),
    [
        ("37", "37.0", True), ("37℃", "37.0", True), ("37 ℃", "37°C", True), ("37℃", "37摄氏度", True),
        ("37.1", "37.0", False), ("80次/分", "80", True), ("80次/分钟", "80次/分", True), ("80 bpm", "80次/分", True),
        ("80次", "80分", False),
        ("1,234.50元", "1234.5", True), ("¥1,234.50", "1234.5元", True), ("1，234", "1234", True),
        ("１２３", "123", True), ("1234", "1.234", False), ("5mg", "5g", False), ("5 mg", "5毫克", True),
        ("-3", "3", False), ("+3", "3", True), ("1e3", "1000", True),
        ("16.7×10⁹/L", "16.7*10^9/L", True), ("16.7×10⁹/L", "16.7×10⁶/L", False), ("25kg/m²", "25 kg/m2", True),
        ("Ⅳ级", "IV级", True), ("IV级", "4级", True), ("IV级", "V级", False), ("45%", "45％", True),
        ("45%", "45", True),
        ("3天前", "3", False), ("约5", "5", False), ("120/80mmHg", "120/80", True),
        ("120/80 mmHg", "120/80mmHg", True), ("120／80", "120/80", True), ("120/80", "120/90", False),
        ("120/80", "12080", False), ("3-5天", "3~5天", True), ("<5", "5", False), ("<5 mg", "<5mg", True),
        ("2024年3月5日", "2024-03-05", True), ("2024/3/5", "2024-03-05", True), ("2024.3.5", "2024年03月05日", True),
        ("2024年3月", "2024-03", True), ("2024-03-05", "2024-03-06", False), ("2024-13-05", "2024-03-05", False),
        ("2024年3月5日入院", "2024-03-05 入院", True),
        ("T12椎体、L1", "T12椎体,L1", True), ("胰腺癌。", "胰腺癌", True), ("胰 腺癌", "胰腺癌", True),
        ("Murphy征阴性", "murphy征阴性", True), ("压痛(+)", "压痛(-)", False), ("压痛（+）", "压痛(+)", True),
        ("1.5", "15", False), ("8.16", "816", False), ("5 6", "56", False), ("5; 6", "5、6", True),
        ("1. 双肺结节；2. 肝囊肿", "①双肺结节\n②肝囊肿", True), ("双肺结节;肝囊肿", "1、双肺结节 2、肝囊肿", True),
        ("2. 双肺结节", "双肺结节", False), ("X-ray", "Xray", True), ("胰腺癌", "胰腺炎", False), ("", "", True),
        ("", "无", False),
        ("未知", "不详", True), ("无。", "否认", True), ("未知", "高血压", False), ("未知病因", "未知", False),
        ("10⁹", "10^9", True), ("10⁹", "109", False), ("上腹痛3天", "上腹痛 3 天", True),
        ("上腹痛3天", "上腹痛13天", False), ("7/10", "7:10", False),
    ],
)  # fmt: skip
def test_values_that_say_the_same(given_value, expected, same):
    for left, right in ((given_value, expected), (expected, given_value)):
        assert same_value(left, right, tolerance=Decimal(0), alike=(UNKNOWN,)) is same


def test_tolerance_is_exact_in_decimals():
    def same(left: str, right: str, tolerance: str) -> bool:
        return same_value(left, right, tolerance=Decimal(tolerance), alike=())

    assert same("0.3", "0.1", "0.2")
    assert same("100.01元", "100", "0.01")
    assert not same("100.011", "100", "0.01")


@pytest.mark.parametrize(
    "text", ["3天前", "约5", "5.5.5", "1,23", "五", "", "-", "IVD", "5 6", "mg", "5 apples", "1e5000", "NaN", "5" * 60]
)
def test_what_is_no_quantity(text):
    assert quantity(text) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_comparison_is_reflexive_and_symmetric(left, right):
    assert same_value(left, left, tolerance=Decimal(0), alike=(UNKNOWN,))
    one_way = same_value(left, right, tolerance=Decimal(0), alike=(UNKNOWN,))
    assert one_way == same_value(right, left, tolerance=Decimal(0), alike=(UNKNOWN,))


@given(st.decimals(-(10**9), 10**9, places=2, allow_nan=False), st.sampled_from(["", "元", " mg", "℃", "次/分"]))
def test_numbers_are_read_whatever_their_dress(number, unit):
    plain, grouped = f"{number}{unit}", f"{number:,}{unit}"
    for text in (plain, grouped, grouped.replace(",", "，"), plain + "。"):
        found = quantity(text)
        assert found is not None
        assert found.number == number
