"""Coverage of nominal 95 % intervals: 93 to 97 % for G >= 30 and means in [.1, .9], elsewhere at least 93 %.

Single 0/1 scores live on a lattice, where coverage jumps with the true mean. For them it is computed exactly; hardly an
interval without randomisation stays within 93 to 97 % at every mean (at a mean of .1, 0 to 6 of 30 have 97.4 % and 0 to
5 have 92.7 %), so the upper bound holds for the average over the means. All else is simulated with 2,000 replications;
the simulation's own standard error is .005, of which the bounds allow two.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np
import pytest
from scipy.stats import binom, norm

from medbench.stats import clustered_mean, combine_mover, micro_f1, paired_difference

REPLICATIONS = 2_000
SLACK = 0.010


def covered(estimates, truth):
    return np.mean([estimate.low - 1e-12 <= truth <= estimate.high + 1e-12 for estimate in estimates])


def generator_for(*parts):
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


@functools.cache
def exact_coverage(items):
    """True means, and the exact coverage at each for `items` single 0/1 scores."""
    truths = np.linspace(0.001, 0.999, 1997)
    estimates = [clustered_mean([1.0] * right + [0.0] * (items - right), range(items)) for right in range(items + 1)]
    low, high = np.array([(estimate.low, estimate.high) for estimate in estimates]).T
    inside = (low <= truths[:, None] + 1e-12) & (truths[:, None] <= high + 1e-12)
    return truths, (binom.pmf(np.arange(items + 1), items, truths[:, None]) * inside).sum(axis=1)


@pytest.mark.parametrize("items", [2, 3, 5, 8, 12, 20, 29, 30, 45, 60, 100, 250])
def test_single_binary_scores_are_covered_at_every_mean(items):
    truths, coverage = exact_coverage(items)
    assert coverage.min() >= 0.93
    if items >= 30:
        middle = coverage[(truths >= 0.1) & (truths <= 0.9)]
        assert 0.95 <= middle.mean() <= 0.965
        assert middle.max() <= 0.985


def variants_of(item_count, mean, correlation, sizes, generator):
    """0/1 scores of the variants of each item; the items' chances are beta with the given correlation."""
    scale = (1.0 - correlation) / correlation
    chances = generator.beta(mean * scale, (1.0 - mean) * scale, (REPLICATIONS, item_count))
    codes = np.repeat(np.arange(item_count), sizes)
    return (generator.random((REPLICATIONS, codes.size)) < chances[:, codes]).astype(float), codes


# Of 30 items the smallest and largest have 2 and 18 variants, and 1 and 42.
SPREADS = {"unequal": 0.6, "lopsided": 1.0}


def draw(process, items, mean):
    generator = generator_for(process, items, mean)
    kind, parameter = process
    if kind == "beta":
        shape = (REPLICATIONS, items)
        return generator.beta(mean * parameter, (1.0 - mean) * parameter, shape), np.arange(items)
    sizes = np.full(items, 5)
    if kind in SPREADS:
        # Log-normal sizes, the same in all replications.
        sizes = np.ceil(5 * np.exp(SPREADS[kind] * norm.ppf((np.arange(items) + 0.5) / items))).astype(int)
    return variants_of(items, mean, parameter, sizes, generator)


PROCESSES = [("equal", 0.1), ("equal", 0.6), ("unequal", 0.3), ("beta", 1.0), ("beta", 20.0)]


@pytest.mark.parametrize("process", PROCESSES, ids=str)
@pytest.mark.parametrize("items", [30, 100])
def test_dependent_and_fractional_scores_are_covered(process, items):
    for mean in (0.05, 0.1, 0.3, 0.5, 0.75, 0.9, 0.95):
        scores, codes = draw(process, items, mean)
        coverage = covered([clustered_mean(row, codes) for row in scores], mean)
        assert coverage >= 0.93 - SLACK, (mean, coverage)
        if 0.1 <= mean <= 0.9:
            assert coverage <= 0.97 + SLACK, (mean, coverage)


@pytest.mark.parametrize("process", [*PROCESSES, ("lopsided", 0.3)], ids=str)
def test_few_clusters_are_covered(process):
    for mean in (0.05, 0.3, 0.9):
        scores, codes = draw(process, 8, mean)
        coverage = covered([clustered_mean(row, codes) for row in scores], mean)
        assert coverage >= 0.93 - SLACK, (mean, coverage)


def test_unbounded_means_are_covered():
    generator = generator_for("normal")
    codes = np.repeat(np.arange(12), 4)
    values = generator.normal(size=(REPLICATIONS, 12))[:, codes] + generator.normal(size=(REPLICATIONS, codes.size))
    coverage = covered([clustered_mean(row, codes, bounded=False) for row in values], 0.0)
    assert coverage == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("means", [(0.2, 0.5, 0.7, 0.85, 0.9), (0.9, 0.97, 1.0, 0.95, 0.99)])
def test_dimension_means_are_covered_by_mover(means):
    generator = generator_for("mover", means)
    scores = generator.random((REPLICATIONS, len(means), 30)) < np.array(means)[:, None]
    combined = [combine_mover([clustered_mean(row, range(30)) for row in datasets]) for datasets in scores]
    coverage = covered(combined, np.mean(means))
    assert coverage >= 0.93 - SLACK
    if min(means) < 0.5:
        assert coverage <= 0.97 + SLACK


@pytest.mark.parametrize(("items", "hit"), [(30, 0.5), (30, 0.9), (100, 0.8)])
def test_micro_f1_is_covered(items, hit):
    generator = generator_for("f1", items, hit)
    labels = generator.poisson(3.0, (REPLICATIONS, items))
    # Hard and easy items: the labels of an item are found with a chance of its own.
    hits = generator.binomial(labels, generator.beta(5 * hit, 5 * (1 - hit), labels.shape))
    invented = generator.poisson(0.5, labels.shape)
    truth = 2 * 3 * hit / (2 * 3 * hit + 0.5 + 3 * (1 - hit))
    estimates = [micro_f1(*row, range(items)) for row in zip(hits, invented, labels - hits, strict=True)]
    assert 0.93 - SLACK <= covered(estimates, truth) <= 0.97 + SLACK


@pytest.mark.parametrize("items", [30, 100])
@pytest.mark.parametrize("chances", [(0.2, 0.1), (0.3, 0.3), (0.1, 0.05)])
def test_paired_differences_are_covered(items, chances):
    generator = generator_for("paired", items, chances)
    drawn = generator.random((REPLICATIONS, items))
    first, second = drawn < chances[0], drawn > 1.0 - chances[1]
    differences = [paired_difference(a, b, range(items)) for a, b in zip(first, second, strict=True)]
    assert 0.93 - SLACK <= covered(differences, chances[0] - chances[1]) <= 0.97 + SLACK
