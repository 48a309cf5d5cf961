"""Criteria with points (specs/scoring.md section 6): the arithmetic of HealthBench."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from medbench.items.model import RubricCriterion
from medbench.scoring.judging.verdict import Judgement


def rubric_score(criteria: Iterable[RubricCriterion], met: Iterable[bool]) -> float | None:
    """Σ points of the met criteria / Σ positive points.

    At most 1; below 0 where met criteria cost more than others earn. Only the mean over items is clipped to [0, 1].

    Source: Arora et al. (2025), "HealthBench", arXiv 2505.08775, section on scoring.

    Args:
        criteria: Of one item.
        met: Whether the answer meets each, in the same order.

    Returns:
        None where no criterion has positive points.
    """
    possible = achieved = 0.0
    for criterion, is_met in zip(criteria, met, strict=True):
        possible += max(criterion.points, 0.0)
        achieved += criterion.points * is_met
    return achieved / possible if possible else None


def judged_criteria(criteria: Sequence[RubricCriterion], judgement: Judgement) -> Judgement:
    """The judgement with its value, as a whole and by tag, reckoned from the criteria that are met."""
    if judgement.status != "judged":
        return judgement
    hits = {each.point for each in judgement.points if each.found == "hit"}
    met = [index in hits for index in range(len(criteria))]
    by_tag = {}
    for tag in dict.fromkeys(tag for criterion in criteria for tag in criterion.tags):
        chosen = [index for index, criterion in enumerate(criteria) if tag in criterion.tags]
        value = rubric_score([criteria[index] for index in chosen], [met[index] for index in chosen])
        if value is not None:
            by_tag[tag] = value
    return msgspec.structs.replace(judgement, value=rubric_score(criteria, met), by_tag=by_tag)
