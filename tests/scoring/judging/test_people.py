"""What people would say of a dataset, from a sheet that was drawn by thirds of the judge's values."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.scoring.judging.people import FEWEST_RATED, RatedDataset, _merged
from medbench.scoring.judging.sheet import Drawn, draw, strata_of
from medbench.stats import clustered_mean


def answer(number: int, value: float, dataset: str = "d") -> Drawn:
    return Drawn(f"{dataset}/q{number}", f"run/{number}", dataset, "general", "en", "?", "", "text", value)


def fill(human, judge, rated, part="", families=None) -> RatedDataset:
    dataset = RatedDataset()
    for number, (theirs, value, has) in enumerate(zip(human, judge, rated, strict=True)):
        family = f"d/q{number}" if families is None else families[number]
        dataset.add(part, family, f"run/{number}", value, theirs if has else None, value / 2)
    return dataset


values = st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]), min_size=1, max_size=60)


@given(values, st.integers(1, 80), st.integers(0, 5))
def test_a_sheet_is_drawn_alike_often_from_each_third(given_values, size, seed):
    answers = [answer(number, value) for number, value in enumerate(given_values)]
    place = dict(
        zip(
            (each.code for each in answers),
            strata_of(given_values, [int(each.code, 16) for each in answers]).tolist(),
            strict=True,
        )
    )
    sizes = Counter(place.values())
    assert max(sizes.values()) - min([sizes[part] for part in range(3)]) <= 1
    for low, high in ((0, 1), (1, 2)):
        below = [each.value for each in answers if place[each.code] == low]
        above = [each.value for each in answers if place[each.code] == high]
        assert not below or not above or max(below) <= min(above)
    drawn = draw(answers, size, seed)
    assert len({each.code for each in drawn}) == len(drawn) == min(size, len(answers))
    counts = Counter(place[each.code] for each in drawn)
    assert all(counts[part] >= min(sizes[part], size // 3) for part in range(3))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 9)), min_size=1, max_size=40),
)
def test_strata_are_put_together_until_each_has_two_rated_families(rows):
    strata, rated, families = (np.array(column) for column in zip(*rows, strict=True))
    merged = _merged(strata, rated, families)
    parts = [set(families[rated & (merged == part)]) for part in range(merged.max() + 1)]
    assert len(parts) == 1 or all(len(part) >= 2 for part in parts)
    # What was in one stratum still is, and their order is kept.
    assert (np.diff(merged[np.argsort(strata, kind="stable")]) >= 0).all()
    assert all(np.unique(merged[strata == part]).size == 1 for part in np.unique(strata))


def world(generator, size):
    """People's and a kind judge's values of answers, on levels of a tenth; people's mean is .6."""
    merit = generator.beta(3.0, 2.0, size)
    human = np.clip(np.round(10 * merit + generator.normal(0, 1, size)), 0, 10) / 10
    judge = np.clip(np.round(10 * (0.3 + 0.7 * merit) + generator.normal(0, 1, size)), 0, 10) / 10
    return human, judge


@pytest.mark.parametrize("size", [FEWEST_RATED + 1, 30])
def test_intervals_of_a_sheet_cover_whatever_rows_are_left_empty(size):
    generator = np.random.default_rng(1)
    truth = world(generator, 1_000_000)[0].mean()
    inside, errors, narrower = [], [], []
    for seed in range(700):
        human, judge = world(generator, 150)
        drawn = {each.item for each in draw([answer(n, value) for n, value in enumerate(judge)], size, seed)}
        rated = [f"d/q{n}" in drawn and generator.random() > 0.05 for n in range(150)]
        found = fill(human, judge, rated).estimate("", 1, 0)
        if found.reason:
            continue  # too many rows were left empty
        inside.append(found.estimate.low <= truth <= found.estimate.high)
        errors.append([found.estimate.value - truth, found.judge.value - truth])
        narrower.append(found.estimate.high - found.estimate.low < found.labels.high - found.labels.low)
    assert len(inside) > 600
    # The simulation's own standard error is .009.
    assert 0.925 <= np.mean(inside) <= 0.975, np.mean(inside)
    powered, judged = np.mean(errors, axis=0)
    assert abs(powered) < 0.006
    assert judged > 0.1
    assert np.mean(narrower) > 0.5


def test_a_third_that_was_rated_more_often_counts_no_more():
    human, judge = np.repeat([0.2, 0.5, 0.8], 40), np.repeat([0.3, 0.6, 0.9], 40)
    rated = np.zeros(120, dtype=bool)
    rated[:20] = rated[40:44] = rated[80:84] = True
    found = fill(human, judge, rated).estimate("", 1, 0)
    assert [each.rated for each in found.strata] == [20, 4, 4]
    assert found.labels.value == pytest.approx(0.5)
    assert found.estimate.value == pytest.approx(0.5)
    assert human[rated].mean() < 0.35


def test_few_ratings_give_their_reason_and_a_census_needs_no_judge():
    human, judge = world(np.random.default_rng(2), 12)
    few = fill(human, judge, np.arange(12) < FEWEST_RATED - 1).estimate("", 2, 3)
    assert (few.n, few.judged, few.raters, few.left_out, few.reason) == (9, 3, 2, 3, "too_few_rated")
    assert few.estimate is few.labels is few.judge is None
    everybody = fill(human, judge, np.ones(12, dtype=bool)).estimate("", 1, 0)
    alone = clustered_mean(human, np.arange(12))
    assert (everybody.estimate.value, everybody.estimate.low) == pytest.approx((alone.value, alone.low))
    assert (everybody.judged, everybody.weight) == (0, 0.0)
    assert everybody.calibrated.value == pytest.approx(judge.mean() / 2)
    assert fill(human, judge, np.zeros(12, dtype=bool)).estimate("", 0, 0) is None
    assert RatedDataset().estimate("", 0, 0) is None
    assert RatedDataset().estimate("", 1, 2).reason == "too_few_rated"


def test_parts_are_estimated_apart_within_the_thirds_of_their_dataset():
    generator = np.random.default_rng(3)
    human, judge = world(generator, 200)
    dataset = RatedDataset()
    for number in range(200):
        rated = human[number] if number % 3 == 0 else None
        dataset.add("AB"[number % 2], f"d/q{number}", f"run/{number}", judge[number], rated)
    for part, rows in (("A", np.arange(0, 200, 2)), ("B", np.arange(1, 200, 2))):
        found = dataset.estimate(part, 1, 0)
        assert found.n == sum(row % 3 == 0 for row in rows)
        assert found.judge.value == pytest.approx(judge[rows].mean())
        assert found.estimate.low < human[rows].mean() < found.estimate.high


@pytest.mark.parametrize(("criterion", "levels"), [("Correctness", 3), ("Accuracy", 5)])
def test_sixty_ratings_from_a_sheet_and_a_recorded_judge_beat_either_alone(shared, criterion, levels):
    path = shared / "data" / "human_ratings" / "llmeval2_medicine" / "Medicine.jsonl"
    rows = [row for line in path.read_text("utf-8").splitlines() if criterion in (row := json.loads(line))["human"]]
    human, judge = (
        np.array([(row[who][criterion] - 1) / (levels - 1) for row in rows]) for who in ("human", "gpt4")
    )  # fmt: skip
    answers = [answer(number, value) for number, value in enumerate(judge)]
    errors, widths, inside = [], [], []
    for seed in range(200):
        drawn = {each.item for each in draw(answers, 60, seed)}
        found = fill(human, judge, [each.item in drawn for each in answers]).estimate("", 1, 0)
        truth = human.mean()
        errors.append([abs(each.value - truth) for each in (found.estimate, found.judge)])
        widths.append([each.high - each.low for each in (found.estimate, found.labels)])
        inside.append(found.estimate.low <= truth <= found.estimate.high)
    powered, judged = np.mean(errors, axis=0)
    assert powered < 0.5 * judged
    assert np.mean(widths, axis=0)[0] < np.mean(widths, axis=0)[1]
    assert np.mean(inside) >= 0.93
