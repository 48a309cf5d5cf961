"""The audit trail of an agent: every decision, tool call and policy hit, and what a person reads in it.

Texts are kept as their hash and length, never as such; arguments of tools without secrets and identifiers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from medbench.agents.governance.deidentify import Pseudonyms
from medbench.agents.governance.guard import Decision
from medbench.errors import InputError
from medbench.store.audit import Chain
from medbench.text import Language, current_language, named, say

MOST_ARGUMENTS = 2000
_MOST_READ = 10_000
_LONGEST_IDENTIFIER = 200
SUFFIX = ".audit.jsonl"
_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|authorization|credential|cookie|密码|口令|密钥")
# Quotes, also as they stand in JSON within JSON, and the sign before a value.
_IS = r"\\{0,4}[\"']?\s{0,3}[=:：]\s{0,3}\\{0,4}[\"']?"
_SECRET = re.compile(
    r"(?i)\b(?:sk|pk|ghp|gho|xox[abp]|hf|glpat)[-_][A-Za-z0-9_-]{8,}"
    r"|\bbearer\s+[A-Za-z0-9._~+/=-]{8,}"
    rf"|\bauthorization{_IS}(?:[a-z]{{1,20}}\s+)?[^\s\"',;}}\\]{{3,}}"
    rf"|(?<![A-Za-z0-9])(?:api[_-]?key|token|secret|password|passwd|密码|口令){_IS}[^\s\"',;}}\\]{{3,}}"
    r"|(?<=://)[^\s/@:\"']{0,100}:[^\s/@\"']{1,200}(?=@)"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)


class Trail:
    """The trail of one answer, in memory; `Context.keep(trail.content, SUFFIX)` keeps it with the run.

    An answer counts only once the ledger has it, and its trail is kept before: `kill -9` loses neither alone.

    Args:
        chain: Makes the lines.
    """

    def __init__(self, chain: Chain | None = None) -> None:
        self._chain = chain or Chain()
        self._lines: list[bytes] = []

    @property
    def content(self) -> bytes:
        """All lines."""
        return b"".join(self._lines)

    def append(self, record: Mapping[str, object]) -> None:
        """Add a record, such as `decision_record` makes."""
        self._lines.append(self._chain.line(record))


def decision_record(decision: Decision, name: str = "") -> dict[str, object]:
    """What the trail keeps of a decision.

    Args:
        decision: Of the guard, settled.
        name: Of the tool, where it is about one.
    """
    return {
        "event": "decision",
        "place": decision.place,
        "name": _safe(name),
        "action": decision.action,
        "reason": decision.reason,
        "by": decision.by,
        "hits": [msgspec.to_builtins(hit) for hit in decision.hits],
        "text": digest_of(decision.original),
        "goes_on": digest_of(decision.text),
    }


def call_record(name: str, arguments: Mapping[str, object], status: str, result: str = "") -> dict[str, object]:
    """What the trail keeps of a tool call that was made.

    Args:
        name: Of the tool.
        arguments: As the model gave them.
        status: `ok`, the code of its error, or `unfinished` where the item ended during the call.
        result: As it came, before the guard.
    """
    return {
        "event": "tool_call",
        "name": _safe(name),
        "arguments": without_secrets(json.dumps(_masked(arguments), ensure_ascii=False))[:MOST_ARGUMENTS],
        "status": status,
        "result": digest_of(result),
    }


def step_record(name: str, **details: str | int) -> dict[str, object]:
    """What the trail keeps of another step, such as `start` (with policies and configuration) and `end`."""
    return {"event": "step", "name": name, "details": {key: _safe(value) for key, value in details.items()}}


def digest_of(text: str) -> dict[str, object]:
    """A text as its hash and its length in characters."""
    return {"sha256": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), "length": len(text)}


def without_secrets(text: str) -> str:
    """The beginning of a text, without what looks like a key or an identifier of a person."""
    # A model may ask for a tool by half a character, which no file can hold.
    read = text[:_MOST_READ].encode("utf-8", "replace").decode()
    hidden = Pseudonyms().hide(_SECRET.sub("***", read))
    # What is cut off in the middle is not recognised.
    return hidden if len(text) <= _MOST_READ else hidden[:-_LONGEST_IDENTIFIER]


def explained(record: Mapping[str, object], language: Language | None = None) -> str:
    """A record in a plain sentence.

    Raises:
        InputError: The chain holds, but this is no record of an agent.
    """
    language = language or current_language()
    try:
        return _EXPLAINED[str(record["event"])](record, language)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(say("agent.no_record", seq=record.get("seq"))) from error


def hit_line(hit: Mapping[str, Any], language: Language) -> str:
    """A hit of a record in a plain sentence: the rule, by what it was recognised, on which clause it rests."""
    return say(
        "agent.hit",
        language=language,
        rule=hit["rule"],
        title=hit["title"][language],
        severity=say(f"agent.severity_{hit['severity']}", language=language),
        words=" … ".join(hit["words"]),
        source=hit["source"],
    )


class TrailSummary(msgspec.Struct, frozen=True):
    """A trail in figures.

    Attributes:
        decisions: Decisions by action.
        rules: How often each rule was hit.
        calls: Tool calls by status.
    """

    decisions: dict[str, int]
    rules: dict[str, int]
    calls: dict[str, int]


def summary(records: Sequence[Mapping[str, object]]) -> TrailSummary:
    """Count what a trail tells."""
    decisions = [record for record in records if record.get("event") == "decision"]
    return TrailSummary(
        decisions=dict(Counter(str(record["action"]) for record in decisions)),
        rules=dict(Counter(hit["rule"] for record in decisions for hit in record["hits"])),  # type: ignore[attr-defined]
        calls=dict(Counter(str(record["status"]) for record in records if record.get("event") == "tool_call")),
    )


def _masked(value: object, name: str = "") -> object:
    if _SECRET_NAME.search(name):
        return "***"
    if isinstance(value, Mapping):
        return {str(key): _masked(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(each) for each in value]
    return value


def _safe(value: str | int) -> str | int:
    return without_secrets(value)[:MOST_ARGUMENTS] if isinstance(value, str) else value


def _decision(record: Mapping[str, object], language: Language) -> str:
    text = record["text"]
    line = say(
        f"agent.decided_{record['action']}",
        language=language,
        at=_clock(record),
        what=say(f"agent.place_{record['place']}", language=language, name=record["name"]),
        length=text["length"],  # type: ignore[index]
    )
    if record["reason"]:
        line += " " + say(f"agent.reason_{record['reason']}", language=language, by=record.get("by"))
    hits: Sequence[Mapping[str, Any]] = record["hits"]  # type: ignore[assignment]
    return "\n".join((line, *(hit_line(hit, language) for hit in hits)))


def _call(record: Mapping[str, object], language: Language) -> str:
    values = {"name": record["name"], "arguments": record["arguments"]}
    status = str(record["status"])
    values["status"] = named(f"agent.status_{status}", status, language=language)
    length = record["result"]["length"]  # type: ignore[index]
    return say("agent.called", language=language, at=_clock(record), length=length, **values)


def _step(record: Mapping[str, object], language: Language) -> str:
    details = " · ".join(
        f"{named(f'agent.detail_{name}', name, language=language)} {value}"
        for name, value in record["details"].items()  # type: ignore[attr-defined]
    )
    code = str(record["name"])
    name = named(f"agent.step_{code}", code, language=language)
    return say("agent.step", language=language, at=_clock(record), name=name, details=details or "–")


_EXPLAINED = {"decision": _decision, "tool_call": _call, "step": _step}


def _clock(record: Mapping[str, object]) -> str:
    at = datetime.fromtimestamp(int(str(record["at_us"])) / 1e6, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S.%f UTC")
