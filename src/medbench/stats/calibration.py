"""Maps from a judge's score to people's scores, chosen and measured on items that they have not seen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.calibration_maps import (
    CalibrationMap,
    Method,
    fit_isotonic,
    fit_ordinal_logistic,
    ranked_probability,
)
from medbench.stats.clusters import Clusters, CodeArray, FloatArray, cluster_codes, observations
from medbench.stats.estimate import Estimate
from medbench.stats.paired import paired_difference
from medbench.stats.resampling import dense_codes

FEWEST_ANSWERS = 50
MOST_LEVELS = 50
METHODS: tuple[Method, ...] = ("isotonic", "ordinal_logistic")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A map with what is known about it.

    All errors are of predictions for held-out items: each fold's items are predicted by a map fitted without them.

    Attributes:
        map: The map fitted to all ratings, by the method that did best on held-out items.
        answers: Rated answers.
        items: Items (groups) they belong to; folds never part an item.
        folds: Number of folds.
        ranked_probability_scores: Mean held-out score of each method; lower is better.
        squared_before: Mean squared difference between the judge's and people's scores.
        squared_after: Mean squared difference between the held-out predictions and people's scores.
        absolute_before: Mean absolute difference of the same.
        absolute_after: As above. The prediction is a mean, which makes the squared error least, not this one.
        squared_change: `squared_after` − `squared_before` with its clustered interval; below 0 the map helps.
        absolute_change: `absolute_after` − `absolute_before`, likewise.
    """

    map: CalibrationMap
    answers: int
    items: int
    folds: int
    ranked_probability_scores: dict[str, float]
    squared_before: float
    squared_after: float
    absolute_before: float
    absolute_after: float
    squared_change: Estimate
    absolute_change: Estimate


def calibrate(
    judge: ArrayLike,
    human: ArrayLike,
    items: Clusters,
    answers: Iterable[Hashable] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Calibration:
    """Fit a monotone map from the judge's score to the distribution of people's scores.

    Two methods are tried, isotonic regression per cumulative threshold and ordinal logistic regression
    (`calibration_maps`). Items are shuffled and dealt to the folds; the method with the lower mean ranked probability
    score on held-out items is fitted to all ratings (a tie goes to the isotonic map). The errors reported are those of
    the chosen method; that it was chosen on the same folds flatters it a little.

    Source: specs/scoring.md section 7.

    Args:
        judge: The judge's score of each rating, shape (n,), on the scale of `human` (else "before" means nothing).
        human: People's scores, shape (n,): one row per rating, or per answer. At most 50 different ones.
        items: Item of each row, shape (n,); its rows stay in one fold.
        answers: Answer of each row, shape (n,), if several people rated one; None: every row is an answer of its own.
        folds: Number of folds, >= 2; as many as there are items, if these are fewer.
        seed: Seed of the shuffle.

    Raises:
        ValueError: Shapes differ, a score is not finite, fewer than 50 rated answers, fewer than two items, people gave
            one score only, or more than 50 different ones.
    """
    scores, targets = observations(judge, "judge"), observations(human, "human")
    if scores.shape != targets.shape:
        raise ValueError(f"judge has {scores.size} scores and human {targets.size}: give both per row")
    if folds < 2:
        raise ValueError(f"folds is {folds}; it must be at least 2")
    codes = dense_codes(cluster_codes(items, scores.size))
    rated = scores.size if answers is None else np.unique(cluster_codes(answers, scores.size)).size
    if rated < FEWEST_ANSWERS:
        raise ValueError(f"{rated} rated answers are too few to calibrate a judge; {FEWEST_ANSWERS} are needed")
    count = int(codes.max()) + 1
    if count < 2:
        raise ValueError("all ratings are of one item; a map must be tested on items that it has not seen")
    levels = np.unique(targets)
    if levels.size < 2:
        raise ValueError(f"people gave {levels[0]:g} to every answer: there is nothing to map to")
    if levels.size > MOST_LEVELS:
        raise ValueError(f"people gave {levels.size} different scores, at most {MOST_LEVELS} are a scale: round them")
    parts = min(folds, count)
    fold = _folds(codes, parts, seed)
    digest = data_hash(scores, targets, codes)
    held_out = {method: np.zeros((scores.size, levels.size - 1)) for method in METHODS}
    for part in range(parts):
        out = fold == part
        for method in METHODS:
            fitted = _fit(method, scores[~out], targets[~out], levels, digest)
            held_out[method][out] = fitted.exceedance(scores[out])
    quality = {method: float(ranked_probability(held_out[method], targets, levels).mean()) for method in METHODS}
    best = min(METHODS, key=lambda method: quality[method])
    predicted = levels[0] + held_out[best] @ np.diff(levels)
    before, after = scores - targets, predicted - targets
    return Calibration(
        map=_fit(best, scores, targets, levels, digest),
        answers=int(rated),
        items=count,
        folds=parts,
        ranked_probability_scores={str(method): score for method, score in quality.items()},
        squared_before=float(np.mean(before**2)),
        squared_after=float(np.mean(after**2)),
        absolute_before=float(np.mean(np.abs(before))),
        absolute_after=float(np.mean(np.abs(after))),
        squared_change=paired_difference(after**2, before**2, codes, bounded=False),
        absolute_change=paired_difference(np.abs(after), np.abs(before), codes, bounded=False),
    )


def data_hash(judge: FloatArray, human: FloatArray, items: CodeArray) -> str:
    """SHA-256 of the ratings, whatever the order of their rows and the names of the items.

    Args:
        judge: Shape (n,).
        human: Shape (n,).
        items: Dense codes, shape (n,).
    """
    import hashlib

    # An item is told by the multiset of its ratings, so that names and order do not matter.
    rows = np.column_stack([judge, human]) + 0.0
    order = np.lexsort((rows[:, 1], rows[:, 0], items))
    bounds = np.flatnonzero(np.diff(items[order], prepend=-1))
    blocks = sorted(block.astype("<f8").tobytes() for block in np.split(rows[order], bounds[1:]))
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(len(block).to_bytes(8, "little"))
        digest.update(block)
    return digest.hexdigest()


def _folds(codes: CodeArray, parts: int, seed: int) -> CodeArray:
    """Fold of each row; items are dealt in shuffled order, large ones first, each to the smallest fold so far."""
    sizes = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(sizes.size)
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(parts, dtype=np.int64)
    assigned = np.zeros(sizes.size, dtype=np.intp)
    for item in order:
        smallest = int(np.argmin(filled))
        assigned[item] = smallest
        filled[smallest] += sizes[item]
    return assigned[codes]


def _fit(method: Method, judge: FloatArray, human: FloatArray, levels: FloatArray, digest: str) -> CalibrationMap:
    fit = fit_isotonic if method == "isotonic" else fit_ordinal_logistic
    return fit(judge, human, levels, digest)
