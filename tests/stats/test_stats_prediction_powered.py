from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medbench.stats import (
    RatedAnswers,
    clustered_mean,
    paired_difference,
    prediction_powered_difference,
    prediction_powered_mean,
)


def split(human, judge, clusters, n):
    return RatedAnswers(human[:n], judge[:n], clusters[:n], judge[n:], clusters[n:])


def drawn(generator, n, others, correlation, per=1, shift=0.5):
    """Standard normal human scores, alike within a cluster of `per` answers, and a judge that is off by `shift`."""
    total = n + others
    shared = generator.normal(size=(total // per, 1))
    own = generator.normal(size=(total // per, per))
    human = (own if per == 1 else 0.6**0.5 * shared + 0.4**0.5 * own).reshape(-1)
    judge = correlation * human + (1 - correlation**2) ** 0.5 * generator.normal(size=total) + shift
    return split(human, judge, np.arange(total) // per, n)


def test_the_estimate_is_that_of_ppi_python():
    import ppi_py  # here, as its own imports take seconds

    answers = drawn(np.random.default_rng(1), 200, 1_000, 0.7)
    result = prediction_powered_mean(answers)
    data = (answers.human, answers.judge, answers.judge_only)
    (weight,) = result.weights
    assert result.estimate.value == pytest.approx(ppi_py.ppi_mean_pointestimate(*data, lam=weight).item())
    low, high = ppi_py.ppi_mean_ci(*data, alpha=0.05, lam=weight)
    assert (result.estimate.low, result.estimate.high) == pytest.approx((low.item(), high.item()), abs=0.005)
    # The specification's λ takes the variance of the judge's scores from both parts together.
    both = np.concatenate([answers.judge, answers.judge_only])
    formula = np.cov(answers.human, answers.judge)[0, 1] / (1 + 200 / 1_000) / both.var()
    assert weight == pytest.approx(formula, rel=0.08)


def test_the_variance_is_that_of_the_specification_for_single_answers():
    answers = drawn(np.random.default_rng(2), 300, 2_000, 0.6)
    result = prediction_powered_mean(answers)
    (weight,) = result.weights
    rated = np.var(answers.human - weight * answers.judge, ddof=1) / 300 * 299 / 298
    others = weight**2 * np.var(answers.judge_only, ddof=1) / 2_000
    assert result.estimate.standard_error == pytest.approx((rated + others) ** 0.5)


def test_labels_alone_are_a_clustered_mean():
    answers = drawn(np.random.default_rng(3), 60, 200, 0.5, per=2)
    alone = prediction_powered_mean(answers).labels_alone
    reference = clustered_mean(answers.human, answers.clusters, bounded=False)
    assert (alone.value, alone.low, alone.high) == pytest.approx((reference.value, reference.low, reference.high))
    second = replace(answers, human=answers.human[::-1], judge=answers.judge[::-1])
    difference = prediction_powered_difference(answers, second).labels_alone
    paired = paired_difference(answers.human, second.human, answers.clusters, bounded=False)
    assert (difference.value, difference.low) == pytest.approx((paired.value, paired.low))


@pytest.mark.parametrize("judge", ["constant", "contrary", "one cluster of others"])
def test_a_judge_that_does_not_help_is_left_out(judge):
    answers = drawn(np.random.default_rng(4), 80, 200, 0.7)
    if judge == "constant":
        answers = replace(answers, judge=np.ones(80), judge_only=np.ones(200))
    elif judge == "contrary":
        answers = replace(answers, judge=-answers.judge, judge_only=-answers.judge_only)
    else:
        answers = replace(answers, judge_only_clusters=[500] * 200)
    result = prediction_powered_mean(answers)
    assert result.weights == (0.0,)
    assert (result.estimate.low, result.estimate.high) == (result.labels_alone.low, result.labels_alone.high)


def test_one_rated_cluster_has_no_interval():
    result = prediction_powered_mean(RatedAnswers([1.0, 2.0], [1.0, 2.0], [0, 0], [1.0, 3.0], [1, 2]))
    assert (result.estimate.value, result.estimate.low, result.estimate.standard_error) == (1.5, None, None)
    assert result.judge_alone.value == pytest.approx(7 / 4)


def test_clusters_may_be_named_and_shared_between_the_parts():
    generator = np.random.default_rng(6)
    human = np.repeat(generator.normal(size=50), 4)
    # Two answers of every cluster are rated, two are not: the judge can then say nothing new about other clusters.
    rated = np.arange(200) % 4 < 2
    names = np.array([f"family {code}" for code in np.arange(200) // 4])
    answers = RatedAnswers(human[rated], human[rated], names[rated], human[~rated], names[~rated])
    result = prediction_powered_mean(answers)
    assert result.estimate.clusters == 50
    assert result.estimate.standard_error == pytest.approx(result.labels_alone.standard_error, rel=1e-6)


def test_what_does_not_fit_is_refused():
    good = RatedAnswers([1.0, 2.0], [1.0, 2.0], [0, 1], [1.0], [2])
    with pytest.raises(ValueError, match=r"second: 2 human scores and 1 of the judge"):
        prediction_powered_difference(good, replace(good, judge=[1.0]))
    with pytest.raises(ValueError, match=r"answers\.judge_only is empty"):
        prediction_powered_mean(replace(good, judge_only=[], judge_only_clusters=[]))
    with pytest.raises(ValueError, match="1 cluster labels for 2 rows"):
        prediction_powered_mean(replace(good, clusters=[0]))
    with pytest.raises(ValueError, match="level"):
        prediction_powered_mean(good, level=95)


@pytest.mark.parametrize(
    ("n", "others", "correlation", "per"), [(60, 400, 0.7, 1), (60, 400, 0.0, 1), (30, 300, 0.8, 1), (80, 600, 0.6, 2)]
)
def test_intervals_cover_and_are_never_wider_than_those_of_labels_alone(n, others, correlation, per):
    generator = np.random.default_rng(7)
    results = [prediction_powered_mean(drawn(generator, n, others, correlation, per)) for _ in range(2_000)]
    inside = np.mean([result.estimate.low <= 0.0 <= result.estimate.high for result in results])
    # The simulation's own standard error is .005.
    assert 0.93 <= inside <= 0.97, inside
    ratios = [width(result.estimate) / width(result.labels_alone) for result in results]
    assert max(ratios) <= 1.0 + 1e-9
    assert np.mean(ratios) < (0.9 if correlation else 1.0)


@pytest.mark.parametrize(("mean", "n"), [(0.1, 30), (0.5, 60), (0.9, 60), (0.95, 60)])
def test_shares_are_covered_near_the_ends_of_the_scale(mean, n):
    generator = np.random.default_rng(9)
    inside = []
    for _ in range(1_000):
        chance = generator.beta(2 * mean, 2 * (1 - mean), n + 300)
        human = (generator.random(n + 300) < chance).astype(float)
        judge = np.clip(chance + 0.15 + 0.1 * generator.normal(size=n + 300), 0, 1)
        result = prediction_powered_mean(split(human, judge, np.arange(n + 300), n), scale=(0.0, 1.0))
        assert 0.0 <= result.estimate.low <= result.estimate.value <= result.estimate.high <= 1.0
        assert width(result.estimate) <= width(result.labels_alone) + 1e-12
        inside.append(result.estimate.low <= mean <= result.estimate.high)
    # The simulation's own standard error is .007.
    assert 0.925 <= np.mean(inside) <= 0.98, np.mean(inside)


def test_on_a_scale_labels_alone_are_the_clustered_mean_of_shares():
    human = np.array([1.0, 5.0, 3.0, 3.0, 5.0, 1.0, 5.0, 5.0])
    answers = RatedAnswers(human, human[::-1], np.arange(8) // 2, [1.0, 3.0], [7, 8])
    alone = prediction_powered_mean(answers, scale=(1, 5)).labels_alone
    reference = clustered_mean((human - 1) / 4, np.arange(8) // 2)
    assert (alone.low, alone.high) == pytest.approx((1 + 4 * reference.low, 1 + 4 * reference.high))
    everybody = prediction_powered_mean(replace(answers, human=np.full(8, 5.0)), scale=(1, 5))
    assert everybody.estimate.high == 5.0
    assert everybody.estimate.low < 4.0
    with pytest.raises(ValueError, match="goes from 1 to 5, beyond"):
        prediction_powered_mean(answers, scale=(0, 1))
    with pytest.raises(ValueError, match="a lower and a higher end"):
        prediction_powered_mean(answers, scale=(5, 1))


def stratified(generator, sizes, rated, correlation=0.7):
    """Answers whose stratum tells much of their score, `rated` of them drawn from each stratum of that size."""
    strata = np.repeat(np.arange(len(sizes)), sizes)
    human = strata + generator.normal(size=strata.size)
    judge = correlation * human + generator.normal(size=strata.size) + 1.0
    chosen = np.concatenate(
        [generator.permutation(np.flatnonzero(strata == place))[:count] for place, count in enumerate(rated)]
    )
    has = np.zeros(strata.size, dtype=bool)
    has[chosen] = True
    rows = np.arange(strata.size)
    return RatedAnswers(human[has], judge[has], rows[has], judge[~has], rows[~has], strata[has], strata[~has])


def test_strata_are_weighted_by_their_size_and_their_variances_are_those_of_two_phase_sampling():
    answers = stratified(np.random.default_rng(10), (1_000, 2_000, 3_000), (150, 60, 90))
    result = prediction_powered_mean(answers)
    (weight,) = result.weights
    value, within, between = 0.0, 0.0, 0.0
    means = [answers.human[answers.strata == place].mean() for place in range(3)]
    for place, (total, n) in enumerate(((1_000, 150), (2_000, 60), (3_000, 90))):
        share, here, there = total / 6_000, answers.strata == place, answers.judge_only_strata == place
        human, judge, others = answers.human[here], answers.judge[here], answers.judge_only[there]
        value += share * (human.mean() + weight * (others.mean() - judge.mean()))
        rest = np.var(human - weight * judge, ddof=1) / n + weight**2 * np.var(others, ddof=1) / others.size
        within += share**2 * rest
        between += share * (means[place] - np.dot(means, (1 / 6, 1 / 3, 1 / 2))) ** 2 / 6_000
    assert result.estimate.value == pytest.approx(value)
    assert result.estimate.standard_error**2 == pytest.approx(within + between, rel=0.01)
    # Cochran's variance of double sampling for stratification (1977, section 12.2), written out for λ = 0.
    plain = sum(
        (1 / 6, 1 / 3, 1 / 2)[place] ** 2 * np.var(answers.human[answers.strata == place], ddof=1) / n
        for place, n in enumerate((150, 60, 90))
    )
    assert result.labels_alone.standard_error**2 == pytest.approx(plain + between, rel=1e-6)


def test_one_stratum_is_none():
    answers = drawn(np.random.default_rng(11), 60, 200, 0.7, per=2)
    one = replace(answers, strata=["only"] * 60, judge_only_strata=["only"] * 200)
    assert prediction_powered_mean(one) == prediction_powered_mean(answers)


def test_a_stratum_without_ratings_is_refused_and_one_without_others_needs_no_judge():
    answers = stratified(np.random.default_rng(12), (20, 20, 20), (10, 10, 10))
    with pytest.raises(ValueError, match="a stratum has no rated answer"):
        prediction_powered_mean(replace(answers, strata=np.minimum(answers.strata, 1)))
    full = stratified(np.random.default_rng(13), (20, 20, 20), (20, 10, 10))
    result = prediction_powered_mean(full)
    by_stratum = [full.human[full.strata == place].mean() for place in range(3)]
    assert result.labels_alone.value == pytest.approx(np.mean(by_stratum))
    assert result.weights[0] > 0.0
    lonely = stratified(np.random.default_rng(14), (20, 20, 20), (1, 10, 10))
    assert prediction_powered_mean(lonely).estimate.low is None


def test_unequal_draws_from_strata_are_covered_and_a_plain_mean_of_them_is_not():
    generator = np.random.default_rng(15)
    inside, plain, values = [], [], []
    for _ in range(1_000):
        sizes = generator.multinomial(300, (1 / 3, 1 / 3, 1 / 3))
        answers = stratified(generator, sizes, (36, 12, 12))
        estimate = prediction_powered_mean(answers).estimate
        naive = prediction_powered_mean(replace(answers, strata=None, judge_only_strata=None)).estimate
        values.append(estimate.value)
        inside.append(estimate.low <= 1.0 <= estimate.high)
        plain.append(naive.low <= 1.0 <= naive.high)
    # The simulation's own standard error is .007.
    assert 0.93 <= np.mean(inside) <= 0.97, np.mean(inside)
    assert np.mean(values) == pytest.approx(1.0, abs=4 * np.std(values) / 1_000**0.5)
    assert np.mean(plain) < 0.85


def test_differences_of_stratified_draws_cover():
    generator = np.random.default_rng(16)
    inside = []
    for _ in range(1_000):
        sizes = generator.multinomial(200, (1 / 3, 1 / 3, 1 / 3))
        first, second = (stratified(generator, sizes, rated) for rated in ((24, 8, 8), (10, 10, 20)))
        estimate = prediction_powered_difference(first, replace(second, human=second.human - 0.4)).estimate
        inside.append(estimate.low <= 0.4 <= estimate.high)
    assert 0.93 <= np.mean(inside) <= 0.975, np.mean(inside)


def test_the_judge_alone_has_the_interval_of_a_mean():
    answers = drawn(np.random.default_rng(17), 60, 200, 0.5, per=2)
    judged = np.concatenate([answers.judge, answers.judge_only])
    clusters = np.concatenate([answers.clusters, answers.judge_only_clusters])
    alone, reference = prediction_powered_mean(answers).judge_alone, clustered_mean(judged, clusters, bounded=False)
    assert (alone.value, alone.low, alone.high) == pytest.approx((reference.value, reference.low, reference.high))


def test_differences_cover():
    generator = np.random.default_rng(8)
    inside, ratios = [], []
    for _ in range(1_000):
        shared = generator.normal(size=300)
        models = []
        for model in range(2):
            human = 0.7 * shared + 0.7 * generator.normal(size=300) + 0.3 * model
            judge = 0.6 * human + 0.5 * generator.normal(size=300) + 0.2 * shared
            models.append(split(human, judge, np.arange(300), 50))
        result = prediction_powered_difference(models[1], models[0])
        inside.append(result.estimate.low <= 0.3 <= result.estimate.high)
        ratios.append(width(result.estimate) / width(result.labels_alone))
    assert 0.93 <= np.mean(inside) <= 0.97, np.mean(inside)
    assert max(ratios) <= 1.0 + 1e-9
    assert np.mean(ratios) < 0.9


def width(estimate):
    return estimate.high - estimate.low
