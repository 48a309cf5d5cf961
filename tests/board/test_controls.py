"""The figures behind "what the pictures add", against other ways of computing them, and by simulation."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from medbench.board.controls import _difference, _items, _left_out, _Part, _weighted
from medbench.board.pairing import Outcomes, micro_f1_difference
from medbench.stats import paired_difference


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def part(name: str, clusters, above, below=None) -> _Part:
    above = tuple(np.asarray(each, dtype=float) for each in above)
    below = tuple(np.ones(each.size) for each in above) if below is None else tuple(np.asarray(b, float) for b in below)
    return _Part(Named(name), np.arange(above[0].size), np.asarray(clusters), above, below)


def difference(parts):
    weighted = _weighted(parts)
    clusters = np.concatenate([each.clusters for each, _ in weighted])
    return _difference(_items(weighted, 0), _items(weighted, 1), clusters)


def test_one_dataset_gives_the_clustered_paired_difference():
    draw = np.random.default_rng(1)
    a, b = draw.integers(0, 2, (2, 90)).astype(float)
    clusters = draw.integers(0, 30, 90)
    ours, theirs = difference([part("A", clusters, (a, b))]), paired_difference(a, b, clusters)
    assert (ours.value, ours.standard_error) == pytest.approx((theirs.value, theirs.standard_error))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_datasets_and_parts_weigh_alike_and_a_cluster_may_span_them():
    draw = np.random.default_rng(2)
    one, two = draw.random((2, 40)), draw.random((2, 10))
    parts = [part("A", range(40), one), part("B", range(10), two)]
    estimate = difference(parts)
    assert estimate.value == pytest.approx(0.5 * (one[0] - one[1]).mean() + 0.5 * (two[0] - two[1]).mean())
    # By hand: each cluster's part of the difference, the pictures 0 to 9 being in both datasets.
    d = [(run[0] - run[1]) - (run[0] - run[1]).mean() for run in (one, two)]
    sums = 0.5 * d[0] / 40
    sums[:10] += 0.5 * d[1] / 10
    assert estimate.standard_error == pytest.approx(np.sqrt(40 / 39 * (sums**2).sum()))
    assert estimate.clusters == 40
    halves = [part("A", range(10), two), part("A", range(10, 20), two), part("B", range(20, 30), two)]
    assert [weight for _, weight in _weighted(halves)] == [0.25, 0.25, 0.5]


def test_micro_f1_is_that_of_all_items_and_its_error_near_the_jackknife():
    draw = np.random.default_rng(3)
    hits = draw.integers(0, 4, (2, 200)).astype(float)
    errors = draw.integers(0, 3, (2, 200)).astype(float)
    clusters = draw.integers(0, 60, 200)
    ours = difference([part("A", clusters, 2 * hits, 2 * hits + errors)])
    _, _, theirs = micro_f1_difference(tuple(hits), tuple(errors), clusters)
    assert ours.value == pytest.approx(theirs.value)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.03)


def test_no_difference_on_all_clusters_is_no_certainty():
    same = np.ones(30)
    estimate = difference([part("A", range(30), (same, same))])
    assert estimate.value == 0.0
    assert estimate.low < 0 < estimate.high


@pytest.mark.parametrize("pictures", [30, 80])
def test_intervals_cover_where_pictures_are_shared(pictures):
    draw = np.random.default_rng(pictures)
    covered = 0
    for _ in range(400):
        # Three questions a picture in two datasets; a picture that is hard is hard for all of them.
        ease = draw.normal(0, 1, pictures)
        truth = 0.0
        parts = []
        for name in "AB":
            clusters = np.repeat(np.arange(pictures), 3)
            p = [1 / (1 + np.exp(-(shift + ease[clusters]))) for shift in (1.0, 0.0)]
            parts.append(part(name, clusters, [(draw.random(each.size) < each).astype(float) for each in p]))
            truth += EXPECTED / 2
        estimate = difference(parts)
        covered += estimate.low <= truth <= estimate.high
    assert 0.925 <= covered / 400 <= 0.98


_normal = np.random.default_rng(0).normal(0, 1, 2_000_000)
EXPECTED = float((1 / (1 + np.exp(-(1 + _normal))) - 1 / (1 + np.exp(-_normal))).mean())


def outcomes(*codes: int) -> dict[tuple[str, str], Outcomes]:
    return {("A", ""): Outcomes("accuracy", codes=array("q", codes))}


def test_items_without_an_outcome_everywhere_are_counted():
    shared = part("A", range(3), (np.ones(3), np.ones(3)))
    assert _left_out([outcomes(0, 1, 2, 7), outcomes(0, 1, 2, 8)], [shared]) == 2
