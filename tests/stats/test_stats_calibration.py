from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from statsmodels.miscmodels.ordinal_model import OrderedModel

from medbench.stats import CalibrationMap, calibrate
from medbench.stats.calibration_maps import (
    fit_isotonic,
    fit_ordinal_logistic,
    pool_adjacent_violators,
    ranked_probability,
)

FITS = [fit_isotonic, fit_ordinal_logistic]
SCORES = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), min_size=2, max_size=60)


def drawn(n=300, seed=0, slope=1.0):
    generator = np.random.default_rng(seed)
    judge = np.round(generator.normal(size=n) * 2) / 2
    return judge, np.digitize(slope * judge + generator.logistic(size=n), [-1, 0, 1.5]).astype(float)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 9)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_pooling_is_that_of_scipy(rows):
    values, weights = np.array(rows).T
    assert pool_adjacent_violators(values, weights) == pytest.approx(
        isotonic_regression(values, weights=weights).x, abs=1e-9
    )


def test_ordinal_logistic_is_that_of_statsmodels():
    judge, human = drawn()
    fitted = fit_ordinal_logistic(judge, human, np.unique(human), "")
    reference = OrderedModel(human, judge[:, None], distr="logit").fit(method="bfgs", disp=0)
    cuts = reference.model.transform_threshold_params(reference.params)[1:-1]
    assert fitted.slope == pytest.approx(reference.params[0], abs=1e-3)
    assert fitted.intercepts == pytest.approx(-cuts, abs=1e-3)
    chances = reference.model.predict(reference.params, exog=np.array([[-1.0], [0.5]]))
    assert fitted.exceedance([-1.0, 0.5]) == pytest.approx(1.0 - np.cumsum(chances, axis=1)[:, :-1], abs=1e-3)


@pytest.mark.parametrize("fit", FITS)
@given(rows=SCORES)
@settings(max_examples=15, deadline=None)
def test_maps_are_monotone_and_survive_json(fit, rows):
    judge, human = np.array(rows, dtype=float).T
    fitted = fit(judge, human, np.array([1.0, 2.0, 3.0, 4.0]), "hash")
    at = np.linspace(-1, 8, 40)
    chances = fitted.exceedance(at)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (np.diff(chances, axis=0) >= -1e-12).all()
    assert (np.diff(chances, axis=1) <= 1e-12).all()
    predicted = fitted.predict(at)
    assert ((predicted >= 1) & (predicted <= 4)).all()
    back = CalibrationMap.from_dict(json.loads(json.dumps(fitted.as_dict())))
    assert back == fitted
    assert (back.predict(at) == predicted).all()


@pytest.mark.parametrize("fit", FITS)
def test_a_judge_that_knows_nothing_gives_the_mean(fit):
    human = np.tile([1.0, 2.0, 4.0], 40)
    fitted = fit(-human, human, np.unique(human), "")
    # Whoever is against people is not turned round: the map may not fall.
    assert fitted.predict([-4.0, -1.0]) == pytest.approx([7 / 3, 7 / 3], abs=1e-3)


def test_separated_levels_stay_finite():
    levels = np.repeat([0.0, 1.0, 2.0], 30)
    fitted = fit_ordinal_logistic(levels, levels, np.unique(levels), "")
    assert np.isfinite(fitted.slope)
    assert fitted.predict([0.0, 1.0, 2.0]) == pytest.approx([0, 1, 2], abs=0.01)


def test_hand_worked_ranked_probability_score():
    # Three levels; P(>=2) = .8, P(>=3) = .3; people say 3: ((.8 − 1)² + (.3 − 1)²)/2.
    score = ranked_probability(np.array([[0.8, 0.3]]), np.array([3.0]), np.array([1.0, 2.0, 3.0]))
    assert score == pytest.approx([(0.04 + 0.49) / 2])


def test_a_judge_with_its_own_idea_of_the_scale_is_set_right():
    judge, human = drawn(400, seed=1, slope=1.5)
    harsh = judge - 1.0
    result = calibrate(harsh, human, np.arange(400) // 4)
    assert (result.answers, result.items, result.folds) == (400, 100, 5)
    assert result.squared_after < 0.6 * result.squared_before
    assert result.squared_change.value == pytest.approx(result.squared_after - result.squared_before)
    assert result.squared_change.high < 0
    assert result.absolute_after < result.absolute_before
    scores = result.ranked_probability_scores
    assert scores[result.map.method] == min(scores.values())


def test_the_better_method_is_chosen():
    judge, human = drawn(120, seed=3)
    assert calibrate(judge, human, range(120)).map.method == "ordinal_logistic"
    # Steps that no logistic curve follows.
    generator = np.random.default_rng(0)
    steps = generator.uniform(0, 10, 600)
    jumps = np.where(steps < 8, generator.integers(1, 3, 600), 5).astype(float)
    assert calibrate(steps, jumps, range(600)).map.method == "isotonic"


def test_held_out_errors_do_not_see_their_items():
    # Judge's scores name the item, people's scores are noise between items: a map that had seen an item would be right.
    generator = np.random.default_rng(5)
    items = np.repeat(np.arange(40), 3)
    human = np.repeat(generator.integers(1, 6, 40), 3).astype(float)
    result = calibrate(items.astype(float), human, items)
    assert result.squared_after > 0.85 * human.var()


def test_fewer_than_fifty_answers_are_refused():
    judge, human = drawn(49)
    with pytest.raises(ValueError, match="49 rated answers are too few to calibrate a judge; 50 are needed"):
        calibrate(judge, human, range(49))
    judge, human = drawn(80)
    with pytest.raises(ValueError, match="40 rated answers"):
        calibrate(judge, human, range(80), answers=np.arange(80) // 2)
    assert calibrate(judge, human, range(80), answers=np.arange(80) % 60).answers == 60


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"human": np.ones(60)}, "people gave 1 to every answer"),
        ({"human": np.arange(60.0)}, "60 different scores"),
        ({"items": [0] * 60}, "all ratings are of one item"),
        ({"folds": 1}, "folds is 1"),
        ({"judge": np.ones(59)}, "judge has 59 scores and human 60"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(change, says):
    judge, human = drawn(60)
    with pytest.raises(ValueError, match=says):
        calibrate(**({"judge": judge, "human": human, "items": range(60)} | change))


def test_the_hash_is_that_of_the_data_and_not_of_their_order():
    judge, human = drawn(60)
    items = np.arange(60) // 3
    first = calibrate(judge, human, items).map.data_hash
    order = np.random.default_rng(0).permutation(60)
    names = [f"item {code * 7}" for code in items[order]]
    assert calibrate(judge[order], human[order], names).map.data_hash == first
    human[0] = 3.0 - human[0]
    assert calibrate(judge, human, items).map.data_hash != first
    assert calibrate(judge, human, range(60)).map.data_hash != first


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version 2"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"levels": [2, 1]}, "levels"),
        ({"chances": [[0.9], [0.1]]}, "not monotone"),
        ({"chances": [[0.1]]}, "one row of chances"),
        ({"chances": [[0.1, 0.1], [0.2, 0.1]]}, "1 chances at each knot"),
        ({"knots": None}, "wrong type"),
        ({"method": "ordinal_logistic"}, "1 falling intercepts"),
        ({"method": "ordinal_logistic", "intercepts": [0.0], "slope": -1.0}, "slope -1.0"),
    ],
)
def test_a_stored_map_is_checked(change, says):
    fitted = fit_isotonic(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]), "h").as_dict()
    with pytest.raises(ValueError, match=says):
        CalibrationMap.from_dict(fitted | change)
    fitted.pop("slope")
    with pytest.raises(ValueError, match="lacks the field 'slope'"):
        CalibrationMap.from_dict(fitted)
