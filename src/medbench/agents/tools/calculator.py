"""The tool `calculator`: medical formulas with their sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from medbench.agents.tools.formula import Formula, described, named_in, result
from medbench.agents.tools.formulas import FORMULAS
from medbench.agents.tools.settings import chosen
from medbench.items.model import Question
from medbench.models.model import Context
from medbench.models.tools import ToolError, ToolSpec

NAME = "calculator"
ASKED = 600
"""Characters at the end of a task that say what it asks for; the patient's report before them names much else."""
MOST_HINTS = 2
_OPTION = re.compile(r"[A-Z][.．、:：]?\s*([-+]?\d+(?:\.\d+)?)\D*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def calculator(settings: Mapping[str, object]) -> Calculator:
    """The tool; the setting `formulas` lists those that it offers, by default all.

    Raises:
        InputError: A setting is unknown.
    """
    return Calculator(chosen(settings, "formulas", FORMULAS, NAME))


class Calculator:
    """Computes formulas; a call without values tells what a formula needs.

    Args:
        names: Formulas on offer.
        task: What the values must come from; empty: anywhere. Small models make up what they do not find.
        options: Of a closed question, as displayed; where they are numbers, a result tells which is nearest.
    """

    def __init__(self, names: Sequence[str], task: str = "", options: Sequence[str] = ()) -> None:
        self._options = {option: float(found[1]) for option in options if (found := _OPTION.fullmatch(option))}
        if len(self._options) < len(options):
            self._options = {}
        self._known = {float(number) for number in _NUMBER.findall(task)} if task else None
        self._formulas: Mapping[str, Formula] = {name: FORMULAS[name] for name in names}
        self.spec = ToolSpec(
            name=NAME,
            description=(
                "Medical formulas and scores: "
                + ", ".join(names)
                + ". Without values it tells which inputs a formula needs, with units."
            ),
            parameters={
                "type": "object",
                "properties": {
                    "formula": {"type": "string", "enum": list(names), "description": "name of the formula"},
                    "values": {
                        "type": "object",
                        "description": 'input name -> value, with its unit where it is another one: "92 umol/L"',
                    },
                },
                "required": ["formula"],
                "additionalProperties": False,
            },
        )

    def bound(self, question: Question, context: Context) -> Calculator:
        """The tool for one question. Where pictures or other tools may show values, they may come from anywhere."""
        task = "\n".join((*(turn.content for turn in question.turns), question.text))
        shown = set(question.options)
        options = [line for line in context.prompt.split("\n") if line[:1].isupper() and line[2:].strip() in shown]
        return Calculator(list(self._formulas), "" if question.media or context.tools else task, options)

    def hint(self, question: str) -> str:
        """What the task asks to be computed, by the formulas that its last paragraph names; see `Hinting`."""
        asked = question.strip().rpartition("\n\n")[2][-ASKED:]
        return "\n".join(
            f'{NAME} with {{"formula": "{name}", "values": {{…}}}}: {self._formulas[name].title}. '
            f"Values: {described(self._formulas[name])}"
            for name in named_in(asked, self._formulas)[:MOST_HINTS]
        )

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Compute; see `medbench.models.tools.Tool`.

        Raises:
            ToolError: `unknown_formula`, `bad_values`; `not_in_task` where no number given stands in the task.
        """
        name, values = arguments["formula"], arguments.get("values") or {}
        formula = self._formulas.get(name)
        if formula is None:
            raise ToolError("unknown_formula", f"There is no formula {name}; there are {', '.join(self._formulas)}.")
        if not values:
            return msgspec.json.encode(
                {"formula": name, "gives": formula.title, "inputs": described(formula), "source": formula.source}
            ).decode()
        numbers = {float(number) for value in values.values() for number in _NUMBER.findall(str(value))[:1]}
        if numbers and self._known is not None and not numbers & self._known:
            raise ToolError("not_in_task", "None of these numbers stands in the task. Read the values from it.")
        found = result(name, formula, values)
        if self._options:
            value = float(str(found["value"]))
            nearest = min(self._options, key=lambda option: abs(self._options[option] - value))
            found["of_the_options"] = f"{nearest} is nearest"
        return msgspec.json.encode(found).decode()
