"""Scoring a run: plan, responses and keys stream side by side, in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from medbench.items.keys import open_keys
from medbench.items.model import Key, Question
from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.calibrate import Measured
from medbench.scoring.judging.plan import JudgePins
from medbench.scoring.media_use import MediaUse
from medbench.scoring.opinions import Panel
from medbench.scoring.rows import ScoreRow, score_response
from medbench.scoring.tally import PartFigures, PartTally, RunTotals
from medbench.streams import in_blocks

SMALLEST_CELL = 5
"""Under hidden disclosure no figure over fewer items than this is given: it would tell single answers."""


class DatasetFigures(msgspec.Struct, frozen=True):
    """Figures of the parts of one dataset."""

    dataset: str
    parts: tuple[PartFigures, ...]


class JudgeUse(msgspec.Struct, frozen=True):
    """A judge of a run and what it took.

    Attributes:
        judge: The judge.
        judgements: Made, failed ones included.
        failed: Without a verdict.
        input_tokens: Of all its calls.
        output_tokens: Likewise.
        measured: How far it agrees with people; None where nobody measured it.
    """

    judge: JudgePins
    judgements: int
    failed: int
    input_tokens: int
    output_tokens: int
    measured: Measured | None = None


class Figures(msgspec.Struct, frozen=True):
    """All figures of a run, before they are aggregated.

    Attributes:
        datasets: In the order in which they were first asked.
        planned: Calls planned; `answered`: responses there are; `counted`: responses that count.
        items: Items asked.
        scored: Responses that have a score (scored or unparsed).
        totals: Sums over the responses.
        keys_fingerprint: Hash over the keys; empty under hidden disclosure where they have no salt.
        illustrative: Items marked as illustrative: made to try the bench out, not to judge a model.
        judges: In the order in which they came.
        media: What was sent of the questions' media.
    """

    datasets: tuple[DatasetFigures, ...]
    items: int
    planned: int
    answered: int
    counted: int
    scored: int
    totals: RunTotals
    keys_fingerprint: str
    illustrative: int
    judges: tuple[JudgeUse, ...] = ()
    media: MediaUse | None = None


class Scorer:
    """Scores the responses of a run. The only place where a question meets its key."""

    def __init__(self, items: Path, catalog_folder: Path | None, *, hidden: bool, panel: Panel | None = None) -> None:
        """Open the keys.

        Args:
            items: The item source of the run.
            catalog_folder: Folder of own dataset definitions.
            hidden: Right and wrong per item must not leave the scorer.
            panel: The judges of the run; None: there are none.
        """
        self._keys = open_keys(items, catalog_folder=catalog_folder)
        self._hidden = hidden
        self._panel = panel
        self._tallies: dict[tuple[str, str], PartTally] = {}
        self._totals = RunTotals()
        self._media = MediaUse()
        self._illustrative = 0

    def rows(self, plan: Iterable[Asked], responses: Iterable[tuple[int, Response]]) -> Iterator[ScoreRow]:
        """Score everything, yielding a row per response; under hidden disclosure rows carry no value.

        Args:
            plan: Every call, in order.
            responses: (seq, response), in order; calls without a response are missing.
        """
        items = in_blocks(_items(in_blocks(plan), in_blocks(responses), in_blocks(self._keys.keys())))
        for item, rows in in_blocks((item, item.score(self._panel)) for item in items):
            question, part = item.question, item.calls[0].part
            for response in item.responses:
                if response is not None:
                    self._totals.add(response)
                    self._media.add(question.uid, response)
            tally = self._tallies.get((question.dataset, part.name))
            if tally is None:
                tally = self._tallies[question.dataset, part.name] = PartTally(part)
            tally.add_item(rows, item.key)
            self._illustrative += question.meta.get("illustrative") is True
            for row in rows:
                if row is not None:
                    yield _concealed(row) if self._hidden else row

    def figures(self) -> Figures:
        """The figures of what was scored."""
        by_dataset: dict[str, list[PartFigures]] = {}
        for (dataset, _), tally in self._tallies.items():
            figures = tally.figures()
            if self._hidden and figures.estimate is not None and figures.estimate.n < SMALLEST_CELL:
                figures = msgspec.structs.replace(figures, estimate=None, circular=None, chance=None, at_chance=None)
            by_dataset.setdefault(dataset, []).append(figures)
        parts = [part for several in by_dataset.values() for part in several]
        return Figures(
            datasets=tuple(DatasetFigures(name, tuple(several)) for name, several in by_dataset.items()),
            items=sum(part.items for part in parts),
            planned=sum(part.planned for part in parts),
            answered=sum(part.answered for part in parts),
            counted=sum(part.counted for part in parts),
            scored=sum(part.by_status.get(status, 0) for part in parts for status in ("scored", "unparsed")),
            totals=self._totals,
            # A hash without a salt would let the few possible keys of a few items be tried one by one.
            keys_fingerprint="" if self._hidden and not self._keys.salted else self._keys.fingerprint(),
            illustrative=self._illustrative,
            media=msgspec.structs.replace(self._media, changed=[], not_shown=[]) if self._hidden else self._media,
        )


class _Item(NamedTuple):
    """All calls of an item, what came back for each of them, and the item's key."""

    calls: list[Asked]
    responses: list[Response | None]
    key: Key | None

    @property
    def question(self) -> Question:
        return self.calls[0].question

    def score(self, panel: Panel | None) -> list[ScoreRow | None]:
        return [
            None if response is None else score_response(call, response, self.key, panel)
            for call, response in zip(self.calls, self.responses, strict=True)
        ]


def _items(plan: Iterator[Asked], responses: Iterator[tuple[int, Response]], keys: Iterator[Key]) -> Iterator[_Item]:
    key = next(keys, None)
    upcoming = next(responses, None)
    for uid, several in groupby(plan, key=lambda asked: asked.question.uid):
        while key is not None and key.uid != uid:
            key = next(keys, None)
        item = _Item(list(several), [], key)
        for call in item.calls:
            if upcoming is not None and upcoming[0] == call.seq:
                item.responses.append(upcoming[1])
                upcoming = next(responses, None)
            else:
                item.responses.append(None)
        yield item


def _concealed(row: ScoreRow) -> ScoreRow:
    """The row without what would tell right from wrong."""
    return msgspec.structs.replace(
        row, value=None, marking=msgspec.structs.replace(row.marking, **_NO_COUNTS), judged=(), lexical=None
    )


_NO_COUNTS = {"value": None, "true_positives": 0, "false_positives": 0, "false_negatives": 0}
