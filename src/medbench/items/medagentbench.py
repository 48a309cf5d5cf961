"""MedAgentBench's tasks (arXiv 2501.14654) as items of the environment `ehr`.

A folder with `test_data_v2.json`, `fhir_patients_500.jsonl` and `funcs_v1.json`. Its Observations are not published
with the tasks, so that only the families that need none are taken: 1 (find a patient), 2 (age), 3 (record a blood
pressure) and 8 (order a referral). The keys are ours, made from what each task says; they are not the official
grader's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.errors import InputError
from medbench.items.media import FolderMedia, MediaFiles
from medbench.items.report import Report, problem
from medbench.items.rows import Item, Place, RowError, RowReader

MEDAGENTBENCH = "MedAgentBench"
TASKS, PATIENTS, FUNCTIONS = "test_data_v2.json", "fhir_patients_500.jsonl", "funcs_v1.json"

_NOW = re.compile(r"It's (\S+) now")
_MEASURED = re.compile(r'it is "([^"]+)"')
_FLOWSHEET = re.compile(r"flowsheet ID for blood pressure is (\w+)")
_SNOMED = re.compile(r"SNOMED code for .{1,80} is (\d+)")
_FREE_TEXT = re.compile(r'free text of the referral, "([^"]+)"')


class _Task(msgspec.Struct, frozen=True):
    id: str
    instruction: str
    context: str = ""
    sol: list[str] = []
    eval_MRN: str = ""  # noqa: N815 - as the file has it


class MedAgentBenchReader:
    """Reads the folder.

    Args:
        folder: Holds the three files.
        catalog: The datasets there are, MedAgentBench among them.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder
        self._catalog = catalog
        self.media: MediaFiles = FolderMedia(folder)

    def items(self, report: Report) -> Iterator[Item]:
        """See `ItemReader`.

        Raises:
            InputError: A file is missing or can't be read.
        """
        tasks = self._read(TASKS, list[_Task])
        self._read(FUNCTIONS, list[dict[str, Any]])
        births = self._births()
        reader = RowReader(self._catalog, self.media, report.add)
        left_out = 0
        for line, task in enumerate(tasks, start=1):
            key = _key(task, births)
            if key is None:
                left_out += 1
                continue
            place = Place(str(self._folder / TASKS), line)
            row: dict[str, object] = {
                "id": task.id,
                "dataset": MEDAGENTBENCH,
                "question": "\n".join(part.strip() for part in (task.instruction, task.context) if part.strip()),
                "answer": key,
                "language": "en",
                "media": [PATIENTS, FUNCTIONS],
                "family": task.eval_MRN or task.id,
                "source": f"MedAgentBench {TASKS}",
                "meta": {"environment": "ehr", "tags": [task.id.partition("_")[0]]},
            }
            try:
                question, answer = reader.read_object(row, place)
            except RowError as error:
                report.reject(place.file, line, error.problems, row)
                continue
            yield Item(question, answer, place, row)
        if left_out:
            report.add(problem("medagentbench_left_out", file=self._folder / TASKS, severity="warning", count=left_out))

    def _births(self) -> dict[str, str]:
        lines = self._content(PATIENTS).splitlines()
        try:
            patients = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines if line.strip()]
            return {str(patient["id"]): str(patient["birthDate"]) for patient in patients}
        except (msgspec.DecodeError, KeyError) as error:
            raise InputError(problem("unreadable", file=self._folder / PATIENTS, error=error)) from error

    def _read(self, name: str, kind: Any) -> Any:  # noqa: ANN401 - of the kind
        try:
            return msgspec.json.decode(self._content(name), type=kind)
        except msgspec.DecodeError as error:
            raise InputError(problem("unreadable", file=self._folder / name, error=error)) from error

    def _content(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise InputError(problem("unreadable", file=self._folder / name, error=error.strerror)) from error


def _key(task: _Task, births: dict[str, str]) -> dict[str, object] | None:
    """What is right; None for a task of a family that can't be graded without Observations."""
    family = task.id.partition("_")[0]
    now = _found(_NOW, task.context)
    patient = {"one_of": [f"Patient/{task.eval_MRN}", task.eval_MRN]}
    if family == "task1" and task.sol:
        return {"answer": task.sol}
    if family == "task2" and task.eval_MRN in births and now:
        return {"answer": [_age(births[task.eval_MRN], now[:10])]}
    measured, flowsheet = _found(_MEASURED, task.instruction), _found(_FLOWSHEET, task.context)
    if family == "task3" and measured and flowsheet and now:
        content = {
            "code.text": flowsheet,
            "valueString": {"contains": measured.removesuffix(" mmHg")},
            "effectiveDateTime": {"contains": now[:16]},
            "status": "final",
            "subject.reference": patient,
        }
        return {"entries": [{"kind": "Observation", "content": content}]}
    code, text = _found(_SNOMED, task.context), _found(_FREE_TEXT, task.instruction)
    if family == "task8" and code and text and now:
        content = {
            "code.coding.0.code": code,
            "authoredOn": {"contains": now[:16]},
            "status": "active",
            "intent": "order",
            "note.text": {"contains": text.rstrip(".")},
            "subject.reference": patient,
        }
        return {"entries": [{"kind": "ServiceRequest", "content": content}]}
    return None


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def _age(birth: str, today: str) -> int:
    born, now = date.fromisoformat(birth), date.fromisoformat(today)
    return now.year - born.year - ((now.month, now.day) < (born.month, born.day))
