"""Figures, their intervals, and paired differences with seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agcrc.errors import InputError
from agcrc.evaluate import Case, compare, summarise
from agcrc.evaluate.compare import interval
from agcrc.evaluate.detection import Candidate, Lesion, Verdict
from agcrc.evaluate.estimates import Figure, Reason, bounded_mean, case_weights, mean_count, narrowness
from medbench.stats import holm, sign_flip_permutation

BOX = (slice(0, 1), slice(0, 1), slice(0, 1))


def case(name, dice=0.5, found=1, lesions=1, wrong=0, hd95=5.0, score=0.9):
    ill = lesions > 0
    return Case(
        name=name,
        truth_ml=float(lesions),
        predicted_ml=float(found + wrong),
        dice=dice if ill else None,
        nsd_2mm=dice if ill else None,
        nsd_4mm=dice if ill else None,
        hd95_mm=hd95 if ill else None,
        largest_mm=500.0,
        lesions=tuple(
            Lesion(1.0, 12.4, dice, index < found, score if index < found else None) for index in range(lesions)
        ),
        candidates=tuple(Candidate(1.0, 0.7, True, Verdict.FALSE_POSITIVE, BOX, index + 1) for index in range(wrong)),
    )


def run(dices, **more):
    return [case(f"c{index:02d}", dice, **more) for index, dice in enumerate(dices)]


def named(differences):
    return {each.metric: each for each in differences}


def test_difference_is_first_minus_second_with_the_right_sign():
    rng = np.random.default_rng(0)
    low = rng.uniform(0.2, 0.6, 30)
    found = named(compare([run(low + 0.1, wrong=1, hd95=4.0)], [run(low, wrong=3, hd95=9.0)]))
    assert found["dice"].figure.value == pytest.approx(0.1)
    assert found["hd95"].figure.value == pytest.approx(-5.0)
    assert found["false_positives_per_scan"].figure.value == pytest.approx(-2.0)
    assert found["dice"].higher_is_better
    assert not found["hd95"].higher_is_better


def test_p_values_are_sign_flips_adjusted_for_all_metrics():
    rng = np.random.default_rng(1)
    ours, theirs = rng.uniform(0.3, 0.9, 12), rng.uniform(0.2, 0.8, 12)
    found = compare([run(ours)], [run(theirs)])
    assert named(found)["dice"].p == pytest.approx(sign_flip_permutation(ours - theirs))
    np.testing.assert_allclose([each.p_holm for each in found], holm([each.p for each in found]))


def test_a_folder_against_itself_is_no_difference_but_no_certainty_either():
    same = run([0.3, 0.5, 0.7, 0.9])
    found = named(compare([same], [same]))
    dice = found["dice"].figure
    assert dice.value == 0.0
    assert dice.low < -0.1
    assert dice.high > 0.1
    assert found["dice"].p == 1.0
    # Counts have no upper bound that would give an interval.
    wrong = found["false_positives_per_scan"].figure
    assert wrong.low is None
    assert "differ by the same" in wrong.reason


def test_order_of_cases_does_not_matter():
    rng = np.random.default_rng(2)
    ours, theirs = run(rng.uniform(size=9)), run(rng.uniform(size=9))
    shuffled = [ours[index] for index in rng.permutation(9)]
    assert compare([ours], [theirs]) == compare([shuffled], [theirs[::-1]])
    assert summarise(ours) == summarise(shuffled)


def test_seeds_widen_the_interval_by_what_training_adds():
    rng = np.random.default_rng(3)
    base = rng.uniform(0.3, 0.6, 24)
    effect = base + 0.2 + rng.normal(0, 0.05, 24)
    steady = named(compare([run(effect)] * 3, [run(base)] * 3))["dice"]
    shaken = named(compare([run(effect + shift) for shift in (-0.1, 0.0, 0.1)], [run(base)] * 3))["dice"]
    assert steady.figure.value == pytest.approx(shaken.figure.value)
    assert steady.figure.low > 0.1
    assert shaken.figure.low < 0.1
    assert [round(value - shaken.figure.value, 6) for value in shaken.by_seed] == [-0.1, 0.0, 0.1]


@pytest.mark.parametrize(
    ("seeds", "seed_spread", "case_spread"), [(1, 0.0, 0.2), (3, 0.1, 0.2), (3, 0.0, 0.2), (5, 0.1, 0.05)]
)
def test_intervals_cover_what_they_promise(seeds, seed_spread, case_spread):
    """Cases are shared by the seeds; drawing them anew per seed would cover 67 to 87 % here."""
    rng = np.random.default_rng(4)
    cases, weights = 24, case_weights(24, draws=400) / 24
    covered = 0
    for _ in range(250):
        table = (
            rng.normal(0, seed_spread, (seeds, 1))
            + rng.normal(0, case_spread, (1, cases))
            + rng.normal(0, 0.05, (seeds, cases))
        )
        low, high = interval(table.mean(axis=1), (weights @ table.T).mean(axis=1), cases)
        covered += low <= 0.0 <= high
    assert 0.91 <= covered / 250 <= 0.995


def test_sensitivity_at_one_false_positive_uses_each_runs_own_threshold():
    # The second run finds the lesion only below two false positives per scan.
    ours = [case(f"c{index}", score=0.9, wrong=2) for index in range(6)]
    theirs = [case(f"c{index}", score=0.5, wrong=2) for index in range(6)]
    found = named(compare([ours], [theirs]))
    assert found["sensitivity_at_1_fp"].figure.value == 1.0
    assert found["lesion_sensitivity"].figure.value == 0.0


def test_thresholds_that_move_do_not_hide_that_no_lesion_differed():
    """Without a difference in any scan the interval reaches to both sides, though only one run's threshold can move."""
    ours = [case(f"c{index}", score=0.6) for index in range(6)]
    theirs = [case(f"c{index}", score=0.6, wrong=wrong) for index, wrong in enumerate([5, 1, 0, 0, 0, 0])]
    figure = named(compare([ours], [theirs]))["sensitivity_at_1_fp"].figure
    assert figure.value == 0.0
    assert figure.low < -0.1
    assert figure.high > 0.1


def test_lesions_are_pooled_and_scans_are_drawn():
    ours = [case("a", lesions=4, found=4), case("b", lesions=1, found=0), case("c", lesions=0, found=0)]
    theirs = [case("a", lesions=4, found=2), case("b", lesions=1, found=1), case("c", lesions=0, found=0)]
    difference = named(compare([ours], [theirs]))["lesion_sensitivity"]
    assert difference.figure.value == pytest.approx((4 - 3) / 5)
    assert difference.figure.n == 5


def test_healthy_scans_only_compare_by_false_positives():
    ours, theirs = (
        [case(f"c{index}", lesions=0, found=0, wrong=wrong + index % 2) for index in range(5)] for wrong in (0, 1)
    )
    found = named(compare([ours], [theirs]))
    assert found["dice"].figure.value is None
    assert found["dice"].p_holm is None
    assert found["false_positives_per_scan"].figure.value == -1.0
    assert found["false_positives_per_scan"].p == found["false_positives_per_scan"].p_holm


def test_other_cases_or_numbers_of_runs_are_refused():
    three = run([0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="1 runs are compared with 2"):
        compare([three], [three, three])
    with pytest.raises(InputError, match="run 2 of the second arm lacks c02 and also has other"):
        compare([three, three], [three, [*three[:2], replace(three[2], name="other")]])
    with pytest.raises(InputError, match="different truths"):
        compare([three], [[*three[:2], replace(three[2], truth_ml=2.0)]])


def test_healthy_cases_do_not_enter_dice():
    cases = [case("a", 0.8), case("b", 0.4), case("h1", lesions=0, found=0, wrong=3), case("h2", lesions=0, found=0)]
    summary = summarise(cases)
    assert summary.dice.value == pytest.approx(0.6)
    assert summary.dice.n == 2
    assert summary.false_positives_per_scan.value == 0.75
    assert summary.healthy_false_positives.value == 1.5
    assert summary.healthy_clean.value == 0.5


def test_an_empty_prediction_is_counted_and_costs_the_whole_distance():
    cases = [case("a", 0.8), case("b", 0.0, found=0, hd95=500.0)]
    summary = summarise(cases)
    assert summary.empty_predictions == 1
    assert summary.hd95.value == pytest.approx((5.0 + 500.0) / 2)
    assert summary.hd95_where_predicted.value == 5.0


def test_perfect_predictions_keep_an_interval():
    summary = summarise([case(f"c{index}", 1.0, hd95=0.0) for index in range(10)])
    for figure in (summary.dice, summary.hd95, summary.lesion_sensitivity, summary.false_positives_per_scan):
        assert figure.low <= figure.value <= figure.high
        assert figure.high - figure.low > 0.0


def test_no_false_positive_in_twenty_scans_allows_for_some():
    figure = mean_count([0] * 20)
    assert figure.low == 0.0
    assert figure.high == pytest.approx(3.689 / 20, rel=1e-3)


def test_counts_that_vary_more_than_poisson_are_wider_than_poisson():
    steady, clumped = mean_count([2] * 20), mean_count([40] + [0] * 19)
    assert steady.value == clumped.value == 2.0
    assert clumped.high > steady.high + 1.0
    assert steady.low < 2.0 < steady.high


def test_figures_in_json():
    assert Figure.missing(Reason.NO_LESION).to_dict() == {"reason": "no case has a lesion"}
    one = bounded_mean([0.5]).to_dict()
    assert one["value"] == 0.5
    assert one["low"] is None
    assert one["reason"] == "one case has no spread to make an interval from"
    assert set(bounded_mean([0.5, 0.7]).to_dict()) == {"value", "low", "high", "n"}


def test_narrowness_is_hesterbergs():
    # sqrt(3/2) · 4.3027 / 1.96
    assert narrowness(3) == pytest.approx(2.6887, rel=1e-3)
    assert narrowness(10_000) == pytest.approx(1.0, abs=1e-3)
