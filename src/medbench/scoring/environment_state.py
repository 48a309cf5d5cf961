"""The metric `environment_state`: the state in which an environment was left, held against the key. Right or wrong."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

import msgspec

from medbench.agents.environment import Entry, State, Table, decode_state
from medbench.items.state import ExpectedEntry, Row, Scalar, StateKey, decode_state_key
from medbench.scoring.extract.normalise import nfkc, plain_number
from medbench.scoring.model import Marking

RELATIVE = 1e-9
"""Two numbers that differ by less, relatively, are the same sum in another order."""
MOST_WORDS = 12
"""An answer of more words than this names no one thing."""
_FARTHEST = 1e308
_SEVERAL = re.compile(r"[;；\n]|\b(?:or|versus|vs|not|no|without|unlikely)\b|或|还是|不是|排除|除外", re.IGNORECASE)


def mark_state(snapshot: bytes, answer: str) -> Marking | None:
    """Hold a snapshot against a key.

    The value is 1 where all that the key names holds and nothing else was changed, else 0. Beside it stands, where the
    key names it: `state_entries`, the share of the entries that are there; `state_unchanged`, nothing else was entered;
    `state_answer`, the final answer or its rows are right; `state_abstention`, a question that can't be answered was
    declined; `state_answered`, one that can be was not.

    Args:
        snapshot: JSON of a `medbench.agents.environment.State`.
        answer: JSON of a `medbench.items.state.StateKey`.

    Returns:
        None where the snapshot is none.
    """
    try:
        state = decode_state(snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    key = decode_state_key(answer)
    if key.abstain:
        found = float(state.abstained)
        return Marking(found, details=(("state_abstention", found),))
    details: dict[str, float] = {}
    missing, others = _entries(state.entries, key.entries)
    if key.entries:
        details["state_entries"] = 1 - missing / len(key.entries)
    if key.others == "forbidden":
        details["state_unchanged"] = float(not others)
    if key.answer is not None:
        details["state_answer"] = float(_answers(state, key))
    if key.tables is not None:
        details["state_answered"] = float(not state.abstained)
        details["state_answer"] = float(_same_tables(state.tables, key))
    right = all(value == 1.0 for value in details.values()) and not state.abstained
    return Marking(float(right), details=tuple(details.items()))


def _entries(entered: Sequence[Entry], expected: Sequence[ExpectedEntry]) -> tuple[int, int]:
    """How many expected entries are missing, and how many entries nobody expected."""
    left = list(entered)
    missing = 0
    for wanted in expected:
        place = next((index for index, entry in enumerate(left) if _fits(entry, wanted)), None)
        if place is None:
            missing += 1
        else:
            del left[place]
    return missing, len(left)


def _fits(entry: Entry, wanted: ExpectedEntry) -> bool:
    return entry.kind == wanted.kind and all(
        _is(_at(entry.content, place), condition) for place, condition in wanted.content.items()
    )


def _at(content: object, place: str) -> object:
    for name in place.split("."):
        if isinstance(content, dict):
            content = content.get(name)
        elif isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        else:
            return None
    return content


def _is(found: object, condition: object) -> bool:
    if isinstance(condition, dict):
        if "contains" in condition:
            return isinstance(found, str) and _plain(str(condition["contains"])) in _plain(found)
        return any(_is(found, one) for one in condition.get("one_of", ()))
    if isinstance(condition, str):
        return isinstance(found, str) and _plain(found) == _plain(condition)
    if isinstance(condition, bool) or condition is None or isinstance(found, bool):
        return found is condition
    return isinstance(found, int | float) and _close(found, condition, 0.0)  # type: ignore[arg-type] # a number is left


def _answers(state: State, key: StateKey) -> bool:
    given = state.answer
    assert key.answer is not None
    if given is None or len(given) != len(key.answer):
        return False
    return all(
        any(_same_part(part, one, key) for one in (allowed if isinstance(allowed, list) else [allowed]))
        for part, allowed in zip(given, key.answer, strict=True)
    )


def _same_part(given: Scalar, right: Scalar, key: StateKey) -> bool:
    if isinstance(right, int | float):
        number = _number(given)
        return number is not None and _close(number, right, key.tolerance)
    if not isinstance(given, str) or not isinstance(right, str):
        return given is right
    if key.compare == "phrase":
        return _names(given, right)
    return _plain(given) == _plain(right)


def _names(given: str, right: str) -> bool:
    """Whether a short answer names a thing and nothing beside it."""
    said, name = _plain(given), _plain(right)
    if said == name:
        return True
    if len(said.split()) > MOST_WORDS or len(said) > len(name) + 60 or _SEVERAL.search(said):
        return False
    return re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", said) is not None


def _same_tables(given: Sequence[Table], key: StateKey) -> bool:
    assert key.tables is not None
    return len(given) == len(key.tables) and all(
        not table.error and not table.more and _same_rows(table.rows, right, ordered=key.ordered)
        for table, right in zip(given, key.tables, strict=True)
    )


def _same_rows(given: Sequence[Row], right: Sequence[Row], *, ordered: bool) -> bool:
    if len(given) != len(right):
        return False
    if not ordered:
        given, right = sorted(given, key=_order), sorted(right, key=_order)
    return all(
        len(one) == len(other) and all(map(_same_value, one, other)) for one, other in zip(given, right, strict=True)
    )


def _order(row: Row) -> list[tuple[int, float, str]]:
    return [
        (0, 0.0, "")
        if value is None
        else (1, float(f"{max(-_FARTHEST, min(value, _FARTHEST)):.6g}"), "")
        if isinstance(value, int | float)
        else (2, 0.0, _plain(value))
        for value in row
    ]


def _same_value(one: Scalar, other: Scalar) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return _close(one, other, 0.0)
    if isinstance(one, str) and isinstance(other, str):
        return _plain(one) == _plain(other)
    return one is None and other is None


def _close(one: float, other: float, tolerance: float) -> bool:
    try:
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=max(tolerance, 1e-12))
    except OverflowError:  # a whole number beyond every float
        return one == other


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            return plain_number(nfkc(value))
        return float(value) if isinstance(value, int | float) else None
    except (ValueError, OverflowError):
        return None


def _plain(text: str) -> str:
    """Without differences of width, case and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
