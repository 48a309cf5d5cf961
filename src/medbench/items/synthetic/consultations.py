"""Synthetic consultations: cases written for this project, not reviewed by clinicians."""

from __future__ import annotations

import random
from importlib.resources import files
from typing import Any

import msgspec

CASES = "consultations.json"


def make(_: random.Random) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """All cases with their diagnoses; nothing in them is drawn."""
    content = files("medbench.items.synthetic").joinpath(CASES).read_bytes()
    items = []
    for number, case in enumerate(msgspec.json.decode(content, type=list[dict[str, Any]]), start=1):
        language, diagnosis = case.pop("language"), case.pop("diagnosis")
        items.append(
            {
                "id": f"case-{number:02}",
                "question": case["objective"],
                "language": language,
                "answer": {"answer": [diagnosis], "compare": "phrase", "others": "allowed"},
                "meta": {"environment": "consultation", "case": case},
            }
        )
    return items, {}
