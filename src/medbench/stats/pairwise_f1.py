"""Balanced pairwise F1: a judge in the distribution of the people who rated the same answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import Clusters, CodeArray, FloatArray, cluster_codes
from medbench.stats.outcome import Resampled, Undefined
from medbench.stats.resampling import Bootstrap, DenseFeatures, Sample, bootstrap_interval, dense_codes, sums_by_cluster


@dataclass(frozen=True, slots=True)
class RaterStanding:
    """One person among the others, and the judge beside them.

    Attributes:
        rater: Column of the person in the table of ratings.
        judge_against_rater: Balanced F1 of the judge against this person, over the items this person rated.
        rater_against_others: Balanced F1 of this person against the others, over the pairs with another person.
        judge_against_others: Balanced F1 of the judge against the others on the very same pairs: what the judge would
            have scored in this person's place.
    """

    rater: int
    judge_against_rater: Resampled | Undefined
    rater_against_others: Resampled | Undefined
    judge_against_others: Resampled | Undefined


@dataclass(frozen=True, slots=True)
class PairwiseF1:
    """A judge's and people's balanced pairwise F1.

    Attributes:
        judge: The judge against every rating of every person, pooled.
        people: Every person against every other, pooled; each pair of ratings counts in both directions.
        raters: Each person.
        judge_at_least: Of the people whose balanced F1 against the others exists, the share whose F1 is at most the
            judge's on the same pairs, in [0, 1]; None where there are no such people.
    """

    judge: Resampled | Undefined
    people: Resampled | Undefined
    raters: tuple[RaterStanding, ...]
    judge_at_least: float | None


def balanced_pairwise_f1(
    judge: ArrayLike, ratings: ArrayLike, clusters: Clusters, options: Bootstrap | None = None
) -> PairwiseF1:
    """HealthBench's meta-evaluation: balanced F1 over pairs of a judge's and a person's verdict.

    Over all pairs (verdict a, reference b), with counts of both met, a only, b only and neither,

        F1_met = 2·both/(2·both + a only + b only),   F1_unmet = 2·neither/(2·neither + a only + b only),

    and the balanced F1 is their mean. It has the same value whichever of the two is the reference. It does not exist
    where one of the two F1 does not: nobody says "met", or nobody says "unmet".

    Source: Arora et al. (2025), "HealthBench", arXiv 2505.08775, meta-evaluation (macro F1 of the grader against each
    physician and of each physician against the others).

    Args:
        judge: The judge's verdicts, shape (items,), 0/1 or boolean, none missing.
        ratings: People's verdicts, shape (items, raters), 0/1 or boolean, NaN or None where there is none.
        clusters: Cluster of each item (conversation, item family), shape (items,).
        options: Level, draws and seed of the bootstrap.

    Raises:
        ValueError: Shapes differ, nothing is given, or a verdict is neither 0 nor 1.
    """
    options = options or Bootstrap()
    table = np.asarray(ratings, dtype=np.float64)
    verdicts = np.asarray(judge, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"ratings must be a table of items and raters, not of shape {table.shape}")
    if verdicts.shape != table.shape[:1]:
        raise ValueError(f"judge has shape {verdicts.shape}, but ratings have {table.shape[0]} items")
    _require_binary(verdicts, "judge", missing=False)
    _require_binary(table, "ratings", missing=True)
    codes = dense_codes(cluster_codes(clusters, verdicts.size))
    met, unmet = table == 1.0, table == 0.0
    all_met, all_unmet = met.sum(axis=1), unmet.sum(axis=1)
    says = verdicts == 1.0

    standings = []
    at_least: list[bool] = []
    for rater in range(table.shape[1]):
        mine_met, mine_unmet = met[:, rater], unmet[:, rater]
        rows = np.flatnonzero(mine_met | mine_unmet)
        others = all_met - mine_met, all_unmet - mine_unmet
        there = codes[rows]
        against_rater = _balanced(_table(says, mine_met, mine_unmet)[rows], there, options)
        against_others = _balanced(_table(mine_met, *others)[rows], there, options)
        in_place = _balanced(_table(says, *others)[rows], there, options)
        standings.append(RaterStanding(rater, against_rater, against_others, in_place))
        if isinstance(against_others, Resampled) and isinstance(in_place, Resampled):
            at_least.append(against_others.value <= in_place.value)
    people = np.stack(
        [all_met * (all_met - 1), all_met * all_unmet, all_met * all_unmet, all_unmet * (all_unmet - 1)], axis=1
    )
    return PairwiseF1(
        judge=_balanced(_table(says, all_met, all_unmet), codes, options),
        people=_balanced(people.astype(np.float64), codes, options),
        raters=tuple(standings),
        judge_at_least=float(np.mean(at_least)) if at_least else None,
    )


def _table(says: CodeArray, met: CodeArray, unmet: CodeArray) -> FloatArray:
    """Pairs per item: both met, first only, second only, neither; shape (items, 4)."""
    yes = np.asarray(says, dtype=np.float64)
    return np.stack([yes * met, yes * unmet, (1.0 - yes) * met, (1.0 - yes) * unmet], axis=1)


def _balanced(pairs: FloatArray, codes: CodeArray, options: Bootstrap) -> Resampled | Undefined:
    used = pairs.sum(axis=1) > 0.0
    count = int(pairs.sum())
    if not used.any():
        return Undefined("no pair of verdicts", 0, 0)
    dense = dense_codes(codes[used])
    weights = np.bincount(dense, weights=pairs[used].sum(axis=1)).astype(np.float64)
    sample = Sample(count, weights)
    features = DenseFeatures.of(sums_by_cluster(pairs[used], dense))
    totals = features.total()[None, :]
    value = float(_f1(totals)[0])
    if np.isnan(value):
        return sample.undefined(f"nobody says {'met' if totals[0, 3] else 'unmet'}")
    # Should all clusters be alike: the F1 if as many pairs more were wrong as may have gone unseen.
    unseen = sample.unseen(options.level)
    shares = (1.0 - unseen) * totals / count
    shares[:, 1] += unseen
    return bootstrap_interval(value, features, _f1, sample, options, float(_f1(shares)[0]))


def _f1(totals: FloatArray) -> FloatArray:
    both, first, second, neither = totals.T
    wrong = first + second
    figures = np.full(both.shape, np.nan)
    defined = (both + wrong > 0.0) & (neither + wrong > 0.0)
    right = both[defined], neither[defined]
    parts = [2.0 * hit / (2.0 * hit + wrong[defined]) for hit in right]
    figures[defined] = (parts[0] + parts[1]) / 2.0
    return figures


def _require_binary(values: FloatArray, name: str, *, missing: bool) -> None:
    wrong = (values != 0.0) & (values != 1.0)
    if missing:
        wrong &= ~np.isnan(values)
    if wrong.any():
        at = np.unravel_index(int(np.argmax(wrong)), values.shape)
        raise ValueError(f"{name}[{', '.join(map(str, at))}] = {values[at]}: a verdict is 0 or 1")
