"""A judge measured against people: its agreement, the gate that it passes or not, and a map to people's scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.catalog import load_admission
from medbench.errors import InputError, Problem
from medbench.scoring.judging.meta import Agreement, evaluate
from medbench.scoring.ratings import Rating
from medbench.stats import CalibrationMap, calibrate
from medbench.text import say

FORMAT = 1


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a judge; the content of a calibration file.

    Attributes:
        judge: Name in the ratings; for judges of a run their id.
        criterion: What was rated.
        scale: Of the ratings.
        agreement: Of the judge with people.
        people: Of people among themselves.
        gate: What the lower limit of its quadratic kappa had to reach.
        admitted: It did.
        answers: Rated answers that the map stands on.
        items: Their items.
        squared_before: Mean squared error against people on held-out items, on the scale from 0 to 1, without the map.
        squared_after: With it.
        absolute_before: Mean absolute error likewise.
        absolute_after: With the map.
        map: See `medbench.stats.CalibrationMap.as_dict`.
        format: Version of this file.
    """

    judge: str
    criterion: str
    scale: tuple[float, float]
    agreement: Agreement
    people: Agreement
    gate: float
    admitted: bool
    answers: int
    items: int
    squared_before: float
    squared_after: float
    absolute_before: float
    absolute_after: float
    map: dict[str, Any]
    format: int = FORMAT

    def map_of(self) -> CalibrationMap:
        """From a judge's score to people's, both from 0 to 1."""
        return CalibrationMap.from_dict(self.map)


def measure(ratings: Sequence[Rating], judge: str, criterion: str) -> Measured:
    """Measure a judge by one criterion and fit the map.

    Raises:
        InputError: There is no such judge or criterion, its ratings are of pairs, or there are too few answers that it
            and people rated.
    """
    mine = [rating for rating in ratings if rating.criterion == criterion]
    judges = sorted({rating.rater for rating in mine if rating.kind == "judge"})
    if judge not in judges:
        known = ", ".join(judges) or "–"
        criteria = ", ".join(sorted({rating.criterion for rating in ratings}))
        raise InputError(
            say("scoring.no_such_judge", judge=judge, criterion=criterion, judges=known, criteria=criteria)
        )
    if any(rating.is_pair for rating in mine):
        raise InputError(say("scoring.calibrate_pairs", criterion=criterion))
    given = {rating.unit: rating for rating in mine if rating.kind == "judge" and rating.rater == judge}
    people = [rating for rating in mine if rating.kind == "human" and rating.unit in given]
    if not people:
        raise InputError(say("scoring.no_shared_answers", judge=judge, criterion=criterion))
    try:
        found = calibrate(
            [given[rating.unit].share for rating in people],
            [rating.share for rating in people],
            [rating.item for rating in people],
            [rating.unit for rating in people],
        )
    except ValueError as error:
        raise InputError(say("scoring.no_calibration", judge=judge, criterion=criterion, reason=error)) from error
    figures = next(each for each in evaluate(ratings) if each.criterion == criterion)
    agreement = next(each.agreement for each in figures.judges if each.judge == judge)
    ceiling = figures.people.quadratic_kappa.value
    admission = load_admission()
    gate = admission.absolute if ceiling is None else admission.share_of_people * ceiling
    low = agreement.quadratic_kappa.low
    return Measured(
        judge=judge,
        criterion=criterion,
        scale=mine[0].scale,
        agreement=agreement,
        people=figures.people,
        gate=gate,
        admitted=low is not None and low >= gate,
        answers=found.answers,
        items=found.items,
        squared_before=found.squared_before,
        squared_after=found.squared_after,
        absolute_before=found.absolute_before,
        absolute_after=found.absolute_after,
        map=found.map.as_dict(),
    )


def read_measured(path: Path) -> Measured:
    """Read a calibration file.

    Raises:
        InputError: It is none.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Measured)
        found.map_of()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(Problem(message=say("scoring.bad_calibration", reason=reason), file=str(path))) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InputError(Problem(message=say("scoring.bad_calibration", reason=error), file=str(path))) from error
    return found
