"""The figures of a set of cases, each with its 95 % interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agcrc.evaluate.case import Case
from agcrc.evaluate.detection import Lesion
from agcrc.evaluate.estimates import Figure, Reason, bounded_mean, case_weights, mean_count, widened_interval
from agcrc.evaluate.froc import RATES, sensitivities
from agcrc.evaluate.places import Region

SIZES: tuple[tuple[str, Callable[[float], bool]], ...] = (
    ("< 15 mm", lambda diameter: diameter < 15.0),
    ("15–30 mm", lambda diameter: 15.0 <= diameter <= 30.0),
    ("> 30 mm", lambda diameter: diameter > 30.0),
)
"""Diameter of the ball of the same volume."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a table of results needs.

    Attributes:
        cases: Scans.
        healthy_cases: Scans without a lesion in the truth.
        lesions: True lesions.
        empty_predictions: Scans with a lesion for which nothing was predicted.
        dice: Mean over the scans with a lesion, in [0, 1].
        nsd_2mm: As `dice`.
        nsd_4mm: As `dice`.
        hd95: In mm, over the scans with a lesion; the diagonal of the field of view where nothing was predicted.
        hd95_where_predicted: In mm, over those with a prediction: says nothing of the others.
        lesion_dice: Mean over the lesions.
        lesion_sensitivity: Share of the lesions that the mask hits.
        false_positives_per_scan: Of the mask, over all scans.
        froc: Sensitivity at each of `froc.RATES`.
        by_size: Share of the lesions of each of `SIZES` that the mask hits.
        healthy_false_positives: Per healthy scan.
        healthy_clean: Share of the healthy scans without any.
        places: False positives per scan by region.
        organs: False positives by organ, most first; "" for none.
        ceiling: Mean best Dice that a mask inside the organ of interest can have.
        windows: Mean per scan.
        seconds: Mean per scan.
    """

    cases: int
    healthy_cases: int
    lesions: int
    empty_predictions: int
    dice: Figure
    nsd_2mm: Figure
    nsd_4mm: Figure
    hd95: Figure
    hd95_where_predicted: Figure
    lesion_dice: Figure
    lesion_sensitivity: Figure
    false_positives_per_scan: Figure
    froc: tuple[Figure, ...]
    by_size: tuple[Figure, ...]
    healthy_false_positives: Figure
    healthy_clean: Figure
    places: dict[Region, Figure]
    organs: tuple[tuple[str, int], ...]
    ceiling: Figure
    windows: Figure
    seconds: Figure

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "cases": self.cases,
            "healthy_cases": self.healthy_cases,
            "lesions": self.lesions,
            "empty_predictions": self.empty_predictions,
            "dice": self.dice.to_dict(),
            "nsd": self.nsd_2mm.to_dict() | {"tolerance_mm": 2.0},
            "nsd_4mm": self.nsd_4mm.to_dict() | {"tolerance_mm": 4.0},
            "hd95": self.hd95.to_dict(),
            "hd95_where_predicted": self.hd95_where_predicted.to_dict(),
            "lesion_dice": self.lesion_dice.to_dict(),
            "lesion_sensitivity": self.lesion_sensitivity.to_dict(),
            "false_positives_per_scan": self.false_positives_per_scan.to_dict(),
            "froc": [
                {"false_positives_per_scan": rate} | figure.to_dict()
                for rate, figure in zip(RATES, self.froc, strict=True)
            ],
            "by_size": [
                {"size": name} | figure.to_dict() for (name, _), figure in zip(SIZES, self.by_size, strict=True)
            ],
            "healthy": {
                "cases": self.healthy_cases,
                "false_positives_per_scan": self.healthy_false_positives.to_dict(),
                "scans_without_false_positive": self.healthy_clean.to_dict(),
            },
            "false_positive_places": {
                **{region.value: figure.to_dict() for region, figure in self.places.items()},
                "organs": [{"organ": name or None, "count": count} for name, count in self.organs],
            }
            if self.places
            else {"reason": Reason.NO_ORGANS},
            "ooi_ceiling": self.ceiling.to_dict(),
            "windows": self.windows.to_dict(),
            "seconds": self.seconds.to_dict(),
        }


def summarise(cases: Sequence[Case]) -> Summary:
    """The figures of at least one case. Their order does not matter."""
    ordered = sorted(cases, key=lambda case: case.name)
    healthy = [case for case in ordered if case.healthy]
    ill = [case for case in ordered if not case.healthy]
    wrong = [case.false_positives for case in healthy]
    located = [case for case in ordered if case.places is not None]
    organs = Counter(place.organ for case in located for place in case.places or ())
    return Summary(
        cases=len(ordered),
        healthy_cases=len(healthy),
        lesions=sum(len(case.lesions) for case in ordered),
        empty_predictions=sum(case.predicted_ml == 0.0 for case in ill),
        dice=_share(ill, lambda case: case.dice),
        nsd_2mm=_share(ill, lambda case: case.nsd_2mm),
        nsd_4mm=_share(ill, lambda case: case.nsd_4mm),
        hd95=_hd95(ill),
        hd95_where_predicted=_mean([case.hd95_mm for case in ill if case.predicted_ml > 0.0], Reason.NOTHING_PREDICTED),
        lesion_dice=_of_lesions(ordered, lambda lesion: lesion.dice),
        lesion_sensitivity=_of_lesions(ordered, _found),
        false_positives_per_scan=mean_count([case.false_positives for case in ordered]),
        froc=tuple(sensitivities(ordered)),
        by_size=tuple(_of_lesions(ordered, _found, fits, Reason.NONE_OF_SIZE) for _, fits in SIZES),
        healthy_false_positives=mean_count(wrong) if healthy else Figure.missing(Reason.NONE_HEALTHY),
        healthy_clean=(
            bounded_mean([float(count == 0) for count in wrong]) if healthy else Figure.missing(Reason.NONE_HEALTHY)
        ),
        places={
            region: mean_count([sum(place.region is region for place in case.places or ()) for case in located])
            for region in Region
        }
        if located
        else {},
        organs=tuple(sorted(organs.items(), key=lambda item: (-item[1], item[0]))),
        ceiling=_share(ill, lambda case: case.ceiling) if located else Figure.missing(Reason.NO_ORGANS),
        windows=_mean([case.windows for case in ordered], Reason.NOT_SAID),
        seconds=_mean([case.seconds for case in ordered], Reason.NOT_SAID),
    )


def _share(ill: Sequence[Case], of: Callable[[Case], float | None]) -> Figure:
    values = [value for case in ill if (value := of(case)) is not None]
    return bounded_mean(values) if values else Figure.missing(Reason.NO_LESION)


def _hd95(ill: Sequence[Case]) -> Figure:
    values = [case.hd95_mm for case in ill if case.hd95_mm is not None]
    # Bounded by the diagonal, which a case without a prediction has: its interval must allow for one that was not seen.
    return (
        bounded_mean(values, limit=max(case.largest_mm for case in ill)) if values else Figure.missing(Reason.NO_LESION)
    )


def _found(lesion: Lesion) -> float:
    return float(lesion.found)


def _of_lesions(
    cases: Sequence[Case],
    value: Callable[[Lesion], float],
    fits: Callable[[float], bool] = lambda _: True,
    reason: Reason = Reason.NO_LESION,
) -> Figure:
    chosen = [
        (value(lesion), number)
        for number, case in enumerate(cases)
        for lesion in case.lesions
        if fits(lesion.diameter_mm)
    ]
    if not chosen:
        return Figure.missing(reason)
    return bounded_mean([found for found, _ in chosen], [number for _, number in chosen])


def _mean(values: Sequence[float | None], reason: Reason) -> Figure:
    """Mean of figures without an upper bound; missing unless every case has one."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Figure.missing(reason)
    mean = float(np.mean(known))
    if len(known) < 2:
        return Figure(mean, None, None, len(known), Reason.ONE_CASE)
    if min(known) == max(known):
        return Figure(mean, None, None, len(known), Reason.ALL_EQUAL)
    low, high = widened_interval(case_weights(len(known)) @ np.array(known) / len(known), mean, len(known))
    return Figure(mean, max(0.0, low), high, len(known))
