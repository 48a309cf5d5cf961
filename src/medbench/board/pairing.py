"""Pairing the items of two runs, and the difference of one part of a dataset over them."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from medbench.board.summary import Summary
from medbench.errors import InputError
from medbench.scoring.repeats import epoch_outcomes
from medbench.scoring.tally import COUNTS
from medbench.stats import Estimate, combine_mover, paired_difference, t_quantile
from medbench.store.parquet import read_batches
from medbench.text import say

LEVEL = 0.95
MEAN = "mean"
Epoch = Literal["best", "worst"]
"""Of an item: pass@k is the mean of the best outcomes, pass^k that of the worst."""
EPOCHS: tuple[Epoch, Epoch] = ("best", "worst")

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(slots=True)
class Outcomes:
    """Items of one part with all their variants scored; a few numbers per item.

    Attributes:
        metric: Of the part; `mean` where judged metrics count with it.
        codes: Code of the item's name.
        families: Code of its family.
        variants: Number of its variants.
        values: Mean over the epochs of 1 if all option orders are right, else 0, in circular evaluation; for
            micro-averaged F1 the true positives; otherwise the mean over the variants.
        errors: For micro-averaged F1 false positives plus false negatives.
        epochs: How often each item was asked.
        best: Its best outcome in an epoch, where there are several; none for micro-averaged F1.
        worst: Its worst one.
    """

    metric: str
    epochs: int = 1
    codes: array[int] = field(default_factory=lambda: array("q"))
    families: array[int] = field(default_factory=lambda: array("q"))
    variants: array[int] = field(default_factory=lambda: array("i"))
    values: array[float] = field(default_factory=lambda: array("d"))
    errors: array[float] = field(default_factory=lambda: array("d"))
    best: array[float] = field(default_factory=lambda: array("d"))
    worst: array[float] = field(default_factory=lambda: array("d"))

    def by(self, epoch: Epoch) -> Outcomes | None:
        """The same with the best or the worst epoch of each item for its value; None where there are not several."""
        values = self.best if epoch == "best" else self.worst
        return replace(self, metric=MEAN, values=values, best=array("d"), worst=array("d")) if values else None

    def add(self, uid: str, rows: Sequence[tuple[str, float | None, int, int]]) -> None:
        """Take an item: (family, value, true positives, wrong ones) of each of its variants."""
        values = [value for _, value, *_ in rows if value is not None]
        if self.metric != "micro_f1" and len(values) < len(rows):
            return  # the item alone has no value: no field is asked for and none is given
        code, family = item_code(uid), rows[0][0]
        self.codes.append(code)
        self.families.append(code if family == uid else item_code(family))
        self.variants.append(len(rows))
        if self.metric == "micro_f1":
            # An item without labels on either side has no value of its own; its counts are 0.
            self.values.append(sum(row[2] for row in rows))
            self.errors.append(sum(row[3] for row in rows))
            return
        outcomes = epoch_outcomes(values, self.epochs, every_order=self.metric == "accuracy_circular")
        self.values.append(sum(outcomes) / self.epochs)
        if self.epochs > 1:
            self.best.append(max(outcomes))
            self.worst.append(min(outcomes))


def read_outcomes(run_dir: Path, summary: Summary, by_code: Collection[str] = ()) -> dict[tuple[str, str], Outcomes]:
    """Stream the scores of a run: (dataset, part) -> its items.

    The outcome is the mean of all metrics where the part was judged, else that of its closed-set metric; parts with
    neither are left out. Of the datasets `by_code` it is the closed-set metric in any case.

    The plan numbers its calls without gaps, so an item is complete if its rows reach from its first call to that of the
    next item. Where the next item is missing altogether this can't be told, and the item is left out.
    """
    parts = [(dataset.name, part) for dataset in summary.datasets for part in dataset.parts]
    found = {
        (dataset, part.name): Outcomes(metric, summary.pins.selection.epochs)
        for dataset, part in parts
        if (metric := MEAN if part.combined is not None and dataset not in by_code else part.metric) is not None
    }
    columns = ["uid", "dataset", "part", "family", "variant", "status", "value", "closed_status", "closed_value"]
    columns += ["seq", "true_positives"]
    item = ""
    outcomes: Outcomes | None = None
    begin = 0
    rows: list[tuple[str, float | None, int, int]] = []
    for batch in read_batches(run_dir / "scores", [*columns, "false_positives", "false_negatives"]):
        wrong = pc.add(batch["false_positives"], batch["false_negatives"])
        for uid, dataset, part, family, variant, *judged, closed, closed_value, seq, right, errors in zip(
            *(batch[name].to_pylist() for name in columns), wrong.to_pylist(), strict=True
        ):
            if uid != item:
                if outcomes is not None and len(rows) == seq - variant - begin:
                    outcomes.add(item, rows)
                item, begin, rows, outcomes = uid, seq - variant, [], found.get((dataset, part))
            whole = outcomes is not None and outcomes.metric == MEAN
            status, value = judged if whole else (closed, closed_value)
            if status in COUNTS:
                rows.append((family, value, right, errors))
    if outcomes is not None and len(rows) == summary.pins.n_calls - begin:
        outcomes.add(item, rows)
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """A − B in [−1, 1] and the degrees of freedom of its error; None where it has none."""

    estimate: Estimate
    degrees: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """One part on the items that both runs have an outcome for.

    Attributes:
        flips: Clusters, and the sum of the differences in each in units of the part's mean; None for micro-averaged F1.
        outcomes: Right (1) or wrong (0) per item for A and B; None where there is more than that.
        best: The same by the best epoch of each item; None unless both were asked in the same number of several.
        worst: By the worst epoch.
    """

    a: float
    b: float
    difference: Difference
    flips: tuple[Codes, Floats] | None
    outcomes: tuple[Floats, Floats] | None
    size: int
    best: Paired | None = None
    worst: Paired | None = None


def pair_items(dataset: str, ours: Outcomes, theirs: Outcomes) -> Paired | None:
    """The difference of one part on the items that both runs have an outcome for; None where there is none.

    Raises:
        InputError: Items were asked in different numbers of option orders.
    """
    names_a, names_b = _codes(ours.codes), _codes(theirs.codes)
    _, rows_a, rows_b = np.intersect1d(names_a, names_b, assume_unique=True, return_indices=True)
    if not rows_a.size:
        return None
    orders_a = np.array(ours.variants)[rows_a] // ours.epochs
    unlike = int(np.count_nonzero(orders_a != np.array(theirs.variants)[rows_b] // theirs.epochs))
    if unlike:
        raise InputError(say("compare.other_orders", dataset=dataset, count=unlike))
    families = _codes(ours.families)[rows_a]
    clusters = np.unique(families).size
    a, b = np.frombuffer(ours.values)[rows_a], np.frombuffer(theirs.values)[rows_b]
    if ours.metric == "micro_f1":
        errors = np.frombuffer(ours.errors)[rows_a], np.frombuffer(theirs.errors)[rows_b]
        scores = micro_f1_difference((a, b), errors, families)
        if scores is None:
            return None
        return Paired(*scores[:2], Difference(scores[2], clusters - 1 or None), None, None, rows_a.size)
    # Criteria with points may give an item less than 0.
    bounded = min(float(a.min()), float(b.min())) >= 0.0
    estimate = paired_difference(a, b, families, level=LEVEL, bounded=bounded)
    names, members = np.unique(families, return_inverse=True)
    sums = np.bincount(members.reshape(-1), weights=a - b) / a.size
    simple = ours.metric in {"accuracy", "accuracy_circular"} and bool(np.isin(np.concatenate((a, b)), (0, 1)).all())
    return Paired(
        a=float(a.mean()),
        b=float(b.mean()),
        difference=Difference(estimate, clusters - 1 or None),
        flips=(names, sums),
        outcomes=(a, b) if simple else None,
        size=a.size,
        best=_by("best", dataset, ours, theirs),
        worst=_by("worst", dataset, ours, theirs),
    )


def _by(epoch: Epoch, dataset: str, ours: Outcomes, theirs: Outcomes) -> Paired | None:
    a, b = ours.by(epoch), theirs.by(epoch)
    return pair_items(dataset, a, b) if a and b and a.epochs == b.epochs else None


def micro_f1_difference(
    hits: tuple[Floats, Floats], errors: tuple[Floats, Floats], clusters: Codes
) -> tuple[float, float, Estimate] | None:
    """Difference of two micro-averaged F1 figures over the same items, with the delete-one-cluster jackknife.

    Both figures are recomputed without each cluster in turn, so that what the models share cancels out; t interval with
    G − 1 degrees of freedom. The mean difference of the items' own F1 would be another quantity.

    Args:
        hits: True positives per item of A and of B, each of shape (n,).
        errors: False positives plus false negatives per item, likewise.
        clusters: Item family, shape (n,).

    Returns:
        F1 of A, F1 of B and the difference; None where a figure does not exist, with or without some cluster.
    """
    _, members = np.unique(clusters, return_inverse=True)
    above = [np.bincount(members.reshape(-1), weights=2.0 * hit) for hit in hits]
    below = [part + np.bincount(members.reshape(-1), weights=error) for part, error in zip(above, errors, strict=True)]
    count = above[0].size
    without = [whole.sum() - whole for whole in below]
    if any(whole.sum() == 0 for whole in below) or (count > 1 and any((rest == 0).any() for rest in without)):
        return None
    a, b = (float(part.sum() / whole.sum()) for part, whole in zip(above, below, strict=True))
    n = members.size
    if count < 2:
        return a, b, Estimate(a - b, None, None, None, n, count, "paired_t_jackknife")
    figures = [(part.sum() - part) / rest for part, rest in zip(above, without, strict=True)]
    deviations = (figures[0] - figures[1]) - (figures[0] - figures[1]).mean()
    error = math.sqrt((count - 1) / count * float(deviations @ deviations))
    if error < 1e-12:
        # As for means: agreement on all clusters drawn is no proof of agreement on the others.
        same = paired_difference(np.full(n, a), np.full(n, b), clusters, level=LEVEL)
        return a, b, Estimate(a - b, same.low, same.high, 0.0, n, count, "paired_t_jackknife")
    half = t_quantile(count - 1, (1 + LEVEL) / 2) * error
    return a, b, Estimate(a - b, a - b - half, a - b + half, error, n, count, "paired_t_jackknife")


def combine(differences: Sequence[Difference]) -> Difference:
    """Unweighted mean; its degrees of freedom by Welch and Satterthwaite."""
    estimate = combine_mover([each.estimate for each in differences])
    assert estimate is not None  # nothing here is missing
    variances = [(each.estimate.standard_error or 0.0) ** 2 for each in differences]
    total = sum(v * v / each.degrees for v, each in zip(variances, differences, strict=True) if each.degrees)
    return Difference(estimate, sum(variances) ** 2 / total if total > 0 else None)


def item_code(name: str) -> int:
    """A 64-bit code of a name: items are paired without keeping their names."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def _codes(numbers: array[int]) -> Codes:
    return np.frombuffer(numbers, dtype=np.int64)
