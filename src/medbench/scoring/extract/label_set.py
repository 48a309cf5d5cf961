"""A set of labels of a closed list, given as the answer.

Members are separated by `、 , ; | /` or line ends; numbering, bullets, bold print and a bracketed remark are dropped. A
member that is not in the list stays in the set as it is written, so that the set does not match and the micro-averaged
precision counts it: to drop it would mend the model's answer.

Verdicts are read in this order: the whole answer is a list; its members stand one a line, each perhaps with an
explanation; the last line with a cue (`推荐科室：…`), the last line or the first line is a list; the last run of labels
behind a cue in a sentence. A segment in which something is denied is no list, and "or" between members is ambiguous, as
is the label of the empty set beside others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medbench.catalog.model import LabelForm
from medbench.scoring.extract import label_patterns as patterns
from medbench.scoring.extract.label import one, value_within
from medbench.scoring.extract.label_grammar import (
    DECORATION,
    Grammar,
    Occurrence,
    grammar_of,
    searchable,
    without_number,
)
from medbench.scoring.extract.normalise import VERDICT_WINDOW, nfkc
from medbench.scoring.model import Extraction

_MAX_LIST = 1200
_MAX_LINES = 60
_SUBJECT = 12  # "该胸片无问题": what may stand before the label of the empty set in its clause
_AMBIGUOUS = Extraction(None, "ambiguous")
_UNKNOWN = Extraction(None, "unknown_label")
_NO_VERDICT = Extraction(None, "no_verdict")
_EMPTY = Extraction(None, "empty")


def extract_labels(form: LabelForm, text: str, options: Sequence[str]) -> Extraction:
    """Read the set of labels that an answer gives.

    Args:
        form: With several labels allowed.
        text: The answer without reasoning. Only its last 32 Ki characters are read.
        options: The closed list where the form has none.

    Returns:
        Labels, with members outside the list as they are written, or no value with a reason: `empty`, `no_verdict`,
        `ambiguous`, `unknown_label` (a short answer with no label of the list).
    """
    if not text:
        return _EMPTY
    grammar = grammar_of(form, options)
    text = nfkc(text[-VERDICT_WINDOW:])
    if form.within is not None:
        text = value_within(form.within, text) or text
    found = _list(grammar, text)
    if found is not None:
        return found
    lines = [line for line in text.replace("**", "").split("\n") if line.strip()]
    found = _lines(grammar, lines[-_MAX_LINES:])
    if found is not None:
        return found
    folded = searchable(text)
    found = _runs(grammar, folded)
    if found is not None:
        return found
    occurrences = grammar.occurrences(folded)
    if len({occurrence.label for occurrence in occurrences}) > 1:
        return _AMBIGUOUS
    if not occurrences and len(text.strip(DECORATION)) <= 2 * grammar.longest:
        return _UNKNOWN
    return _NO_VERDICT


def _list(grammar: Grammar, segment: str) -> Extraction | None:
    """A segment that is a list with at least one member of the closed list; None where it is something else."""
    if len(segment) > _MAX_LIST:
        return None
    if patterns.NUMBERED.search(segment):
        segment = patterns.NUMBERED.sub("", segment)
    members: set[str] = set()
    none = known_any = False
    for place, token in enumerate(grammar.tokens(segment)):
        if not token.strip(DECORATION):
            continue
        labels = _member(grammar, token, first=place == 0)
        if labels is not None:
            known_any = True
            none = none or None in labels
            members.update(label for label in labels if label is not None)
            continue
        written = without_number(token)
        if place == 0:
            written = patterns.LEAD.sub("", written, count=1) if patterns.LEAD.match(written) else written
        if (
            len(written) > max(12, grammar.longest)
            or patterns.PROSE.search(written.casefold())
            or patterns.NEGATED_MEMBER.match(written)
            or ":" in written
        ):
            return None
        if patterns.EITHER.search(written):
            return _AMBIGUOUS if known_any else None
        members.add(written)
    if not known_any:
        return None
    if none:
        return _AMBIGUOUS if members else one(None)
    return one(next(iter(members))) if len(members) == 1 else Extraction(frozenset(members))


def _member(grammar: Grammar, token: str, *, first: bool) -> list[str | None] | None:
    """The labels that one member of a list says; None where it is not in the closed list."""
    known, label = grammar.lookup(token)
    if known:
        return [label]
    candidates = [without_number(token), without_number(patterns.BRACKETED.sub("", token.rstrip(" 。.;!")))]
    token = candidates[0]
    if first and ":" in token:
        candidates.append(without_number(token.rpartition(":")[2]))
    if first and (lead := patterns.LEAD.match(token)):
        candidates.append(token[lead.end() :])
    for candidate in candidates:
        known, label = grammar.lookup(candidate)
        if known:
            return [label]
        parts = [grammar.lookup(part) for part in patterns.CONNECTED.split(candidate)] if len(candidate) < 200 else []
        if len(parts) > 1 and all(known for known, _ in parts):
            return [label for _, label in parts]
    return None


def _lines(grammar: Grammar, lines: list[str]) -> Extraction | None:
    bulleted = [line for line in lines if patterns.BULLET.match(line)]
    if bulleted:
        heads = [patterns.HEAD_END.split(patterns.BULLET.sub("", line, count=1), maxsplit=1)[0] for line in bulleted]
        if all(len(head) < 80 for head in heads):
            members = [_member(grammar, head, first=False) for head in heads]
            if all(labels is not None for labels in members):
                return _list(grammar, "、".join(heads))
    for line in reversed(lines):
        head, colon, rest = line.partition(":")
        if colon and rest.strip() and len(head) <= 24:
            found = _list(grammar, _sentence(rest))
            if found is not None and patterns.LIST_CUE.search(head.casefold() + ":"):
                return found
    for line in (lines[-1:] + lines[:1]) if len(lines) > 1 else ():
        found = _list(grammar, _sentence(line))
        if found is not None:
            return found
    return None


def _sentence(text: str) -> str:
    return text.split("。", 1)[0]


def _runs(grammar: Grammar, text: str) -> Extraction | None:
    """The last run of joined labels behind a cue in a sentence."""
    run: list[Occurrence] = []
    verdict: Extraction | None = None
    for occurrence in [*grammar.occurrences(text), None]:
        joined = run and occurrence is not None and patterns.JOINER.fullmatch(text, run[-1].end, occurrence.start)
        if run and not joined:
            verdict = _run(text, run) or verdict
            run = []
        if occurrence is not None:
            run.append(occurrence)
    return verdict


def _run(text: str, run: list[Occurrence]) -> Extraction | None:
    start, end = run[0].start, run[-1].end
    before = text[max(0, start - patterns.BEFORE) : start]
    if patterns.NEGATED.search(before) or patterns.NEGATED_BEHIND.match(text, end):
        return None
    only_none = all(occurrence.label is None for occurrence in run)
    short = len(before) < patterns.BEFORE and len(re.split(r"[\n。;,:]", before)[-1]) <= _SUBJECT
    if not (patterns.LIST_CUE.search(before) or patterns.STRONG_CUE.search(before) or (only_none and short)):
        return None
    if not patterns.CLAUSE_END.match(text, end):
        return None
    if before.rstrip()[-1:] in ("、", "|", "/") or text[end : end + 1] in ("、", "|", "/"):
        return _AMBIGUOUS  # the run goes on with something that is not in the list
    if patterns.EITHER.search(text[start:end]):
        return _AMBIGUOUS
    labels = {occurrence.label for occurrence in run}
    if None in labels:
        return _AMBIGUOUS if len(labels) > 1 else one(None)
    return Extraction(frozenset(label for label in labels if label is not None))
