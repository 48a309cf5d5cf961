"""What the report says of judges: who they are, what they gave, how far they lie apart, where they failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.figures import NOTHING, estimate_text, score, with_interval
from medbench.scoring.judged import JudgedFigures
from medbench.scoring.score import JudgeUse
from medbench.scoring.tally import PartFigures
from medbench.stats import half_up

if TYPE_CHECKING:
    from medbench.board.report.view import View


@dataclass(frozen=True, slots=True)
class JudgeLine:
    """A judge of the run."""

    name: str
    asked: str
    judgements: str
    failed: str
    tokens: str
    agreement: str
    people: str
    standing: str


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One judged metric of one part."""

    name: str
    metric: str
    value: str
    calibrated: str
    judges: str
    spread: str
    failed: str
    safe: str
    lexical: str


@dataclass(frozen=True, slots=True)
class TagLine:
    """A tag of a dataset whose items carry criteria with points."""

    name: str
    tag: str
    value: str
    items: str


def judge_lines(view: View) -> list[JudgeLine]:
    """The judges, in the order in which they came."""
    return [_judge_line(view, use) for use in view.summary.judges]


def uncalibrated(view: View) -> bool:
    """Whether answers have a score from a judge that was not measured against people, or not well enough."""
    judged = [each for _, part in view.summary.named_parts() for each in part.judged if each.estimate is not None]
    scored = any(value is not None for each in judged for value in each.by_judge)
    return scored and any(use.uncalibrated for use in view.summary.judges)


def _judge_line(view: View, use: JudgeUse) -> JudgeLine:
    measured = use.measured
    standing = view.t("not_measured")
    if use.left_out:
        standing = view.t("judge_left_out")
    elif measured is not None:
        standing = view.t("admitted" if measured.admitted else "not_admitted", gate=half_up(measured.gate, 2))
    return JudgeLine(
        name=use.judge.model.name,
        asked=view.t("judge_asked", repeats=use.judge.repeats, points=view.t(f"points_{use.judge.points}")),
        judgements=f"{use.judgements:,}",
        failed=f"{use.failed:,}" + "".join(f" · {code} {n:,}" for code, n in sorted(use.by_error.items())),
        tokens=f"{use.input_tokens + use.output_tokens:,}",
        agreement=NOTHING if measured is None else with_interval(measured.agreement.quadratic_kappa, places=2),
        people=NOTHING if measured is None else with_interval(measured.people.quadratic_kappa, places=2),
        standing=standing,
    )


def judged_lines(view: View) -> list[JudgedLine]:
    """Every judged metric that has been looked at."""
    return [
        _line(view, name, part, judged)
        for name, part in view.summary.named_parts()
        for judged in part.judged
        if judged.estimate is not None or judged.by_status.get("judge_failed")
    ]


def tag_lines(view: View) -> list[TagLine]:
    """Scores by criteria, by tag."""
    return [
        TagLine(name, tag, estimate_text(estimate), f"{estimate.n:,}")
        for name, part in view.summary.named_parts()
        for judged in part.judged
        for tag, estimate in judged.by_tag.items()
    ]


def _line(view: View, name: str, part: PartFigures, judged: JudgedFigures) -> JudgedLine:
    points = judged.metric == "keypoint_macro_recall"
    return JudgedLine(
        name=name,
        metric=view.t(f"metric_{judged.metric}"),
        value=estimate_text(judged.estimate),
        calibrated=estimate_text(judged.calibrated),
        judges=" / ".join(map(score, judged.by_judge)),
        spread=score(judged.spread),
        failed=f"{judged.by_status.get('judge_failed', 0):,}",
        safe=estimate_text(judged.safe),
        lexical=estimate_text(part.lexical) if points else NOTHING,
    )
