"""What the report says in one language: the words and numbers of its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agcrc.evaluate.case import Case
from agcrc.evaluate.compare import Difference
from agcrc.evaluate.estimates import Figure, Reason
from agcrc.evaluate.figures import rate_text, shown_name
from agcrc.evaluate.froc import RATES
from agcrc.evaluate.places import Region
from agcrc.evaluate.run import Arm, Evaluation
from agcrc.evaluate.summary import SIZES, Summary
from agcrc.evaluate.words import Language, say
from medbench.stats import half_up

AT_ONE = RATES.index(1.0)
HEADLINE: tuple[tuple[str, str, int, Callable[[Summary], Figure]], ...] = (
    ("dice", "scans", 3, lambda summary: summary.dice),
    ("lesion_dice", "lesions", 3, lambda summary: summary.lesion_dice),
    ("nsd", "scans", 3, lambda summary: summary.nsd_2mm),
    ("nsd_4mm", "scans", 3, lambda summary: summary.nsd_4mm),
    ("hd95", "scans", 1, lambda summary: summary.hd95),
    ("hd95_where_predicted", "scans", 1, lambda summary: summary.hd95_where_predicted),
    ("lesion_sensitivity", "lesions", 3, lambda summary: summary.lesion_sensitivity),
    ("sensitivity_at_1_fp", "lesions", 3, lambda summary: summary.froc[AT_ONE]),
    ("false_positives_per_scan", "scans", 2, lambda summary: summary.false_positives_per_scan),
    ("healthy_false_positives", "healthy", 2, lambda summary: summary.healthy_false_positives),
    ("healthy_clean", "healthy", 3, lambda summary: summary.healthy_clean),
    ("ceiling", "scans", 3, lambda summary: summary.ceiling),
    ("windows", "scans", 1, lambda summary: summary.windows),
    ("seconds", "scans", 1, lambda summary: summary.seconds),
)
"""Metric, what its n counts, decimal places, and where it is found."""
TILES = ("dice", "nsd", "lesion_sensitivity", "false_positives_per_scan")
OPTIONAL = ("ceiling", "windows", "seconds")
"""What was not asked for (organ masks, run times) is not a gap in the table."""


@dataclass(frozen=True, slots=True)
class Row:
    """A metric in the first table.

    Attributes:
        metric: Its key.
        unit: Key of what its n counts.
        places: Decimal places.
        figures: Of each arm.
        difference: First arm minus second; None where they were not compared in it.
    """

    metric: str
    unit: str
    places: int
    figures: tuple[Figure, ...]
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class Page:
    """The report in one language.

    Attributes:
        language: Of the words.
        evaluation: What is shown.
        arms: The predictions and what they are compared with, by name.
    """

    language: Language
    evaluation: Evaluation
    arms: tuple[tuple[str, Arm], ...]

    def t(self, key: str, **values: object) -> str:
        """A message of the catalogue."""
        return say(key, self.language, **values)

    def rows(self) -> list[Row]:
        """The first table."""
        differences = {each.metric: each for each in self.evaluation.differences}
        found = [
            Row(metric, unit, places, tuple(of(arm.summary) for _, arm in self.arms), differences.get(metric))
            for metric, unit, places, of in HEADLINE
        ]
        return [row for row in found if row.metric not in OPTIONAL or any(each.n for each in row.figures)]

    def tiles(self) -> list[Row]:
        """The figures at the top."""
        return [row for row in self.rows() if row.metric in TILES]

    def froc_rows(self) -> list[tuple[str, list[Figure]]]:
        """Lesions found at each rate of false positives per scan."""
        return self._table([rate_text(rate) for rate in RATES], lambda summary: summary.froc)

    def size_rows(self) -> list[tuple[str, list[Figure]]]:
        """Lesions found by size."""
        return self._table([name for name, _ in SIZES], lambda summary: summary.by_size)

    def place_rows(self) -> list[tuple[str, list[Figure]]]:
        """False positives per scan by where they lie."""
        return self._table(
            [self.t(region.value) for region in Region],
            lambda summary: [summary.places[region] for region in Region],
        )

    def organs(self, arm: Arm) -> str:
        """The organs with most false positives."""
        counts = [
            self.t("organ_count", count=count, organ=organ.replace("_", " ") or self.t("no_organ"))
            for organ, count in arm.summary.organs[:8]
        ]
        return self.t("join").join(counts) + self.t("stop")

    def caption(self, case: Case) -> str:
        """What stands under a picture."""
        wrong = self.t("false_positives", count=case.false_positives)
        name = shown_name(case.name)
        if case.healthy:
            return self.t("caption_healthy", name=name, false_positives=wrong)
        return self.t(
            "caption_ill",
            name=name,
            dice=number(case.dice, 2),
            found=case.found,
            lesions=len(case.lesions),
            false_positives=wrong,
        )

    def figure(self, figure: Figure, places: int) -> str:
        """A figure as `0.71 (0.65 to 0.76)`, or a dash."""
        inside = self.interval(figure, places)
        return number(figure.value, places) + (f" ({inside})" if inside else "")

    def difference(self, difference: Difference, places: int) -> str:
        """A difference with its sign and interval."""
        sign = "+" if (difference.figure.value or 0.0) > 0.0 else ""
        return sign + self.figure(difference.figure, places)

    def interval(self, figure: Figure, places: int) -> str:
        """As `0.65 to 0.76`; empty where there is none."""
        if figure.low is None or figure.high is None:
            return ""
        return self.t("interval", low=number(figure.low, places), high=number(figure.high, places))

    def reason(self, reason: Reason | None) -> str:
        """Why something is missing; empty where nothing is."""
        return "" if reason is None else self.t(f"reason_{reason.name.lower()}")

    def _table(
        self, labels: Sequence[str], of: Callable[[Summary], Sequence[Figure]]
    ) -> list[tuple[str, list[Figure]]]:
        columns = [of(arm.summary) for _, arm in self.arms]
        return [(label, [column[row] for column in columns]) for row, label in enumerate(labels)]


def pages(evaluation: Evaluation, languages: Sequence[Language]) -> list[Page]:
    """The report in each language; arms are called by their folders, with the folder above where these are the same."""
    arms = [evaluation.pred] + ([evaluation.against] if evaluation.against else [])
    paths = [arm.path.resolve() for arm in arms]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{path.name}" for path in paths]
    named = tuple((shown_name(name), arm) for name, arm in zip(names, arms, strict=True))
    return [Page(language, evaluation, named) for language in languages]


def number(value: float | None, places: int) -> str:
    """A number with this many places and a real minus; a dash for None."""
    return "–" if value is None else str(half_up(value, places)).replace("-", "−")


def p_text(p: float | None) -> str:
    """A p value for people."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else number(p, 3)
