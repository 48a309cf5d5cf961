"""The summary of a run: every number that its report shows, with n, coverage and interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from medbench.board.aggregate import official_members
from medbench.catalog import Catalog
from medbench.catalog.model import Bilingual, Dataset, Track
from medbench.runs.config import Pins
from medbench.scoring.judging.people import PeopleUse
from medbench.scoring.judging.sheet import CRITERION
from medbench.scoring.media_use import MediaUse
from medbench.scoring.repeats import RepeatFigures
from medbench.scoring.score import Figures, JudgeUse
from medbench.scoring.tally import PartFigures
from medbench.stats import Estimate, combine_mover

COVERAGE_GATE = 0.98
"""A run below this coverage is never ranked."""
SAFETY_DIMENSIONS = frozenset({"safety_ethics", "safety_compliance"})
"""Their datasets are safety-critical: where they are asked k times, pass^k stands beside their score."""


class Figure(msgspec.Struct, frozen=True):
    """A score, 0..100, with its 95 % interval.

    Attributes:
        value: Unrounded.
        low: Lower limit; None where it is undefined (a single cluster).
        high: Upper limit.
        n: Observations.
        clusters: Independent clusters.
        method: How the interval was made.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    method: str


class Repeats(msgspec.Struct, frozen=True):
    """What asking every item in k epochs shows, 0..100; see `medbench.scoring.repeats.RepeatFigures`.

    Attributes:
        epochs: k.
        pass_at_1: One attempt: the score itself. None where a part has no outcome per item (micro-averaged F1).
        pass_at_k: The best of k attempts.
        pass_all_k: The worst of k attempts.
        identical: Share of the items, 0..1, whose answers are the same in every epoch; None where none is whole.
    """

    epochs: int
    pass_at_1: Figure | None
    pass_at_k: Figure | None
    pass_all_k: Figure | None
    identical: float | None


class DatasetSummary(msgspec.Struct, frozen=True):
    """One dataset of the run.

    Attributes:
        score: Mean of its parts; None where a part has none.
        why: Why there is no score: `awaiting_judge`, `judge_failed`, `no_key`, `excluded`,
            `not_answered`, `too_few_items`; else empty.
        closed: Figure of the closed-set metrics alone, where judges are awaited too.
        chance: What guessing gives, 0..100, for datasets of one part.
        at_chance: Its score can't be told from guessing; see `PartFigures`.
        coverage: Share of planned calls whose outcome counts.
        parts: Figures of its parts.
        repeats: Where its items were asked in several epochs.
    """

    name: str
    track: Track
    dimension: str
    title: Bilingual
    score: Figure | None
    why: str
    closed: Figure | None
    chance: float | None
    at_chance: bool | None
    items: int
    coverage: float
    parts: tuple[PartFigures, ...]
    repeats: Repeats | None = None


class DimensionSummary(msgspec.Struct, frozen=True):
    """One dimension that the run touches.

    Attributes:
        score: Mean of ALL datasets of the dimension in the catalog; None when one is missing.
        scored: Mean of those that this run scored; None when there is none.
        datasets_scored: Their number.
        missing: Datasets of the dimension without a score here.
    """

    id: str
    track: Track
    title: Bilingual
    score: Figure | None
    scored: Figure | None
    datasets_scored: int
    missing: tuple[str, ...]


class Summary(msgspec.Struct, frozen=True):
    """All that a report shows.

    Attributes:
        headline: Mean over the dimensions that this run scored, each the mean of its scored datasets: the score of this
            run, not the track's overall score.
        overall: Track -> its overall score; None when a dimension is incomplete.
        official: Track -> number of its datasets in MedBench v4.
        incomplete: Track -> those of them without a score here.
        coverage: Share of planned calls whose outcome counts.
        rankable: Whether the coverage reaches the gate.
        awaiting_judge: Datasets asked that need a judge.
        without_key: Datasets asked that have no gold.
        at_chance: Datasets whose score can't be told from guessing.
        latency_s: Quantiles of the seconds per response.
        complete: Every planned call has a response.
        illustrative: Items asked that are marked as illustrative: made to try the bench out, not to judge a model.
        judges: Judges of open answers.
        media: What was sent of the questions' media.
        probes: Items marked as probes of perception or reasoning.
        repeats: Where items were asked in several epochs: means over the dimensions that this run scored.
        people: People's ratings of its answers; None where there are none.
        outdated: Responses judged by a key, or in a wording, that has changed since: these verdicts do not count.
    """

    pins: Pins
    headline: Figure | None
    headline_dimensions: int
    headline_datasets: int
    overall: dict[str, Figure | None]
    official: dict[str, int]
    incomplete: dict[str, tuple[str, ...]]
    dimensions: tuple[DimensionSummary, ...]
    datasets: tuple[DatasetSummary, ...]
    coverage: float
    rankable: bool
    awaiting_judge: tuple[str, ...]
    without_key: tuple[str, ...]
    at_chance: tuple[str, ...]
    items: int
    planned: int
    answered: int
    scored: int
    complete: bool
    by_status: dict[str, int]
    by_error: dict[str, int]
    by_score_status: dict[str, int]
    input_tokens: int
    output_tokens: int
    uncounted_usage: int
    requests: int
    cached: int
    latency_s: dict[str, float]
    served_models: tuple[str, ...]
    keys_fingerprint: str
    illustrative: int = 0
    judges: tuple[JudgeUse, ...] = ()
    media: MediaUse | None = None
    probes: int = 0
    repeats: Repeats | None = None
    people: PeopleUse | None = None
    outdated: int = 0

    def named_parts(self) -> Iterator[tuple[str, PartFigures]]:
        """(name, part) of all parts; a part without a name of its own has that of its dataset."""
        for dataset in self.datasets:
            for part in dataset.parts:
                yield f"{dataset.name} {part.name}".strip(), part

    def unmeasured(self) -> tuple[str, ...]:
        """Judged metrics of the run that nobody held against people: they rate by the rubric alone."""
        judged = (each for _, part in self.named_parts() for each in part.judged)
        found = dict.fromkeys(each.metric for each in judged if each.estimate is not None)
        return tuple(metric for metric in found if metric != CRITERION)


def summarise(pins: Pins, figures: Figures, catalog: Catalog) -> Summary:
    """Aggregate the figures of a run."""
    estimates: dict[str, Estimate | None] = {}
    passes: list[dict[str, Estimate | None]] = [{}, {}]
    datasets = []
    for entry in figures.datasets:
        summary, estimate, several = _dataset(catalog.datasets[entry.dataset], entry.parts)
        datasets.append(summary)
        estimates[entry.dataset] = estimate
        for kind, found in zip(passes, several, strict=True):
            kind[entry.dataset] = found
    dimensions, scored = _dimensions(catalog, datasets, estimates)
    tracks = sorted({summary.track for summary in datasets})
    official = {
        track: [name for names in official_members(catalog, track).values() for name in names] for track in tracks
    }
    headline = combine_mover(scored) if scored else None
    totals = figures.totals
    by_score_status: dict[str, int] = {}
    for summary in datasets:
        for part in summary.parts:
            for status, count in part.by_status.items():
                by_score_status[status] = by_score_status.get(status, 0) + count
    coverage = figures.counted / figures.planned if figures.planned else 0.0
    return Summary(
        pins=pins,
        headline=_figure(headline),
        headline_dimensions=len(scored),
        headline_datasets=sum(summary.score is not None for summary in datasets),
        overall={track: _overall(catalog, track, estimates) for track in tracks},
        official={track: len(names) for track, names in official.items()},
        incomplete={
            track: tuple(name for name in names if estimates.get(name) is None) for track, names in official.items()
        },
        dimensions=tuple(dimensions),
        datasets=tuple(datasets),
        coverage=coverage,
        rankable=coverage >= COVERAGE_GATE,
        awaiting_judge=tuple(summary.name for summary in datasets if summary.why == "awaiting_judge"),
        without_key=tuple(summary.name for summary in datasets if summary.why == "no_key"),
        at_chance=tuple(summary.name for summary in datasets if summary.at_chance),
        items=figures.items,
        planned=figures.planned,
        answered=figures.answered,
        scored=figures.scored,
        complete=figures.answered == figures.planned,
        by_status=totals.by_status,
        by_error=totals.by_error,
        by_score_status=by_score_status,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        uncounted_usage=totals.uncounted,
        requests=totals.requests,
        illustrative=figures.illustrative,
        judges=figures.judges,
        media=figures.media,
        probes=figures.probes,
        people=figures.people,
        outdated=figures.outdated,
        cached=totals.cached,
        latency_s=_quantiles(totals.latencies),
        served_models=tuple(sorted(totals.served_models)),
        keys_fingerprint=figures.keys_fingerprint,
        repeats=_repeats(catalog, datasets, headline, passes),
    )


def load_summary(run_dir: Path) -> Summary:
    """The summary of a run that is scored.

    Raises:
        InputError: The folder holds no scored run.
    """
    from medbench.catalog import load_catalog
    from medbench.runs.config import read_pins
    from medbench.runs.results import read_figures

    pins = read_pins(run_dir)
    figures = read_figures(run_dir)
    catalog = load_catalog()
    if any(entry.dataset not in catalog.datasets for entry in figures.datasets):
        from medbench.runs.execute import open_pinned

        catalog = open_pinned(pins).catalog
    return summarise(pins, figures, catalog)


def _repeats(
    catalog: Catalog,
    datasets: Sequence[DatasetSummary],
    headline: Estimate | None,
    passes: Sequence[dict[str, Estimate | None]],
) -> Repeats | None:
    """Of the whole run; no pass figure unless every dataset that is scored has one."""
    repeated = [each for dataset in datasets for part in dataset.parts if (each := part.repeats)]
    if not repeated:
        return None
    means = [
        combine_mover(_dimensions(catalog, datasets, found)[1])
        if headline and all(found[each.name] for each in datasets if each.score)
        else None
        for found in passes
    ]
    return _shown_repeats(repeated, headline if None not in means else None, means)


def _shown_repeats(
    parts: Sequence[RepeatFigures], score: Estimate | None, passes: Sequence[Estimate | None]
) -> Repeats:
    answered = sum(part.answered for part in parts)
    return Repeats(
        epochs=parts[0].epochs,
        pass_at_1=_figure(score),
        pass_at_k=_figure(passes[0]),
        pass_all_k=_figure(passes[1]),
        identical=sum(part.identical for part in parts) / answered if answered else None,
    )


def _dataset(
    dataset: Dataset, parts: Sequence[PartFigures]
) -> tuple[DatasetSummary, Estimate | None, tuple[Estimate | None, Estimate | None]]:
    """Its summary, and the estimates of its score, of pass@k and of pass^k."""
    planned = sum(part.planned for part in parts)
    closed = [part.estimate for part in parts if part.metric is not None]
    awaiting = any(part.awaiting for part in parts)
    asked = {part.name for part in parts}
    whole = all(part.name in asked for part in dataset.parts)
    scores = [part.combined if part.judged else part.estimate for part in parts]
    estimate = combine_mover(scores) if not awaiting and whole and None not in scores else None
    only = parts[0] if len(parts) == 1 else None
    chance = only.chance if only else None
    repeated = [part.repeats for part in parts if part.repeats]
    several = estimate is not None and len(repeated) == len(parts)
    best = _mean([part.pass_at_k for part in repeated]) if several else None
    worst = _mean([part.pass_all_k for part in repeated]) if several else None
    return (
        DatasetSummary(
            name=dataset.name,
            track=dataset.track,
            dimension=dataset.dimension,
            title=dataset.title,
            score=_figure(estimate),
            why="" if estimate else _why(parts, awaiting),
            closed=_figure(combine_mover(known)) if (known := [e for e in closed if e]) else None,
            chance=None if chance is None else 100 * chance,
            at_chance=only.at_chance if only else None,
            items=sum(part.items for part in parts),
            coverage=sum(part.counted for part in parts) / planned if planned else 0.0,
            parts=tuple(parts),
            repeats=_shown_repeats(repeated, estimate if best else None, (best, worst)) if repeated else None,
        ),
        estimate,
        (best, worst),
    )


def _why(parts: Sequence[PartFigures], awaiting: bool) -> str:
    if not any(part.answered for part in parts):
        return "not_answered"
    if any(part.by_status.get("excluded") for part in parts) and not any(part.counted for part in parts):
        return "excluded"
    if any(part.by_status.get("no_key") for part in parts):
        return "no_key"
    if awaiting:
        return "awaiting_judge"
    return "judge_failed" if any(part.by_status.get("judge_failed") for part in parts) else "too_few_items"


def _dimensions(
    catalog: Catalog, datasets: Sequence[DatasetSummary], estimates: dict[str, Estimate | None]
) -> tuple[list[DimensionSummary], list[Estimate]]:
    """Summaries of the dimensions that the run touches, and the estimates of those it scored."""
    summaries: list[DimensionSummary] = []
    scored: list[Estimate] = []
    touched = dict.fromkeys((summary.track, summary.dimension) for summary in datasets)
    for track, name in touched:
        members = official_members(catalog, track).get(name, [])
        here = [each.name for each in datasets if (each.track, each.dimension) == (track, name)]
        known = [estimate for each in here if (estimate := estimates.get(each)) is not None]
        mean = combine_mover(known) if known else None
        if mean is not None:
            scored.append(mean)
        dimension = next(each for each in catalog.dimensions(track) if each.id == name)
        summaries.append(
            DimensionSummary(
                id=name,
                track=track,
                title=dimension.title,
                score=_figure(_mean([estimates.get(each) for each in members])),
                scored=_figure(mean),
                datasets_scored=len(known),
                missing=tuple(each for each in members if estimates.get(each) is None),
            )
        )
    return summaries, scored


def _overall(catalog: Catalog, track: str, estimates: dict[str, Estimate | None]) -> Figure | None:
    members = official_members(catalog, track).values()
    return _figure(_mean([_mean([estimates.get(name) for name in names]) for names in members]))


def _mean(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """Mean with its interval; None when one is missing, never a mean of the rest."""
    return combine_mover(estimates) if estimates else None


def _figure(estimate: Estimate | None) -> Figure | None:
    if estimate is None:
        return None
    return Figure(
        value=100 * estimate.value,
        low=None if estimate.low is None else 100 * estimate.low,
        high=None if estimate.high is None else 100 * estimate.high,
        n=estimate.n,
        clusters=estimate.clusters,
        method=estimate.method,
    )


def _quantiles(latencies: Sequence[float]) -> dict[str, float]:
    if not latencies:
        return {}
    values = np.quantile(np.asarray(latencies), [0.5, 0.9, 0.99])
    return {name: round(float(value), 4) for name, value in zip(("p50", "p90", "p99"), values, strict=True)}
