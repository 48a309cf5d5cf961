"""JSON values inside an answer: found in linear time, read strictly, the last one first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import msgspec

from medbench.scoring.extract.normalise import nfkc

MAX_LENGTH = 1_000_000
"""Characters, counted from the end of an answer, in which JSON is looked for; also the longest value that is read."""
MAX_DEPTH = 64
"""Levels of nesting, above which a value is refused before it is parsed."""
_MAX_PIECES = 2000  # read from the end; more are no answer

# Inside brackets: a string, an escape outside one (so that a quote without a partner is tried only once), a bracket.
_INSIDE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|\\.|[{}\[\]]', re.DOTALL)
_OPENER = re.compile(r"[{\[]")
_NAME = re.compile(r'"\s*+:')
_PARTNER = {"}": "{", "]": "["}


class Span(msgspec.Struct, frozen=True, gc=False):
    """A balanced piece of a text that begins with a bracket.

    Attributes:
        start: Of the opening bracket.
        end: Behind the closing bracket.
        height: Levels of nesting in it, from 1.
        broken: It stands inside JSON that begins with a bracket that is never closed.
    """

    start: int
    end: int
    height: int
    broken: bool = False


class _Refused(ValueError):
    """JSON that says something twice or has no number where one should be."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def _read(text: str, *, repeated_keys: bool = False) -> tuple[Any, str]:
    """One JSON value, or None with `not_json` or `duplicate_key`.

    Line ends and tabs inside strings are allowed, since long free text is often written so; everything else is strict:
    NaN, Infinity and numbers beyond a float are no JSON.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return _read_slowly(text, repeated_keys=repeated_keys)
    if repeated_keys:
        return value, ""
    # The fast reader keeps the last of two equal keys without a word. Every key is written with a quote and a colon, so
    # as many keys as there are such pairs shows that none was lost; else a string holds such a pair, or one was.
    if len(_NAME.findall(text)) != _count_keys(value):
        return _read_slowly(text, repeated_keys=False)
    return value, ""


def _read_slowly(text: str, *, repeated_keys: bool) -> tuple[Any, str]:
    hook = dict if repeated_keys else _object
    try:
        value = json.loads(text, object_pairs_hook=hook, parse_constant=_constant, parse_float=_float, strict=False)
    except _Refused as error:
        return None, error.reason
    except (ValueError, RecursionError):
        return None, "not_json"
    return value, ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Refused("duplicate_key")
    return result


def _constant(name: str) -> NoReturn:
    raise _Refused("not_json")


def _float(literal: str) -> float:
    value = float(literal)
    if value in (float("inf"), float("-inf")):
        raise _Refused("not_json")
    return value


def _count_keys(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_count_keys(inner) for inner in value.values() if isinstance(inner, (dict, list)))
    if isinstance(value, list):
        return sum(_count_keys(inner) for inner in value if isinstance(inner, (dict, list)))
    return 0


def spans(text: str) -> list[Span]:
    """All balanced pieces of a text, inner ones too, in the order of their ends.

    Outside brackets quotes are prose; inside they hold strings, in which brackets mean nothing. A bracket that is never
    closed does not hide what is balanced behind it.
    """
    found: list[Span] = []
    stack: list[tuple[str, int]] = []  # bracket and place
    heights: list[int] = []
    place = 0
    while True:
        token = (_INSIDE if stack else _OPENER).search(text, place)
        if token is None:
            break
        place = token.end()
        bracket = token[0]
        if bracket in ("{", "["):
            stack.append((bracket, token.start()))
            heights.append(1)
        elif bracket in ("}", "]"):
            if stack[-1][0] != _PARTNER[bracket]:
                # Not a pair: what is open around here is no JSON.
                stack.clear()
                heights.clear()
                continue
            _, start = stack.pop()
            height = heights.pop()
            if heights:
                heights[-1] = max(heights[-1], height + 1)
            found.append(Span(start, place, height))
    if stack:
        begun = next((start for _, start in stack if text[start + 1 : start + 40].lstrip()[:1] in ("{", '"')), None)
        if begun is not None:
            found = [msgspec.structs.replace(span, broken=True) if span.start > begun else span for span in found]
    return found


def last_value(
    text: str,
    accept: Callable[[Any], bool],
    mark: Callable[[str], bool],
    *,
    inside_broken: bool = True,
    repeated_keys: bool = False,
) -> tuple[Any, str]:
    """The last value in an answer that is what is looked for.

    A later piece that can't be read but bears the mark of what is looked for is a broken verdict: it is not passed over
    in favour of an earlier draft. Where the answer can't be read as it stands it is read once more after NFKC, which
    turns full-width quotes, colons and brackets into those of JSON.

    Args:
        text: The answer without reasoning.
        accept: Whether a value is what is looked for.
        mark: Whether the source of a piece that can't be read shows that it was meant to be.
        inside_broken: Accept a whole value inside JSON that was cut off.
        repeated_keys: Accept an object that has a key twice; its last value counts.

    Returns:
        The value and an empty reason, or None and `not_json`, `duplicate_key` or `too_long`.
    """
    text = text.strip()
    if (
        len(text) <= MAX_LENGTH
        and text[:1] in ("{", "[")
        and text[-1:] in ("}", "]")
        and text.count("{") + text.count("[") <= MAX_DEPTH
    ):
        value, reason = _read(text, repeated_keys=repeated_keys)
        if not reason and accept(value):
            return value, ""
    read = partial(_read, repeated_keys=repeated_keys)
    value, reason = _last_value(text[-MAX_LENGTH:], accept, mark, read, inside_broken)
    if reason == "not_json" and not text.isascii():
        plain = nfkc(text[-MAX_LENGTH:])
        again, still = _last_value(plain, accept, mark, read, inside_broken)
        if not still:
            return again, ""
    if reason == "not_json" and len(text) > MAX_LENGTH:
        reason = "too_long"
    return value, reason


def _last_value(
    text: str,
    accept: Callable[[Any], bool],
    mark: Callable[[str], bool],
    read: Callable[[str], tuple[Any, str]],
    inside_broken: bool,
) -> tuple[Any, str]:
    if "{" not in text and "[" not in text:
        return None, "not_json"
    deep = False
    for span in reversed(spans(text)[-_MAX_PIECES:]):
        if span.height > MAX_DEPTH:
            if not deep and mark(text[span.start : span.end]):
                return None, "too_long"
            deep = True  # what is inside it and too deep as well says the same
            continue
        piece = text[span.start : span.end]
        value, reason = read(piece)
        if not reason and span.broken and not inside_broken:
            return None, "not_json"
        if not reason and accept(value):
            return value, ""
        if reason and mark(piece):
            return None, reason
    return None, "not_json"
