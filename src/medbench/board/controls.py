"""What pictures add: a run against the same without them or with others, and perception against reasoning on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.board.compare import require_comparable
from medbench.board.pairing import LEVEL, Outcomes, item_code, read_outcomes
from medbench.board.summary import DatasetSummary, Summary, load_summary
from medbench.catalog.model import Bilingual, Track
from medbench.errors import InputError, Problem
from medbench.items.model import Probe
from medbench.runs.config import MediaControl, read_pins
from medbench.stats import Estimate, paired_difference
from medbench.store.parquet import read_batches
from medbench.text import say

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
PROBES: tuple[Probe, Probe] = ("perception", "reasoning")


class Gap(msgspec.Struct, frozen=True):
    """A paired difference in points of 100.

    Attributes:
        difference: First less second.
        low: Lower limit of the 95 % interval; None where it is undefined (fewer than two clusters).
        high: Upper limit.
    """

    difference: float
    low: float | None
    high: float | None


class ControlRow(msgspec.Struct, frozen=True):
    """Scores of a group of items asked with their own pictures, without and with others', 0..100, on the same items.

    Attributes:
        group: `dimension`, `probe` or `overall`.
        id: Of the dimension, or the kind of probe; empty for `overall`.
        track: Of the dimension.
        title: Of the dimension.
        n: Items that all runs have an outcome for.
        clusters: Item families or pictures among them.
        own: With their own pictures.
        removed: Without; None where there is no such run.
        swapped: With others'.
        own_less_removed: What the pictures add to what the text alone gives.
        own_less_swapped: What the right pictures add to wrong ones.
    """

    group: str
    id: str
    n: int
    clusters: int
    own: float
    removed: float | None
    swapped: float | None
    own_less_removed: Gap | None
    own_less_swapped: Gap | None
    track: Track | None = None
    title: Bilingual | None = None


class ProbeRow(msgspec.Struct, frozen=True):
    """Perception against reasoning on the same pictures, 0..100: means over the pictures that have both kinds of probe.

    Attributes:
        id: Of the dimension; empty: all of them together.
        track: Of the dimension.
        title: Of the dimension.
        pictures: Those that have both.
        perception_items: On them.
        reasoning_items: Likewise.
        perception: Mean over the pictures of the mean of their items.
        reasoning: Likewise.
        gap: Perception less reasoning.
    """

    id: str
    pictures: int
    perception_items: int
    reasoning_items: int
    perception: float
    reasoning: float
    gap: Gap
    track: Track | None = None
    title: Bilingual | None = None


class PictureEffects(msgspec.Struct, frozen=True):
    """All that is known of what a run owes to its pictures.

    Attributes:
        model: Spec of the model.
        run_dir: With the items' own pictures.
        removed: Folder of the run without pictures; empty: none was given.
        swapped: Likewise with others'.
        left_out: Items that a control has an outcome for, and another of the runs has not.
        not_compared: Datasets of the controls that have no outcome in all of the runs.
        controls: Per dimension, per kind of probe, and overall; empty without a control.
        probes: Per dimension and all together; empty where no picture has both kinds.
    """

    model: str
    run_dir: str
    removed: str
    swapped: str
    left_out: int
    not_compared: tuple[str, ...]
    controls: tuple[ControlRow, ...]
    probes: tuple[ProbeRow, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a dataset on the items that all runs have an outcome for, in one order.

    Attributes:
        clusters: Of each item, shape (n,).
        codes: Of its name.
        above: Per run, what the score sums, shape (n,): outcomes, or twice the true positives.
        below: What it divides by: 1, or twice the true positives with all false ones.
    """

    dataset: DatasetSummary
    codes: Codes
    clusters: Codes
    above: tuple[Floats, ...]
    below: tuple[Floats, ...]

    def only(self, chosen: NDArray[np.bool_]) -> _Part:
        return _Part(
            self.dataset,
            self.codes[chosen],
            self.clusters[chosen],
            tuple(each[chosen] for each in self.above),
            tuple(each[chosen] for each in self.below),
        )

    def scored(self) -> bool:
        return all(each.sum() > 0 for each in self.below)


def has_controls(run_dir: Path, others: Sequence[Path]) -> bool:
    """Whether one of the others is a media control, and the first run is none.

    Raises:
        InputError: A folder holds no run.
    """
    controls = [read_pins(path).selection.media_control != "none" for path in (run_dir, *others)]
    return any(controls) and not controls[0]


def picture_effects(run_dir: Path, controls: Sequence[Path] = ()) -> PictureEffects:
    """Hold a run against its controls, and perception against reasoning within it.

    Scores are means over datasets, as everywhere. A difference has a t interval over clusters (families, or pictures
    where no family is named), which may span datasets: each item enters by what it adds to the difference, for
    micro-averaged F1 by its linearisation (Särndal, Swensson & Wretman 1992, section 5.5).

    Raises:
        InputError: A run is not scored or hidden, or is no control of the first.
    """
    paths = [run_dir, *controls]
    summaries = [load_summary(path) for path in paths]
    kinds = [summary.pins.selection.media_control for summary in summaries]
    _require_controls(paths, summaries, kinds)
    outcomes = [read_outcomes(path, summary) for path, summary in zip(paths, summaries, strict=True)]
    parts = list(_parts(summaries[0], outcomes))
    kind_of = _probes(run_dir) if summaries[0].probes else {}
    given = dict(zip(kinds, paths, strict=True))
    return PictureEffects(
        model=summaries[0].pins.model.label,
        run_dir=str(run_dir),
        removed=str(given.get("removed", "")),
        swapped=str(given.get("swapped", "")),
        left_out=_left_out(outcomes[1:], parts),
        not_compared=_not_compared(summaries[1:], parts),
        controls=tuple(_control_rows(summaries[0], parts, kinds, kind_of)) if controls else (),
        probes=tuple(_probe_rows(summaries[0], parts, kind_of)),
    )


def _require_controls(paths: Sequence[Path], summaries: Sequence[Summary], kinds: Sequence[MediaControl]) -> None:
    require_comparable(paths, summaries, controls=True)
    problems = []
    for index, (path, summary, kind) in enumerate(zip(paths, summaries, kinds, strict=True)):
        if kind != "none" if not index else kind in kinds[:index]:
            problems.append(Problem(message=say("compare.no_control"), file=str(path)))
        if _system(summary) != _system(summaries[0]):
            problems.append(Problem(message=say("compare.control_of_other_model"), file=str(path)))
    if problems:
        raise InputError(*problems)


def _system(summary: Summary) -> tuple[object, ...]:
    """What has to be the same of who is asked, and how; an answer file tells nothing of who wrote it."""
    model, orders = summary.pins.model, summary.pins.selection.orders
    if model.spec.startswith("answers:"):
        return (orders,)
    return (model.spec, model.revision, model.endpoint, model.parameters, orders)


def _parts(summary: Summary, outcomes: Sequence[Mapping[tuple[str, str], Outcomes]]) -> Iterator[_Part]:
    for dataset in summary.datasets:
        for part in dataset.parts:
            found = [each.get((dataset.name, part.name)) for each in outcomes]
            known = [each for each in found if each is not None and each.codes]
            if len(known) < len(outcomes) or len({each.metric for each in known}) > 1:
                continue
            codes = [np.frombuffer(each.codes, dtype=np.int64) for each in known]
            shared = codes[0]
            for other in codes[1:]:
                shared = np.intersect1d(shared, other, assume_unique=True)
            if not shared.size:
                continue
            rows = [np.flatnonzero(np.isin(each, shared))[np.argsort(each[np.isin(each, shared)])] for each in codes]
            micro = known[0].metric == "micro_f1"
            values = [np.frombuffer(each.values)[row] for each, row in zip(known, rows, strict=True)]
            errors = [np.frombuffer(each.errors)[row] for each, row in zip(known, rows, strict=True) if micro]
            yield _Part(
                dataset,
                np.sort(shared),
                np.frombuffer(known[0].families, dtype=np.int64)[rows[0]],
                tuple(2 * each for each in values) if micro else tuple(values),
                tuple(2 * hit + wrong for hit, wrong in zip(values, errors, strict=True))
                if micro
                else tuple(np.ones(each.size) for each in values),
            )


def _left_out(controls: Sequence[Mapping[tuple[str, str], Outcomes]], parts: Sequence[_Part]) -> int:
    names = {code for run in controls for each in run.values() for code in each.codes}
    return len(names - {code for part in parts for code in part.codes.tolist()})


def _not_compared(controls: Sequence[Summary], parts: Sequence[_Part]) -> tuple[str, ...]:
    compared = {part.dataset.name for part in parts}
    asked = dict.fromkeys(dataset.name for summary in controls for dataset in summary.datasets)
    return tuple(name for name in asked if name not in compared)


def _control_rows(
    summary: Summary, parts: Sequence[_Part], kinds: Sequence[MediaControl], kind_of: Mapping[int, Probe]
) -> Iterator[ControlRow]:
    dimensions = []
    for dimension in summary.dimensions:
        own = [part for part in parts if _in(part, dimension.track, dimension.id)]
        weighted = _weighted(own)
        if weighted:
            dimensions.append(weighted)
            row = _control_row("dimension", dimension.id, weighted, kinds)
            yield msgspec.structs.replace(row, track=dimension.track, title=dimension.title)
    for kind in PROBES:
        chosen = [part.only(_is(part, kind, kind_of)) for part in parts]
        if weighted := _weighted(chosen):
            yield _control_row("probe", kind, weighted, kinds)
    if dimensions:
        overall = [(part, weight / len(dimensions)) for weighted in dimensions for part, weight in weighted]
        yield _control_row("overall", "", overall, kinds)


def _in(part: _Part, track: Track, dimension: str) -> bool:
    return (part.dataset.track, part.dataset.dimension) == (track, dimension)


def _is(part: _Part, kind: Probe, kind_of: Mapping[int, Probe]) -> NDArray[np.bool_]:
    return np.fromiter((kind_of.get(code) == kind for code in part.codes.tolist()), dtype=bool, count=part.codes.size)


def _weighted(parts: Sequence[_Part]) -> list[tuple[_Part, float]]:
    """Parts that have a score, with the weight of each in the mean over the datasets of the means over their parts."""
    scored = [part for part in parts if part.codes.size and part.scored()]
    of_dataset = [sum(other.dataset.name == part.dataset.name for other in scored) for part in scored]
    datasets = len({part.dataset.name for part in scored})
    return [(part, 1 / (datasets * several)) for part, several in zip(scored, of_dataset, strict=True)]


def _control_row(
    group: str, name: str, weighted: Sequence[tuple[_Part, float]], kinds: Sequence[MediaControl]
) -> ControlRow:
    clusters = np.concatenate([part.clusters for part, _ in weighted])
    runs = [_items(weighted, index) for index in range(len(kinds))]
    scores = {kind: float(each.mean()) for kind, each in zip(kinds, runs, strict=True)}
    gaps = {kind: _gap(_difference(runs[0], each, clusters)) for kind, each in zip(kinds[1:], runs[1:], strict=True)}
    return ControlRow(
        group=group,
        id=name,
        n=clusters.size,
        clusters=np.unique(clusters).size,
        own=100 * scores["none"],
        removed=100 * scores["removed"] if "removed" in scores else None,
        swapped=100 * scores["swapped"] if "swapped" in scores else None,
        own_less_removed=gaps.get("removed"),
        own_less_swapped=gaps.get("swapped"),
    )


def _items(weighted: Sequence[tuple[_Part, float]], run: int) -> Floats:
    """One number per item, whose mean is the score and whose deviations are what each item adds to it, shape (n,)."""
    total = sum(part.codes.size for part, _ in weighted)
    score = 0.0
    deviations = []
    for part, weight in weighted:
        above, below = part.above[run], part.below[run]
        own = above.sum() / below.sum()
        score += weight * own
        deviations.append(total * weight * (above - own * below) / below.sum())
    return score + np.concatenate(deviations)


def _difference(first: Floats, second: Floats, clusters: Codes) -> Estimate:
    estimate = paired_difference(first, second, clusters, level=LEVEL, bounded=False)
    if estimate.standard_error == 0.0:
        # Agreement on all clusters drawn is no proof of agreement on the others.
        same = [np.full(first.size, min(1.0, max(0.0, float(each.mean())))) for each in (first, second)]
        estimate = paired_difference(same[0], same[1], clusters, level=LEVEL)
    return estimate


def _gap(estimate: Estimate) -> Gap:
    low, high = estimate.low, estimate.high
    return Gap(
        difference=100 * estimate.value,
        # t does not know that scores are bounded.
        low=None if low is None else max(-100.0, 100 * low),
        high=None if high is None else min(100.0, 100 * high),
    )


def _probe_rows(summary: Summary, parts: Sequence[_Part], kind_of: Mapping[int, Probe]) -> Iterator[ProbeRow]:
    for dimension in summary.dimensions:
        row = _probe_row(dimension.id, [part for part in parts if _in(part, dimension.track, dimension.id)], kind_of)
        if row is not None:
            yield msgspec.structs.replace(row, track=dimension.track, title=dimension.title)
    together = _probe_row("", parts, kind_of)
    if together is not None:
        yield together


def _probe_row(name: str, parts: Sequence[_Part], kind_of: Mapping[int, Probe]) -> ProbeRow | None:
    values: dict[Probe, dict[int, list[float]]] = {kind: {} for kind in PROBES}
    for part in parts:
        for code, cluster, above, below in zip(
            part.codes.tolist(), part.clusters.tolist(), part.above[0].tolist(), part.below[0].tolist(), strict=True
        ):
            kind = kind_of.get(code)
            if kind is not None and below > 0:
                values[kind].setdefault(cluster, []).append(above / below)
    both = sorted(values["perception"].keys() & values["reasoning"].keys())
    if not both:
        return None
    seen, thought = (np.array([np.mean(values[kind][cluster]) for cluster in both]) for kind in PROBES)
    return ProbeRow(
        id=name,
        pictures=len(both),
        perception_items=sum(len(values["perception"][cluster]) for cluster in both),
        reasoning_items=sum(len(values["reasoning"][cluster]) for cluster in both),
        perception=100 * float(seen.mean()),
        reasoning=100 * float(thought.mean()),
        gap=_gap(paired_difference(seen, thought, np.array(both), level=LEVEL)),
    )


def _probes(run_dir: Path) -> dict[int, Probe]:
    """Code of an item's name -> its kind of probe."""
    return {
        item_code(uid): kind
        for batch in read_batches(run_dir / "scores", ["uid", "probe"])
        for uid, kind in zip(batch["uid"].to_pylist(), batch["probe"].to_pylist(), strict=True)
        if kind is not None
    }
