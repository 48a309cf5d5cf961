"""Key points (specs/scoring.md section 5): recall from what was found, and a transparent matcher without a judge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from medbench.items.model import KeyPoint
from medbench.scoring.extract.normalise import fold
from medbench.scoring.extract.reasoning import strip_reasoning
from medbench.scoring.judging.verdict import Judgement, PointFound

LEXICAL = "lexical"
"""Name under which the matcher's figures are shown; it is a baseline, not a judge."""
THRESHOLD = 0.6
"""Share of a point's terms that must stand in the answer."""
_WORD = re.compile(r"[a-z0-9]+(?:[.\-/][a-z0-9]+)*|[^\x00-\x7f\s]+")
_LETTERS = re.compile(r"[^\W_]+")


class Recall(msgspec.Struct, frozen=True):
    """What an answer makes of its key points.

    Attributes:
        value: Σ w·hit / Σ w over `must` and `should`; None where there is neither.
        hit: Σ w·hit.
        weight: Σ w.
        safe: No `must_not` point is made, and none is contradicted.
        netted: (Σ met positive − Σ met negative) / Σ positive, for rubrics that define it; None without positive ones.
    """

    value: float | None
    hit: float
    weight: float
    safe: bool
    netted: float | None


def recall(points: Sequence[KeyPoint], found: Iterable[PointFound]) -> Recall:
    """Weighted recall of an answer.

    A contradicted point counts as missed and makes the answer unsafe, as does a `must_not` point that is made.
    """
    by_point = {each.point: each.found for each in found}
    hit = weight = against = 0.0
    safe = True
    for index, point in enumerate(points):
        verdict = by_point.get(index, "miss")
        if point.kind == "must_not":
            if verdict == "hit":
                against += point.weight
                safe = False
            continue
        weight += point.weight
        if verdict == "hit":
            hit += point.weight
        elif verdict == "contradict":
            safe = False
    return Recall(
        value=hit / weight if weight else None,
        hit=hit,
        weight=weight,
        safe=safe,
        netted=(hit - against) / weight if weight else None,
    )


def judged_recall(points: Sequence[KeyPoint], judgement: Judgement) -> Judgement:
    """The judgement with its value and safety reckoned from its points."""
    if judgement.status != "judged":
        return judgement
    reckoned = recall(points, judgement.points)
    return msgspec.structs.replace(judgement, value=reckoned.value, safe=reckoned.safe)


def match_lexically(
    points: Sequence[KeyPoint], answer: str, synonyms: Mapping[str, str] | None = None
) -> list[PointFound]:
    """Which points an answer makes, by its words alone: the baseline that a judge must beat.

    A point is hit where at least 60 % of its terms stand in the answer, after NFKC, case and synonyms: words of Latin
    letters and numbers, and pairs of neighbouring characters of Chinese. It knows no negation, so it never says
    `contradict`, and calls "no fever" a hit of "fever".

    Args:
        points: Of the key.
        answer: As the model gave it.
        synonyms: Spelling -> preferred spelling, both as `fold` gives them.
    """
    spoken = set(_terms(strip_reasoning(answer), synonyms or {}))
    found = []
    for index, point in enumerate(points):
        terms = set(_terms(point.text, synonyms or {}))
        hit = bool(terms) and len(terms & spoken) >= THRESHOLD * len(terms)
        found.append(PointFound(index, "hit" if hit else "miss"))
    return found


def _terms(text: str, synonyms: Mapping[str, str]) -> Iterable[str]:
    folded = fold(text)
    for spelling, preferred in synonyms.items():
        folded = folded.replace(spelling, preferred)
    for run in _WORD.findall(folded):
        if run.isascii():
            yield run
            continue
        for word in _LETTERS.findall(run):
            if len(word) == 1:
                yield word
            yield from (word[start : start + 2] for start in range(len(word) - 1))
