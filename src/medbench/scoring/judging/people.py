"""What people would say of all judged answers of a run, from those that they rated and the judges' values of all."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.meta import CriterionFigures, Lengths, Step, evaluate
from medbench.scoring.judging.plan import answer_of
from medbench.scoring.judging.sheet import CRITERION, SCALE, code_of, strata_of
from medbench.scoring.opinions import Panel
from medbench.scoring.ratings import Answered, Rating
from medbench.scoring.rows import JudgedMetric, ScoreRow
from medbench.stats import Estimate, RatedAnswers, clustered_mean, prediction_powered_mean

FEWEST_RATED = 10
"""Rated answers of a part from which an estimate is given: with fewer its intervals cover too little."""
FEWEST_IN_STRATUM = 2
"""Of rated item families; a stratum with fewer is put together with its neighbour."""
PANEL = "panel"
"""Name of the judges' median among the judges."""


class RatedFile(msgspec.Struct, frozen=True):
    """A ratings file that a run was given: its name and the SHA-256 (hex) of its bytes."""

    name: str
    sha256: str


class Attached(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People's ratings of a run's answers; the content of its `ratings.json`.

    Attributes:
        files: Where they come from.
        ratings: Of kind `human`, each once.
        format: Version of this file.
    """

    files: tuple[RatedFile, ...]
    ratings: tuple[Rating, ...]
    format: int = 1


class Stratum(msgspec.Struct, frozen=True):
    """A stratum of the judge's values: rated answers, and all judged answers in it."""

    rated: int
    answers: int


class PeopleEstimate(msgspec.Struct, frozen=True):
    """People's mean rating of the judged answers of one part, in [0, 1].

    All means are over the same answers: those that have text and that the judges gave a value by the rubric.

    Attributes:
        n: Answers that people rated and the judges judged.
        judged: Answers that the judges alone judged, N.
        raters: People who rated.
        left_out: Rated answers without a value of the judges.
        reason: Why there are no means: `too_few_rated`; else empty.
        estimate: The prediction-powered mean (PPI++).
        weight: λ of the judges in it; 0: they do not help, or nothing is left for them.
        labels: Mean of people's ratings alone.
        judge: Mean of the judges' values alone.
        calibrated: Mean of what people would give by the judges' maps; None without maps.
        strata: From the lowest values of the judges to the highest.
    """

    n: int
    judged: int
    raters: int
    left_out: int
    reason: str = ""
    estimate: Estimate | None = None
    weight: float | None = None
    labels: Estimate | None = None
    judge: Estimate | None = None
    calibrated: Estimate | None = None
    strata: tuple[Stratum, ...] = ()


class PeopleUse(msgspec.Struct, frozen=True):
    """People's ratings of a run, and what they say of its judges.

    Attributes:
        files: Where they come from.
        ratings: Their number.
        answers: Answers that they are of.
        raters: People who rated.
        figures: The judges against people, and people among themselves, over all datasets; a panel of several judges
            stands among them as `panel`. None where no judge has a value of a rated answer.
    """

    files: tuple[RatedFile, ...]
    ratings: int
    answers: int
    raters: int
    figures: CriterionFigures | None


class RatedDataset:
    """The judged answers of one dataset with people's mean rating where there is one; a few numbers per answer."""

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}
        self._part, self._families, self._codes = array("i"), array("q"), array("q")
        self._judge, self._people, self._calibrated = array("d"), array("d"), array("d")

    def add(
        self,
        part: str,
        family: str,
        response: str,
        judge: float,
        people: float | None,
        calibrated: float | None = None,
    ) -> None:
        """Take an answer.

        Args:
            part: Of the dataset.
            family: Of the item: its cluster.
            response: Which answer it is.
            judge: The judges' value, in [0, 1].
            people: Mean of people's ratings, in [0, 1].
            calibrated: What people would give by the judges' maps.
        """
        self._part.append(self._parts.setdefault(part, len(self._parts)))
        self._families.append(
            int.from_bytes(hashlib.blake2b(family.encode(), digest_size=8).digest(), "big", signed=True)
        )
        self._codes.append(int(code_of(family, response), 16))
        self._judge.append(judge)
        self._people.append(np.nan if people is None else people)
        self._calibrated.append(np.nan if calibrated is None else calibrated)

    def rated(self, part: str) -> RatedAnswers | None:
        """The answers of a part for an estimate; None where people rated too few of them, or all.

        Strata are those that a sheet is drawn from: thirds of the dataset by the judges' values, put together where
        fewer than two rated families are in one.
        """
        mine = self._mine(part)
        people = np.asarray(self._people)[mine]
        has = ~np.isnan(people)
        if has.sum() < FEWEST_RATED or has.all():
            return None
        judge = np.asarray(self._judge)
        families = np.asarray(self._families)[mine]
        strata = _merged(strata_of(judge, self._codes)[mine], has, families)
        return RatedAnswers(
            human=people[has],
            judge=judge[mine][has],
            clusters=families[has],
            judge_only=judge[mine][~has],
            judge_only_clusters=families[~has],
            strata=strata[has],
            judge_only_strata=strata[~has],
        )

    def estimate(self, part: str, raters: int, left_out: int) -> PeopleEstimate | None:
        """What people would say of a part; None where they rated none of its answers."""
        mine = self._mine(part)
        people = np.asarray(self._people)[mine]
        n = int((~np.isnan(people)).sum())
        if not n and not left_out:
            return None
        found = PeopleEstimate(n=n, judged=people.size - n, raters=raters, left_out=left_out)
        if n < FEWEST_RATED:
            return msgspec.structs.replace(found, reason="too_few_rated")
        families = np.asarray(self._families)[mine]
        calibrated = np.asarray(self._calibrated)[mine]
        found = msgspec.structs.replace(
            found,
            judge=clustered_mean(np.asarray(self._judge)[mine], families),
            calibrated=None if np.isnan(calibrated).any() else clustered_mean(calibrated, families),
        )
        answers = self.rated(part)
        if answers is None:
            everybody = clustered_mean(people, families)
            return msgspec.structs.replace(found, estimate=everybody, labels=everybody, weight=0.0)
        powered = prediction_powered_mean(answers, scale=(0.0, 1.0))
        rated, others = np.bincount(np.asarray(answers.strata)), np.bincount(np.asarray(answers.judge_only_strata))
        others = np.pad(others, (0, rated.size - others.size))
        return msgspec.structs.replace(
            found,
            estimate=powered.estimate,
            labels=powered.labels_alone,
            weight=powered.weights[0],
            strata=tuple(Stratum(int(one), int(one + two)) for one, two in zip(rated, others, strict=True)),
        )

    def _mine(self, part: str) -> NDArray[np.bool_]:
        mine: NDArray[np.bool_] = np.asarray(self._part) == self._parts.get(part, -1)
        return mine


class People:
    """Meets people's ratings with the scores of a run as these stream by."""

    def __init__(self, attached: Attached, panel: Panel, run: str, model: str) -> None:
        """Take the ratings.

        Args:
            attached: People's ratings.
            panel: The judges of the run.
            run: What the run's answers are named by; see `response_name`.
            model: Name of the model that wrote the answers.
        """
        self._attached = attached
        self._judges = panel.judges
        self._run = run
        self._model = model
        self._by_response: dict[Answered, list[Rating]] = defaultdict(list)
        for rating in attached.ratings:
            self._by_response[rating.response].append(rating)
        self._datasets: dict[str, RatedDataset] = defaultdict(RatedDataset)
        self._raters: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._left_out: dict[tuple[str, str], int] = defaultdict(int)
        self._together: list[Rating] = []

    def take(self, asked: Asked, response: Response, row: ScoreRow) -> float | None:
        """Take a scored response; returns the mean of people's ratings of it, in [0, 1]."""
        judged = next((each for each in row.judged if each.metric == CRITERION), None)
        name = response_name(self._run, asked.seq)
        ratings = self._by_response.get(name, [])
        people = fmean(rating.share for rating in ratings) if ratings else None
        question, part = asked.question, asked.part.name
        where = question.dataset, part
        if judged is not None and judged.read and judged.value is not None:
            item = question.cluster
            self._datasets[question.dataset].add(part, item, name, judged.value, people, judged.calibrated)
            if ratings:
                self._raters[where].update(rating.rater for rating in ratings)
                self._together += self._beside(ratings, judged, answer_of(response))
        elif ratings:
            self._left_out[where] += 1
        return people

    def _beside(self, ratings: Sequence[Rating], judged: JudgedMetric, text: str) -> list[Rating]:
        """People's ratings of an answer and, on the same scale, the judges'."""
        given = [(judge.id, value) for judge, value in zip(self._judges, judged.by_judge, strict=True)]
        if len(given) > 1:
            given.append((PANEL, judged.value))
        low, high = SCALE
        first = ratings[0]
        return [msgspec.structs.replace(each, text=text, model=self._model) for each in ratings] + [
            msgspec.structs.replace(first, rater=name, kind="judge", score=low + value * (high - low))
            for name, value in given
            if value is not None
        ]

    def estimate(self, dataset: str, part: str) -> PeopleEstimate | None:
        """What people would say of a part; None where they rated none of its answers."""
        where = dataset, part
        return self._datasets[dataset].estimate(part, len(self._raters[where]), self._left_out[where])

    def use(self, smallest_cell: int) -> PeopleUse:
        """What people say of the judges.

        Args:
            smallest_cell: Steps and lengths with fewer answers are left out.
        """
        ratings = self._attached.ratings
        models = {judge.id: judge.model.name for judge in self._judges}
        found = evaluate(self._together, models) if self._together else ()
        return PeopleUse(
            files=self._attached.files,
            ratings=len(ratings),
            answers=len(self._by_response),
            raters=len({rating.rater for rating in ratings}),
            figures=_without_small(found[0], smallest_cell) if found else None,
        )


def response_name(run: str, seq: int) -> str:
    """How ratings name an answer of a run: the first digits of the run's identity, and the place in its plan."""
    return f"{run}/{seq}"


def _merged(strata: NDArray[np.int64], rated: NDArray[np.bool_], families: NDArray[np.int64]) -> NDArray[np.int64]:
    """Strata numbered from 0, each with two rated families at least: one with fewer joins the one above, or below."""
    strata = np.unique(strata, return_inverse=True)[1].reshape(-1)
    place = 0
    while (last := int(strata.max())) > 0 and place <= last:
        if np.unique(families[rated & (strata == place)]).size >= FEWEST_IN_STRATUM:
            place += 1
            continue
        strata = np.where(strata > min(place, last - 1), strata - 1, strata)
        place = min(place, last - 1)
    return strata


def _without_small(figures: CriterionFigures, least: int) -> CriterionFigures:
    def large(cells: Sequence[Step | Lengths]) -> tuple[Step | Lengths, ...]:
        return tuple(cell for cell in cells if cell.n >= least)

    judges = tuple(
        msgspec.structs.replace(
            judge,
            curve=large(judge.curve),
            bias=msgspec.structs.replace(judge.bias, by_length=large(judge.bias.by_length)),
        )
        for judge in figures.judges
    )
    return msgspec.structs.replace(figures, judges=judges)
