"""Whether the words of a rule stand in a text: searches of plain words, linear in the length of the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from medbench.agents.governance.policy import When

Span = tuple[int, int]
_ENDS = ".。!?;\n"
_LONGEST_SENTENCE = 400
"""Characters on each side of what was found that its sentence may reach; more would be quadratic in a long text."""


def spans(text: str, term: str) -> Iterator[Span]:
    """Where a folded term stands in a folded text, from its first to behind its last character.

    A term that begins or ends with a Latin letter or a digit stands for whole words; `*` at its end for their rest.
    """
    stem = term.removesuffix("*")
    start = text.find(stem)
    while start >= 0:
        end = start + len(stem)
        if not (_is_word(stem[0]) and start and _is_word(text[start - 1])):
            if term is not stem and term.endswith("*"):
                while end < len(text) and _is_word(text[end]):
                    end += 1
                yield start, end
            elif not (_is_word(stem[-1]) and end < len(text) and _is_word(text[end])):
                yield start, end
        start = text.find(stem, max(end, start + 1))


def recognised(text: str, when: When) -> tuple[str, ...] | None:
    """The words by which a text is recognised; None where it is not.

    Args:
        text: Folded, see `medbench.agents.governance.fold`.
        when: With folded terms.
    """
    groups: list[list[Span]] = []
    for group in when.all:
        found = _found(text, group)
        if not found:
            return None
        groups.append(found)
    for window in _windows(groups):
        first, last = min(start for start, _ in window), max(end for _, end in window)
        if last - first <= when.within and not (when.unless and _taken_back(text, first, last, when.unless)):
            return tuple(text[start:end] for start, end in window)
    return None


def _found(text: str, group: Iterable[str]) -> list[Span]:
    return sorted(span for term in group if term.removesuffix("*") in text for span in spans(text, term))


def _windows(groups: Sequence[Sequence[Span]]) -> Iterator[Sequence[Span]]:
    """A span of each group, the latest at each place; a word of several groups goes to the one that waited longest."""
    places: dict[Span, list[int]] = {}
    for place, found in enumerate(groups):
        for span in found:
            places.setdefault(span, []).append(place)
    latest: dict[int, Span] = {}
    for span in sorted(places):
        waited = min(places[span], key=lambda place: latest.get(place, (-1, -1)))
        latest[waited] = span
        if len(latest) == len(groups) and _apart(latest.values()):
            yield [latest[place] for place in range(len(groups))]


def _apart(found: Iterable[Span]) -> bool:
    """Whether no two overlap: one word does not stand for two groups."""
    ordered = sorted(found)
    return all(before[1] <= after[0] for before, after in pairwise(ordered))


def _taken_back(text: str, first: int, last: int, unless: Iterable[str]) -> bool:
    before, after = text[max(0, first - _LONGEST_SENTENCE) : first], text[last : last + _LONGEST_SENTENCE]
    begin = max(before.rfind(sign) for sign in _ENDS) + 1
    end = min((place for sign in _ENDS if (place := after.find(sign)) >= 0), default=len(after))
    sentence = before[begin:] + text[first:last] + after[:end]
    start = sentence.lstrip(" \"'“‘(")
    return any(
        next(spans(start[: len(term)], term[1:]), None) == (0, len(term) - 1)
        if term.startswith("^")
        else next(spans(sentence, term), None) is not None
        for term in unless
    )


def _is_word(sign: str) -> bool:
    return sign.isascii() and sign.isalnum()
