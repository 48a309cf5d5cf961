"""What the report says of people's ratings: what they would say of all answers, and what that makes of the judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.charts import Mark, Reliability, Rung
from medbench.board.report.figures import NOTHING, estimate_text
from medbench.scoring.judging.figure import Figure
from medbench.scoring.judging.meta import Agreement, CriterionFigures, JudgeFigures, family_of
from medbench.scoring.judging.people import FEWEST_RATED, PANEL, PeopleEstimate
from medbench.stats import half_up

if TYPE_CHECKING:
    from medbench.board.report.view import View

MEASURES = ("quadratic_kappa", "alpha", "exact", "adjacent")


@dataclass(frozen=True, slots=True)
class PeopleLine:
    """What people would say of one part."""

    name: str
    people: str
    ratings: str
    judge: str
    calibrated: str
    rated: str
    weight: str


def people_lines(view: View) -> list[PeopleLine]:
    """Every part of which people rated answers."""
    return [
        _line(view, name, judged.people)
        for name, part in view.summary.named_parts()
        for judged in part.judged
        if judged.people is not None
    ]


def _line(view: View, name: str, found: PeopleEstimate) -> PeopleLine:
    few = view.t("too_few_rated", least=FEWEST_RATED) if found.reason else NOTHING
    return PeopleLine(
        name=name,
        people=estimate_text(found.estimate) if found.estimate else few,
        ratings=estimate_text(found.labels),
        judge=estimate_text(found.judge),
        calibrated=estimate_text(found.calibrated),
        rated=f"{found.n:,} / {found.judged:,}",
        weight=NOTHING if found.weight is None else str(half_up(found.weight, 2)),
    )


def people_notes(view: View) -> list[str]:
    """Whose ratings these are."""
    people = view.summary.people
    if people is None:
        return []
    counts = {"ratings": f"{people.ratings:,}", "answers": f"{people.answers:,}", "raters": f"{people.raters:,}"}
    lines = [view.t("rated_by", **counts)]
    left_out = sum(
        judged.people.left_out
        for dataset in view.summary.datasets
        for part in dataset.parts
        for judged in part.judged
        if judged.people
    )
    if left_out:
        lines.append(view.t("rated_unjudged", count=f"{left_out:,}"))
    return lines


def agreement_notes(view: View) -> list[str]:
    """Which agreement is not known, and why."""
    figures = _figures(view)
    if figures is None:
        return []
    undefined = [
        f"{view.t(f'measure_{name}')} ({who})"
        for name in MEASURES
        for who, agreement in _agreements(view, figures)
        if getattr(agreement, name).value is None
    ]
    lines = [] if figures.people.n else [view.t("one_rater")]
    return [*lines, view.t("no_agreement", names=view.names(undefined))] if undefined else lines


def bias_notes(view: View) -> list[str]:
    """Which bias one run can't show, and why."""
    return [view.t("no_position"), _family(view)]


def _family(view: View) -> str:
    """Whether judges and the model under test are related by their names, which one run can't say more of."""
    ours = family_of(view.summary.pins.model.name)
    own = [use.judge.model.name for use in view.summary.judges if ours and family_of(use.judge.model.name) == ours]
    if own:
        return view.t("own_family", judges=view.names(own), family=ours)
    return view.t("no_own_family")


def reliability(view: View) -> list[Reliability]:
    """People's mean at each level of each judge."""
    figures = _figures(view)
    if figures is None:
        return []
    return [
        Reliability(
            label=_name(view, judge.judge),
            levels=figures.scale,
            rungs=tuple(Rung(step.judge, step.people, step.low, step.high, step.n) for step in judge.curve),
        )
        for judge in figures.judges
        if judge.curve
    ]


def agreement_marks(view: View) -> list[Mark]:
    """Each measure of agreement: the judges with people, and below them people among themselves."""
    figures = _figures(view)
    if figures is None:
        return []
    return [
        _mark(
            f"{view.t(f'measure_{name}')} · {who}",
            getattr(agreement, name),
            agreement.n,
            2,
            agreement is figures.people,
        )
        for name in MEASURES
        for who, agreement in _agreements(view, figures)
        if getattr(agreement, name).value is not None
    ]


def bias_marks(view: View) -> list[Mark]:
    """Judge less people in points of 100: over all answers, and by their length."""
    figures = _figures(view)
    return [mark for judge in (figures.judges if figures else ()) for mark in _bias(view, judge)]


def _bias(view: View, judge: JudgeFigures) -> list[Mark]:
    who = _name(view, judge.judge)
    figures = [(view.t("bias_whole", judge=who), judge.bias.mean, judge.agreement.n)]
    for each in judge.bias.by_length:
        label = view.t("bias_length", judge=who, shortest=f"{each.shortest:,}", longest=f"{each.longest:,}")
        figures.append((label, each.apart, each.n))
    return [_mark(label, figure, n, 1, by=100) for label, figure, n in figures if figure.value is not None]


def _figures(view: View) -> CriterionFigures | None:
    return view.summary.people.figures if view.summary.people else None


def _agreements(view: View, figures: CriterionFigures) -> list[tuple[str, Agreement]]:
    found = [(_name(view, judge.judge), judge.agreement) for judge in figures.judges]
    return [*found, (view.t("people_alone"), figures.people)] if figures.people.n else found


def _name(view: View, judge: str) -> str:
    if judge == PANEL:
        return view.t("panel_alone")
    return next(use.judge.model.name for use in view.summary.judges if use.judge.id == judge)


def _mark(label: str, figure: Figure, n: int, places: int, people: bool = False, *, by: float = 1.0) -> Mark:
    value = by * (figure.value or 0.0)
    low, high = (None if limit is None else by * limit for limit in (figure.low, figure.high))
    text = str(half_up(value, places))
    if low is not None and high is not None:
        text += f" ({half_up(low, places)} … {half_up(high, places)})"
    return Mark(label, value, low, high, f"{text}, n = {n:,}", people)
