"""AgentClinic's OSCE cases (arXiv 2405.07960) as items of the environment `consultation`.

A row: `{"OSCE_Examination": {"Objective_for_Doctor", "Patient_Actor", "Physical_Examination_Findings", "Test_Results",
"Correct_Diagnosis"}}`. The NEJM cases rest on images behind web addresses and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.items.converted import ConvertedReader
from medbench.items.report import problem
from medbench.items.rows import Place, RowError

AGENTCLINIC = "AgentClinic"

_BRACKETS = re.compile(r"\s*\(([^()]+)\)")


class _Osce(msgspec.Struct, frozen=True):
    Objective_for_Doctor: str
    Patient_Actor: dict[str, Any]
    Correct_Diagnosis: str
    Physical_Examination_Findings: dict[str, Any] | str = {}
    Test_Results: dict[str, Any] | str = {}


class _Row(msgspec.Struct, frozen=True):
    OSCE_Examination: _Osce


def agentclinic_reader(path: Path, catalog: Catalog) -> ConvertedReader:
    """Reads a file of this format.

    Args:
        path: The file.
        catalog: The datasets there are, AgentClinic among them.
    """
    return ConvertedReader(path, catalog, _item)


def _item(row: dict[str, object], place: Place) -> dict[str, object]:
    """The row in the fields of an item.

    Raises:
        RowError: It is no OSCE case.
    """
    try:
        case = msgspec.convert(row, _Row).OSCE_Examination
    except msgspec.ValidationError as error:
        # msgspec tells types and names of fields, never contents.
        found = problem("agentclinic_row", file=place.file, line=place.line, severity="error", error=error)
        raise RowError([found], row) from error
    diagnosis = case.Correct_Diagnosis.strip()
    names = [diagnosis, _BRACKETS.sub("", diagnosis).strip(), *_BRACKETS.findall(diagnosis)]
    return {
        "id": f"osce-{place.line:03}",
        "dataset": AGENTCLINIC,
        "question": case.Objective_for_Doctor,
        "answer": {
            "answer": [list(dict.fromkeys(name for name in names if name))],
            "compare": "phrase",
            "others": "allowed",
        },
        "source": "AgentClinic",
        "meta": {
            "environment": "consultation",
            "case": {
                "objective": case.Objective_for_Doctor,
                "patient": dict(_leaves(case.Patient_Actor)),
                "examination": dict(_leaves(case.Physical_Examination_Findings)),
                "tests": dict(_leaves(case.Test_Results)),
            },
        },
    }


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text of a nested object under the path to it; the texts of a list as sentences of one."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{path}/{name}" if path else str(name))
    elif isinstance(value, list):
        yield path or "Findings", " ".join(f"{str(member).rstrip('.')}." for member in value)
    elif value is not None and str(value).strip():
        yield path or "Findings", str(value)
