"""Pairing the items of two runs, and the difference of one part of a dataset over them."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medbench.errors import InputError
from medbench.scoring.tally import PartFigures
from medbench.stats import Estimate, combine_mover, paired_difference
from medbench.store.parquet import read_batches
from medbench.text import say

LEVEL = 0.95

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(slots=True)
class Outcomes:
    """Items of one part with all their variants scored; numbers only."""

    codes: array[int] = field(default_factory=lambda: array("q"))
    families: array[int] = field(default_factory=lambda: array("q"))
    variants: array[int] = field(default_factory=lambda: array("q"))
    mean: array[float] = field(default_factory=lambda: array("d"))
    all_right: array[float] = field(default_factory=lambda: array("d"))
    hits: array[int] = field(default_factory=lambda: array("q"))
    errors: array[int] = field(default_factory=lambda: array("q"))

    def add(self, uid: str, rows: Sequence[tuple[str, float | None, int, int, int]]) -> None:
        """Take an item: (family, value, true positives, false positives, false negatives) of each of its variants."""
        self.codes.append(_code(uid))
        self.families.append(_code(rows[0][0]))
        self.variants.append(len(rows))
        # An item without labels on either side has no F1 of its own; only its counts are used.
        values = [math.nan if value is None else value for _, value, *_ in rows]
        self.mean.append(sum(values) / len(values))
        self.all_right.append(float(all(value == 1.0 for value in values)))
        self.hits.append(sum(row[2] for row in rows))
        self.errors.append(sum(row[3] + row[4] for row in rows))


def read_outcomes(run_dir: Path, n_calls: int) -> dict[tuple[str, str], Outcomes]:
    """Stream the scores of a run.

    The plan numbers its calls without gaps, so an item is complete if its rows reach from its first call to that of the
    next item. Where the next item is missing altogether this can't be told, and the item is left out.
    """
    columns = ["seq", "uid", "dataset", "part", "family", "variant", "status", "value"]
    counts = ["true_positives", "false_positives", "false_negatives"]
    found: dict[tuple[str, str], Outcomes] = {}
    item: tuple[str, str, str] | None = None
    begin = 0
    rows: list[tuple[str, float | None, int, int, int]] = []

    def close(end: int) -> None:
        if item is not None and len(rows) == end - begin:
            found.setdefault(item[:2], Outcomes()).add(item[2], rows)

    for batch in read_batches(run_dir / "scores", columns + counts):
        for seq, uid, dataset, part, family, variant, status, value, *marks in zip(
            *(batch[name].to_pylist() for name in columns + counts), strict=True
        ):
            if item is None or uid != item[2]:
                close(seq - variant)
                item, begin, rows = (dataset, part, uid), seq - variant, []
            if status in {"scored", "unparsed"}:
                rows.append((family, value, *marks))
    close(n_calls)
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
        flips: Sums of the differences by cluster, in units of the part's mean; None for micro-averaged F1.
        outcomes: Right (1) or wrong (0) per item for A and B; None where there is more than that.
    """

    a: float
    b: float
    difference: Difference
    flips: dict[int, float] | None
    outcomes: tuple[Floats, Floats] | None
    size: int


def pair_items(dataset: str, part: PartFigures, ours: Outcomes, theirs: Outcomes) -> Paired | None:
    """The difference of one part on the items that both runs have an outcome for; None where there is none.

    Raises:
        InputError: Items were asked in different numbers of variants.
    """
    _, rows_a, rows_b = np.intersect1d(
        _codes(ours.codes), _codes(theirs.codes), assume_unique=True, return_indices=True
    )
    if not rows_a.size:
        return None
    unlike = int(np.count_nonzero(_codes(ours.variants)[rows_a] != _codes(theirs.variants)[rows_b]))
    if unlike:
        raise InputError(say("compare.other_orders", dataset=dataset, count=unlike))
    families = _codes(ours.families)[rows_a]
    clusters = np.unique(families).size
    if part.metric == "micro_f1":
        hits = _codes(ours.hits)[rows_a], _codes(theirs.hits)[rows_b]
        errors = _codes(ours.errors)[rows_a], _codes(theirs.errors)[rows_b]
        scores = micro_f1_difference(hits, errors, families)
        if scores is None:
            return None
        return Paired(*scores[:2], Difference(scores[2], clusters - 1 or None), None, None, rows_a.size)
    circular = part.metric == "accuracy_circular"
    a = np.frombuffer(ours.all_right if circular else ours.mean)[rows_a]
    b = np.frombuffer(theirs.all_right if circular else theirs.mean)[rows_b]
    estimate = paired_difference(a, b, families, level=LEVEL)
    names, members = np.unique(families, return_inverse=True)
    sums = np.bincount(members.reshape(-1), weights=a - b) / a.size
    simple = part.metric in {"accuracy", "accuracy_circular"} and bool(np.isin(np.concatenate((a, b)), (0, 1)).all())
    return Paired(
        a=float(a.mean()),
        b=float(b.mean()),
        difference=Difference(estimate, clusters - 1 or None),
        flips=dict(zip(names.tolist(), sums.tolist(), strict=True)),
        outcomes=(a, b) if simple else None,
        size=a.size,
    )


def micro_f1_difference(
    hits: tuple[Codes, Codes], errors: tuple[Codes, Codes], clusters: Codes
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
    from scipy.special import stdtrit

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
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return a, b, Estimate(a - b, a - b - half, a - b + half, error, n, count, "paired_t_jackknife")


def combine(differences: Sequence[Difference]) -> Difference:
    """Unweighted mean; its degrees of freedom by Welch and Satterthwaite."""
    estimate = combine_mover([each.estimate for each in differences])
    assert estimate is not None  # nothing here is missing
    variances = [(each.estimate.standard_error or 0.0) ** 2 for each in differences]
    total = sum(v * v / each.degrees for v, each in zip(variances, differences, strict=True) if each.degrees)
    return Difference(estimate, sum(variances) ** 2 / total if total > 0 else None)


def _code(name: str) -> int:
    """A 64-bit code of a name: items are paired without keeping their names."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def _codes(numbers: array[int]) -> Codes:
    return np.frombuffer(numbers, dtype=np.int64)
