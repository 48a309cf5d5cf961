"""Messages in Chinese and English from one catalogue: `messages/<package>.toml`, a table per message."""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_current: Language = "en"


def set_language(language: Language) -> None:
    """Choose the language of every message that follows in this process."""
    global _current
    _current = language


def current_language() -> Language:
    """The language that `say` uses when none is given."""
    return _current


@cache
def _messages(package: str) -> dict[str, dict[str, str]]:
    source = files("medbench.text").joinpath("messages", f"{package}.toml").read_text("utf-8")
    return tomllib.loads(source)


def say(key: str, *, language: Language | None = None, **values: object) -> str:
    """Return the message `package.name` with its `{fields}` filled in.

    Values are inserted as plain text and never parsed as a format string themselves.

    Raises:
        KeyError: The catalogue has no such message.
    """
    package, name = key.split(".", 1)
    return _messages(package)[name][language or _current].format(**values)


def named(key: str, code: str, *, language: Language | None = None) -> str:
    """The word for a code, as the message `package.name` has it; the code itself where the catalogue has none."""
    package, name = key.split(".", 1)
    return _messages(package)[name][language or _current] if name in _messages(package) else code


def harmless(text: object) -> str:
    """A message without what could steer the terminal or turn its text round: it may quote an endpoint or a file."""
    return "".join(
        sign if sign in "\n\t" or unicodedata.category(sign) not in {"Cc", "Cf", "Cs"} else "\N{REPLACEMENT CHARACTER}"
        for sign in str(text)
    )
