"""A synthetic record store and tasks in it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import msgspec

RECORDS, FUNCTIONS = "records.jsonl", "functions.json"
NOW = datetime.fromisoformat("2024-03-05T09:30:00+00:00")
PATIENTS = 30
NOTE = "Acute knee injury, please assess the cruciate ligament"
TASKS_OF_A_KIND = 4

_FAMILIES = ("Achterberg", "Bellweather", "Castellane", "Dunmorrow", "Eastling", "Fairholt", "Grenfell", "Hartwood")
_GIVEN = ("Ada", "Basil", "Clara", "Dorian", "Edda", "Felix", "Greta", "Hugo", "Ines", "Jonas")

Item = dict[str, Any]


def make(chance: random.Random) -> tuple[list[Item], dict[str, bytes]]:
    """Tasks with their keys, and the data files that they name."""
    patients = [_patient(chance, number) for number in range(PATIENTS)]
    magnesium = {patient["id"]: round(chance.uniform(0.7, 2.4), 1) for patient in patients}
    fresh = {patient["id"]: chance.random() < 0.75 for patient in patients}
    observations = [_magnesium(patient["id"], magnesium[patient["id"]], fresh[patient["id"]]) for patient in patients]
    content = b"".join(msgspec.json.encode(record) + b"\n" for record in (*patients, *observations))
    functions = files("medbench.items.synthetic").joinpath(FUNCTIONS).read_bytes()
    items: list[Item] = []
    for patient in chance.sample(patients, TASKS_OF_A_KIND):
        name = f"{patient['name'][0]['given'][0]} {patient['name'][0]['family']}"
        items.append(
            _item(
                "find",
                items,
                patient["id"],
                f"Find the record number of the patient {name}, born on {patient['birthDate']}.",
                f"请查找患者 {name}（出生日期 {patient['birthDate']}）的病历号。",
                {"answer": [patient["id"]]},
            )
        )
    for patient in chance.sample(patients, TASKS_OF_A_KIND):
        pressure = f"{chance.randrange(100, 170)}/{chance.randrange(60, 100)} mmHg"
        items.append(
            _item(
                "record",
                items,
                patient["id"],
                f"Record the blood pressure of patient {patient['id']}, {pressure}, measured now. Its code is BP.",
                f"请为患者 {patient['id']} 记录刚测得的血压 {pressure}，代码为 BP。",
                {"entries": [_observation(patient["id"], pressure)]},
            )
        )
    for patient in chance.sample(patients, TASKS_OF_A_KIND + 2):
        level = magnesium[patient["id"]] if fresh[patient["id"]] else None
        items.append(
            _item(
                "order",
                items,
                patient["id"],
                f"If the last magnesium level of patient {patient['id']} within 24 hours (code MG, mg/dL) is below "
                "1.9, order intravenous magnesium (code MG-IV): 1 g from 1.5 to below 1.9, 2 g from 1.0 to below 1.5, "
                "4 g below 1.0. Order nothing where there is no level or it is not low. Answer with the level, or -1 "
                "where there is none.",
                f"若患者 {patient['id']} 24 小时内最近一次血镁（代码 MG，mg/dL）低于 1.9，"
                "请开具静脉镁（代码 MG-IV）：1.5 至 1.9 以下 1 g，1.0 至 1.5 以下 2 g，1.0 以下 4 g。"
                "无结果或不低则不开。请回答该数值，无结果则答 -1。",
                {"entries": _order(patient["id"], level), "answer": [-1 if level is None else level]},
            )
        )
    for patient in chance.sample(patients, TASKS_OF_A_KIND):
        items.append(
            _item(
                "refer",
                items,
                patient["id"],
                f'Refer patient {patient["id"]} to orthopaedics (code REF-ORTHO) with the note "{NOTE}".',
                f"请将患者 {patient['id']} 转诊至骨科（代码 REF-ORTHO），备注原文为“{NOTE}”。",
                {"entries": [_referral(patient["id"])]},
            )
        )
    return items, {RECORDS: content, FUNCTIONS: functions}


def _item(kind: str, before: list[Item], patient: str, english: str, chinese: str, key: Item) -> Item:
    language = "zh" if len(before) % 2 else "en"
    now = {"en": f"It is {NOW.isoformat()} now.", "zh": f"现在是 {NOW.isoformat()}。"}[language]
    return {
        "id": f"{kind}-{len(before) + 1:02}",
        "question": f"{chinese if language == 'zh' else english}\n{now}",
        "language": language,
        "answer": key,
        "family": patient,
        "media": [RECORDS, FUNCTIONS],
        "meta": {"environment": "ehr", "tags": [kind]},
    }


def _patient(chance: random.Random, number: int) -> Item:
    identifier = f"T{chance.randrange(10**6, 10**7)}"
    born = datetime(1930, 1, 1) + timedelta(days=chance.randrange(29_000))  # noqa: DTZ001 - a date
    return {
        "resourceType": "Patient",
        "id": identifier,
        "identifier": [{"type": {"text": "Medical Record Number"}, "value": identifier}],
        # Two patients of a name differ in their date of birth.
        "name": [{"family": _FAMILIES[number % len(_FAMILIES)], "given": [_GIVEN[number % len(_GIVEN)]]}],
        "gender": chance.choice(["female", "male"]),
        "birthDate": born.date().isoformat(),
    }


def _magnesium(patient: str, level: float, fresh: bool) -> Item:
    taken = NOW - timedelta(hours=6 if fresh else 60)
    return {
        "resourceType": "Observation",
        "id": f"mg-{patient}",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"text": "MG"},
        "effectiveDateTime": taken.isoformat(),
        "status": "final",
        "valueQuantity": {"value": level, "unit": "mg/dL"},
        "subject": {"reference": f"Patient/{patient}"},
    }


def _subject(patient: str) -> Item:
    return {"one_of": [f"Patient/{patient}", patient]}


def _observation(patient: str, pressure: str) -> Item:
    content = {
        "code.text": "BP",
        "valueString": {"contains": pressure.partition(" ")[0]},
        "effectiveDateTime": {"contains": NOW.isoformat()[:16]},
        "subject.reference": _subject(patient),
    }
    return {"kind": "Observation", "content": content}


def _order(patient: str, level: float | None) -> list[Item]:
    if level is None or level >= 1.9:
        return []
    content = {
        "medicationCodeableConcept.coding.0.code": "MG-IV",
        "dosageInstruction.0.doseAndRate.0.doseQuantity.value": 1 if level >= 1.5 else 2 if level >= 1.0 else 4,
        "dosageInstruction.0.doseAndRate.0.doseQuantity.unit": "g",
        "intent": "order",
        "subject.reference": _subject(patient),
    }
    return [{"kind": "MedicationRequest", "content": content}]


def _referral(patient: str) -> Item:
    content = {
        "code.coding.0.code": "REF-ORTHO",
        "intent": "order",
        "note.text": {"contains": NOTE},
        "subject.reference": _subject(patient),
    }
    return {"kind": "ServiceRequest", "content": content}
