"""Item outcomes of one part of a dataset, gathered while scores stream by, and the figures that come of them."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from medbench.catalog.model import ChoiceForm, Part
from medbench.items.model import Key
from medbench.models.model import Response
from medbench.scoring.circular import CircularFigures, CircularTally
from medbench.scoring.clustered import ClusteredValues
from medbench.scoring.executable.tally import CheckFigures, CheckTally
from medbench.scoring.file_metrics import file_metric
from medbench.scoring.guessing import Guessing
from medbench.scoring.judged import JudgedFigures, JudgedTally
from medbench.scoring.repeats import RepeatFigures, RepeatTally, epoch_outcomes
from medbench.scoring.rows import ScoreRow
from medbench.stats import Estimate, micro_f1

COUNTS = frozenset({"scored", "unparsed"})
"""Statuses of a score that has an outcome."""


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


class PartTally:
    """Gathers the outcomes of the items of one part; a few numbers per item are all that stays."""

    def __init__(self, part: Part, epochs: int = 1) -> None:
        self._part = part
        self._epochs = epochs
        self._repeats = RepeatTally(epochs) if epochs > 1 else None
        self.items = self.planned = self.answered = self.counted = self._refusals = self._keys = 0
        self._by_status: Counter[str] = Counter()
        self._by_reason: Counter[str] = Counter()
        self._values = ClusteredValues()
        self._counts = (array("q"), array("q"), array("q"))
        self._circular = CircularTally()
        self._guessing = Guessing(part)
        self._judged = [JudgedTally(metric) for metric in part.judged_metrics]
        self._combined, self._lexical = ClusteredValues(), ClusteredValues()
        self._details: defaultdict[str, ClusteredValues] = defaultdict(ClusteredValues)
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
                self._circular.add_choices(self.items, rows[start : start + orders])
        self._guessing.add(known[0], key, orders)

    def _take_value(self, rows: Sequence[ScoreRow | None], known: Sequence[ScoreRow]) -> None:
        values = [row.marking.value for row in known if row.marking.value is not None]
        if not values:
            return
        # By micro-averaged F1 an answer may have no value of its own and yet count beside others.
        counts = "micro_f1" in self._part.closed_metrics and all(row.closed_status in COUNTS for row in known)
        if len(values) == len(rows) or (counts and len(known) == len(rows)):
            # An item missing a variant by our fault has no circular outcome; it is missing, not wrong.
            cluster = _code(known[0].asked.question.cluster)
            if isinstance(self._part.answer, ChoiceForm):
                self._circular.add_values(values, len(rows) // self._epochs, cluster)
            if self._part.circular:
                values = epoch_outcomes(values, self._epochs, every_order=True)
            self._values.add(sum(values) / len(values), cluster)
            positives, false, missed = self._counts
            positives.append(sum([row.marking.true_positives for row in known]))
            false.append(sum([row.marking.false_positives for row in known]))
            missed.append(sum([row.marking.false_negatives for row in known]))
            self._take_details(known, cluster)

    def _take_details(self, known: Sequence[ScoreRow], cluster: int) -> None:
        found: dict[str, list[float]] = {}
        for row in known:
            for name, value in row.marking.details:
                found.setdefault(name, []).append(value)
        for name, several in found.items():
            self._details[name].add(sum(several) / len(several), cluster)

    def _take_judged(self, known: Sequence[ScoreRow]) -> None:
        question = known[0].asked.question
        cluster = _code(question.cluster)
        tags = question.tags
        for index, tally in enumerate(self._judged):
            found = [row.judged[index] for row in known if row.judged]
            if found:
                tally.add(found, cluster, tags)
        if not self._part.closed_metrics:
            self._take_details(known, cluster)
        lexical = [row.lexical for row in known if row.lexical is not None]
        if lexical:
            self._lexical.add(sum(lexical) / len(lexical), cluster)
        values = [row.value for row in known if row.value is not None]
        if len(values) == len(known):
            self._combined.add(sum(values) / len(values), cluster)

    def _take_repeats(self, repeats: RepeatTally, known: Sequence[ScoreRow]) -> None:
        """The item's outcomes, where each of its answers has one; `known` holds all of them."""
        values = [row.value for row in known if row.value is not None]
        alone = bool(self._judged) or "micro_f1" not in self._part.closed_metrics
        if alone and len(values) == len(known):
            every_order = self._part.circular and not self._judged
            cluster = _code(known[0].asked.question.cluster)
            repeats.add_outcomes(epoch_outcomes(values, self._epochs, every_order=every_order), cluster)

    def figures(self) -> PartFigures:
        """The figures of everything taken so far."""
        metrics = self._part.closed_metrics
        metric = metrics[0] if metrics else None
        estimate, chance = self._estimate(metric), self._guessing.chance()
        circular = self._circular.figures(self._guessing.chance_of_response())
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
            combined=self._combined.mean(bounded="rubric_points" not in self._part.metrics),
            lexical=self._lexical.mean(),
            details=self._detail_figures(),
            repeats=self._repeats.figures() if self._repeats else None,
            checked=self._checks.figures(),
        )

    def _detail_figures(self) -> dict[str, Estimate]:
        means = {name: mean for name, found in self._details.items() if (mean := found.mean()) is not None}
        if not self._measured:
            return means
        return means | dict(file_metric(self._part.closed_metrics[0]).figures(self._measured))

    def _estimate(self, metric: str | None) -> Estimate | None:
        if metric == "micro_f1" and len(self._values):
            positives, false, missed = (np.frombuffer(count, dtype=np.int64) for count in self._counts)
            return micro_f1(positives, false, missed, self._values.clusters)
        return self._values.mean()


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
