"""APIs and tables that questions describe in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.scoring.executable.api_description import read_apis
from medbench.scoring.executable.schema_prose import read_schema
from support.agent_items import IN_BRACES, ON_LINES, RUN_TOGETHER, TABLES


def codes(found):
    return [finding.code for finding in found.gaps]


def test_parameters_that_run_together_are_told_apart():
    described = read_apis(RUN_TOGETHER)
    assert described.gaps == ()
    (api,) = described.apis
    properties = api.parameters["properties"]
    assert api.name == "BookBed"
    assert list(properties) == [
        "patient_id", "ward_type", "reason", "start_time", "birth_date", "services", "vitals", "days", "notify",
    ]  # fmt: skip
    assert api.parameters["required"] == ["patient_id", "ward_type", "start_time", "vitals", "days"]
    assert api.parameters["additionalProperties"] is False
    assert properties["patient_id"] == {"type": "string"}
    assert properties["ward_type"] == {
        "type": "string",
        "enum": ["icu", "general"],
        "x-meanings": {"icu": "重症", "general": "普通"},
    }
    assert properties["services"]["items"]["enum"] == ["meal", "nurse"]
    assert properties["vitals"] == {
        "type": "object",
        "properties": {"heart_rate": {"type": "number"}, "blood_pressure": {"type": "string"}},
        "required": [],
    }
    assert (properties["days"]["type"], properties["notify"]["type"]) == ("integer", "boolean")
    assert api.parameters["allOf"] == [
        {
            "if": {"properties": {"ward_type": {"enum": ["icu"]}}, "required": ["ward_type"]},
            "then": {"required": ["reason"]},
        }
    ]


def test_parameters_on_lines_and_in_braces_are_read():
    first, second = read_apis(ON_LINES).apis
    assert first.parameters["required"] == ["name", "fields"]
    assert first.parameters["properties"]["age"] == {"type": "integer"}
    assert second.parameters["properties"]["profile"] == {"type": ["object", "array"]}
    assert second.parameters["properties"]["priority"]["enum"] == ["high", "low"]
    assert "enum" not in second.parameters["properties"]["note"]  # an example is no closed list
    admit, discharge = read_apis(IN_BRACES).apis
    assert list(admit.parameters["properties"]) == ["PatientID", "ICD", "Symptom"]
    assert (admit.unstated, discharge.unstated) == ((), ("PatientID",))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("name (string", "name (tuple"), "unknown_type"),
        (("以下 2 个", "以下 3 个"), "api_count"),
        (("API2：make_plan", "API2：find_patient"), "described_twice"),
        (("age (integer, 选填)", "name (integer, 选填)"), "described_twice"),
        (("age (integer, 选填)", "age (integer)"), None),  # a member of the list before it, as far as can be told
        (("name (string, 必填)", "name (string)"), "required_not_said"),
        (("输入参数：profile", "参数：profile"), "no_parameters"),
        (("字段列表；age", "字段列表\nage"), "parameters_not_read"),
    ],
)
def test_what_can_not_be_read_is_named(change, code):
    assert ON_LINES.count(change[0]) == 1
    found = codes(read_apis(ON_LINES.replace(*change)))
    assert found == ([code] if code else [])


def test_a_member_of_an_example_that_can_not_be_read_is_named():
    assert codes(
        read_apis(IN_BRACES.replace('"PatientID": "string"', '"PatientID": "string", "Codes": ["string"]'))
    ) == ["parameters_not_read"]


def test_a_question_without_apis_or_tables_says_so():
    assert codes(read_apis("头痛怎么办？")) == ["no_api"]
    assert codes(read_schema("头痛怎么办？")) == ["no_table"]


@given(st.text(max_size=300), st.integers(0, len(RUN_TOGETHER)), st.integers(0, len(TABLES)))
def test_any_text_is_read_or_says_why(text, cut, other):
    for question in (text, RUN_TOGETHER[:cut] + text + RUN_TOGETHER[cut:], RUN_TOGETHER[:cut]):
        described = read_apis(question)
        assert described.gaps or all(api.parameters["properties"] for api in described.apis)
    for question in (text, TABLES[:other] + text + TABLES[other:], TABLES[:other]):
        schema = read_schema(question)
        assert schema.gaps or all(table.columns for table in schema.tables)


def test_tables_their_keys_and_what_they_refer_to_are_read():
    schema = read_schema(TABLES)
    assert schema.gaps == ()
    patient, diagnosis, lab = schema.tables
    assert [table.name for table in schema.tables] == ["patient", "DIAGNOSIS", "lab"]
    assert [(column.name, column.kind) for column in patient.columns] == [
        ("patient_id", "text"), ("name", "text"), ("age", "number"), ("born", "date"),
    ]  # fmt: skip
    assert [table.columns[0].key for table in schema.tables] == [True, True, True]
    assert diagnosis.columns[1].references == ("patient", "patient_id")
    assert diagnosis.columns[2].values == ("肺炎", "哮喘")
    assert [column.kind for column in diagnosis.columns[3:]] == ["date", "text"]
    assert lab.columns[1].references == ("DIAGNOSIS", "diagnosis_id")
    assert (lab.columns[4].size, lab.columns[4].scale) == (5, 4)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("VARCHAR2(50))：姓名", "XMLTYPE)：姓名"), "unknown_type"),
        (("字段名：age (数据类型：NUMBER(3))", "字段名：age，数字"), "columns_not_read"),
        (("3. 检验表（lab）", "3. 检验表"), "tables_not_read"),
    ],
)
def test_a_column_or_table_that_can_not_be_read_is_named(change, code):
    assert TABLES.count(change[0]) == 1
    assert code in codes(read_schema(TABLES.replace(*change)))
