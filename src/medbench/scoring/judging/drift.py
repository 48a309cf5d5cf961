"""Drift: whether a judge still says of its anchors what it said before, beyond its own noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import sqrt
from statistics import fmean, variance
from typing import Literal

import msgspec

from medbench.scoring.judging.anchors import FLOOR, Anchor
from medbench.scoring.judging.figure import ONE_CLUSTER, Figure, figure
from medbench.scoring.judging.plan import JudgePins
from medbench.scoring.judging.verdict import Task
from medbench.stats import (
    Estimate,
    Undefined,
    clustered_mean,
    cohen_kappa,
    paired_difference,
    sign_flip_permutation,
)

TOP = 10.0
"""Levels run from 0 to this, whatever the scale of the judge."""
ABOVE_FLOOR = 2.0
"""An answer at this level stands above the floor."""
TESTS = 3
"""Of a group: shift, single answers, failures."""
ALPHA = 0.05
"""Share of the readings of an unchanged judge that are flagged, at most."""
TASKS: tuple[Task, ...] = ("rubric", "key_points")
WHOLE = "all"
"""All anchors but those of the floor."""

Verdict = Literal["drift", "no_drift_shown", "unknown"]
Sign = Literal["level", "answers", "failures"]
LARGE = 2.0
"""A shift of so many levels must not hide in an interval that is called no drift."""
ALIKE = 1e-9
"""Values on the scale from 0 to 1 that lie no further apart are the same."""
Repeats = tuple[float | None, ...]
"""What a judge said of one answer, from 0 to 1, repeat by repeat; None where it failed. Empty: it was not asked."""


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a judge said of an anchor set at one time; a line of the history.

    Attributes:
        name: Of the reading; unique for a judge and an anchor set.
        at: When it ended, UTC.
        anchors: Hash of the anchor set.
        judge_id: Of the judge as an instrument.
        judge: How it was asked.
        rubrics: Name -> version of the wording that it was given.
        failures: Failed judgements by reason.
        values: By task, one entry per anchor in the order of the set.
    """

    name: str
    at: str
    anchors: str
    judge_id: str
    judge: JudgePins
    rubrics: dict[str, str]
    failures: dict[str, int]
    values: dict[Task, tuple[Repeats, ...]]

    @property
    def id(self) -> str:
        """Unique in a history of one anchor set."""
        return f"{self.judge_id}/{self.name}"


class Noise(msgspec.Struct, frozen=True):
    """How far a judge's repeats of one answer lie apart in the same reading.

    Attributes:
        n: Answers with at least two repeats that did not fail.
        sd: Standard deviation of one judgement in levels: root of the mean variance within an answer; None for n = 0.
        unchanged: Share of the pairs of repeats at the same level; None for n = 0.
    """

    n: int
    sd: float | None
    unchanged: float | None


class Group(msgspec.Struct, frozen=True):
    """Some anchors in two readings, by one task. Figures are in levels from 0 to 10.

    Attributes:
        task: Rubric or key points.
        family: Name of the rubric, `floor`, or `all` but the floor.
        n: Anchors.
        pairs: Those that the judge judged in both readings.
        items: Their clusters.
        then: Mean level of the pairs in the earlier reading.
        now: In the later one.
        confidence: Of the intervals of `shift`, `moved` and `failed`: all of a comparison together flag an unchanged
            judge in at most 5 % of comparisons (Bonferroni; half for the whole, half for families and floor).
        shift: Later less earlier; clustered by item.
        p: Of the sign-flip test over items that the shift is 0; None where there are no pairs. It is for shifts that
            are alike on all items, whose interval must be wide.
        moved: Root mean square of each answer's own change, without the judge's noise between repeats.
        failed: Share of anchors on which the judge failed, later less earlier.
        unchanged: Share of the judgements at the same level in both readings, repeat by repeat; 95 % interval.
        quadratic_kappa: Between the readings' levels; 95 % interval.
        signs: What changed: the mean `level`, single `answers` or the share of `failures`.
        verdict: `unknown` where nothing can be said.
        reason: Why it is unknown: `few_judged`, at most half in both readings; `few_items`, no interval of the shift
            or one that could hide 2 levels.
    """

    task: Task
    family: str
    n: int
    pairs: int
    items: int
    then: float | None
    now: float | None
    confidence: float
    shift: Figure
    p: float | None
    moved: Figure
    failed: Figure
    unchanged: Figure
    quadratic_kappa: Figure
    signs: tuple[Sign, ...]
    verdict: Verdict
    reason: str


class Floor(msgspec.Struct, frozen=True):
    """Answers that hold no answer, in one reading.

    Attributes:
        task: Rubric or key points.
        n: Judged.
        mean: Mean level; None for n = 0.
        above: Those at level 2 or above.
        held: None is; None where none was judged.
    """

    task: Task
    n: int
    mean: float | None
    above: int
    held: bool | None


class WithPeople(msgspec.Struct, frozen=True):
    """A reading's rubric levels against those of people, on the anchors that people rated.

    Attributes:
        n: Anchors that both rated.
        bias: Judge less people, in levels; 95 % interval.
        quadratic_kappa: 95 % interval.
    """

    n: int
    bias: Figure
    quadratic_kappa: Figure


class Comparison(msgspec.Struct, frozen=True):
    """Two readings of one anchor set.

    Attributes:
        changed: What of the instrument is known to differ: `model`, `repeats`, `points`, `contract`, `rubrics`.
        groups: By task: all, the families where there are several, the floor.
        verdict: `drift` where any group says so; else `unknown` where that of all answers by any task is.
        reason: Of that group where it is unknown.
    """

    changed: tuple[str, ...]
    groups: tuple[Group, ...]
    verdict: Verdict
    reason: str


def compare_readings(anchors: Sequence[Anchor], then: Reading, now: Reading) -> Comparison:
    """Compare two readings of the same anchors.

    The mean shift needs no repeats: noise of single judgements is part of its interval. Whether single answers moved
    can only be told from noise where both readings have repeats.
    """
    groups: list[tuple[Task, str, list[int]]] = []
    for task in TASKS:
        asked = [place for place, _ in enumerate(anchors) if then.values[task][place] and now.values[task][place]]
        families: dict[str, list[int]] = {}
        for place in asked:
            families.setdefault(anchors[place].family, []).append(place)
        floor = families.pop(FLOOR, None)
        if families:
            groups.append((task, WHOLE, [place for several in families.values() for place in several]))
        if len(families) > 1:
            groups += [(task, name, families[name]) for name in sorted(families)]
        if floor:
            groups.append((task, FLOOR, floor))
    wholes = sum(name == WHOLE for _, name, _ in groups)
    compared = []
    for task, name, places in groups:
        tests = TESTS * (wholes if name == WHOLE else len(groups) - wholes)
        compared.append(
            _group(
                task,
                name,
                [anchors[place].item for place in places],
                [then.values[task][place] for place in places],
                [now.values[task][place] for place in places],
                1.0 - ALPHA / 2.0 / tests,
            )
        )
    reasons = [each.reason for each in compared if each.family == WHOLE] or ["few_judged"]
    drifted = any(each.verdict == "drift" for each in compared)
    reason = "" if drifted else next(filter(None, reasons), "")
    verdict: Verdict = "drift" if drifted else "unknown" if reason else "no_drift_shown"
    return Comparison(_changed(then, now), tuple(compared), verdict, reason)


def noise_of(reading: Reading, task: Task) -> Noise:
    """The judge's noise in one reading."""
    repeated = [_said(each) for each in reading.values[task] if len(_said(each)) > 1]
    if not repeated:
        return Noise(0, None, None)
    sd = TOP * sqrt(fmean(variance(each) for each in repeated))
    return Noise(len(repeated), round(sd, 3), round(fmean(_alike(each) for each in repeated), 4))


def floor_of(anchors: Sequence[Anchor], reading: Reading, task: Task) -> Floor:
    """Where the answers stand in a reading that belong at the floor."""
    levels = [
        TOP * value
        for anchor, repeats in zip(anchors, reading.values[task], strict=True)
        if anchor.floor and (value := _value(repeats)) is not None
    ]
    above = sum(level >= ABOVE_FLOOR for level in levels)
    mean = round(fmean(levels), 3) if levels else None
    return Floor(task, len(levels), mean, above, not above if levels else None)


def with_people(anchors: Sequence[Anchor], reading: Reading) -> WithPeople:
    """A reading against what people gave; n = 0 where they rated no anchor that the judge judged."""
    judge, people, items = [], [], []
    for anchor, repeats in zip(anchors, reading.values["rubric"], strict=True):
        value = _value(repeats)
        if anchor.people and value is not None:
            judge.append(value)
            people.append(fmean(anchor.people))
            items.append(anchor.item)
    if not judge:
        nothing = Figure(reason="no anchor that people rated was judged")
        return WithPeople(0, nothing, nothing)
    return WithPeople(
        len(judge),
        _figure(lambda: paired_difference(judge, people, items), TOP),
        _figure(lambda: cohen_kappa(judge, people, items, "quadratic")),
    )


def _group(
    task: Task, family: str, items: Sequence[str], then: Sequence[Repeats], now: Sequence[Repeats], confidence: float
) -> Group:
    values = [(_value(one), _value(other)) for one, other in zip(then, now, strict=True)]
    both = [
        (item, before, after)
        for item, (before, after) in zip(items, values, strict=True)
        if before is not None and after is not None
    ]
    theirs = [item for item, _, _ in both]
    before, after = [value for _, value, _ in both], [value for _, _, value in both]
    changes = [
        [second - first for first, second in zip(one, other, strict=False) if first is not None and second is not None]
        for one, other in zip(then, now, strict=True)
    ]
    shift = _figure(lambda: paired_difference(after, before, theirs, confidence), TOP)
    moved = _moved(changes, items, confidence)
    failed = _figure(
        lambda: paired_difference(
            [float(value is None) for _, value in values],
            [float(value is None) for value, _ in values],
            items,
            confidence,
        )
    )
    p = _p_of(after, before, theirs)
    alike = p is not None and p < 1.0 - confidence
    told: tuple[tuple[Sign, bool], ...] = (
        ("level", alike or _differs(shift)),
        ("answers", _differs(moved)),
        ("failures", _differs(failed)),
    )
    signs = tuple(sign for sign, differs in told if differs)
    reason = ""
    if not signs:
        reason = "few_judged" if 2 * len(both) <= len(items) else "" if _tells(shift) else "few_items"
    return Group(
        task=task,
        family=family,
        n=len(items),
        pairs=len(both),
        items=len(set(theirs)),
        then=round(TOP * fmean(before), 3) if before else None,
        now=round(TOP * fmean(after), 3) if after else None,
        confidence=round(confidence, 5),
        shift=shift,
        p=p,
        moved=moved,
        failed=failed,
        unchanged=_unchanged(changes, items),
        quadratic_kappa=_figure(lambda: cohen_kappa(before, after, theirs, "quadratic")),
        signs=signs,
        verdict="drift" if signs else "unknown" if reason else "no_drift_shown",
        reason=reason,
    )


def _p_of(after: Sequence[float], before: Sequence[float], items: Sequence[str]) -> float | None:
    sums: dict[str, float] = {}
    for item, second, first in zip(items, after, before, strict=True):
        sums[item] = sums.get(item, 0.0) + round(second - first, 9)
    return sign_flip_permutation(list(sums.values())) if sums else None


def _moved(changes: Sequence[Sequence[float]], items: Sequence[str], confidence: float) -> Figure:
    """Root mean square of the change of each answer's expected level, and its interval.

    A repeat is asked in the same words in both readings, so its change is Δ and noise that is independent of the other
    repeats': the mean product of the changes of two repeats estimates Δ² without bias, and is 0 in the mean for a judge
    that merely is noisy.
    """
    several = [(each, item) for each, item in zip(changes, items, strict=True) if len(each) > 1]
    if not several:
        return Figure(reason="needs two repeats in both readings: noise can't be told from change")
    squares = [fmean(one * other for one, other in combinations(each, 2)) for each, _ in several]
    theirs = [item for _, item in several]
    square = paired_difference(squares, [0.0] * len(squares), theirs, confidence, bounded=False)

    def root(value: float | None) -> float | None:
        return None if value is None else round(TOP * sqrt(max(0.0, value)), 3)

    if square.standard_error == 0.0 and square.value != 0.0:
        # A few answers whose changes are alike by chance would look certain.
        return Figure(reason="the changes are all alike: see the shift")
    if square.low is None:
        return Figure(reason=ONE_CLUSTER)
    return Figure(root(square.value), root(square.low), root(square.high))


def _unchanged(changes: Sequence[Sequence[float]], items: Sequence[str]) -> Figure:
    """Share of the repeats of an answer that say the same in both readings, over answers."""
    some = [(each, item) for each, item in zip(changes, items, strict=True) if each]
    shares = [fmean(abs(change) < ALIKE for change in each) for each, _ in some]
    return _figure(lambda: clustered_mean(shares, [item for _, item in some]))


def _changed(then: Reading, now: Reading) -> tuple[str, ...]:
    first, second = msgspec.structs.asdict(then.judge), msgspec.structs.asdict(now.judge)
    names = [name for name in first if first[name] != second[name]]
    return tuple(names + ["rubrics"] * (then.rubrics != now.rubrics))


def _differs(figure: Figure) -> bool:
    return figure.low is not None and figure.high is not None and not figure.low <= 0.0 <= figure.high


def _tells(shift: Figure) -> bool:
    """Whether an interval leaves no room for a large shift."""
    return shift.low is not None and shift.high is not None and max(-shift.low, shift.high) < LARGE


def _said(repeats: Repeats) -> list[float]:
    return [value for value in repeats if value is not None]


def _value(repeats: Repeats) -> float | None:
    """Mean over the repeats; None where not most of them are judged."""
    said = _said(repeats)
    return fmean(said) if 2 * len(said) > len(repeats) else None


def _alike(values: Sequence[float]) -> float:
    return fmean(abs(one - other) < ALIKE for one, other in combinations(values, 2))


def _figure(make: Callable[[], Estimate | Undefined], unit: float = 1.0) -> Figure:
    """The figure in other units, rounded as it is kept."""
    found = figure(make)
    value, low, high = (
        None if each is None else round(unit * each, 4) for each in (found.value, found.low, found.high)
    )
    return Figure(value, low, high, found.reason)
