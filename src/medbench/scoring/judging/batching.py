"""Whether statements judged in one call get the verdicts that they get one by one (specs/scoring.md section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

import msgspec

from medbench.catalog.model import Part, TextForm
from medbench.items.model import Key, RubricCriterion
from medbench.models.model import Response
from medbench.scoring.judging.attacks import load_corpus, subjects
from medbench.scoring.judging.figure import Figure, figure
from medbench.scoring.judging.plan import SLOTS, JudgeCall, JudgePins, judge_calls, repeats_of
from medbench.scoring.judging.verdict import Found, Judgement, Task, mean_of
from medbench.stats import Estimate, Undefined, cohen_kappa, exact_agreement, paired_difference

PART = Part(TextForm(), ("keypoint_macro_recall", "rubric_points"))
MARGIN = 0.05
"""Scores, from 0 to 1, that differ by less are alike."""

Standing = Literal["alike", "different", "not_shown"]


class TaskFigures(msgspec.Struct, frozen=True):
    """Key points, or criteria, judged in one call and one by one.

    Attributes:
        task: Which of them.
        answers: Answers with at least two statements; with one both ways are the same call.
        items: Item families of these answers, which are the clusters.
        statements: Statements to be judged, over answers and repeats.
        failed_together: Share of the statements without a verdict where they were judged in one call.
        failed_apart: The same one by one.
        n: Statements with a verdict in both ways.
        agreement: Share of these with the same verdict.
        kappa: Cohen's.
        verdicts: `verdict in one call/verdict one by one` -> statements.
        scored: Answers with a score in both ways.
        score_together: Their mean score, from 0 to 1.
        score_apart: The same one by one.
        difference: Together less one by one.
        standing: `alike` where the interval of the difference lies within ±.05, `different` where it does not and lies
            on one side of 0, else `not_shown`.
    """

    task: Task
    answers: int
    items: int
    statements: int
    failed_together: float
    failed_apart: float
    n: int
    agreement: Figure
    kappa: Figure
    verdicts: dict[str, int]
    scored: int
    score_together: float | None
    score_apart: float | None
    difference: Figure
    standing: Standing


def bundled_calls(pins: JudgePins) -> Iterator[JudgeCall]:
    """Calls on the clean answers to the items of the attack corpus, whose key points are judged as criteria too."""
    for subject in subjects(load_corpus(), sample=0):
        key = subject.item.key
        criteria = tuple(
            RubricCriterion(point.text, -point.weight if point.kind == "must_not" else point.weight)
            for point in key.key_points
        )
        key = msgspec.structs.replace(key, criteria=criteria)
        asked = msgspec.structs.replace(subject.asked, part=PART)
        yield from comparable(judge_calls(asked, Response("ok", text=subject.text), key, pins))


def comparable(calls: Iterator[JudgeCall]) -> Iterator[JudgeCall]:
    """The calls that differ between the two ways: on key points or criteria, where an item has at least two of them."""
    return (call for call in calls if len(_statements(call.task, call.key)) > 1)


def compare(
    task: Task,
    calls: Sequence[JudgeCall],
    together: tuple[JudgePins, Mapping[int, Judgement]],
    apart: tuple[JudgePins, Mapping[int, Judgement]],
) -> TaskFigures | None:
    """Compare the two ways in one task; None where there is nothing to compare.

    Args:
        task: Key points or criteria.
        calls: Those of the judge that is asked for all statements at once.
        together: That judge, and place of a call -> its judgement.
        apart: The same judge asked one by one, likewise.
    """
    whole = [call for call in calls if call.task == task]
    if not whole:
        return None
    ways = [_found(said) for _, said in (together, apart)]
    places = [(call.seq + index, call) for call in whole for index in range(len(call.points))]
    first, second = ([found.get(place) for place, _ in places] for found in ways)
    both = [
        (one, other, _family(call))
        for one, other, (_, call) in zip(first, second, places, strict=True)
        if one is not None and other is not None
    ]
    answers = {call.asked.seq: call for call in whole}
    scores = [
        (one, other, _family(call))
        for call in answers.values()
        if (one := _score(call, *together)) is not None and (other := _score(call, *apart)) is not None
    ]
    difference = _figure(scores, _difference)
    return TaskFigures(
        task=task,
        answers=len(answers),
        items=len({_family(call) for call in whole}),
        statements=len(places),
        failed_together=first.count(None) / len(places),
        failed_apart=second.count(None) / len(places),
        n=len(both),
        agreement=_figure(both, exact_agreement),
        kappa=_figure(both, cohen_kappa),
        verdicts=dict(sorted(Counter(f"{one}/{other}" for one, other, _ in both).items())),
        scored=len(scores),
        score_together=fmean(one for one, _, _ in scores) if scores else None,
        score_apart=fmean(other for _, other, _ in scores) if scores else None,
        difference=difference,
        standing=_standing(difference),
    )


def _statements(task: Task, key: Key | None) -> Sequence[object]:
    if key is None or task == "rubric":
        return ()
    return key.key_points if task == "key_points" else key.criteria


def _found(said: Mapping[int, Judgement]) -> dict[int, Found]:
    """Place of each statement among the calls one by one -> verdict."""
    return {seq + each.point: each.found for seq, judgement in said.items() for each in judgement.points}


def _family(call: JudgeCall) -> str:
    return call.asked.question.cluster


def _score(call: JudgeCall, pins: JudgePins, said: Mapping[int, Judgement]) -> float | None:
    first = call.asked.seq * SLOTS
    mine = [(seq, said[seq]) for seq in range(first, first + SLOTS) if seq in said and said[seq].task == call.task]
    return mean_of(repeats_of(mine, call.key, pins).get(call.task, []))


Compared = Sequence[tuple[object, object, str]]


def _figure(pairs: Compared, make: Callable[..., Estimate | Undefined]) -> Figure:
    if not pairs:
        return Figure(reason="nothing was judged in both ways")
    first, second, families = (list(column) for column in zip(*pairs, strict=True))
    return figure(lambda: make(first, second, families))


def _difference(first: Sequence[float], second: Sequence[float], families: Sequence[str]) -> Estimate:
    """Together less one by one. That a few answers have the same difference does not show that all have.

    Scores lie between the lowest seen, since criteria can take points away, and 1.
    """
    low = min(0.0, *first, *second)
    width = 1.0 - low
    ours, theirs = ([(score - low) / width for score in scores] for scores in (first, second))
    found = paired_difference(ours, theirs, families)
    low_limit, high_limit = (None if limit is None else limit * width for limit in (found.low, found.high))
    return replace(found, value=found.value * width, low=low_limit, high=high_limit)


def _standing(difference: Figure) -> Standing:
    low, high = difference.low, difference.high
    if low is None or high is None:
        return "not_shown"
    if low >= -MARGIN and high <= MARGIN:
        return "alike"
    return "different" if low > 0.0 or high < 0.0 else "not_shown"
