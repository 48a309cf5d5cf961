"""Every message that the code can say is in the catalogue, in both languages, with the fields that it is given."""

from __future__ import annotations

import ast
import string
import tomllib
from pathlib import Path
from typing import get_args

import medbench.items
from medbench.items.media import Reason

SOURCE = Path(medbench.items.__file__).parent
MESSAGES = tomllib.loads((SOURCE.parent / "text/messages/items.toml").read_text("utf-8"))
# Where a code is the first text among the arguments.
CALLS = {"problem", "complain", "one", "add", "AnswerError", "_BadRowError"}


def codes() -> set[str]:
    found = {f"media_{reason}" for reason in get_args(Reason)}
    for file in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                if name in CALLS and texts:
                    found.add(texts[0])
            elif isinstance(node, ast.IfExp):
                values = [side.value for side in (node.body, node.orelse) if isinstance(side, ast.Constant)]
                found.update(value for value in values if f"{value}_advice" in MESSAGES)
    # Fields of a row come second where the code is computed.
    return found - {"answer", "media", "question"}


def test_every_problem_has_message_and_advice():
    missing = {code for code in codes() if code not in MESSAGES or f"{code}_advice" not in MESSAGES}
    assert not missing


def test_no_message_is_left_over():
    said = codes() | {"too_many_orders", "more_problems"}
    problems = {name for name in MESSAGES if f"{name}_advice" in MESSAGES}
    assert problems - said == set()


def test_both_languages_use_the_same_fields():
    for name, texts in MESSAGES.items():
        assert set(texts) == {"en", "zh"}, name
        fields = [
            {field for _, field, _, _ in string.Formatter().parse(texts[language]) if field} for language in texts
        ]
        assert fields[0] == fields[1], name
