"""Item outcomes of one part of a dataset, gathered while scores stream by, and the figures that come of them."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import comb

import msgspec
import numpy as np

from medbench.catalog.model import ChoiceForm, LabelForm, Part
from medbench.items.model import Key
from medbench.models.model import Response
from medbench.scoring.executable.tally import CheckFigures, CheckTally
from medbench.scoring.file_metrics import file_metric
from medbench.scoring.judging.people import PeopleEstimate
from medbench.scoring.repeats import RepeatFigures, RepeatTally, epoch_outcomes
from medbench.scoring.rows import JudgedMetric, ScoreRow
from medbench.stats import (
    Estimate,
    chance_circular,
    clustered_mean,
    micro_f1,
    position_preference,
)

COUNTS = frozenset({"scored", "unparsed"})
"""Statuses of a score that has an outcome."""

PREFERENCE_ITEMS = 2_000
"""Position preference is tested on the first items up to this many: its permutations cost more than all the rest."""


class CircularFigures(msgspec.Struct, frozen=True):
    """Circular evaluation of one part (specs/scoring.md, section 3); shares in [0, 1].

    Where items are asked in several epochs, an item in one epoch takes the place of an item.

    Attributes:
        acc_origin: Share of items right in the first order.
        acc_mean: Share of responses that are right; its interval is clustered by item.
        acc_mean_low: Lower limit of that interval.
        acc_mean_high: Upper limit.
        chance_mean: What guessing gives there: mean over items of one over its number of options.
        more_m: m -> share of items with at least m orders right.
        consistency: Share of items whose chosen option text is the same in all orders; needs no key.
        position_shares: Share of responses per displayed position, A first.
        position_expected: The same if position played no part.
        position_p: p value of the within-item permutation test.
        preference_items: Items in that test.
    """

    acc_origin: float | None
    acc_mean: float | None
    acc_mean_low: float | None
    acc_mean_high: float | None
    chance_mean: float | None
    more_m: dict[str, float]
    consistency: float | None
    position_shares: tuple[float, ...]
    position_expected: tuple[float, ...]
    position_p: float | None
    preference_items: int


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


class PartFigures(msgspec.Struct, frozen=True):
    """All figures of one part of a dataset.

    Attributes:
        name: Of the part; mostly empty.
        metric: The closed-set metric; None where only judges score.
        estimate: Of that metric, in [0, 1].
        awaiting: Judged metrics that some response still waits for.
        items: Items asked.
        planned: Calls planned: every option order in every epoch.
        answered: Responses there are.
        counted: Responses whose outcome counts: all but those missing by our fault.
        by_status: Score status -> responses.
        by_reason: Reason -> responses, for those not simply scored.
        refusals: Responses that decline.
        keys: Items that have a key.
        chance: What guessing gives; None where it is not defined.
        at_chance: The score can't be told from guessing: chance lies inside its interval or above it. With several
            orders the share of right responses is compared, since guessing hardly ever gets a whole item.
        circular: For parts with circular evaluation, or items asked in several orders.
        judged: Figures of the judged metrics.
        combined: Where there are judged metrics: of the mean of all metrics of each item, which is the part's score.
        lexical: Key points by words alone: the baseline that a judge must beat, no score.
        details: Secondary figures of the metric by name, in [0, 1], each over the items that have one; no score.
        repeats: Where every item was asked in several epochs.
        checked: What running the answers showed; None where the part has no check.
    """

    name: str
    metric: str | None
    estimate: Estimate | None
    awaiting: tuple[str, ...]
    items: int
    planned: int
    answered: int
    counted: int
    by_status: dict[str, int]
    by_reason: dict[str, int]
    refusals: int
    keys: int
    chance: float | None
    at_chance: bool | None
    circular: CircularFigures | None
    judged: tuple[JudgedFigures, ...] = ()
    combined: Estimate | None = None
    lexical: Estimate | None = None
    details: dict[str, Estimate] = {}
    repeats: RepeatFigures | None = None
    checked: CheckFigures | None = None


class _JudgedTally:
    """Gathers one judged metric of one part."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self._bounded = metric != "rubric_points"
        self._tagged: dict[str, tuple[array[float], array[int]]] = {}
        self.by_status: Counter[str] = Counter()
        self._values, self._families = array("d"), array("q")
        self._safe, self._safe_families = array("d"), array("q")
        self._calibrated, self._calibrated_families = array("d"), array("q")
        self._judges: list[array[float]] = []
        self._spreads = array("d")

    def add(self, found: Sequence[JudgedMetric], family: int, tags: Sequence[str]) -> None:
        """Take the metric in all answered variants of an item, and the item's tags."""
        self.by_status.update(each.status for each in found)
        values = [each.value for each in found if each.value is not None]
        if len(values) == len(found):
            self._values.append(sum(values) / len(values))
            self._families.append(family)
        if self.metric == "rubric_points":
            self._take_tags(found, family, tags)
        mapped = [each.calibrated for each in found if each.calibrated is not None]
        if mapped:
            self._calibrated.append(sum(mapped) / len(mapped))
            self._calibrated_families.append(family)
        for each in found:
            if each.safe is not None:
                self._safe.append(float(each.safe))
                self._safe_families.append(family)
            if each.spread is not None:
                self._spreads.append(each.spread)
            for index, value in enumerate(each.by_judge):
                while len(self._judges) <= index:
                    self._judges.append(array("d"))
                if value is not None:
                    self._judges[index].append(value)

    def _take_tags(self, found: Sequence[JudgedMetric], family: int, tags: Sequence[str]) -> None:
        """An item's value under its own tags, and that of its tagged criteria under theirs."""
        by_tag: dict[str, list[float]] = {}
        for each in found:
            if each.value is not None:
                for tag, value in (each.by_tag | dict.fromkeys(tags, each.value)).items():
                    by_tag.setdefault(tag, []).append(value)
        for tag, values in by_tag.items():
            if len(values) == len(found):
                means, families = self._tagged.setdefault(tag, (array("d"), array("q")))
                means.append(sum(values) / len(values))
                families.append(family)

    def figures(self) -> JudgedFigures:
        """The figures of everything taken so far."""
        by_size = sorted(self._tagged.items(), key=lambda each: (-len(each[1][0]), each[0]))
        return JudgedFigures(
            metric=self.metric,
            estimate=_mean(self._values, self._families, bounded=self._bounded),
            by_status=dict(sorted(self.by_status.items())),
            by_judge=tuple(self._plain_mean(values) for values in self._judges),
            spread=sum(self._spreads) / len(self._spreads) if self._spreads else None,
            safe=_mean(self._safe, self._safe_families),
            calibrated=_mean(self._calibrated, self._calibrated_families),
            by_tag={tag: found for tag, each in by_size if (found := _mean(*each, bounded=self._bounded)) is not None},
        )

    def _plain_mean(self, values: array[float]) -> float | None:
        if not values:
            return None
        mean = sum(values) / len(values)
        return mean if self._bounded else _clip(mean)


def _mean(values: array[float], families: array[int], *, bounded: bool = True) -> Estimate | None:
    """Clustered mean; of values that may lie below 0 it is clipped to [0, 1], and its limits with it."""
    if not values:
        return None
    found = clustered_mean(np.frombuffer(values), np.frombuffer(families, dtype=np.int64), bounded=bounded)
    if bounded:
        return found
    low, high = (None if limit is None else _clip(limit) for limit in (found.low, found.high))
    return replace(found, value=_clip(found.value), low=low, high=high)


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


class PartTally:
    """Gathers the outcomes of the items of one part; a few numbers per item are all that stays."""

    def __init__(self, part: Part, epochs: int = 1) -> None:
        self._part = part
        self._epochs = epochs
        self._repeats = RepeatTally(epochs) if epochs > 1 else None
        self.items = self.planned = self.answered = self.counted = self._refusals = self._keys = 0
        self._by_status: Counter[str] = Counter()
        self._by_reason: Counter[str] = Counter()
        self._values = array("d")
        self._means = array("d")
        self._families = array("q")
        self._counts = (array("q"), array("q"), array("q"))
        self._origin = self._scored_epochs = 0
        self._more: Counter[int] = Counter()
        self._comparable = self._consistent = 0
        self._guesses: Counter[tuple[int, int]] = Counter()
        self._orders_asked: Counter[tuple[int, int]] = Counter()
        self._labels = 0
        self._chosen: list[int] = []
        self._displayed: list[tuple[int, ...]] = []
        self._items_chosen: list[int] = []
        self._judged = [_JudgedTally(metric) for metric in part.judged_metrics]
        self._combined, self._combined_families = array("d"), array("q")
        self._lexical, self._lexical_families = array("d"), array("q")
        self._details: dict[str, tuple[array[float], array[int]]] = {}
        self._measured: list[object] = []
        self._checks = CheckTally()

    def add_item(self, rows: Sequence[ScoreRow | None], key: Key | None, answers: Sequence[str] | None = None) -> None:
        """Take an item.

        Args:
            rows: In the order of its variants; None where a call was not answered.
            key: Its key.
            answers: In the same order; None where one is missing. Only looked at where there are several epochs.
        """
        orders = len(rows) // self._epochs
        self.items += 1
        self.planned += len(rows)
        self._keys += key is not None and key.answer is not None
        known = [row for row in rows if row is not None]
        self.answered += len(known)
        for row in known:
            self._by_status[row.status] += 1
            # A judge that failed is our fault, so the response is missing and not wrong.
            self.counted += row.status not in ("excluded", "judge_failed")
            self._refusals += row.extraction.refusal
            if row.reason:
                self._by_reason[row.reason] += 1
        if not known:
            return
        if rows[0] is not None and rows[0].marking.measured is not None:
            self._measured.append(rows[0].marking.measured)  # of several epochs the first: they are no further items
        if checks := [row.check for row in known if row.check is not None]:
            self._checks.add(checks, _code(known[0].asked.question.cluster))
        self._take_value(rows, known)
        if self._judged and len(known) == len(rows):
            self._take_judged(known)
        if self._repeats is not None and answers is not None:
            self._repeats.add_answers(answers)
            self._take_repeats(self._repeats, known)
        if isinstance(self._part.answer, ChoiceForm) and orders > 1:
            for start in range(0, len(rows), orders):
                self._take_choices(rows[start : start + orders])
        self._take_chance(known[0], key, orders)

    def _take_value(self, rows: Sequence[ScoreRow | None], known: Sequence[ScoreRow]) -> None:
        values = [row.marking.value for row in known if row.marking.value is not None]
        if not values:
            return
        # By micro-averaged F1 an answer may have no value of its own and yet count beside others.
        counts = "micro_f1" in self._part.closed_metrics and all(row.closed_status in COUNTS for row in known)
        if len(values) == len(rows) or (counts and len(known) == len(rows)):
            # An item missing a variant by our fault has no circular outcome; it is missing, not wrong.
            orders = len(rows) // self._epochs
            for start in range(0, len(values), orders):
                self._scored_epochs += 1
                self._origin += values[start] == 1.0
                for least in range(1, values[start : start + orders].count(1.0) + 1):
                    self._more[least] += 1
            self._means.append(values.count(1.0) / len(rows))
            if self._part.circular:
                values = epoch_outcomes(values, self._epochs, every_order=True)
            self._values.append(sum(values) / len(values))
            self._families.append(_code(known[0].asked.question.cluster))
            positives, false, missed = self._counts
            positives.append(sum([row.marking.true_positives for row in known]))
            false.append(sum([row.marking.false_positives for row in known]))
            missed.append(sum([row.marking.false_negatives for row in known]))
            self._take_details(known, self._families[-1])

    def _take_details(self, known: Sequence[ScoreRow], family: int) -> None:
        found: dict[str, list[float]] = {}
        for row in known:
            for name, value in row.marking.details:
                found.setdefault(name, []).append(value)
        for name, several in found.items():
            values, families = self._details.setdefault(name, (array("d"), array("q")))
            values.append(sum(several) / len(several))
            families.append(family)

    def _take_judged(self, known: Sequence[ScoreRow]) -> None:
        question = known[0].asked.question
        family = _code(question.cluster)
        tags = question.tags
        for index, tally in enumerate(self._judged):
            found = [row.judged[index] for row in known if row.judged]
            if found:
                tally.add(found, family, tags)
        if not self._part.closed_metrics:
            self._take_details(known, family)
        lexical = [row.lexical for row in known if row.lexical is not None]
        if lexical:
            self._lexical.append(sum(lexical) / len(lexical))
            self._lexical_families.append(family)
        values = [row.value for row in known if row.value is not None]
        if len(values) == len(known):
            self._combined.append(sum(values) / len(values))
            self._combined_families.append(family)

    def _take_repeats(self, repeats: RepeatTally, known: Sequence[ScoreRow]) -> None:
        """The item's outcomes, where each of its answers has one; `known` holds all of them."""
        values = [row.value for row in known if row.value is not None]
        alone = bool(self._judged) or "micro_f1" not in self._part.closed_metrics
        if alone and len(values) == len(known):
            every_order = self._part.circular and not self._judged
            family = _code(known[0].asked.question.cluster)
            repeats.add_outcomes(epoch_outcomes(values, self._epochs, every_order=every_order), family)

    def _take_choices(self, rows: Sequence[ScoreRow | None]) -> None:
        """Take the choices of an item in one epoch."""
        known = [row for row in rows if row is not None]
        texts: set[str] = set()
        parsed = 0
        for row in known:
            value = row.extraction.value
            if not isinstance(value, frozenset) or len(value) != 1:
                continue
            (position,) = (int(one) for one in value)
            parsed += 1
            options = row.asked.question.options
            order = row.asked.form.order or tuple(range(len(options)))
            texts.add(options[order[position]])
            if self.items <= PREFERENCE_ITEMS:
                self._chosen.append(position)
                self._displayed.append(order)
                self._items_chosen.append(self.items)
        if len(known) == len(rows):
            self._comparable += 1
            self._consistent += parsed == len(rows) and len(texts) == 1

    def _take_chance(self, row: ScoreRow, key: Key | None, orders: int) -> None:
        form = self._part.answer
        if isinstance(form, ChoiceForm) and key is not None and key.answer is not None:
            self._guesses[len(row.asked.question.options), len(key.answer)] += 1
            self._orders_asked[len(row.asked.question.options), orders] += 1
        elif isinstance(form, LabelForm) and not form.multiple and form.correction_keys is None:
            self._labels = len(form.labels or row.asked.question.options)

    def figures(self) -> PartFigures:
        """The figures of everything taken so far."""
        metrics = self._part.closed_metrics
        metric = metrics[0] if metrics else None
        estimate, chance, circular = self._estimate(metric), self._chance(), self._circular()
        at_chance = None
        if circular is not None and circular.chance_mean is not None and circular.acc_mean_low is not None:
            at_chance = circular.acc_mean_low <= circular.chance_mean
        elif chance is not None and estimate is not None and estimate.low is not None:
            at_chance = estimate.low <= chance
        return PartFigures(
            name=self._part.name,
            metric=metric,
            estimate=estimate,
            awaiting=tuple(
                metric
                for metric, tally in zip(self._part.judged_metrics, self._judged, strict=True)
                if tally.by_status["awaiting_judge"]
            ),
            items=self.items,
            planned=self.planned,
            answered=self.answered,
            counted=self.counted,
            by_status=dict(sorted(self._by_status.items())),
            by_reason=dict(sorted(self._by_reason.items())),
            refusals=self._refusals,
            keys=self._keys,
            chance=chance,
            at_chance=at_chance,
            circular=circular,
            judged=tuple(tally.figures() for tally in self._judged),
            combined=_mean(self._combined, self._combined_families, bounded="rubric_points" not in self._part.metrics),
            lexical=_mean(self._lexical, self._lexical_families),
            details=self._detail_figures(),
            repeats=self._repeats.figures() if self._repeats else None,
            checked=self._checks.figures(),
        )

    def _detail_figures(self) -> dict[str, Estimate]:
        means = {name: mean for name, found in self._details.items() if (mean := _mean(*found)) is not None}
        if not self._measured:
            return means
        return means | dict(file_metric(self._part.closed_metrics[0]).figures(self._measured))

    def _estimate(self, metric: str | None) -> Estimate | None:
        if not self._values:
            return None
        families = np.frombuffer(self._families, dtype=np.int64)
        if metric == "micro_f1":
            positives, false, missed = (np.frombuffer(count, dtype=np.int64) for count in self._counts)
            return micro_f1(positives, false, missed, families)
        return clustered_mean(np.frombuffer(self._values), families)

    def _chance(self) -> float | None:
        """What an uninformed guesser gets.

        One letter: one of the options. Several letters: the best set size, which a guesser may know, and a random set
        of that size. One label: one of the closed list. Circular: every order right, guessing anew in each.
        """
        total = sum(self._guesses.values())
        if total:
            if self._part.circular:
                options = [pair[0] for pair, count in self._orders_asked.items() for _ in range(count)]
                orders = [pair[1] for pair, count in self._orders_asked.items() for _ in range(count)]
                return chance_circular(options, orders)
            sizes = {size for _, size in self._guesses}
            return max(
                sum(count / comb(options, size) for (options, of), count in self._guesses.items() if of == size) / total
                for size in sizes
            )
        return 1.0 / self._labels if self._labels else None

    def _circular(self) -> CircularFigures | None:
        if not self._comparable and not self._chosen:
            return None
        preference = position_preference(self._chosen, self._displayed, self._items_chosen) if self._chosen else None
        most = max(self._more, default=0)
        scored = self._scored_epochs
        families = np.frombuffer(self._families, dtype=np.int64)
        mean = clustered_mean(np.frombuffer(self._means), families) if scored else None
        guesses = sum(count / options for (options, _), count in self._guesses.items())
        keyed = sum(self._guesses.values())
        return CircularFigures(
            acc_origin=self._origin / scored if scored else None,
            acc_mean=mean.value if mean else None,
            acc_mean_low=mean.low if mean else None,
            acc_mean_high=mean.high if mean else None,
            chance_mean=guesses / keyed if keyed and self._part.circular else None,
            more_m={str(least): self._more[least] / scored for least in range(1, most + 1)} if scored else {},
            consistency=self._consistent / self._comparable if self._comparable else None,
            position_shares=preference.shares if preference else (),
            position_expected=preference.expected_shares if preference else (),
            position_p=preference.p_value if preference else None,
            preference_items=preference.items if preference else 0,
        )


class RunTotals(msgspec.Struct):
    """Sums over the responses of a run."""

    by_status: dict[str, int] = msgspec.field(default_factory=dict)
    by_error: dict[str, int] = msgspec.field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    cached: int = 0
    uncounted: int = 0
    latencies: list[float] = msgspec.field(default_factory=list)
    served_models: set[str] = msgspec.field(default_factory=set)

    def add(self, response: Response) -> None:
        """Count a response; up to 10,000 latencies are kept for their quantiles."""
        self.by_status[response.status] = self.by_status.get(response.status, 0) + 1
        if response.error_code:
            self.by_error[response.error_code] = self.by_error.get(response.error_code, 0) + 1
        self.requests += response.attempts
        if response.cached:
            self.cached += 1
        else:
            self.input_tokens += response.usage.input_tokens
            self.output_tokens += response.usage.output_tokens
            self.uncounted += response.usage.estimated
        if response.served_model and len(self.served_models) < 8:
            self.served_models.add(response.served_model)
        if response.attempts and len(self.latencies) < 10_000:
            self.latencies.append(response.latency_s)


def _code(family: str) -> int:
    """A 64-bit code of a family: clusters are told apart without keeping their names."""
    return int.from_bytes(hashlib.blake2b(family.encode(), digest_size=8).digest(), "big", signed=True)
