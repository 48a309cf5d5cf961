"""Scripts of a model that solves the synthetic items of the environments, from their keys and their makers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medbench.items.synthetic.hospitals import HOSPITALS
from medbench.items.synthetic.records import NOTE, NOW

Script = dict[str, Any]


def rows_of(world: Path) -> list[dict[str, Any]]:
    """The rows of the item file."""
    return [json.loads(line) for line in (world / "items.jsonl").read_text("utf-8").splitlines()]


def scripts_of(world: Path) -> list[Script]:
    """A script for each item, told apart by the item's text."""
    return [{"begins": row["question"], "turns": turns_of(row)} for row in rows_of(world)]


def turns_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What a model does that solves the item."""
    solve = {"ehr": _records, "sql": _database, "consultation": _consultation}[row["meta"]["environment"]]
    return [{"calls": [call]} for call in solve(row)]


def _records(row):
    key = row["answer"]
    subject = {"reference": f"Patient/{row['family']}"}
    stamp = NOW.isoformat()
    calls = []
    for entry in key.get("entries", ()):
        body: dict[str, Any] = {"resourceType": entry["kind"], "subject": subject}
        content = entry["content"]
        if entry["kind"] == "Observation":
            body |= {"status": "final", "code": {"text": "BP"}, "effectiveDateTime": stamp}
            body["valueString"] = content["valueString"]["contains"] + " mmHg"
        elif entry["kind"] == "MedicationRequest":
            dose = {"value": content["dosageInstruction.0.doseAndRate.0.doseQuantity.value"], "unit": "g"}
            body |= {"status": "active", "intent": "order", "authoredOn": stamp}
            body["medicationCodeableConcept"] = {"coding": [{"code": "MG-IV"}]}
            body["dosageInstruction"] = [{"doseAndRate": [{"doseQuantity": dose}], "route": {"text": "IV"}}]
        else:
            body |= {"status": "active", "intent": "order", "authoredOn": stamp}
            body |= {"code": {"coding": [{"code": "REF-ORTHO"}]}, "note": {"text": NOTE}}
        calls.append([f"post_{entry['kind'].lower()}", body])
    return [["get_patient", {"identifier": row["family"]}], *calls, ["finish", {"answer": key.get("answer", [])}]]


def _database(row):
    if row["answer"].get("abstain"):
        return [["schema", {}], ["abstain", {"reason": "It is not in the database."}]]
    for hospital in HOSPITALS:
        for asked in hospital.questions:
            for value in asked.values:
                if row["question"] in (asked.english.replace("{x}", value), asked.chinese.replace("{x}", value)):
                    sql = asked.sql.replace("{x}", value)
                    return [["schema", {}], ["query", {"sql": sql}], ["answer", {"sql": sql}]]
    raise AssertionError(row["question"])


def _consultation(row):
    return [
        ["ask_patient", {"question": "What brings you here?"}],
        ["examine", {"what": "vital signs"}],
        ["diagnose", {"diagnosis": row["answer"]["answer"][0][0]}],
    ]
