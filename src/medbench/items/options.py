"""Reading lettered options out of a question's text, in every layout that the official release uses.

Layouts: one option per line (`A. x`, `A.x`, `A、x`), the first option on the stem's line, all options run together on
one line (`A.宜监测B.半衰期短C.经肝代谢`), two options on one of several lines. Option texts may hold letters, dots
and numbers (`维生素CB.亚硫酸氢钠` is `维生素C`, then `B.`), and a worked example with options of its own may stand
before the question.
"""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import NamedTuple

_DELIMITERS = ".．、:：)）"
_MARKER = re.compile(rf"(?P<letter>[A-Z])[ \t]?(?P<delimiter>[{_DELIMITERS}])")
_LABEL_SEPARATOR = re.compile(r"[、,，|;；\n]")
_FIELD_LIST = re.compile(r"字段[^\n：:]*[：:][ \t]*\n((?:[ \t]*[-•*][ \t]*[^\n]+(?:\n|$))+)")


class ParsedOptions(NamedTuple):
    """Options found in a text.

    Attributes:
        start: Where the first marker stands; the text before it is instructions and stem.
        options: Option texts in their order, without letters.
    """

    start: int
    options: tuple[str, ...]


class _Marker(NamedTuple):
    letter: str
    delimiter: str
    start: int
    end: int
    at_line_start: bool


def parse_options(text: str) -> ParsedOptions | None:
    """The lettered options at the end of a text; none where there are fewer than two.

    The last possible `A` wins, so options of a worked example before the question are not taken. From letter to letter
    the next marker must use the same delimiter; one at the start of a line is preferred over an earlier one inside a
    line only if no other option would be swallowed.
    """
    markers = [
        _Marker(
            found["letter"],
            "." if found["delimiter"] == "．" else found["delimiter"],
            found.start(),
            found.end(),
            not text[: found.start()].rpartition("\n")[2].strip(),
        )
        for found in _MARKER.finditer(text)
    ]
    for index in range(len(markers) - 1, -1, -1):
        if markers[index].letter == "A":
            options = _chain(text, markers, index)
            if options is not None:
                return ParsedOptions(markers[index].start, options)
    return None


def _chain(text: str, markers: list[_Marker], first: int) -> tuple[str, ...] | None:
    """Follow A, B, C … from one marker; none if an option would be empty or there is no B."""
    chosen = [markers[first]]
    position = first
    for letter in ascii_uppercase[1:]:
        later = [
            (index, marker)
            for index, marker in enumerate(markers[position + 1 :], start=position + 1)
            if marker.letter == letter and marker.delimiter == chosen[0].delimiter
        ]
        if not later:
            break
        # `A. 维生素B. 与…\nB. …`: a marker on its own line is the option; the one inside a line is part of a text.
        index, marker = next((pair for pair in later if pair[1].at_line_start), later[0])
        chosen.append(marker)
        position = index
    if len(chosen) < 2:
        return None
    ends = [marker.start for marker in chosen[1:]] + [len(text)]
    options = tuple(text[marker.end : end].strip() for marker, end in zip(chosen, ends, strict=True))
    return options if all(options) else None


def order_of(options: tuple[str, ...], first: tuple[str, ...]) -> tuple[int, ...] | None:
    """For each option of a shuffled row, its index in the first row; options with the same text keep their order.

    Returns:
        None when the two rows do not hold the same options.
    """
    unused: dict[str, list[int]] = {}
    for index, option in enumerate(first):
        unused.setdefault(option, []).append(index)
    order = []
    for option in options:
        places = unused.get(option)
        if not places:
            return None
        order.append(places.pop(0))
    return tuple(order) if len(order) == len(first) else None


def parse_labels(text: str, pattern: str) -> tuple[str, ...]:
    """The closed list of labels that group 1 of a pattern finds in a question; empty when it finds none."""
    found = re.search(pattern, text)
    if not found:
        return ()
    labels = (label.strip().strip("'\"‘’“”{}[]。. \t") for label in _LABEL_SEPARATOR.split(found[1]))
    return tuple(dict.fromkeys(label for label in labels if label))


def parse_fields(text: str) -> tuple[str, ...]:
    """The keys that a question asks for as a bulleted list behind `…字段：`; empty when there is none."""
    lists = _FIELD_LIST.findall(text)
    if not lists:
        return ()
    lines = (line.strip().lstrip("-•*").strip() for line in lists[-1].splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))
