"""The built-in environments: what their tools do, what is kept, and that the same acts leave the same bytes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medbench.agents.checked import CheckedTool, result_of
from medbench.agents.environments.consultation import MOST_FACTS, Consultation
from medbench.agents.environments.ehr import RecordStore
from medbench.agents.environments.sql import HospitalDatabase
from medbench.agents.registry import environment_maker, require_environments
from medbench.agents.session import EnvironmentFailed, Session
from medbench.errors import InputError
from medbench.items.synthetic.write import write_items
from medbench.models.images import MediaMissing
from medbench.models.model import ToolCall
from support.worlds import FolderContext, question


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_items(folder)
    return folder


def tell(environment, name: str, /, **arguments: object) -> str:
    tools = [CheckedTool(tool, []) for tool in environment.tools]
    return asyncio.run(result_of(ToolCall(name, json.dumps(arguments)), tools))


def ask(environment, name: str, /, **arguments: object):
    return json.loads(tell(environment, name, **arguments))


def state(environment):
    return json.loads(environment.snapshot())


# Records


def store(world) -> RecordStore:
    asked = question("ehr", media=["records.jsonl", "functions.json"])
    return RecordStore(asked, FolderContext(world))


def patients(world):
    rows = map(json.loads, (world / "records.jsonl").read_text().splitlines())
    return [row for row in rows if row["resourceType"] == "Patient"]


def test_patients_are_found_by_what_is_known_of_them(world):
    known = patients(world)[3]
    name = known["name"][0]
    for wanted in (
        {"identifier": known["id"]},
        {"name": f"{name['given'][0]} {name['family']}", "birthdate": known["birthDate"]},
        {"family": name["family"].upper(), "given": name["given"][0], "gender": known["gender"]},
    ):
        found = ask(store(world), "get_patient", **wanted)
        assert [entry["resource"]["id"] for entry in found["entry"]] == [known["id"]]
    assert ask(store(world), "get_patient", identifier="T0")["total"] == 0


def test_a_search_by_date_keeps_to_its_bound(world):
    results = [json.loads(line) for line in (world / "records.jsonl").read_text().splitlines()]
    taken = {row["subject"]["reference"][8:]: row["effectiveDateTime"] for row in results if "subject" in row}
    for patient, stamp in list(taken.items())[:8]:
        found = ask(store(world), "get_observation", patient=f"Patient/{patient}", code="mg", date="ge2024-03-04T09:30")
        assert found["total"] == (stamp >= "2024-03-04T09:30")
    for wrong in ({"date": "yesterday"}, {"colour": "red"}):
        assert ask(store(world), "get_observation", patient="T1", **wrong)["error"] == "bad_arguments"


def test_what_is_written_is_kept_found_again_and_nothing_else_changes(world):
    environment = store(world)
    patient = patients(world)[0]["id"]
    written = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "BP"},
        "effectiveDateTime": "2024-03-05T09:30:00+00:00",
        "valueString": "120/80 mmHg",
        "subject": {"reference": f"Patient/{patient}"},
    }
    assert ask(environment, "post_observation", **written | {"resourceType": "Patient"})["error"] == "bad_arguments"
    assert ask(environment, "post_observation", resourceType="Observation")["error"] == "bad_arguments"
    assert state(environment)["entries"] == []
    assert ask(environment, "post_observation", **written)["outcome"] == "created"
    assert state(environment)["entries"] == [{"kind": "Observation", "content": written}]
    assert ask(environment, "get_observation", patient=patient, code="BP")["total"] == 1
    # The records are shared by all items: another store knows nothing of it.
    assert ask(store(world), "get_observation", patient=patient, code="BP")["total"] == 0


@pytest.mark.parametrize(
    ("field", "written", "wanted"),
    [
        ("subject", ["x", None, 5, {}, [{"reference": 3}]], "patient"),
        ("name", ["abc", None, 5, {"family": 3}, [["x"]]], "name"),
        ("name", ["abc", None, 5, {"family": 3}, [["x"]]], "family"),
        ("address", ["abc", None, 5, {"city": {}}, [["x"]]], "address"),
        ("address", ["abc", None, 5, {"city": {}}, [["x"]]], "address-city"),
    ],
)
def test_fields_of_any_shape_are_written_and_searched(tmp_path, field, written, wanted):
    known = {"resourceType": "Person", "subject": {"reference": "Patient/S1"}}
    known |= {"name": [{"family": "S1"}], "address": [{"city": "S1"}]}
    functions = [{"name": "GET /Person", "parameters": {"properties": {wanted: {}}}}]
    functions.append({"name": "POST /Person", "parameters": {}})
    (tmp_path / "records.jsonl").write_text(json.dumps(known))
    (tmp_path / "functions.json").write_text(json.dumps(functions))
    environment = store(tmp_path)
    for each in written:
        assert ask(environment, "post_person", resourceType="Person", **{field: each})["outcome"] == "created"
    found = ask(environment, "get_person", **{wanted: "S1"})
    assert [entry["resource"] for entry in found["entry"]] == [known]


def test_the_answer_ends_the_task(world):
    environment = store(world)
    assert not environment.over
    assert tell(environment, "finish", answer=["T1", 41]) == "done"
    assert environment.over
    assert state(environment)["answer"] == ["T1", 41]


def test_a_search_that_finds_much_says_how_much_it_leaves_out(world):
    found = ask(store(world), "get_patient", gender="female")
    assert found["total"] == len(found["entry"]) + found.get("left_out", 0)
    assert len(json.dumps(found)) < 20_000


@pytest.mark.parametrize(
    ("records", "functions"),
    [("{}", "[]"), ("not json", "[]"), ("", "[{}]"), ("", '[{"name": "DELETE /Patient", "parameters": {}}]')],
)
def test_data_that_can_not_be_used_are_refused(tmp_path, records, functions):
    (tmp_path / "records.jsonl").write_text(records)
    (tmp_path / "functions.json").write_text(functions)
    with pytest.raises(InputError):
        store(tmp_path)


def test_a_missing_file_is_missing(tmp_path):
    asked = question("ehr", media=["records.jsonl"])
    missing = msgspec.structs.replace(asked.media[0], missing="absent")
    with pytest.raises(MediaMissing):
        RecordStore(msgspec.structs.replace(asked, media=(missing,)), FolderContext(tmp_path))
    with pytest.raises(EnvironmentFailed, match=r"media_absent: records\.jsonl"):
        Session(msgspec.structs.replace(asked, media=(missing,)), FolderContext(tmp_path))


# Databases


def hospital(world) -> HospitalDatabase:
    asked = question("sql", media=["inpatients.json", "inpatients-twin.json"])
    return HospitalDatabase(asked, FolderContext(world))


def test_a_database_is_looked_at_and_answered_on_its_twin_too(world):
    environment = hospital(world)
    assert "CREATE TABLE admissions" in tell(environment, "schema")
    shown = ask(environment, "query", sql="SELECT * FROM admissions")
    assert (len(shown["rows"]), shown["more"]) == (50, True)
    assert ask(environment, "query", sql="DROP TABLE admissions")["error"] == "not_allowed"
    assert ask(environment, "answer", sql="SELECT nothing FROM nowhere")["error"] == "sql_error"
    assert not environment.over
    assert tell(environment, "answer", sql="SELECT COUNT(*) FROM admissions WHERE ward = 'surgery'") == "done"
    assert environment.over
    first, second = state(environment)["tables"]
    assert first["rows"] != second["rows"]


def test_a_question_can_be_declined(world):
    environment = hospital(world)
    tell(environment, "abstain", reason="No such column.")
    assert environment.over
    assert (state(environment)["abstained"], state(environment)["tables"]) == (True, [])


@pytest.mark.parametrize("content", ["", "[]", '{"tables": {"t": {"columns": [["a", "BLOB"]]}}}'])
def test_a_database_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(InputError):
        HospitalDatabase(question("sql", media=["d.json"]), FolderContext(tmp_path))
    with pytest.raises(InputError):
        HospitalDatabase(question("sql"), FolderContext(tmp_path))


# Consultations


def cases(world, language: str):
    rows = map(json.loads, (world / "items.jsonl").read_text().splitlines())
    return [row for row in rows if row["dataset"] == "SyntheticConsultation" and row["language"] == language]


def consultation(row) -> Consultation:
    return Consultation(question("consultation", language=row["language"], case=row["meta"]["case"]), None)


@pytest.mark.parametrize(
    ("language", "number", "tool", "given_", "told"),
    [
        ("en", 0, "ask_patient", {"question": "What brings you here today?"}, "belly hurts"),
        ("en", 0, "ask_patient", {"question": "Have you vomited?"}, "vomited once"),
        ("en", 0, "ask_patient", {"question": "Do you smoke?"}, "don't smoke"),
        ("en", 0, "ask_patient", {"question": "Do you take any medication?"}, "paracetamol"),
        ("en", 0, "examine", {"what": "abdomen"}, "rebound"),
        ("en", 0, "examine", {"what": "vital signs"}, "38.1"),
        ("en", 0, "order_test", {"test": "full blood count"}, "14.6"),
        ("en", 1, "ask_patient", {"question": "Does anyone in your family have thyroid problems?"}, "My mother"),
        ("zh", 0, "ask_patient", {"question": "您哪里不舒服？"}, "乏力"),
        ("zh", 0, "ask_patient", {"question": "月经怎么样？"}, "血块"),
        ("zh", 0, "ask_patient", {"question": "您吸烟吗？"}, "不吸烟"),
        ("zh", 0, "examine", {"what": "皮肤黏膜"}, "匙状"),
        ("zh", 0, "order_test", {"test": "血常规"}, "78 g/L"),
    ],
)
def test_what_is_asked_for_is_told(world, language, number, tool, given_, told):
    assert told in tell(consultation(cases(world, language)[number]), tool, **given_)


@pytest.mark.parametrize(
    ("language", "tool", "given_", "told"),
    [
        ("en", "ask_patient", {"question": "Have you been to Brazil?"}, "I don't know about that."),
        ("en", "ask_patient", {"question": "Hello"}, "I don't know about that."),
        ("en", "examine", {"what": "ears"}, "No finding is recorded"),
        ("en", "order_test", {"test": "brain biopsy"}, "No result is available"),
        ("zh", "ask_patient", {"question": "您去过巴西吗？"}, "不清楚"),
        ("zh", "order_test", {"test": "脑活检"}, "没有结果"),
    ],
)
def test_nothing_is_volunteered(world, language, tool, given_, told):
    assert told in tell(consultation(cases(world, language)[0]), tool, **given_)


def test_a_question_that_asks_for_everything_gets_little(world):
    row = cases(world, "en")[0]
    everything = " ".join(row["meta"]["case"]["patient"].values())[:400]
    told = tell(consultation(row), "ask_patient", question=everything)
    assert 0 < len(told.splitlines()) <= MOST_FACTS


def test_the_diagnosis_is_nowhere_in_a_consultation(world):
    for language in ("en", "zh"):
        for row in cases(world, language):
            text = json.dumps({name: row[name] for name in ("question", "meta")}, ensure_ascii=False).casefold()
            assert not any(name.casefold() in text for name in row["answer"]["answer"][0])


def test_a_consultation_ends_with_a_diagnosis(world):
    environment = consultation(cases(world, "en")[0])
    tell(environment, "order_test", test="urinalysis")
    tell(environment, "diagnose", diagnosis="Acute appendicitis")
    assert environment.over
    found = state(environment)
    assert (found["answer"], found["entries"]) == (
        ["Acute appendicitis"],
        [{"kind": "test", "content": {"text": "urinalysis", "found": 1}}],
    )


def test_a_case_that_is_none_is_refused():
    with pytest.raises(InputError):
        Consultation(question("consultation", case={"objective": "x", "diagnosis": "y"}), None)


# All

words = st.sampled_from(["pain", "smoke", "BP", "MG", "T1", "vital signs", "血常规", "", "x" * 30]) | st.text(
    max_size=8
)
acts = st.lists(
    st.tuples(
        st.sampled_from(
            ["get_patient", "post_observation", "post_servicerequest", "ask_patient", "examine", "order_test"]
        ),
        st.dictionaries(
            st.sampled_from(["name", "question", "what", "test", "resourceType", "code"]), words, max_size=3
        ),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(acts, st.sampled_from(["Observation", "ServiceRequest"]), st.floats(allow_nan=False), st.text(max_size=9))
def test_the_same_acts_leave_the_same_bytes(world, acts, kind, number, text):
    order = {
        "resourceType": kind,
        "status": "final",
        "intent": "order",
        "authoredOn": text,
        "effectiveDateTime": text,
        "valueString": text,
        "code": {"text": text, "coding": [{"code": text}]},
        "subject": {"reference": text},
        "more": number,
    }
    row = cases(world, "en")[0]

    def leave(make) -> bytes:
        environment = make()
        for name, given_ in acts:
            tell(environment, name, **given_)
        tell(environment, f"post_{kind.lower()}", **order)
        return environment.snapshot()

    for make in (lambda: store(world), lambda: consultation(row)):
        snapshot = leave(make)
        assert snapshot == leave(make)
        assert json.loads(snapshot)["environment"]


def test_environments_that_are_not_there_are_named_all_at_once():
    require_environments(["ehr", "sql", "consultation"], {}, Path("items.jsonl"))
    with pytest.raises(InputError) as refused:
        require_environments(["ehr", "ward", "theatre"], {}, Path("items.jsonl"))
    assert len(refused.value.problems) == 2
    with pytest.raises(InputError):
        environment_maker("ward")


def test_the_synthetic_items_are_the_same_each_time(tmp_path, world):
    write_items(tmp_path / "again")
    write_items(tmp_path / "other", seed=1)
    for path in world.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(world)).read_bytes()
    assert (world / "items.jsonl").read_bytes() != (tmp_path / "other" / "items.jsonl").read_bytes()
