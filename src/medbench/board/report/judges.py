"""What the report says of judges: who they are, what they gave, how far they lie apart, where they failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.scoring.tally import JudgedFigures, PartFigures
from medbench.stats import Estimate, half_up

if TYPE_CHECKING:
    from medbench.board.report.view import View

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class JudgeLine:
    """A judge of the run."""

    name: str
    asked: str
    judgements: str
    failed: str
    tokens: str


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One judged metric of one part."""

    name: str
    metric: str
    value: str
    judges: str
    spread: str
    failed: str
    safe: str
    lexical: str


def judge_lines(view: View) -> list[JudgeLine]:
    """The judges, in the order in which they came."""
    return [
        JudgeLine(
            name=use.judge.model.name,
            asked=view.t("judge_asked", repeats=use.judge.repeats, points=view.t(f"points_{use.judge.points}")),
            judgements=f"{use.judgements:,}",
            failed=f"{use.failed:,}",
            tokens=f"{use.input_tokens + use.output_tokens:,}",
        )
        for use in view.summary.judges
    ]


def judged_lines(view: View) -> list[JudgedLine]:
    """Every judged metric that has been looked at."""
    return [
        _line(view, f"{dataset.name} {part.name}".strip(), part, judged)
        for dataset in view.summary.datasets
        for part in dataset.parts
        for judged in part.judged
        if judged.estimate is not None or judged.by_status.get("judge_failed")
    ]


def _line(view: View, name: str, part: PartFigures, judged: JudgedFigures) -> JudgedLine:
    points = judged.metric == "keypoint_macro_recall"
    return JudgedLine(
        name=name,
        metric=view.t(f"metric_{judged.metric}"),
        value=_shown(judged.estimate),
        judges=" / ".join(NOTHING if value is None else str(half_up(100 * value)) for value in judged.by_judge),
        spread=NOTHING if judged.spread is None else str(half_up(100 * judged.spread)),
        failed=f"{judged.by_status.get('judge_failed', 0):,}",
        safe=_shown(judged.safe),
        lexical=_shown(part.lexical) if points else NOTHING,
    )


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    value = str(half_up(100 * estimate.value))
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({half_up(100 * estimate.low)}–{half_up(100 * estimate.high)})"
