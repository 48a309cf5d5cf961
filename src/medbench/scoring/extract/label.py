"""One label of a closed list, given as the answer.

Verdicts are read in this order:

1. The whole answer is a label, but for decoration. Where the form says so, the value of a JSON key is the answer.
2. The last line is a label, or a cue names one (`意图标签：…`, `the diagnosis is …`): the last of these wins.
3. The first line is a label and an explanation follows.
4. Weaker statements (`考虑…`, `…：X`, an answer that begins with the label): all of them must name the same label.

A label that is denied ("不是X而是Y"), belongs to the past history or is followed by further words is no verdict;
several side by side are ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from medbench.catalog.model import LabelForm
from medbench.scoring.extract import label_patterns as patterns
from medbench.scoring.extract.fields import flat
from medbench.scoring.extract.json_answer import last_value
from medbench.scoring.extract.label_grammar import DECORATION, Grammar, Occurrence, grammar_of, searchable
from medbench.scoring.extract.normalise import VERDICT_WINDOW, fold_key, nfkc
from medbench.scoring.model import Extraction

_TAIL = 320
_AMBIGUOUS = Extraction(None, "ambiguous")
_UNKNOWN = Extraction(None, "unknown_label")
_NO_VERDICT = Extraction(None, "no_verdict")
_EMPTY = Extraction(None, "empty")
_NONE = Extraction(frozenset[str]())


def extract_label(form: LabelForm, text: str, options: Sequence[str]) -> Extraction:
    """Read the one label that an answer gives.

    Args:
        form: With one label wanted.
        text: The answer without reasoning. Only its last 32 Ki characters are read.
        options: The closed list where the form has none.

    Returns:
        A set of one label (none for the label of the empty set), or no value with a reason: `empty`, `no_verdict`,
        `ambiguous`, `unknown_label` (a short answer that is not in the list).
    """
    if not text:
        return _EMPTY
    grammar = grammar_of(form, options)
    if len(text) <= grammar.longest + 8:
        known, label = grammar.lookup(text)
        if known:
            return one(label)
    text = text[-VERDICT_WINDOW:]
    if form.within is not None:
        inner = value_within(form.within, text)
        if inner is not None:
            text = inner
            known, label = grammar.lookup(text)
            if known:
                return one(label)
    if len(text) > 3 * _TAIL:
        found = _strong(grammar, searchable(text[-_TAIL:]), margin=patterns.BEFORE)
        if found is not None:
            return found
    return _read(grammar, searchable(text))


@lru_cache(maxsize=4096)
def _singleton(label: str) -> Extraction:
    return Extraction(frozenset((label,)))


def one(label: str | None) -> Extraction:
    """The extraction of one label; None is the empty set."""
    return _NONE if label is None else _singleton(label)


def value_within(key: str, text: str) -> str | None:
    """The value of a key of the last JSON object that has it, or of the key in prose (`预测结局：好转`)."""
    folded = fold_key(key)
    if "{" in text or "｛" in text:

        def wanted(value: object) -> bool:
            return isinstance(value, dict) and any(fold_key(name) == folded for name in value)

        value, _ = last_value(text, wanted, lambda piece: False)
        if value is not None:
            return next(flat(inner) for name, inner in value.items() if fold_key(name) == folded)
    found = None
    for found in _in_prose(key).finditer(nfkc(text)):  # noqa: B007 - the last one is wanted
        pass
    return None if found is None else found[1]


@lru_cache(maxsize=64)
def _in_prose(key: str) -> re.Pattern[str]:
    return re.compile(
        re.escape(nfkc(key))
        + r"[\"'”」)\]】}*\s]{0,4}(?:应该|可能|最可能|应)?(?:是|为|:|=){1,2}"
        + r"[\s\"'“「【\[(*]{0,6}([^\"'”」】\]*,。;\n}]{1,60})"
    )


def _read(grammar: Grammar, text: str) -> Extraction:
    known, label = grammar.lookup(text)
    if known:
        return one(label)
    found = _strong(grammar, text, margin=0)
    if found is not None:
        return found
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1:
        alone = {label for known, label in map(grammar.lookup, (line for line in lines if len(line) < 80)) if known}
        first_known, first = grammar.lookup(lines[0])
        if first_known:
            return one(first) if len(alone) == 1 else _AMBIGUOUS
    occurrences = grammar.occurrences(text)
    if occurrences and not text[: occurrences[0].start].strip(DECORATION):
        joined = _with_neighbours(text, occurrences, 0)
        between = pairwise(occurrences)
        if joined.value is None or (
            not text[occurrences[-1].end :].strip(DECORATION)
            and all(patterns.JOINER.fullmatch(text, left.end, right.start) for left, right in between)
        ):
            return joined
    asserted: set[str | None] = set()
    for place, occurrence in enumerate(occurrences):
        if _weak(text, occurrence):
            if _with_neighbours(text, occurrences, place).value is None:
                return _AMBIGUOUS
            asserted.add(occurrence.label)
    if len(asserted) == 1:
        return one(asserted.pop())
    if asserted or len({occurrence.label for occurrence in occurrences}) > 1:
        return _AMBIGUOUS
    if not occurrences and len(text.strip(DECORATION)) <= 2 * grammar.longest:
        return _UNKNOWN
    return _NO_VERDICT


def _strong(grammar: Grammar, text: str, margin: int) -> Extraction | None:
    """The last line where it is a label, else the last label behind a cue, at `margin` or behind it."""
    stripped = text.rstrip()
    start = stripped.rfind("\n") + 1
    if start > margin and len(stripped) - start < 80:
        known, label = grammar.lookup(stripped[start:])
        before = stripped[:start].rstrip()
        if known and not grammar.lookup(before[before.rfind("\n") + 1 :][:80])[0]:
            return one(label)
    occurrences = grammar.occurrences(text)
    for place in range(len(occurrences) - 1, -1, -1):
        found = occurrences[place]
        if found.start < margin:
            break
        before = text[max(0, found.start - patterns.BEFORE) : found.start]
        if not patterns.STRONG_CUE.search(before) or not _asserted(text, found, before):
            continue
        if patterns.CLAUSE_END.match(text, found.end):
            return _with_neighbours(text, occurrences, place)
    return None


def _with_neighbours(text: str, occurrences: list[Occurrence], place: int) -> Extraction:
    """The label at `place`, ambiguous where others are joined to it."""
    first = occurrences[place]
    end = first.end
    for following in occurrences[place + 1 :]:
        if not patterns.JOINER.fullmatch(text, end, following.start):
            break
        if following.label != first.label:
            return one(first.label) if patterns.NEGATED_BEHIND.match(text, following.end) else _AMBIGUOUS
        end = following.end
    return one(first.label)


def _asserted(text: str, found: Occurrence, before: str) -> bool:
    return not patterns.NEGATED.search(before) and not patterns.NEGATED_BEHIND.match(text, found.end)


def _weak(text: str, found: Occurrence) -> bool:
    before = text[max(0, found.start - patterns.BEFORE) : found.start]
    if not before.strip(DECORATION):
        return bool(patterns.LEADING_END.match(text, found.end)) and _asserted(text, found, before)
    return (
        bool(patterns.WEAK_CUE.search(before))
        and _asserted(text, found, before)
        and bool(patterns.CLAUSE_END.match(text, found.end))
    )
