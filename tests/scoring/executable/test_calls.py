"""Calls in answers, held against described APIs."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.items.model import Key, Question
from medbench.models.model import Response, ToolCall
from medbench.scoring.executable.api_description import Api, read_apis
from medbench.scoring.executable.calls import check_calls, extract_calls
from medbench.scoring.executable.checks import CHECKS, run_check
from medbench.scoring.executable.model import Finding
from support.agent_items import IN_BRACES, ON_LINES, RUN_TOGETHER

BED = Question(id="1", dataset="MedCallAPI", text=RUN_TOGETHER)
PLAN = Question(id="2", dataset="MedRetAPI", text=ON_LINES)
PATH = Question(id="3", dataset="MedPathPlan", text=IN_BRACES)
RIGHT = {
    "patient_id": "1001",
    "ward_type": "general",
    "start_time": "2024-05-06T07:08:09+08:00",
    "vitals": {"heart_rate": 80, "blood_pressure": "120/80"},
    "days": 3,
}


def check(question, answer, key=None):
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return check_calls(question, Response(status="ok", text=text), key)


def found(question, answer, key=None):
    checked = check(question, answer, key)
    return checked.status, [(finding.code, finding.detail.partition(" ")[0]) for finding in checked.findings]


FORMS = {
    "json": json.dumps({"name": "BookBed", "arguments": RIGHT}, ensure_ascii=False),
    "wrapped": json.dumps({"tool_calls": [{"function": {"name": "BookBed", "arguments": json.dumps(RIGHT)}}]}),
    "chinese keys": json.dumps({"步骤": [{"接口名称": "BookBed", "参数": RIGHT}]}, ensure_ascii=False),
    "keyed": json.dumps({"BookBed": RIGHT}),
    "arguments alone": json.dumps(RIGHT),
    "fence": f"请求如下：\n```json\n{json.dumps(RIGHT, indent=2)}\n```\n说明：已按要求预约。",
    "python": "BookBed(" + ", ".join(f"{name}={value!r}" for name, value in RIGHT.items()) + ")",
    "full width": "BookBed（" + "，".join(f"{n}={json.dumps(v)}" for n, v in RIGHT.items()) + "）",
    "named object": f"1. 调用 `BookBed`，参数：{json.dumps(RIGHT)}",
    "list": "步骤一：**BookBed（床位预约）**\n" + "\n".join(f"- `{n}`：{json.dumps(v)}" for n, v in RIGHT.items()),
    "table": "BookBed\n| 参数 | 值 |\n|---|---|\n" + "\n".join(f"| {n} | {json.dumps(v)} |" for n, v in RIGHT.items()),
    "number": json.dumps({"api": "API1", "params": RIGHT}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_call_is_read_from_every_form(form):
    checked = check(BED, FORMS[form])
    assert checked.evidence["calls"] == [{"name": "BookBed", "arguments": RIGHT}]
    assert (checked.status, checked.findings) == ("passed", ())


def test_tool_calls_of_the_response_come_before_its_text():
    call = ToolCall(name="BookBed", arguments=json.dumps(RIGHT | {"days": "three"}))
    checked = check_calls(BED, Response(status="ok", text=FORMS["json"], tool_calls=(call,)), None)
    assert [finding.code for finding in checked.findings] == ["wrong_type"]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"patient_id": ...}, ("missing_parameter", "BookBed.patient_id")),
        ({"ward_type": "重症"}, ("not_in_enum", "BookBed.ward_type")),
        ({"ward_type": "icu"}, ("missing_parameter", "BookBed.reason")),
        ({"days": "3"}, ("wrong_type", "BookBed.days")),
        ({"days": 2.5}, ("wrong_type", "BookBed.days")),
        ({"days": True}, ("wrong_type", "BookBed.days")),
        ({"notify": "false"}, ("wrong_type", "BookBed.notify")),
        ({"services": "meal"}, ("wrong_type", "BookBed.services")),
        ({"services": ["meal", "tv"]}, ("not_in_enum", "BookBed.services[1]")),
        ({"vitals": {"heart_rate": "80"}}, ("wrong_type", "BookBed.vitals.heart_rate")),
        ({"start_time": "明早八点"}, ("wrong_format", "BookBed.start_time")),
        ({"start_time": "2024-13-06T07:08:09Z"}, ("wrong_format", "BookBed.start_time")),
        ({"birth_date": "1990/01/02"}, ("wrong_format", "BookBed.birth_date")),
        ({"bed": "3"}, ("unknown_parameter", "BookBed.bed")),
        ({"patient_id": None}, ("wrong_type", "BookBed.patient_id")),
    ],
)
def test_each_fault_is_named(change, finding):
    arguments = {name: value for name, value in (RIGHT | change).items() if value is not ...}
    assert found(BED, {"name": "BookBed", "arguments": arguments}) == ("failed", [finding])


def test_an_optional_parameter_may_be_empty_and_a_later_result_may_stand_in():
    assert found(BED, {"name": "BookBed", "arguments": RIGHT | {"notify": None, "days": 3.0}}) == ("passed", [])
    answer = 'make_plan(profile="<API1返回的档案>", priority="high")'
    assert found(PLAN, answer) == ("passed", [])
    assert found(PLAN, 'make_plan(profile="很好", priority="high")') == (
        "failed",
        [("wrong_type", "make_plan.profile")],
    )


WRONG = {"patient_id": 1001}
CALL = {"named": lambda given: json.dumps({"name": "BookBed", "arguments": given}, ensure_ascii=False)}
CALL["python"] = lambda given: "BookBed(" + ", ".join(f"{name}={value!r}" for name, value in given.items()) + ")"
CALL["object"] = lambda given: f"BookBed {json.dumps(given)}"
CALL["fence"] = lambda given: f"```json\n{CALL['named'](given)}\n```"


@pytest.mark.parametrize("form", CALL)
@pytest.mark.parametrize(
    "said",
    [
        "错误示例（不要这样）：{wrong}\n正确：{right}",
        "{wrong}\n更正：\n{right}",
        "{wrong}\n\n**修正后的调用如下：**\n{right}",
        "正确调用：{right}\n反例：{wrong}",
        "Wrong (don't): {wrong}\nRight: {right}",
        "{wrong}\nThat lacks the ward. Corrected call:\n{right}",
        "{wrong}\n更正：{wrong}\n再更正：{right}",
    ],
)
def test_a_call_that_is_taken_back_or_shown_as_wrong_does_not_count(form, said):
    answer = said.format(wrong=CALL[form](WRONG), right=CALL[form](RIGHT))
    assert check(BED, answer).evidence["calls"] == [{"name": "BookBed", "arguments": RIGHT}]


@pytest.mark.parametrize(
    "said",
    [
        "{wrong}\n{right}",
        "{right}\n更正：\n{wrong}",
        "错误示例：{wrong}",
        "{right}\n确认信息正确后再调用一次。\n{wrong}",
        "{wrong}\nIf the ward is wrong, call again: {right}",
        "不正确：{wrong}",
    ],
)
def test_a_wrong_call_that_nothing_takes_back_counts(said):
    answer = said.format(wrong=CALL["named"](WRONG), right=CALL["named"](RIGHT))
    assert check(BED, answer).status == "failed"


def test_a_correction_takes_back_as_many_calls_as_it_makes():
    calls = [CALL["named"](WRONG | {"days": days}) for days in (1, 2)]
    answer = f"{calls[0]}\n{calls[1]}\n更正：{CALL['named'](RIGHT)}"
    kept = [call["arguments"] for call in check(BED, answer).evidence["calls"]]
    assert kept == [WRONG | {"days": 1}, RIGHT]


def test_unknown_apis_are_found_in_json_and_where_a_line_is_a_call():
    assert found(PLAN, [{"name": "find_patiant", "arguments": {"name": "a"}}]) == (
        "failed",
        [("unknown_api", "find_patiant")],
    )
    assert found(PLAN, '```\nfind_patiant(name="张三")\n```') == ("failed", [("unknown_api", "find_patiant")])
    assert found(PLAN, "先用 print(x=1) 看看") == ("not_covered", [("no_calls", "")])


def test_the_order_is_checked_only_against_a_reference():
    first = 'find_patient(name="张三", fields=["a"])'
    second = 'make_plan(profile={}, priority="low")'
    key = Key(uid="MedRetAPI/2", answer=f"{first}\n{second}")
    assert found(PLAN, f"{second}\n{first}") == ("passed", [])
    assert found(PLAN, f"{second}\n{first}", key) == ("failed", [("wrong_order", "make_plan")])
    assert found(PLAN, second, key) == ("failed", [("missing_call", "find_patient")])
    assert found(PLAN, f"{first}\n{second}", key) == ("passed", [])


def test_what_says_nothing_about_the_answer_is_not_covered():
    assert found(PATH, "路径：Admit（入院）→ Discharge（出院）") == ("not_covered", [("no_calls", "")])
    assert found(BED, "不知道") == ("not_covered", [("no_calls", "")])
    assert check_calls(BED, Response(status="failed"), None).findings[0].code == "no_answer"
    unread = Question(id="4", dataset="MedCallAPI", text=RUN_TOGETHER.replace("(int，", "(整数int，", 1))
    assert check(unread, FORMS["json"]).status in ("not_covered", "failed")
    odd = Question(id="5", dataset="MedCallAPI", text=RUN_TOGETHER.replace("(int，必填)", "(day，必填)"))
    assert found(odd, FORMS["json"]) == ("not_covered", [("unknown_type", "BookBed.days")])


def test_what_an_api_returns_is_no_call():
    answer = 'Admit\n- PatientID: "P1"\n- ICD: "J18"\n返回：{"Point": "术前"}\n2. Discharge\n输出：{"Point": "x"}'
    checked = check(PATH, answer)
    assert checked.evidence["calls"] == [
        {"name": "Admit", "arguments": {"PatientID": "P1", "ICD": "J18"}},
        {"name": "Discharge", "arguments": None},
    ]
    assert checked.status == "passed"


def test_every_finding_has_words_in_both_languages():
    finding = check(BED, {"name": "BookBed", "arguments": {}}).findings[0]
    assert finding.text("en") == "required parameter is missing: BookBed.patient_id"
    assert finding.text("zh") == "缺少必填参数: BookBed.patient_id"


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["find_patient", "make_plan"]), st.dictionaries(NAMES, VALUES, min_size=1, max_size=5))
def test_arguments_in_json_come_back_as_they_were_written(name, arguments):
    apis = read_apis(ON_LINES).apis
    text = f"说明。\n```json\n{json.dumps([{'name': name, 'arguments': arguments}], ensure_ascii=False)}\n```"
    assert [(call.name, call.arguments) for call in extract_calls(text, apis)] == [(name, arguments)]


SIMPLE = st.booleans() | st.integers(-(10**6), 10**6) | st.text(st.characters(codec="utf-8", exclude_characters="\\"))


@given(st.dictionaries(NAMES, SIMPLE | st.lists(SIMPLE, max_size=3), max_size=4))
def test_keyword_arguments_come_back_as_they_were_written(arguments):
    text = f"find_patient({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    (call,) = extract_calls(text, read_apis(ON_LINES).apis)
    assert call.arguments == arguments


@given(st.text(st.sampled_from("fo(={[:\"'`)]},，：（）\\\n a1find_patient"), max_size=200))
def test_no_text_breaks_the_reading(text):
    for call in extract_calls(text + "find_patient" + text, read_apis(ON_LINES).apis):
        assert isinstance(call.name, str)


@pytest.mark.parametrize(
    "text",
    [
        "find_patient(" * 8_000,
        "[" * 100_000,
        '{"a":' * 20_000,
        '{"name":"x","a":[' * 5_000,
        "find_patient\n- name: {" * 4_000,
        "a(b=" * 25_000,
        "- name: " * 12_000,
    ],
)
def test_an_answer_that_opens_without_end_takes_no_longer_than_seconds(text):
    began = time.process_time()
    extract_calls(text, read_apis(ON_LINES).apis)
    assert time.process_time() - began < 5


def test_names_with_dots_are_names():
    api = Api("math.add", {"type": "object", "properties": {"a": {"type": "number"}}})
    assert [call.name for call in extract_calls("math.add(a=1)", [api])] == ["math.add"]
    assert extract_calls("xmath.add2(a=1)", [api])[0].name == "xmath.add2"


def test_a_parameter_that_comes_again_begins_another_call():
    answer = '步骤：find_patient\n1. name: 张三, fields: ["a"]\n2. name: 李四（家属）, fields: ["b"], age: 3'
    assert check(PLAN, answer).evidence["calls"] == [
        {"name": "find_patient", "arguments": {"name": "张三", "fields": ["a"]}},
        {"name": "find_patient", "arguments": {"name": "李四", "fields": ["b"], "age": 3}},
    ]


def test_a_table_with_a_column_of_remarks_is_read():
    rows = {name: json.dumps(value) for name, value in RIGHT.items()} | {"patient_id": "1001", "ward_type": "general"}
    table = "BookBed\n|参数|取值|说明|\n|---|---|---|\n" + "\n".join(f"| {n} | {v} | 按要求 |" for n, v in rows.items())
    checked = check(BED, table)
    assert (checked.status, checked.evidence["calls"][0]["arguments"]) == ("passed", RIGHT)


HOSTILE = {
    "no quotes": "BookBed(patient_id=P123, ward_type=general, days=3)",
    "listed": "BookBed：patient_id: P123，ward_type: general",
    "half a surrogate pair": '{"name": "BookBed", "arguments": {"patient_id": "\\ud800", "ward_type": "\\udfff"}}',
    "half a name": '{"name": "x\\ud800", "arguments": {"\\ud800": 1}}',
    "no key of a dict": "BookBed(patient_id={[1]: 2})",
    "no key in a dict": "BookBed(patient_id={[]: 1})",
    "number beyond text": f"BookBed(days=0x{'f' * 9000})",
}


@pytest.mark.parametrize("form", HOSTILE)
def test_whatever_an_answer_holds_its_check_can_be_kept(form):
    checked = run_check("api_calls", BED, Response(status="ok", text=HOSTILE[form]), None)
    assert msgspec.json.decode(msgspec.json.encode(checked))["status"] == checked.status
    if form == "no quotes":
        (call,) = checked.evidence["calls"]
        assert call == {"name": "BookBed", "arguments": {"patient_id": "P123", "ward_type": "general", "days": 3}}


def test_tool_calls_nested_without_end_are_no_calls():
    call = ToolCall(name="BookBed", arguments="[" * 5000)
    checked = check_calls(BED, Response(status="ok", text="", tool_calls=(call,)), None)
    assert (checked.status, [each.code for each in checked.findings]) == ("not_covered", ["no_calls"])


def test_a_check_that_fails_says_so_and_stops_nothing(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setitem(CHECKS, "api_calls", broken)
    checked = run_check("api_calls", BED, Response(status="ok", text=FORMS["json"]), None)
    assert (checked.status, checked.findings) == ("not_covered", (Finding("broke", "ZeroDivisionError"),))
    assert checked.findings[0].text("zh") == "检查程序处理此回答时出错: ZeroDivisionError"


@pytest.mark.parametrize("answer", ["[" * 2000 + "1," * 48_000, '[1, "' * 25_000, "[" * 900 + " " * 90_000])
def test_brackets_in_vain_cost_no_more_than_a_second(answer):
    began = time.process_time()
    assert check(BED, answer).status == "not_covered"
    assert time.process_time() - began < 2
