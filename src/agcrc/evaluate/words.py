"""The words of the report in English and Chinese, from one catalogue: `words.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES: dict[Language, str] = {"en": "English", "zh": "中文"}
TAGS: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}


def say(key: str, language: Language, **values: object) -> str:
    """A message with its `{fields}` filled in; English has a form of its own for a `count` of 1.

    Raises:
        KeyError: The catalogue has no such message.
    """
    message = _catalogue()[key]
    form = "one" if language == "en" and values.get("count") == 1 and "one" in message else language
    return str(message[form].format(**values))


def rules(language: Language) -> dict[str, str]:
    """How every figure is computed, by its name."""
    return {rule["term"][language]: rule[language] for rule in _catalogue()["rules"]}


@cache
def _catalogue() -> dict[str, Any]:
    return tomllib.loads(files("agcrc.evaluate").joinpath("words.toml").read_text("utf-8"))
