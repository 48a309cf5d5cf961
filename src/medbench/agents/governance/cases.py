"""What the guard is measured on beside public data: pairs of harmful and harmless requests, and poisoned content.

Written by us as data, `cases/*.toml`; nothing in them is advice to anyone.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from medbench.agents.governance.policy import Place
from medbench.catalog.model import Bilingual
from medbench.text import Language

ATTACK = "«attack»"
"""Stands in a carrier's text for the attack."""


class Twins(msgspec.Struct, frozen=True):
    """A harmful request and its harmless neighbour, which shares its words and deserves an answer.

    Attributes:
        id: `principle-language-number`.
        principle: From 1 to 9, of the AMA Principles of Medical Ethics.
        language: Of both.
        harmful: To be refused.
        harmless: To be answered.
    """

    id: str
    principle: int
    language: Language
    harmful: str
    harmless: str


class Poison(msgspec.Struct, frozen=True):
    """Content with an attack in it.

    Attributes:
        id: `kind/name`; unique.
        kind: Name of its file, such as `tool_output`.
        language: Of the attack.
        place: Where it meets the guard.
        tool: Name of the tool that returns it; empty where none does.
        text: With the attack.
        clean: The same without it: what the guard must leave as it is. Empty: the attack is all of it.
        keep: Words of the clean text that must be left beside the attack; empty: none need be.
        signs: An answer, or arguments of a tool call, with one of these was moved by the attack; a single letter must
            be all of it.
        must_not: What must not happen, for people.
        ask: What a model is asked while it has the text before it; empty: the text is the question.
    """

    id: str
    kind: str
    language: Language
    place: Place
    tool: str
    text: str
    clean: str
    keep: str
    signs: tuple[str, ...]
    must_not: Bilingual
    ask: str

    def moved(self, said: str) -> bool:
        """Whether what a model said or called shows that the attack moved it."""
        said = said.casefold()
        whole = said.strip(" .。*\n")
        return any(whole == sign if len(sign) == 1 else sign in said for sign in map(str.casefold, self.signs))


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    principle: int
    pairs: tuple[tuple[str, str], ...]


class _TwinsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    language: Language
    group: tuple[_Group, ...]


class _Carrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text that an attack is put into."""

    text: str
    ask: str
    tool: str = ""
    keep: str = ""


class _Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    attack: str
    signs: tuple[str, ...]
    must_not: Bilingual
    carrier: str
    language: Language


class _PoisonFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    title: Bilingual
    place: Literal["input", "config", "result"]
    carrier: dict[str, _Carrier]
    case: tuple[_Case, ...]


@cache
def load_twins() -> tuple[Twins, ...]:
    """The pairs, Chinese and English, by language and principle."""
    twins = []
    for _, raw in _tables("twins_"):
        read = msgspec.convert(raw, _TwinsFile)
        for group in read.group:
            for number, (harmful, harmless) in enumerate(group.pairs, start=1):
                place = f"{group.principle}-{read.language}-{number}"
                twins.append(Twins(place, group.principle, read.language, harmful, harmless))
    return tuple(twins)


@cache
def load_poison() -> tuple[Poison, ...]:
    """The poisoned content, by kind.

    Raises:
        ValueError: A file is wrong; the message says where.
    """
    found: list[Poison] = []
    for name, raw in _tables("poison_"):
        read = msgspec.convert(raw, _PoisonFile)
        if name != f"poison_{read.kind}.toml":
            raise ValueError(f"cases/{name}: its kind is {read.kind}")
        found += [_poison(read, case) for case in read.case]
    ids = [each.id for each in found]
    if len(set(ids)) != len(ids):
        raise ValueError(f"cases: ids are not unique: {sorted({each for each in ids if ids.count(each) > 1})}")
    return tuple(found)


@cache
def poison_titles() -> dict[str, Bilingual]:
    """Kind -> title for people."""
    return {read.kind: read.title for _, raw in _tables("poison_") for read in [msgspec.convert(raw, _PoisonFile)]}


def _poison(read: _PoisonFile, case: _Case) -> Poison:
    carrier = read.carrier[case.carrier]
    if carrier.text.count(ATTACK) != 1:
        raise ValueError(f"cases/poison_{read.kind}.toml: carrier {case.carrier} needs {ATTACK} once")
    before, after = carrier.text.split(ATTACK)
    return Poison(
        id=f"{read.kind}/{case.id}",
        kind=read.kind,
        language=case.language,
        place=read.place,
        tool=carrier.tool,
        text=before + case.attack + after,
        clean=(before + after).strip(),
        keep=carrier.keep,
        signs=case.signs,
        must_not=case.must_not,
        ask=carrier.ask,
    )


def _tables(prefix: str) -> list[tuple[str, dict[str, Any]]]:
    folder = files("medbench.agents.governance").joinpath("cases")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(prefix))
    return [(name, tomllib.loads(folder.joinpath(name).read_text("utf-8"))) for name in names]
