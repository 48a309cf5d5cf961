from __future__ import annotations

import numpy as np
import pytest

from medbench.stats import Bootstrap, Resampled, Undefined, balanced_pairwise_f1

FEW = Bootstrap(draws=200)


def f1(pairs):
    """Balanced F1 of a list of (verdict, reference), by its definition."""
    parts = []
    for outcome in (1, 0):
        hit = sum(a == outcome and b == outcome for a, b in pairs)
        parts.append(2 * hit / (sum(a == outcome for a, _ in pairs) + sum(b == outcome for _, b in pairs)))
    return sum(parts) / 2


def case():
    generator = np.random.default_rng(4)
    truth = generator.random(60) < 0.6
    ratings = (truth[:, None] ^ (generator.random((60, 4)) < 0.25)).astype(float)
    ratings[generator.random(ratings.shape) < 0.3] = np.nan
    return (truth ^ (generator.random(60) < 0.2)).astype(int), ratings


def test_all_figures_are_those_of_the_pairs_written_out():
    judge, ratings = case()
    result = balanced_pairwise_f1(judge, ratings, np.arange(60) // 2, FEW)
    there = ~np.isnan(ratings)
    pooled = [(judge[i], ratings[i, r]) for i, r in np.argwhere(there)]
    assert result.judge.value == pytest.approx(f1(pooled))
    assert result.judge.n == len(pooled)
    people = [(ratings[i, r], ratings[i, s]) for i, r in np.argwhere(there) for s in range(4) if s != r and there[i, s]]
    assert result.people.value == pytest.approx(f1(people))
    shares = []
    for standing in result.raters:
        r = standing.rater
        rows = np.flatnonzero(there[:, r])
        assert standing.judge_against_rater.value == pytest.approx(f1([(judge[i], ratings[i, r]) for i in rows]))
        others = [(i, s) for i in rows for s in range(4) if s != r and there[i, s]]
        mine = f1([(ratings[i, r], ratings[i, s]) for i, s in others])
        in_place = f1([(judge[i], ratings[i, s]) for i, s in others])
        assert standing.rater_against_others.value == pytest.approx(mine)
        assert standing.judge_against_others.value == pytest.approx(in_place)
        shares.append(mine <= in_place)
    assert result.judge_at_least == pytest.approx(np.mean(shares))
    assert result.judge.low < result.judge.value < result.judge.high


def test_a_single_person_has_no_others():
    result = balanced_pairwise_f1([1, 0, 1], [[1], [0], [0]], range(3), FEW)
    assert isinstance(result.judge, Resampled)
    assert result.people == Undefined("no pair of verdicts", 0, 0)
    assert result.judge_at_least is None


def test_one_verdict_only_is_told():
    result = balanced_pairwise_f1([1, 1], [[1, 1], [1, None]], [0, 1], FEW)
    assert result.judge.reason == "nobody says unmet"
    assert balanced_pairwise_f1([0, 0], [[0], [0]], [0, 1], FEW).judge.reason == "nobody says met"


def test_full_agreement_is_not_certain():
    verdicts = np.arange(40) % 4 == 0
    result = balanced_pairwise_f1(verdicts, np.column_stack([verdicts] * 2).astype(float), range(40), FEW)
    assert result.judge.value == 1.0
    # The rarer verdict suffers more from what may have gone unseen.
    assert 0.6 < result.judge.low < 0.95


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"ratings\[1, 0\] = 2.0"):
        balanced_pairwise_f1([1, 0], [[1], [2]], [0, 1])
    with pytest.raises(ValueError, match=r"judge\[0\] = nan"):
        balanced_pairwise_f1([None, 0], [[1], [1]], [0, 1])
    with pytest.raises(ValueError, match="ratings have 2 items"):
        balanced_pairwise_f1([1], [[1], [1]], [0, 1])
    with pytest.raises(ValueError, match="table of items and raters"):
        balanced_pairwise_f1([1], [1], [0])


def test_a_judge_that_always_says_the_contrary_is_not_certain_to():
    people = np.array([[0.0], [1.0]] * 6)
    found = balanced_pairwise_f1(1.0 - people[:, 0], people, range(12)).judge
    assert found.low == found.value == 0.0
    assert 0.0 < found.high < 0.5
