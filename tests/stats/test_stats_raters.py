from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from medbench.stats import (
    Bootstrap,
    Undefined,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    rating_table,
)

FEW = Bootstrap(draws=100)
GAP = None

# Twelve units, four observers: Krippendorff (2011), section on missing data; also Gwet (2014), table of example 2.
PUBLISHED = [
    [1, 1, GAP, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [GAP, 5, 5, 5],
    [GAP, GAP, 1, 1],
    [GAP, 3, GAP, GAP],
]


@pytest.mark.parametrize(("scale", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(scale, value):
    assert krippendorff_alpha(PUBLISHED, range(12), scale).value == pytest.approx(value, abs=5e-4)


# Values of irrCAC 0.4.4 (Gwet's own package in Python) on the same table. It pins SciPy 1.12, so it is no dependency.
@pytest.mark.parametrize(
    ("weights", "fleiss", "ac"),
    [("nominal", 0.76117, 0.77544), ("linear", 0.81794, 0.85874), ("quadratic", 0.86494, 0.91400)],
)
def test_fleiss_and_gwet_with_missing_ratings_are_those_of_irrcac(weights, fleiss, ac):
    assert fleiss_kappa(PUBLISHED, range(12), weights).value == pytest.approx(fleiss, abs=1e-5)
    assert gwet_ac(PUBLISHED, range(12), weights).value == pytest.approx(ac, abs=1e-5)


def test_the_worked_example_of_fleiss_kappa():
    # Ten subjects, 14 raters, five categories: kappa .210 (Wikipedia's worked example).
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    ratings = [np.repeat(np.arange(5), row) for row in counts]
    result = fleiss_kappa(ratings, range(10))
    assert result.value == pytest.approx(0.210, abs=5e-4)
    assert result.value == pytest.approx(statsmodels_fleiss(counts))


TABLES = st.integers(2, 5).flatmap(
    lambda raters: st.lists(
        st.lists(st.sampled_from([GAP, 1, 2, 3, 5]), min_size=raters, max_size=raters), min_size=4, max_size=25
    )
)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_alpha_is_that_of_the_krippendorff_package(table):
    krippendorff = pytest.importorskip("krippendorff", reason="dev dependency krippendorff is not installed")
    numbers = np.array(table, dtype=float)
    pairable = numbers[(~np.isnan(numbers)).sum(axis=1) >= 2]
    pairable = pairable[~np.isnan(pairable)]
    if np.isnan(numbers).all():
        return
    for scale in ("nominal", "ordinal", "interval"):
        result = krippendorff_alpha(table, range(len(table)), scale, options=FEW)
        if pairable.size == 0 or np.ptp(pairable) == 0:
            assert isinstance(result, Undefined)
            continue
        reference = krippendorff.alpha(reliability_data=numbers.T, level_of_measurement=scale)
        assert result.value == pytest.approx(reference, abs=1e-9)


def test_alpha_takes_any_number_of_interval_ratings():
    krippendorff = pytest.importorskip("krippendorff", reason="dev dependency krippendorff is not installed")
    generator = np.random.default_rng(8)
    table = 1e6 + generator.normal(size=(70, 1)) + generator.normal(size=(70, 3))
    result = krippendorff_alpha(table, range(70), "interval")
    reference = krippendorff.alpha(reliability_data=table.T, level_of_measurement="interval")
    assert result.value == pytest.approx(reference, abs=1e-6)
    assert result.low < result.value < result.high
    with pytest.raises(ValueError, match="600 different ratings"):
        krippendorff_alpha(np.arange(600).reshape(300, 2), range(300), "nominal")
    with pytest.raises(ValueError, match="ordinal alpha takes 50"):
        krippendorff_alpha(table, range(70), "ordinal")


def test_with_two_raters_of_the_same_margins_fleiss_and_cohen_agree():
    first, second = [1, 2, 3, 1, 2, 3], [2, 1, 3, 1, 2, 3]
    table = np.column_stack([first, second])
    for weights in ("nominal", "linear", "quadratic"):
        ours = fleiss_kappa(table, range(6), weights, options=FEW)
        assert ours.value == pytest.approx(cohen_kappa(first, second, range(6), weights, options=FEW).value)


def test_what_cannot_be_computed_says_why():
    assert fleiss_kappa([[1, GAP], [GAP, 2]], [0, 1]).reason == "no item has two ratings"
    assert krippendorff_alpha([[1, GAP], [GAP, 2]], [0, 1]).reason == "no item has two ratings"
    assert "all ratings are 'yes'" in fleiss_kappa([["yes", "yes"], ["yes", "yes"]], [0, 1]).reason
    assert "all pairable ratings are 2" in krippendorff_alpha([[2, 2], [1, GAP]], [0, 1]).reason
    assert "only category" in gwet_ac([[1, 1], [1, 1]], [0, 1]).reason
    # Gwet's coefficient exists where the scale has a category that nobody used.
    assert gwet_ac([[1, 1], [1, 1]], [0, 1], categories=[0, 1]).value == 1.0


def test_full_agreement_is_not_certain():
    table = [[1, 1, 1], [2, 2, 2], [3, 3, 3]] * 10
    for ours in (fleiss_kappa, gwet_ac, krippendorff_alpha):
        result = ours(table, range(30))
        assert result.value == pytest.approx(1.0)
        assert 0.6 < result.low < 0.95
        assert result.high == result.value
    by_scale = [krippendorff_alpha(table, range(30), scale).low for scale in ("nominal", "interval")]
    assert by_scale[1] < by_scale[0]


def test_wrong_tables_are_refused():
    with pytest.raises(ValueError, match="table of items and raters"):
        fleiss_kappa([1, 2, 3], [0, 1, 2])
    with pytest.raises(ValueError, match="holds no rating"):
        fleiss_kappa([[GAP, GAP]], [0])
    with pytest.raises(ValueError, match="infinite"):
        gwet_ac([[1, np.inf]], [0])
    with pytest.raises(ValueError, match="needs an order"):
        krippendorff_alpha([["a", "b"], ["b", "b"]], [0, 1], "ordinal")
    with pytest.raises(ValueError, match="scale is 'ratio'"):
        krippendorff_alpha([[1, 2], [2, 2]], [0, 1], "ratio")
    with pytest.raises(ValueError, match="clusters has shape"):
        fleiss_kappa([[1, 2], [2, 2]], [0])


def test_rows_become_a_table():
    table, items, raters = rating_table("aabc", "xyxy", [1, 2, 3, 4])
    assert (items, raters) == (["a", "b", "c"], ["x", "y"])
    assert table.tolist() == [[1, 2], [3, None], [None, 4]]
    with pytest.raises(ValueError, match="rates item 'a' twice"):
        rating_table("aa", "xx", [1, 2])


@pytest.mark.parametrize("ours", [fleiss_kappa, gwet_ac, krippendorff_alpha])
def test_intervals_cover(ours):
    generator = np.random.default_rng(21)

    def draw(items):
        truth = generator.normal(size=(items, 1))
        table = np.digitize(truth + 0.6 * generator.normal(size=(items, 4)), [-0.7, 0.7]).astype(float)
        table[generator.random(table.shape) < 0.25] = np.nan
        return table

    truth = ours(draw(100_000), np.zeros(100_000, dtype=int)).value
    options = Bootstrap(draws=400)
    results = [ours(draw(40), range(40), options=options) for _ in range(400)]
    inside = np.mean([result.low <= truth <= result.high for result in results])
    assert 0.92 <= inside <= 0.98, inside


LOPSIDED = st.one_of(
    TABLES,
    # All rows alike but for the order of their two ratings: every resample gives the same figure.
    st.lists(st.sampled_from([[1, 2], [2, 1]]), min_size=2, max_size=15),
    st.lists(st.just([1, 5]), min_size=2, max_size=15),
    st.integers(2, 12).map(lambda count: [[1, 2], [2, 1]] * count),
)


@given(LOPSIDED, st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_an_interval_holds_its_value(table, size):
    clusters = [row // size for row in range(len(table))]
    full = [row for row in table if GAP not in row]
    found = [ours(table, clusters, options=FEW) for ours in (fleiss_kappa, gwet_ac, krippendorff_alpha)
             if any(GAP is not cell for row in table for cell in row)]  # fmt: skip
    if full:
        for weights in ("nominal", "quadratic"):
            first, second = [row[0] for row in full], [row[1] for row in full]
            found.append(cohen_kappa(first, second, range(len(full)), weights, options=FEW))
    for each in found:
        if isinstance(each, Undefined) or each.low is None:
            assert each.reason
        else:
            assert each.low <= each.value <= each.high <= 1.0
            assert each.low < each.high, "no number of answers makes a figure certain"


def test_full_disagreement_is_not_certain_either():
    table = [[0, 1], [1, 0]] * 6
    for ours in (fleiss_kappa, gwet_ac, krippendorff_alpha):
        result = ours(table, range(12))
        # As far from the value as the limit of full agreement is, since u of the answers may agree.
        assert result.low <= result.value < result.high < 0.0
    assert krippendorff_alpha(table, range(12)).value == pytest.approx(-0.917, abs=5e-4)
