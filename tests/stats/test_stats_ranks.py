from __future__ import annotations

import time

import numpy as np
import pytest

from medbench.stats import Rank, clustered_mean, joint_bootstrap_means, paired_difference, rank_intervals


def test_draws_have_the_clustered_errors_of_means_and_of_differences():
    generator = np.random.default_rng(0)
    easy = generator.normal(size=(80, 1, 1))
    scores = easy + generator.normal(size=(80, 3, 2))  # clusters, rows, models
    draws = joint_bootstrap_means(scores.sum(axis=1), np.full(80, 3), draws=4_000)
    codes = np.repeat(np.arange(80), 3)
    rows = scores.reshape(-1, 2)
    single = clustered_mean(rows[:, 0], codes, bounded=False)
    paired = paired_difference(rows[:, 0], rows[:, 1], codes, bounded=False)
    assert draws.mean(axis=0) == pytest.approx(rows.mean(axis=0), abs=0.01)
    assert draws[:, 0].std() == pytest.approx(single.standard_error, rel=0.05)
    # The same resample for both models: what is easy for both cancels.
    assert (draws[:, 0] - draws[:, 1]).std() == pytest.approx(paired.standard_error, rel=0.05)
    assert paired.standard_error < 0.8 * single.standard_error


def test_many_clusters_are_drawn_in_groups_with_the_same_errors():
    generator = np.random.default_rng(1)
    sums = generator.normal(size=(50_000, 2)) * generator.exponential(size=(50_000, 1))
    draws = joint_bootstrap_means(sums, np.ones(50_000))
    assert draws.std(axis=0) == pytest.approx(sums.std(axis=0) / 50_000**0.5, rel=0.06)


def test_ranks_of_models_that_are_far_apart_are_certain():
    values = np.array([0.2, 0.9, 0.5])
    draws = values + 0.01 * np.random.default_rng(0).normal(size=(500, 3))
    assert rank_intervals(values, draws) == (Rank(3, 3, 3), Rank(1, 1, 1), Rank(2, 2, 2))


def test_equal_models_share_their_ranks():
    sums = np.random.default_rng(2).random((40, 1)).repeat(2, axis=1)
    draws = joint_bootstrap_means(np.column_stack([sums, sums[:, 0] - 5.0]), np.ones(40))
    assert rank_intervals(draws.mean(axis=0).round(12), draws) == (Rank(1, 1, 2), Rank(1, 1, 2), Rank(3, 3, 3))


def test_rank_intervals_cover_true_ranks():
    generator = np.random.default_rng(3)
    truths = np.array([0.50, 0.56, 0.62, 0.68, 0.74])
    inside, widths = [], []
    for _ in range(300):
        items = generator.normal(0, 0.2, size=(60, 1))
        scores = truths + items + generator.normal(0, 0.2, size=(60, 5))
        ranks = rank_intervals(scores.mean(axis=0), joint_bootstrap_means(scores, np.ones(60), draws=400))
        inside += [rank.low <= true <= rank.high for rank, true in zip(ranks, (5, 4, 3, 2, 1), strict=True)]
        widths += [rank.high - rank.low for rank in ranks]
    # Ranks are whole, so intervals cover more than their level.
    assert np.mean(inside) >= 0.95
    assert np.mean(widths) < 2.0


def test_sixteen_models_on_700_000_clusters_take_under_five_seconds():
    sums = np.random.default_rng(4).random((700_000, 16))
    counts = np.ones(700_000)
    start = time.process_time()
    rank_intervals(sums.mean(axis=0), joint_bootstrap_means(sums, counts))
    assert time.process_time() - start < 5.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="at least two clusters"):
        joint_bootstrap_means([[1.0, 2.0]], [1])
    with pytest.raises(ValueError, match="model 1 has no score in any cluster"):
        joint_bootstrap_means([[1.0, 0.0], [1.0, 0.0]], [[1, 0], [1, 0]])
    with pytest.raises(ValueError, match="counts has shape"):
        joint_bootstrap_means([[1.0], [2.0]], [1, 2, 3])
    with pytest.raises(ValueError, match="at least 0"):
        joint_bootstrap_means([[1.0], [2.0]], [1, -1])
    with pytest.raises(ValueError, match="not finite"):
        joint_bootstrap_means([[1.0], [np.nan]], [1, 1])
    with pytest.raises(ValueError, match="at least 100"):
        joint_bootstrap_means([[1.0], [2.0]], [1, 1], draws=5)
    sparse = joint_bootstrap_means([[1.0, 1.0], [2.0, 0.0], [3.0, 0.0]], [[1, 1], [1, 0], [1, 0]])
    with pytest.raises(ValueError, match=r"model 1 has no score in \d+ of 2000 draws"):
        rank_intervals([2.0, 1.0], sparse)
    with pytest.raises(ValueError, match=r"must be \(draws, 2\)"):
        rank_intervals([2.0, 1.0], np.ones((10, 3)))
