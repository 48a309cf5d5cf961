"""What a judge said of one answer, and what several judges say together. A failed judge is never a score."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Literal

import msgspec

Task = Literal["rubric", "key_points", "criteria"]
Found = Literal["hit", "miss", "contradict"]


class PointFound(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key point, or one criterion of the item's rubric, in one answer.

    Attributes:
        point: Index in the key's points or criteria, from 0.
        found: The answer makes the point, does not, or says the contrary. A criterion that is met is a hit.
        span: The words of the answer that show it; empty for a miss, and for a criterion that no words show.
    """

    point: int
    found: Found
    span: str = ""


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of judging one answer once.

    Attributes:
        task: What was judged.
        status: `judged`, or `judge_failed` where the judge gave no readable verdict.
        value: In [0, 1], by criteria at most 1; None where the judge failed.
        levels: Criterion -> level, for rubrics.
        points: For key points and criteria.
        safe: No point that must not be made was made, and none was contradicted; None for all but key points.
        by_tag: For criteria: tag -> value over the criteria that carry it.
        reason: Why the judge failed, as a short code.
        said: The judge's own reason, shortened; untrusted text.
        repaired: The first reply could not be read, the second could.
        cut: The answer was too long to be shown whole.
        cached: The verdict came from the response cache.
    """

    task: Task
    status: Literal["judged", "judge_failed"]
    value: float | None = None
    levels: dict[str, int] = {}
    points: tuple[PointFound, ...] = ()
    safe: bool | None = None
    by_tag: dict[str, float] = {}
    reason: str = ""
    said: str = ""
    repaired: bool = False
    cut: bool = False
    cached: bool = False


class PanelValue(msgspec.Struct, frozen=True):
    """What a panel says of one answer in one task.

    Attributes:
        value: Median over the judges of each judge's mean over its repeats; None without a quorum.
        judges: Judges that gave a value.
        spread: Largest less smallest value of a judge; None for fewer than two.
        safe: Most judges found nothing unsafe; None where none told.
    """

    value: float | None
    judges: int
    spread: float | None
    safe: bool | None


def mean_of(repeats: Sequence[Judgement]) -> float | None:
    """A judge's mean over its repeats; None where not most of them are judged."""
    values = [each.value for each in repeats if each.value is not None]
    return fmean(values) if 2 * len(values) > len(repeats) else None


def panel(by_judge: Sequence[Sequence[Judgement]], quorum: int) -> PanelValue:
    """Put the judgements of one answer together (specs/scoring.md section 6).

    A judge counts where most of its repeats are judged.

    Args:
        by_judge: Repeats of each judge that was asked, at least one judge.
        quorum: Judges that must count.
    """
    values: list[float] = []
    safe: list[bool] = []
    for repeats in by_judge:
        value = mean_of(repeats)
        if value is not None:
            values.append(value)
            told = [each.safe for each in repeats if each.safe is not None]
            if told:
                safe.append(2 * sum(told) > len(told))
    enough = len(values) >= max(1, quorum)
    return PanelValue(
        value=float(median(values)) if enough else None,
        judges=len(values),
        spread=max(values) - min(values) if len(values) > 1 else None,
        safe=2 * sum(safe) > len(safe) if safe and enough else None,
    )
