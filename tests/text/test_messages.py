"""The catalogue of messages: two languages, the same fields, every message used and every use there."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from pathlib import Path

import pytest

import medbench
from medbench.text import LANGUAGES, say

SOURCE = Path(medbench.__file__).parent
CATALOGUES = sorted((SOURCE / "text" / "messages").glob("*.toml"))
MESSAGES = {
    f"{path.stem}.{name}": texts
    for path in CATALOGUES
    for name, texts in tomllib.loads(path.read_text("utf-8")).items()
}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", sorted(MESSAGES))
def test_a_message_has_both_languages_with_the_same_fields(key):
    texts = MESSAGES[key]
    assert set(texts) == set(LANGUAGES)
    assert fields(texts["en"]) == fields(texts["zh"])
    assert all(name.isidentifier() and name not in {"key", "language"} for name in fields(texts["en"]))
    for language in LANGUAGES:
        said = say(key, language=language, **dict.fromkeys(fields(texts["en"]), "<{x}>"))
        assert said.strip()


def test_chinese_is_chinese():
    short = {key for key, texts in MESSAGES.items() if not re.search(r"[\u4e00-\u9fff]", texts["zh"])}
    # What is the same in both languages: symbols and names.
    assert all(len(re.sub(r"\{.*?\}|[^A-Za-z]", "", MESSAGES[key]["zh"])) <= 24 for key in short), short


class Uses(ast.NodeVisitor):
    """Literal strings and the patterns of f-strings in a module."""

    def __init__(self) -> None:
        self.said: dict[str, set[str] | None] = {}
        self.literals: set[str] = set()
        self.patterns: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        first = node.args[0] if node.args else None
        if name == "say" and isinstance(first, ast.Constant) and "." in str(first.value):
            given = {keyword.arg for keyword in node.keywords}
            open_ended = None in given
            self.said[str(first.value)] = None if open_ended else {str(name) for name in given} - {"language"}
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.literals.add(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in node.values)
        self.patterns.add("".join(parts))
        self.generic_visit(node)


def uses() -> Uses:
    found = Uses()
    for path in SOURCE.rglob("*.py"):
        found.visit(ast.parse(path.read_text("utf-8")))
    for path in SOURCE.rglob("*.jinja"):
        found.literals |= set(re.findall(r'"([a-z_0-9]+)"', path.read_text("utf-8")))
        found.patterns |= {
            f"{re.escape(start)}.+" for start in re.findall(r't\("([a-z_]+_)" ~', path.read_text("utf-8"))
        } | {f".+{re.escape(end)}" for end in re.findall(r'~ "(_[a-z_]+)"', path.read_text("utf-8"))}
    return found


USES = uses()


def test_every_message_said_by_name_is_there_with_its_fields():
    assert len(USES.said) > 60
    assert set(USES.said) <= set(MESSAGES)
    for key, given in USES.said.items():
        if given is not None:
            assert given == fields(MESSAGES[key]["en"]), key


def test_every_message_is_used():
    patterns = [re.compile(pattern) for pattern in USES.patterns if len(pattern.replace(".+", "")) >= 3]
    unused = [
        key
        for key in MESSAGES
        if not {key, key.split(".", 1)[1]} & USES.literals
        and not any(pattern.fullmatch(key) or pattern.fullmatch(key.split(".", 1)[1]) for pattern in patterns)
    ]
    assert unused == []


def test_values_are_never_read_as_a_format():
    assert "{0.__class__}" in say("cli.bad_language", asked="{0.__class__}")
