"""The rows of every case, as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from agcrc.evaluate.case import Case
from agcrc.evaluate.places import Region

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
PLACES = 6


def case_row(case: Case) -> dict[str, Any]:
    """One case; None where a figure does not exist for it."""
    return {
        "case": case.name,
        "healthy": case.healthy,
        "truth_ml": round(case.truth_ml, PLACES),
        "predicted_ml": round(case.predicted_ml, PLACES),
        "dice": _rounded(case.dice),
        "nsd_2mm": _rounded(case.nsd_2mm),
        "nsd_4mm": _rounded(case.nsd_4mm),
        "hd95_mm": _rounded(case.hd95_mm),
        "lesions": len(case.lesions),
        "lesions_found": case.found,
        "false_positives": case.false_positives,
        **{
            f"false_positives_{region.value}": (
                None if case.places is None else sum(place.region is region for place in case.places)
            )
            for region in Region
        },
        "ooi_ceiling": _rounded(case.ceiling),
        "windows": case.windows,
        "seconds": case.seconds,
    }


def case_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """All cases by name, each with its lesions: what the JSON holds."""
    return [
        case_row(case)
        | {
            "lesion_rows": [
                {
                    "volume_ml": round(lesion.volume_ml, PLACES),
                    "diameter_mm": round(lesion.diameter_mm, PLACES),
                    "dice": round(lesion.dice, PLACES),
                    "found": lesion.found,
                }
                for lesion in case.lesions
            ]
        }
        for case in sorted(cases, key=lambda case: case.name)
    ]


def cases_csv(arms: Sequence[tuple[str, Sequence[Case]]]) -> str:
    """All cases of one or several arms as CSV, one row each; empty cells where a figure does not exist.

    Args:
        arms: Name of the arm, and its cases.
    """
    out = io.StringIO(newline="")
    rows = [
        {"prediction": arm, **case_row(case)}
        for arm, cases in arms
        for case in sorted(cases, key=lambda case: case.name)
    ]
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _safe(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, PLACES)
