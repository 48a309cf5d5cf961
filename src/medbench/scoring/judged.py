"""Judged metrics of one part, gathered while scores stream by, and the figures that come of them."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from medbench.scoring.clustered import ClusteredValues, clip
from medbench.scoring.judging.people import PeopleEstimate
from medbench.scoring.rows import JudgedMetric
from medbench.stats import Estimate


class JudgedFigures(msgspec.Struct, frozen=True):
    """One judged metric of one part.

    Attributes:
        metric: `llm_judge`, `keypoint_macro_recall` or `rubric_points`.
        estimate: Of the panel's values, in [0, 1]; None where there are none.
        by_status: Status -> responses.
        by_judge: Each judge's own mean, in the order of the run's judges.
        spread: Mean over the responses of the largest less the smallest judge; None for fewer than two judges.
        safe: Share of the responses in which nothing unsafe was found; None where nobody looked.
        calibrated: Of what people would give by the judges' maps, over the judged answers; None without maps.
        by_tag: For `rubric_points`: tag of the items or of their criteria -> its estimate, most items first.
        people: What people would give, from those answers that they rated; None where they rated none.
    """

    metric: str
    estimate: Estimate | None
    by_status: dict[str, int]
    by_judge: tuple[float | None, ...] = ()
    spread: float | None = None
    safe: Estimate | None = None
    calibrated: Estimate | None = None
    by_tag: dict[str, Estimate] = {}
    people: PeopleEstimate | None = None


class JudgedTally:
    """Gathers one judged metric of one part."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self._bounded = metric != "rubric_points"
        self.by_status: Counter[str] = Counter()
        self._values, self._safe, self._calibrated = ClusteredValues(), ClusteredValues(), ClusteredValues()
        self._tagged: defaultdict[str, ClusteredValues] = defaultdict(ClusteredValues)
        self._judges: list[array[float]] = []
        self._spreads = array("d")

    def add(self, found: Sequence[JudgedMetric], cluster: int, tags: Sequence[str]) -> None:
        """Take the metric in all answered variants of an item, and the item's tags."""
        self.by_status.update(each.status for each in found)
        values = [each.value for each in found if each.value is not None]
        if len(values) == len(found):
            self._values.add(sum(values) / len(values), cluster)
        if self.metric == "rubric_points":
            self._take_tags(found, cluster, tags)
        mapped = [each.calibrated for each in found if each.calibrated is not None]
        if mapped:
            self._calibrated.add(sum(mapped) / len(mapped), cluster)
        for each in found:
            if each.safe is not None:
                self._safe.add(float(each.safe), cluster)
            if each.spread is not None:
                self._spreads.append(each.spread)
            for index, value in enumerate(each.by_judge):
                while len(self._judges) <= index:
                    self._judges.append(array("d"))
                if value is not None:
                    self._judges[index].append(value)

    def _take_tags(self, found: Sequence[JudgedMetric], cluster: int, tags: Sequence[str]) -> None:
        """An item's value under its own tags, and that of its tagged criteria under theirs."""
        by_tag: dict[str, list[float]] = {}
        for each in found:
            if each.value is not None:
                for tag, value in (each.by_tag | dict.fromkeys(tags, each.value)).items():
                    by_tag.setdefault(tag, []).append(value)
        for tag, values in by_tag.items():
            if len(values) == len(found):
                self._tagged[tag].add(sum(values) / len(values), cluster)

    def figures(self) -> JudgedFigures:
        """The figures of everything taken so far."""
        by_size = sorted(self._tagged.items(), key=lambda each: (-len(each[1]), each[0]))
        return JudgedFigures(
            metric=self.metric,
            estimate=self._values.mean(bounded=self._bounded),
            by_status=dict(sorted(self.by_status.items())),
            by_judge=tuple(self._plain_mean(values) for values in self._judges),
            spread=sum(self._spreads) / len(self._spreads) if self._spreads else None,
            safe=self._safe.mean(),
            calibrated=self._calibrated.mean(),
            by_tag={tag: found for tag, each in by_size if (found := each.mean(bounded=self._bounded)) is not None},
        )

    def _plain_mean(self, values: array[float]) -> float | None:
        if not values:
            return None
        mean = sum(values) / len(values)
        return mean if self._bounded else clip(mean)
