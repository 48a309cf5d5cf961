"""The tool `interactions`: pairs of drugs that must not meet, or only under control."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import msgspec

from medbench.agents.tools.drugs import drug, interactions
from medbench.agents.tools.settings import no_settings
from medbench.models.tools import ToolSpec

NAME = "interactions"


def interaction_checker(settings: Mapping[str, object]) -> InteractionChecker:
    """The tool; it has no settings.

    Raises:
        InputError: There is one.
    """
    no_settings(settings, NAME)
    return InteractionChecker()


class InteractionChecker:
    """Looks up every pair of a list of drugs; what it does not know it says."""

    spec = ToolSpec(
        name=NAME,
        description="Known interactions among drugs (a small illustrative list with sources; silence proves nothing).",
        parameters={
            "type": "object",
            "properties": {
                "drugs": {"type": "array", "items": {"type": "string"}, "description": "list of all drug names"}
            },
            "required": ["drugs"],
            "additionalProperties": False,
        },
    )

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Look up; see `medbench.models.tools.Tool`."""
        written: list[str] = arguments["drugs"]
        known = {each: found for each in written if (found := drug(each)) is not None}
        hits = [
            {
                "drugs": [first, second],
                "severity": rule.severity,
                "en": rule.en,
                "zh": rule.zh,
                "source": rule.source,
            }
            for first, second in combinations(known, 2)
            for rule in interactions()
            if _meets(rule.a, rule.b, known[first], known[second])
        ]
        return msgspec.json.encode(
            {"interactions": hits, "not_in_the_list": [each for each in written if each not in known]}
        ).decode()


def _meets(a: tuple[str, ...], b: tuple[str, ...], first: str, second: str) -> bool:
    return (first in a and second in b) or (first in b and second in a)
