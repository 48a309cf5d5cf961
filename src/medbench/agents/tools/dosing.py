"""The tool `doses`: a dose held against usual upper limits and kidney function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from medbench.agents.tools.drugs import Dose, doses, drug
from medbench.agents.tools.settings import no_settings
from medbench.models.tools import ToolError, ToolSpec

NAME = "doses"
_POSITIVE = {"type": "number"}


def dose_checker(settings: Mapping[str, object]) -> DoseChecker:
    """The tool; it has no settings.

    Raises:
        InputError: There is one.
    """
    no_settings(settings, NAME)
    return DoseChecker()


class DoseChecker:
    """Holds an adult's dose by mouth against its limits."""

    spec = ToolSpec(
        name=NAME,
        description="Checks an adult's oral dose against usual upper limits and kidney function (illustrative list).",
        parameters={
            "type": "object",
            "properties": {
                "drug": {"type": "string", "description": "name of the drug"},
                "dose_mg": {**_POSITIVE, "description": "single dose in mg"},
                "interval_h": {**_POSITIVE, "description": "hours between doses"},
                "kidney_ml_min": {**_POSITIVE, "description": "creatinine clearance or eGFR, where known"},
            },
            "required": ["drug", "dose_mg", "interval_h"],
            "additionalProperties": False,
        },
    )

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Check; see `medbench.models.tools.Tool`.

        Raises:
            ToolError: `not_found`, `bad_values`.
        """
        name = drug(arguments["drug"])
        rule = doses().get(name or "")
        if name is None or rule is None:
            raise ToolError(
                "not_found", f"No limits are known here for {arguments['drug']}; known: {', '.join(doses())}."
            )
        dose, interval = float(arguments["dose_mg"]), float(arguments["interval_h"])
        if dose <= 0 or interval <= 0:
            raise ToolError("bad_values", "dose_mg and interval_h must be above 0.")
        findings = list(_findings(rule, dose, interval, arguments.get("kidney_ml_min")))
        return msgspec.json.encode(
            {
                "drug": name,
                "daily_mg": round(dose * 24 / interval, 3),
                "within_limits": not findings,
                "findings": findings,
                "source": rule.source,
            }
        ).decode()


def _findings(rule: Dose, dose: float, interval: float, kidney: float | None) -> Iterator[str]:
    if rule.max_dose_mg is not None and dose > rule.max_dose_mg:
        yield f"single dose above {rule.max_dose_mg:g} mg"
    if rule.max_daily_mg is not None and dose * 24 / interval > rule.max_daily_mg:
        yield f"daily dose above {rule.max_daily_mg:g} mg"
    if rule.min_interval_h is not None and interval < rule.min_interval_h:
        yield f"more often than every {rule.min_interval_h:g} h. {rule.en} {rule.zh}"
    if kidney is not None:
        for limit in rule.renal:
            if kidney < limit.below:
                yield f"below {limit.below:g} mL/min: {limit.en} / {limit.zh}"
                return
