"""Policies as data: what a rule is, and the typed loader of `policies/*.toml` and of files that a user adds."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, get_args

import msgspec

from medbench.agents.governance.fold import fold
from medbench.catalog.model import Bilingual
from medbench.errors import InputError, Problem
from medbench.store.document import Document
from medbench.text import say

Place = Literal["input", "config", "call", "result", "output"]
"""A user's message; an agent's configuration and prompts; a tool call; a tool's result or retrieved text; an answer."""
Action = Literal["allow", "warn", "ask_human", "refuse"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""From the mildest to the strictest."""
Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Route = Literal["oral", "intravenous", "intramuscular", "rectal", "topical"]

WORDS_FILE = "words.toml"
_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_LINE = re.compile(r"at line (\d+)")


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that recognise something: one of each group, close together.

    Attributes:
        all: Groups of terms; each must be met. A term is plain text, in any case and spelling; `forg*` stands for every
            word that begins so; `@name` for a word list.
        within: Most characters from the first to the last of them.
        unless: Terms that, in the same sentence, take it back: `how to prevent`, 如何预防; `^why` only where
            the sentence begins with it.
    """

    all: tuple[tuple[str, ...], ...]
    within: int = 80
    unless: tuple[str, ...] = ()


class Dose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most of a drug that its label allows an adult; illustrative, not for care.

    Attributes:
        drug: Its names.
        route: A dose by another route is not held against it.
        unit: Of both limits.
        source: Label or guideline.
        most_single: Of one dose; None: not limited here.
        most_day: Of 24 hours; None: not limited here.
    """

    drug: tuple[str, ...]
    route: Route
    unit: Literal["mg", "g", "mcg"]
    source: str
    most_single: float | None = None
    most_day: float | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule.

    Attributes:
        id: `theme.name`; unique over all files.
        title: What it is about.
        severity: Of a breach.
        action: What is done where it is recognised; of several rules the strictest counts.
        where: Places that it is looked for in.
        source: Clause of the law or guideline that it rests on, as published.
        when: Any of these recognises it.
        over_dose: A dose above a limit of `Dose` recognises it.
        instead: What is said instead where it refuses or asks a person, beside where it warns.
    """

    id: str
    title: Bilingual
    severity: Severity
    action: Action
    where: tuple[Place, ...]
    source: str
    when: tuple[When, ...] = ()
    over_dose: bool = False
    instead: Bilingual | None = None


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of one theme."""

    theme: str
    title: Bilingual
    words: dict[str, tuple[str, ...]] = {}
    dose: tuple[Dose, ...] = ()
    rule: tuple[Rule, ...] = ()


_UNREAD = PolicyFile("", Bilingual("", ""))


class Policies(msgspec.Struct, frozen=True):
    """All rules, their word lists put in and their terms folded.

    Attributes:
        rules: In the order of files.
        doses: Limits of all files.
        themes: Theme -> title.
        version: Hash of all of this.
    """

    rules: tuple[Rule, ...]
    doses: tuple[Dose, ...]
    themes: dict[str, Bilingual]
    version: str


def load_policies(*added: Path) -> Policies:
    """The policies that come with the program, and those of a user's files.

    Args:
        added: TOML files beside them. A rule can be added, never taken away or changed.

    Raises:
        InputError: All problems of all files.
    """
    folder = files("medbench.agents.governance").joinpath("policies")
    own = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml") and entry.name != WORDS_FILE)
    shared = msgspec.convert(tomllib.loads(folder.joinpath(WORDS_FILE).read_text("utf-8")), dict[str, tuple[str, ...]])
    documents = [_document(name, folder.joinpath(name)) for name in own]
    documents += [_document(str(path), path) for path in added]
    policies = [_UNREAD if document.problems else document.read(PolicyFile) for document in documents]
    times = Counter(rule.id for policy in policies for rule in policy.rule)
    for document, policy in zip(documents, policies, strict=True):
        _check(document, policy, {**shared, **policy.words}, times)
    if problems := [problem for document in documents for problem in document.problems]:
        raise InputError(*problems)
    rules = [_resolved(rule, {**shared, **policy.words}) for policy in policies for rule in policy.rule]
    doses = [dose for policy in policies for dose in policy.dose]
    themes = {policy.theme: policy.title for policy in policies}
    version = msgspec.json.encode((rules, doses, themes), order="deterministic")
    return Policies(tuple(rules), tuple(doses), themes, _digest(version))


def strictest(actions: Iterable[Action]) -> Action:
    """The strictest of some actions; `allow` where there is none."""
    return max(actions, key=ACTIONS.index, default="allow")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _document(name: str, file: Path | Traversable) -> Document:
    """A policy file; what is no TOML has its problem and no value."""
    content, line = b"", None
    try:
        content = file.read_bytes()
        return Document(name, content, tomllib.loads(content.decode("utf-8-sig")))
    except OSError as error:
        message = say("agent.unreadable", error=error.strerror or error)
    except UnicodeDecodeError:
        message = say("agent.not_utf8")
    except tomllib.TOMLDecodeError as error:
        message = say("agent.bad_toml", error=error)
        found = _LINE.search(str(error))
        line = int(found[1]) if found else None
    return Document(name, content, {}, {}, Problem(message=message, file=name, line=line))


def _check(
    document: Document, policy: PolicyFile, words: Mapping[str, tuple[str, ...]], times: Mapping[str, int]
) -> None:
    """What types can't say; of what they say already, nothing more."""
    found = [
        (f"rule[{place}].{field}", key, {"rule": rule.id, **values})
        for place, rule in enumerate(policy.rule)
        for field, key, values in _faults(rule, policy.theme, words, times)
    ]
    for name, terms in policy.words.items():
        if not terms:
            found.append((f"words.{name}", "agent.words_empty", {"name": name}))
        bad = [term for term in terms if term.startswith("@") or not _is_term(term)]
        found += [(f"words.{name}", "agent.words_bad_term", {"name": name, "term": term}) for term in bad]
    for place, dose in enumerate(policy.dose):
        limits = [limit for limit in (dose.most_single, dose.most_day) if limit is not None]
        named = bool(dose.drug) and all(map(_is_term, dose.drug))
        if not named or not limits or not all(limit > 0 and math.isfinite(limit) for limit in limits):
            found.append((f"dose[{place}]", "agent.dose_without_limit", {"drug": ", ".join(dose.drug or ())}))
    for field, key, values in [each for each in found if not document.is_wrong(each[0])]:
        document.problem(key, field, **values)


def _faults(
    rule: Rule, theme: str, words: Mapping[str, tuple[str, ...]], times: Mapping[str, int]
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Field, message and what fills it; a required field that could not be read is None."""
    name = rule.id or ""
    if not _ID.fullmatch(name) or (theme and name.partition(".")[0] != theme):
        yield "id", "agent.rule_bad_id", {"theme": theme}
    if times[rule.id] > 1:
        yield "id", "agent.rule_twice", {}
    if not (rule.source or "").strip():
        yield "source", "agent.rule_without_source", {}
    if not rule.where:
        yield "where", "agent.rule_without_place", {}
    if not rule.when and not rule.over_dose:
        yield "when", "agent.rule_without_words", {}
    if rule.action in ("ask_human", "refuse") and rule.instead is None:
        yield "instead", "agent.rule_without_instead", {}
    for place, when in enumerate(rule.when):
        groups = when.all or ()
        if not groups or not all(groups) or when.within < 1:
            yield f"when[{place}]", "agent.rule_empty_group", {}
        for term in (*(term for group in groups for term in group), *when.unless):
            if term.startswith("@"):
                if term[1:] not in words:
                    yield f"when[{place}]", "agent.rule_unknown_words", {"name": term[1:]}
            elif not _is_term(term):
                yield f"when[{place}]", "agent.rule_bad_term", {"term": term}


def _is_term(term: str) -> bool:
    """Whether there is something to look for in a term as it is searched for, folded."""
    stem = fold(term).strip().removeprefix("^").removesuffix("*")
    return bool(stem.strip()) and "*" not in stem


def _resolved(rule: Rule, words: Mapping[str, Sequence[str]]) -> Rule:
    def terms(group: Iterable[str]) -> tuple[str, ...]:
        whole = (each for term in group for each in (words[term[1:]] if term.startswith("@") else (term,)))
        return tuple(dict.fromkeys(fold(term).strip() for term in whole))

    when = tuple(When(tuple(map(terms, each.all)), each.within, terms(each.unless)) for each in rule.when)
    return msgspec.structs.replace(rule, when=when)
