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
from medbench.scoring.file_metrics import AnswerFiles
from medbench.scoring.judging.calibrate import Measured
from medbench.scoring.judging.people import People, PeopleEstimate, PeopleUse
from medbench.scoring.judging.plan import JudgePins
from medbench.scoring.judging.sheet import CRITERION
from medbench.scoring.media_use import MediaUse
from medbench.scoring.opinions import Panel
from medbench.scoring.rows import ScoreRow, score_response
from medbench.scoring.tally import PartFigures, PartTally, RunTotals
from medbench.store.artifacts import Artifacts
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
        by_error: Why these failed: code -> judgements.
        awaited: Responses of which it has a call yet to make.
        left_out: It gave no verdict at all while another judge did, so nobody waits for it and no quorum counts it.
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
    by_error: dict[str, int] = {}
    awaited: int = 0
    left_out: bool = False

    @property
    def silent(self) -> bool:
        """Whether it gave no verdict at all."""
        return self.judgements == self.failed

    @property
    def uncalibrated(self) -> bool:
        """Whether its verdicts are those of a judge that nobody measured, or that does not agree with people enough."""
        return not self.silent and (self.measured is None or not self.measured.admitted)


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
        probes: Items marked as probes.
        people: People's ratings of its answers; None where the run was given none.
        outdated: Responses that were judged by a key, or in a wording, that has changed since; see `Panel.outdated`.
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
    probes: int = 0
    people: PeopleUse | None = None
    outdated: int = 0


class Scorer:
    """Scores the responses of a run. The only place where a question meets its key."""

    def __init__(
        self,
        items: Path,
        catalog_folder: Path | None,
        *,
        hidden: bool,
        panel: Panel | None = None,
        people: People | None = None,
        artifacts: Artifacts | None = None,
    ) -> None:
        """Open the keys.

        Args:
            items: The item source of the run.
            catalog_folder: Folder of own dataset definitions.
            hidden: Right and wrong per item must not leave the scorer.
            panel: The judges of the run; None: there are none.
            people: People's ratings of its answers; None: there are none.
            artifacts: Files of its answers; None: there are none.
        """
        self._keys = open_keys(items, catalog_folder=catalog_folder)
        self._files = AnswerFiles(artifacts, self._keys) if artifacts is not None else None
        self._hidden = hidden
        self._panel = panel
        self._people = people
        self._tallies: dict[tuple[str, str], PartTally] = {}
        self._totals = RunTotals()
        self._media = MediaUse()
        self._illustrative = self._probes = 0

    def rows(self, plan: Iterable[Asked], responses: Iterable[tuple[int, Response]]) -> Iterator[ScoreRow]:
        """Score everything, yielding a row per response; under hidden disclosure rows carry no value.

        Args:
            plan: Every call, in order.
            responses: (seq, response), in order; calls without a response are missing.
        """
        items = in_blocks(_items(in_blocks(plan), in_blocks(responses), in_blocks(self._keys.keys())))
        for item, rows in in_blocks((item, item.score(self._panel, self._files)) for item in items):
            question, part = item.question, item.calls[0].part
            for response in item.responses:
                if response is not None:
                    self._totals.add(response)
                    self._media.add(question.uid, response)
            tally = self._tallies.get((question.dataset, part.name))
            if tally is None:
                tally = self._tallies[question.dataset, part.name] = PartTally(part, item.calls[-1].epoch + 1)
            tally.add_item(rows, item.key, item.answers if item.calls[-1].epoch else None)
            self._illustrative += question.meta.get("illustrative") is True
            self._probes += question.probe is not None
            for response, row in zip(item.responses, rows, strict=True):
                if row is not None:
                    if self._people is not None and response is not None:
                        row = msgspec.structs.replace(row, people=self._people.take(row.asked, response, row))
                    yield _concealed(row) if self._hidden else row

    def figures(self) -> Figures:
        """The figures of what was scored."""
        by_dataset: dict[str, list[PartFigures]] = {}
        for (dataset, part), tally in self._tallies.items():
            figures = tally.figures()
            if self._people is not None:
                figures = _with_people(figures, self._people.estimate(dataset, part))
            if self._hidden:
                figures = _concealed_figures(figures)
            by_dataset.setdefault(dataset, []).append(figures)
        parts = [figures for several in by_dataset.values() for figures in several]
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
            probes=self._probes,
            people=self._people.use(SMALLEST_CELL if self._hidden else 0) if self._people is not None else None,
            outdated=self._panel.outdated if self._panel is not None else 0,
        )


class _Item(NamedTuple):
    """All calls of an item, what came back for each of them, and the item's key."""

    calls: list[Asked]
    responses: list[Response | None]
    key: Key | None

    @property
    def question(self) -> Question:
        return self.calls[0].question

    @property
    def answers(self) -> list[str] | None:
        """The answers in all its variants; None where one has no response."""
        texts = [response.text for response in self.responses if response is not None]
        return texts if len(texts) == len(self.calls) else None

    def score(self, panel: Panel | None, files: AnswerFiles | None) -> list[ScoreRow | None]:
        return [
            None if response is None else score_response(call, response, self.key, panel, files)
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


def _with_people(figures: PartFigures, found: PeopleEstimate | None) -> PartFigures:
    judged = (
        msgspec.structs.replace(each, people=found) if each.metric == CRITERION else each for each in figures.judged
    )
    return msgspec.structs.replace(figures, judged=tuple(judged))


def _concealed_figures(figures: PartFigures) -> PartFigures:
    """The figures without those of few items, and without tags.

    Tags overlap, so that single answers could be told from their differences; and some are of the key.
    """
    judged = tuple(msgspec.structs.replace(each, by_tag={}) for each in figures.judged)
    details = {name: each for name, each in figures.details.items() if each.n >= SMALLEST_CELL}
    checked = figures.checked if figures.checked and figures.checked.covered.n >= SMALLEST_CELL else None
    if checked and checked.passed and checked.passed.n < SMALLEST_CELL:
        checked = msgspec.structs.replace(checked, passed=None, by_status={}, by_finding={})
    figures = msgspec.structs.replace(figures, details=details, checked=checked)
    estimates = [each for each in (figures.estimate, figures.combined) if each is not None]
    if all(each.n >= SMALLEST_CELL for each in estimates):
        return msgspec.structs.replace(figures, judged=judged)
    nothing = dict.fromkeys(("estimate", "circular", "chance", "at_chance", "combined", "lexical", "repeats"))
    return msgspec.structs.replace(figures, **nothing, judged=())


def _concealed(row: ScoreRow) -> ScoreRow:
    """The row without what would tell right from wrong."""
    return msgspec.structs.replace(
        row,
        value=None,
        marking=msgspec.structs.replace(row.marking, **_NO_COUNTS),
        judged=(),
        lexical=None,
        people=None,
        check=None,
    )


_NO_COUNTS = {
    "value": None,
    "true_positives": 0,
    "false_positives": 0,
    "false_negatives": 0,
    "details": (),
    "evidence": None,
    "measured": None,
}
