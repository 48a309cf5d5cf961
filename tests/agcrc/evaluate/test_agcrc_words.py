"""The catalogue of the report: both languages whole, with the same values in them."""

from __future__ import annotations

import string
import tomllib
from importlib.resources import files

import pytest

from agcrc.evaluate.estimates import Reason
from agcrc.evaluate.words import rules, say

CATALOGUE = tomllib.loads(files("agcrc.evaluate").joinpath("words.toml").read_text("utf-8"))
MESSAGES = {key: message for key, message in CATALOGUE.items() if key != "rules"}


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", MESSAGES)
def test_a_message_has_both_languages_with_the_same_fields(key):
    message = MESSAGES[key]
    assert {"en", "zh"} <= message.keys() <= {"en", "zh", "one"}
    assert all(message.values())
    assert len({frozenset(fields(text)) for text in message.values()}) == 1


def test_one_is_not_many():
    assert [say("lesions", "en", count=count) for count in (0, 1, 2)] == ["0 lesions", "1 lesion", "2 lesions"]
    assert say("lesions", "zh", count=1) == "1 个病灶"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_in_both_languages(reason):
    key = f"reason_{reason.name.lower()}"
    assert say(key, "en") == reason
    assert say(key, "zh") != reason


def test_every_rule_is_told_in_both_languages():
    english, chinese = rules("en"), rules("zh")
    assert len(english) == len(chinese) == len(CATALOGUE["rules"])
    assert all([*english.values(), *chinese.values()])


def test_every_message_is_used():
    source = "".join(
        files("agcrc.evaluate").joinpath(name).read_text("utf-8")
        for name in ("report.html.jinja", "page.py", "figures.py", "overlays.py")
    )
    regions = {"colon", "ooi", "outside"}
    unused = {
        key
        for key in MESSAGES
        if f'"{key}"' not in source and not key.startswith(("reason_", "ranked_")) and key not in regions
    }
    assert not unused - {"froc_alt", "cases_alt"}
