"""Two models on the same items: paired differences per dataset, dimension and overall (specs/scoring.md, section 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from medbench.board.checks import CheckComparison, compare_checks
from medbench.board.effects import Effect, PairedFigure, numbers, p_value
from medbench.board.pairing import Difference, Paired, combine, pair_items, read_outcomes
from medbench.board.people import PeopleComparison, compare_people
from medbench.board.summary import DatasetSummary, Summary, load_summary
from medbench.catalog.model import Bilingual, Track
from medbench.errors import InputError, Problem
from medbench.stats import half_up, holm, mcnemar_exact
from medbench.store.parquet import read_batches
from medbench.text import Language, say


class McNemarTest(msgspec.Struct, frozen=True):
    """Exact McNemar test on the items' outcomes: `b` items only A has right, `c` only B."""

    b: int
    c: int
    p: float


class DatasetComparison(Effect, frozen=True, kw_only=True):
    """One dataset in both runs.

    Attributes:
        a: Score of A on the paired items, 0..100.
        b: Score of B.
        p_holm: p adjusted over all datasets compared.
        mcnemar: None where an item's outcome is not simply right or wrong.
        whole: Every part and metric is compared; otherwise judges are awaited or differ, and the dataset stays out of
            the means.
        pass_at_k: Where both runs asked each item in the same number k > 1 of epochs; None for micro-averaged F1.
        pass_all_k: Likewise, of pass^k.
    """

    name: str
    track: Track
    dimension: str
    title: Bilingual
    a: float
    b: float
    p_holm: float | None
    mcnemar: McNemarTest | None
    whole: bool
    pass_at_k: PairedFigure | None = None
    pass_all_k: PairedFigure | None = None


class DimensionComparison(Effect, frozen=True, kw_only=True):
    """Mean of the differences of a dimension's datasets that are compared whole."""

    id: str
    track: Track
    title: Bilingual
    datasets: tuple[str, ...]


class Cost(msgspec.Struct, frozen=True):
    """What the answers of a run took.

    Attributes:
        answers: Answers that there are.
        calls: Leaf calls sent, retries included; none for answers from the response cache.
        input_tokens: As the endpoint counted them.
        output_tokens: Likewise.
        median_s: Seconds per answer; None where there is none.
        refusals: Answers that decline.
    """

    answers: int
    calls: int
    input_tokens: int
    output_tokens: int
    median_s: float | None
    refusals: int


class Side(msgspec.Struct, frozen=True):
    """One of the two runs; `score` is its own headline, over all that it scored, and `cost` of all its answers."""

    run_dir: str
    model: str
    coverage: float
    score: float | None
    cost: Cost


class Comparison(msgspec.Struct, frozen=True):
    """All that `medbench compare` shows.

    Attributes:
        items: Items paired.
        left_out: Items with an outcome in only one of the runs.
        overall: Mean over the dimensions of means over their datasets; None where none is compared whole.
        not_compared: Dataset -> why: `one_run_only`, `no_shared_items`, `other_judges`, or why it has no score
            (`DatasetSummary.why`).
        notes: What to bear in mind, in the language of the process.
        epochs: k, how often both runs asked each item; 1 where they differ.
        pass_at_k: As `overall`, of pass@k; None also where a dataset that counts has none.
        pass_all_k: Likewise, of pass^k.
        people: What people would say, by part; empty where neither run carries their ratings.
        checks: What running the answers showed, by part; no part of any score.
    """

    a: Side
    b: Side
    items: int
    left_out: int
    overall: Effect | None
    dimensions: tuple[DimensionComparison, ...]
    datasets: tuple[DatasetComparison, ...]
    not_compared: dict[str, str]
    notes: tuple[str, ...]
    people: tuple[PeopleComparison, ...] = ()
    checks: tuple[CheckComparison, ...] = ()
    epochs: int = 1
    pass_at_k: Effect | None = None
    pass_all_k: Effect | None = None


Found = Sequence[tuple[DatasetSummary, bool, list[Paired]]]
"""Datasets compared, each with whether it is compared whole, and its parts."""


def compare(run_a: Path, run_b: Path) -> Comparison:
    """Compare two scored runs over the same items, item by item.

    Rows are aligned on (item, variant): an item counts where both runs have an outcome for all its variants. Its value
    is the mean over them; in circular evaluation the share of its epochs in which all orders are right. p is by t with
    clustered errors, or, below 30 clusters, by the sign-flip permutation test over clusters; for micro-averaged F1,
    which is no mean over items, by t with the jackknife. A few numbers per item are all that is held.

    Raises:
        InputError: A run is not scored or under hidden disclosure, or the two were not asked the same.
    """
    first, second = load_summary(run_a), load_summary(run_b)
    require_comparable((run_a, run_b), (first, second))

    by_code = not_judged_alike((first, second))
    outcomes_a, outcomes_b = read_outcomes(run_a, first, by_code), read_outcomes(run_b, second, by_code)
    theirs = {dataset.name: dataset for dataset in second.datasets}
    not_compared = {name: "one_run_only" for name in theirs if name not in {each.name for each in first.datasets}}
    found: list[tuple[DatasetSummary, bool, list[Paired]]] = []
    left_out = 0
    for dataset in first.datasets:
        other = theirs.get(dataset.name)
        if other is None:
            not_compared[dataset.name] = "one_run_only"
            continue
        paired: list[Paired] = []
        for part in dataset.parts:
            ours, others = outcomes_a.get((dataset.name, part.name)), outcomes_b.get((dataset.name, part.name))
            if ours is None or others is None:
                continue
            pair = pair_items(dataset.name, ours, others)
            shared = pair.size if pair else 0
            left_out += len(ours.codes) + len(others.codes) - 2 * shared
            if pair:
                paired.append(pair)
        if paired:
            scored = dataset.score is not None and other.score is not None and dataset.name not in by_code
            whole = scored and len(paired) == len(dataset.parts)
            found.append((dataset, whole, paired))
        else:
            unlike = "other_judges" if dataset.name in by_code else "no_shared_items"
            not_compared[dataset.name] = dataset.why or other.why or unlike
    people = compare_people((run_a, run_b), (first, second))
    checks = compare_checks((run_a, run_b), (first, second))
    if not found and not checks and not any(each.people for each in people):
        raise nothing_shared((run_a, run_b), (first, second), by_code)
    differences = [combine([pair.difference for pair in paired]) for _, _, paired in found]
    datasets = _datasets(found, differences)
    dimensions, means = _dimensions(first, found, differences)
    return Comparison(
        a=_side(run_a, first),
        b=_side(run_b, second),
        items=sum(each.n for each in datasets),
        left_out=left_out,
        overall=Effect(**numbers(combine(means))) if means else None,
        dimensions=tuple(dimensions),
        datasets=datasets,
        not_compared=not_compared,
        notes=compare_notes(first, second, left_out),
        epochs=common_epochs((first, second)),
        pass_at_k=_overall_pass(first, found, attrgetter("best")),
        pass_all_k=_overall_pass(first, found, attrgetter("worst")),
        people=people,
        checks=checks,
    )


def nothing_shared(run_dirs: Sequence[Path], summaries: Sequence[Summary], by_code: frozenset[str]) -> InputError:
    """Why runs without a scored item in common have none."""
    if by_code:
        return InputError(say("compare.all_other_judges", judges=judges_text(judges_by_run(run_dirs, summaries))))
    failed = [
        f"{path.name} ({', '.join(sorted({code for use in summary.judges for code in use.by_error})) or '–'})"
        for path, summary in zip(run_dirs, summaries, strict=True)
        if summary.headline is None and any(dataset.why == "judge_failed" for dataset in summary.datasets)
    ]
    return InputError(say("compare.no_verdict", runs=", ".join(failed)) if failed else say("compare.nothing_shared"))


def common_epochs(summaries: Sequence[Summary]) -> int:
    """How often all runs asked each item; 1 where they differ."""
    several = {summary.pins.selection.epochs for summary in summaries}
    return several.pop() if len(several) == 1 else 1


def not_judged_alike(summaries: Sequence[Summary]) -> frozenset[str]:
    """Datasets that some of the runs had judged, and not all by the same judges.

    Two judges are two instruments: a difference of what they read is none of what they measured. Where a judge was
    reached makes no difference.
    """
    judged = [
        {dataset.name for dataset in summary.datasets if any(part.combined is not None for part in dataset.parts)}
        for summary in summaries
    ]
    panels = []
    for summary in summaries:
        pins = [each.judge for each in summary.judges if not each.left_out]
        models = [msgspec.structs.replace(each.model, endpoint="", api_key_env="") for each in pins]
        alike = [msgspec.structs.replace(each, model=model) for each, model in zip(pins, models, strict=True)]
        panels.append(sorted(msgspec.json.encode(each, order="deterministic") for each in alike))
    some, every = set().union(*judged), set(judged[0]).intersection(*judged[1:])
    return frozenset(some - every if all(panel == panels[0] for panel in panels) else some)


def judges_by_run(run_dirs: Sequence[Path], summaries: Sequence[Summary]) -> dict[str, tuple[str, ...]]:
    """The judges of each run: spec and identity."""
    return {
        str(path): tuple(f"{use.judge.model.spec} [{use.judge.id}]" for use in summary.judges if not use.left_out)
        for path, summary in zip(run_dirs, summaries, strict=True)
    }


def judges_text(judges: Mapping[str, Sequence[str]]) -> str:
    """Which runs have which judges, those with the same together."""
    runs: dict[tuple[str, ...], list[str]] = {}
    for run, names in judges.items():
        runs.setdefault(tuple(sorted(names)), []).append(run)
    return "; ".join(f"{', '.join(those)}: {' + '.join(names) or '–'}" for names, those in runs.items())


def require_comparable(run_dirs: Sequence[Path], summaries: Sequence[Summary], *, controls: bool = False) -> None:
    """Refuse runs that can't be held against each other item by item.

    Args:
        run_dirs: Folders of the runs.
        summaries: Of the same.
        controls: Some of them may be media controls.

    Raises:
        InputError: One is not scored or under hidden disclosure, or not all were asked the same items.
    """
    for path, summary in zip(run_dirs, summaries, strict=True):
        if summary.pins.disclosure == "hidden":
            raise InputError(say("compare.hidden", path=path))
        if not (path / "scores").is_dir():
            raise InputError(say("runs.not_scored", path=path))
    for path, summary in zip(run_dirs[1:], summaries[1:], strict=True):
        _require_same_items(run_dirs[0], path, summaries[0], summary)
        if not controls and summary.pins.selection.media_control != summaries[0].pins.selection.media_control:
            raise InputError(Problem(message=say("compare.other_media"), file=str(path)))


def _require_same_items(run_a: Path, run_b: Path, first: Summary, second: Summary) -> None:
    if first.pins.items_fingerprint != second.pins.items_fingerprint:
        a, b = _names(run_a), _names(run_b)
        message = say("compare.other_items", shared=len(a & b), first=len(a), second=len(b))
        raise InputError(Problem(message=message, file=str(run_b)))
    then, now = first.pins.catalog_version, second.pins.catalog_version
    if then != now:
        raise InputError(Problem(message=say("compare.other_catalog", first=then, second=now), file=str(run_b)))


def _names(run_dir: Path) -> set[str]:
    return {uid for batch in read_batches(run_dir / "scores", ["uid"]) for uid in batch["uid"].to_pylist()}


def compare_notes(first: Summary, second: Summary, left_out: int, language: Language | None = None) -> tuple[str, ...]:
    """What to bear in mind; None: in the language of the process."""
    t = partial(say, language=language)
    notes = []
    if first.pins.model == second.pins.model:
        notes.append(t("compare.same_model"))
    for run, summary in (("A", first), ("B", second)):
        if not summary.complete:
            notes.append(t("compare.incomplete", run=run, answered=summary.answered, planned=summary.planned))
    shares = [f"{half_up(100 * summary.coverage)}%" for summary in (first, second)]
    if shares[0] != shares[1]:
        notes.append(t("compare.coverage_differs", first=shares[0], second=shares[1]))
    if left_out:
        notes.append(t("compare.left_out", count=left_out))
    epochs = [summary.pins.selection.epochs for summary in (first, second)]
    if epochs[0] != epochs[1]:
        notes.append(t("compare.other_epochs", first=epochs[0], second=epochs[1]))
    if first.pins.item_limits != second.pins.item_limits:
        notes.append(t("compare.other_item_limits"))
    if first.pins.code_version != second.pins.code_version:
        notes.append(t("compare.other_code", first=first.pins.code_version, second=second.pins.code_version))
    if first.keys_fingerprint != second.keys_fingerprint:
        notes.append(t("compare.other_keys"))
    return tuple(notes)


def _side(run_dir: Path, summary: Summary) -> Side:
    score = None if summary.headline is None else summary.headline.value
    cost = Cost(
        answers=summary.answered,
        calls=summary.requests,
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        median_s=summary.latency_s.get("p50"),
        refusals=sum(part.refusals for dataset in summary.datasets for part in dataset.parts),
    )
    return Side(str(run_dir), summary.pins.model.label, summary.coverage, score, cost)


def _datasets(found: Found, differences: Sequence[Difference]) -> tuple[DatasetComparison, ...]:
    p_values = [p_value(each, paired) for each, (_, _, paired) in zip(differences, found, strict=True)]
    known = [p for p in p_values if p is not None]
    adjusted = iter(holm(known).tolist())
    return tuple(
        DatasetComparison(
            name=dataset.name,
            track=dataset.track,
            dimension=dataset.dimension,
            title=dataset.title,
            a=100 * sum(pair.a for pair in paired) / len(paired),
            b=100 * sum(pair.b for pair in paired) / len(paired),
            p_holm=None if p is None else next(adjusted),
            mcnemar=_mcnemar(paired),
            whole=whole,
            pass_at_k=_pass([pair.best for pair in paired]),
            pass_all_k=_pass([pair.worst for pair in paired]),
            **{**numbers(difference), "p": p},
        )
        for (dataset, whole, paired), difference, p in zip(found, differences, p_values, strict=True)
    )


def _pass(parts: Sequence[Paired | None]) -> PairedFigure | None:
    known = [pair for pair in parts if pair is not None]
    if len(known) < len(parts):
        return None
    return PairedFigure(
        a=100 * sum(pair.a for pair in known) / len(known),
        b=100 * sum(pair.b for pair in known) / len(known),
        **numbers(combine([pair.difference for pair in known])),
    )


def _overall_pass(summary: Summary, found: Found, of: Callable[[Paired], Paired | None]) -> Effect | None:
    """The mean over the dimensions of one kind of figure; None unless every dataset that counts has it."""
    known: list[tuple[DatasetSummary, bool, list[Paired]]] = []
    for dataset, whole, paired in found:
        parts = [each for pair in paired if (each := of(pair)) is not None]
        if whole and len(parts) < len(paired):
            return None
        if whole:
            known.append((dataset, True, parts))
    if not known:
        return None
    differences = [combine([pair.difference for pair in parts]) for _, _, parts in known]
    return Effect(**numbers(combine(_dimensions(summary, known, differences)[1])))


def _dimensions(
    summary: Summary, found: Found, differences: Sequence[Difference]
) -> tuple[list[DimensionComparison], list[Difference]]:
    comparisons, means = [], []
    for dimension in summary.dimensions:
        members = {
            dataset.name: difference
            for (dataset, whole, _), difference in zip(found, differences, strict=True)
            if whole and (dataset.track, dataset.dimension) == (dimension.track, dimension.id)
        }
        if members:
            mean = combine(list(members.values()))
            means.append(mean)
            comparisons.append(
                DimensionComparison(
                    id=dimension.id,
                    track=dimension.track,
                    title=dimension.title,
                    datasets=tuple(members),
                    **numbers(mean),
                )
            )
    return comparisons, means


def _mcnemar(paired: Sequence[Paired]) -> McNemarTest | None:
    """Over the items of all parts together; None unless all are simply right or wrong."""
    outcomes = [pair.outcomes for pair in paired if pair.outcomes is not None]
    if len(outcomes) < len(paired):
        return None
    test = mcnemar_exact(np.concatenate([a for a, _ in outcomes]), np.concatenate([b for _, b in outcomes]))
    return McNemarTest(b=test.first_only, c=test.second_only, p=test.p_value)
