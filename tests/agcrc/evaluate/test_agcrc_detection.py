"""Which components are hits, fragments and false positives; what FROC makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agcrc.evaluate import measure_case
from agcrc.evaluate.detection import Verdict, ball_diameter, detect
from agcrc.evaluate.froc import RATES, froc, sensitivities
from agcrc.evaluate.summary import summarise
from agcrc.volumes import Grid

SHAPE = (16, 32, 32)
GRID = Grid.of(SHAPE, (2.0, 1.0, 1.0))


def boxes(*parts):
    mask = np.zeros(SHAPE, dtype=bool)
    for z, y, x, side in parts:
        mask[z : z + side, y : y + side, x : x + side] = True
    return mask


def verdicts(prediction, truth, **more):
    return [each.verdict for each in detect(prediction, truth, GRID.voxel_ml, **more).candidates]


def test_hit_miss_and_false_positive():
    truth = boxes((2, 2, 2, 4), (2, 20, 20, 4))
    found = detect(boxes((2, 2, 3, 4), (10, 20, 2, 3)), truth, GRID.voxel_ml)
    assert [lesion.found for lesion in found.lesions] == [True, False]
    assert [each.verdict for each in found.candidates] == [Verdict.HIT, Verdict.FALSE_POSITIVE]
    assert found.lesions[0].dice == pytest.approx(2 * 48 / 128)
    assert found.lesions[1].dice == 0.0
    assert found.lesions[0].volume_ml == pytest.approx(64 * 2 / 1000)


def test_iou_of_a_tenth_decides():
    truth = boxes((2, 2, 2, 8))
    # 52 of 512 voxels are IoU 0.1016, 50 are 0.0977. What lies inside and is no hit is a fragment.
    for count, verdict in ((52, Verdict.HIT), (50, Verdict.FRAGMENT)):
        prediction = np.zeros(SHAPE, dtype=bool)
        prediction[2:10, 2:10, 2:10].flat[:count] = True
        assert verdicts(prediction, truth) == [verdict]


def test_components_touch_over_corners():
    diagonal = boxes((2, 2, 2, 2), (4, 4, 4, 2))
    assert len(detect(diagonal, diagonal, 1.0).lesions) == 1


def test_a_leak_that_swallows_the_lesion_is_a_false_positive():
    truth, leak = boxes((4, 4, 4, 3)), boxes((0, 0, 0, 14))
    found = detect(leak, truth, GRID.voxel_ml)
    assert not found.lesions[0].found
    assert found.candidates[0].verdict is Verdict.FALSE_POSITIVE


def test_two_pieces_of_a_lesion_are_one_hit_and_no_false_positive():
    truth = boxes((2, 2, 2, 8))
    pieces = truth.copy()
    pieces[:, :, 5] = False
    found = detect(pieces, truth, GRID.voxel_ml)
    assert sorted(each.verdict.value for each in found.candidates) == ["fragment", "hit"]
    # Both pieces together make the lesion's Dice.
    assert found.lesions[0].dice == pytest.approx(2 * 448 / (448 + 512))


def test_one_component_over_two_lesions_hits_one():
    truth = boxes((2, 2, 2, 4), (2, 2, 8, 4))
    bridge = truth.copy()
    bridge[2:6, 2:6, 2:12] = True
    found = detect(bridge, truth, GRID.voxel_ml)
    assert sum(lesion.found for lesion in found.lesions) == 1


def test_the_assignment_is_the_best_one_and_not_greedy():
    # The left component overlaps both lesions, the right one only the second lesion.
    truth = boxes((2, 2, 2, 6), (2, 2, 10, 6))
    prediction = np.zeros(SHAPE, dtype=bool)
    prediction[2:8, 2:8, 5:13] = True
    prediction[2:8, 2:8, 14:16] = True
    found = detect(prediction, truth, GRID.voxel_ml)
    assert [lesion.found for lesion in found.lesions] == [True, True]


def test_a_single_voxel_counts():
    one = boxes((5, 5, 5, 1))
    assert verdicts(one, np.zeros(SHAPE, dtype=bool)) == [Verdict.FALSE_POSITIVE]
    found = detect(one, one, GRID.voxel_ml)
    assert found.lesions[0].dice == 1.0
    assert found.lesions[0].found


def test_nothing_at_all():
    empty = np.zeros(SHAPE, dtype=bool)
    found = detect(empty, empty, GRID.voxel_ml, np.zeros(SHAPE, dtype=np.float32))
    assert found.lesions == ()
    assert found.candidates == ()


def test_faint_parts_are_candidates_of_the_curve_but_not_of_the_mask():
    truth = boxes((2, 2, 2, 4), (2, 20, 20, 4))
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[boxes((2, 2, 2, 4))] = 0.9
    probability[boxes((2, 20, 20, 4))] = 0.3
    probability[boxes((10, 4, 20, 3))] = 0.2
    case = measure_case("a", probability > 0.5, truth, GRID, probability=probability)
    assert [lesion.found for lesion in case.lesions] == [True, False]
    assert [lesion.score for lesion in case.lesions] == [pytest.approx(0.9), pytest.approx(0.3)]
    assert case.false_positives == 0
    curve = froc([case])
    assert curve.sensitivity([0.0, 1.0])[0].tolist() == [1.0, 1.0]
    assert summarise([case]).lesion_sensitivity.value == 0.5


def test_what_the_mask_maker_discarded_does_not_come_back():
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[boxes((2, 2, 2, 1))] = 0.95
    assert verdicts(np.zeros(SHAPE, dtype=bool), boxes((2, 2, 2, 4)), probability=probability) == []


def test_a_halo_around_the_mask_is_no_candidate_of_its_own():
    mask = boxes((4, 4, 4, 4))
    probability = np.where(boxes((3, 3, 3, 6)), 0.2, 0.0).astype(np.float32)
    probability[mask] = 0.8
    assert verdicts(mask, mask, probability=probability) == [Verdict.HIT]


def case_of(name, lesions, wrong):
    """A case with lesions found at these confidences (None: missed) and false positives at those."""
    truth, prediction = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    confidences = []
    for index, score in enumerate(lesions):
        truth[1:3, 1:3, 4 * index : 4 * index + 2] = True
        if score is not None:
            prediction[1:3, 1:3, 4 * index : 4 * index + 2] = True
            confidences.append(score)
    for index, score in enumerate(wrong):
        prediction[10:12, 20:22, 4 * index : 4 * index + 2] = True
        confidences.append(score)
    return measure_case(name, prediction, truth, GRID, confidences=tuple(confidences))


def test_froc_by_hand():
    cases = [
        case_of("a", [0.9, 0.4], [0.8, 0.3]),
        case_of("b", [0.6], []),
        case_of("c", [None], [0.5]),
        case_of("d", [], [0.7]),
    ]
    # Falling: .9 hit, .8 wrong, .7 wrong, .6 hit, .5 wrong, .4 hit, .3 wrong; 4 scans, 4 lesions.
    curve = froc(cases)
    rates = [0.0, 0.25, 0.5, 0.74, 0.75, 1.0, 8.0]
    assert curve.sensitivity(rates)[0].tolist() == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75]
    assert curve.found_at(0.5).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_equal_confidences_enter_together():
    cases = [case_of("a", [0.9], [0.9])]
    assert froc(cases).sensitivity([0.5, 1.0])[0].tolist() == [0.0, 1.0]


def test_weights_of_froc_are_repeated_cases():
    cases = [case_of("a", [0.9, 0.4], [0.8]), case_of("b", [0.6], [0.95, 0.2]), case_of("c", [], [])]
    weights = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    expected = [
        froc([cases[0], cases[0], cases[1]]).sensitivity(RATES)[0],
        froc([cases[1], cases[2], cases[2]]).sensitivity(RATES)[0],
    ]
    np.testing.assert_allclose(froc(cases).sensitivity(RATES, weights), expected)


def test_froc_of_healthy_scans_has_a_reason_and_no_number():
    figures = sensitivities([case_of("a", [], [0.5]), case_of("b", [], [])])
    assert all(figure.value is None and figure.reason == "no case has a lesion" for figure in figures)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_sensitivity_never_falls_along_the_curve_and_intervals_hold_the_value(data):
    score = st.one_of(st.none(), st.floats(0.01, 1.0))
    cases = [
        case_of(
            f"c{index}",
            data.draw(st.lists(score, max_size=4)),
            data.draw(st.lists(st.floats(0.01, 1.0), max_size=5)),
        )
        for index in range(data.draw(st.integers(2, 5)))
    ]
    figures = sensitivities(cases)
    ill = sum(bool(case.lesions) for case in cases)
    if ill < 2:
        # Of one scan with lesions there is a share, but no interval.
        assert all(figure.low is None and figure.reason for figure in figures)
        return
    values = [figure.value for figure in figures]
    assert values == sorted(values)
    assert all(0.0 <= figure.low <= figure.value <= figure.high <= 1.0 for figure in figures)


def test_size_strata_at_their_borders():
    assert ball_diameter(4.0 / 3.0 * np.pi * 1.5**3) == pytest.approx(30.0)
    # 2 × 1 × 1 mm voxels: 883 are just below 15 mm, 884 just above.
    sizes = {883: "< 15 mm", 884: "15–30 mm", 7068: "15–30 mm", 7069: "> 30 mm"}
    for count, stratum in sizes.items():
        truth = np.zeros(SHAPE, dtype=bool)
        truth.flat[:count] = True
        by_size = summarise([measure_case("a", truth, truth, GRID)]).to_dict()["by_size"]
        assert [each["size"] for each in by_size if "value" in each] == [stratum]
