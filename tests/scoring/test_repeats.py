"""Items asked in several epochs: the figures against the closed formulas, and against the truth by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.board.pairing import Outcomes
from medbench.catalog.model import ChoiceForm, FieldsForm, LabelForm, Part
from medbench.items.model import Key, Question, Variant
from medbench.scoring.asked import Asked
from medbench.scoring.model import Extraction, Marking
from medbench.scoring.rows import JudgedMetric, ScoreRow
from medbench.scoring.tally import PartFigures, PartTally
from medbench.stats import clustered_mean, micro_f1, pass_all_k, pass_at_k

CIRCULAR = Part(ChoiceForm(), ("accuracy_circular",))
SINGLE = Part(ChoiceForm(), ("accuracy",))
FIELDS = Part(FieldsForm(), ("accuracy_field",))
LABELS = Part(LabelForm(("a", "b"), multiple=True), ("micro_f1",))
OPTIONS = ("a", "b", "c")
ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


def asked(part: Part, item: int, variant: int, orders: int) -> Asked:
    question = Question(f"q{item}", "D", "?", options=OPTIONS, family=f"f{item // 2}")
    return Asked(0, question, part, variant, Variant(order=ORDERS[variant % orders]), variant // orders)


def row(call: Asked, value: float | None, counts: tuple[int, int, int] = (0, 0, 0)) -> ScoreRow:
    extraction, marking = Extraction(frozenset({call.form.order.index(0)})), Marking(value, *counts)
    return ScoreRow(call, "scored", value, "", extraction, marking, "scored")


def figures(part: Part, values: np.ndarray) -> PartFigures:
    """Of values of the shape (items, epochs, orders)."""
    items, epochs, orders = values.shape
    tally = PartTally(part, epochs)
    for item in range(items):
        several = values[item].reshape(-1).tolist()
        rows = [row(asked(part, item, variant, orders), value) for variant, value in enumerate(several)]
        tally.add_item(rows, Key(f"D/q{item}", ["A"]), [str(value) for value in several])
    return tally.figures()


def paired(part: Part, values: np.ndarray) -> Outcomes:
    """The same as `medbench compare` reads it."""
    outcomes = Outcomes(part.metrics[0], values.shape[1])
    for item, several in enumerate(values):
        outcomes.add(f"D/q{item}", [(f"f{item // 2}", value, 0, 0) for value in several.reshape(-1).tolist()])
    return outcomes


@st.composite
def right_or_wrong(draw) -> np.ndarray:
    shape = draw(st.integers(1, 6)), draw(st.integers(2, 5)), draw(st.integers(1, 3))
    size = math.prod(shape)
    bits = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size))
    return np.array(bits).reshape(shape)


def same(estimate, expected) -> None:
    """But for rounding."""
    assert estimate.n == expected.n
    for name in ("value", "low", "high", "standard_error"):
        assert getattr(estimate, name) == pytest.approx(getattr(expected, name), abs=1e-12)


@settings(deadline=None)
@given(right_or_wrong())
def test_right_or_wrong_gives_the_published_figures(values):
    items, epochs, orders = values.shape
    families = [f"f{item // 2}" for item in range(items)]
    attempts = values.min(axis=2)
    right = attempts.sum(axis=1)
    found = figures(CIRCULAR, values)
    same(found.estimate, clustered_mean(right / epochs, families))
    assert found.repeats is not None
    same(found.repeats.pass_at_k, pass_at_k(right, epochs, epochs, families))
    same(found.repeats.pass_all_k, pass_all_k(right, epochs, epochs, families))
    assert found.repeats.pass_all_k.value <= found.estimate.value <= found.repeats.pass_at_k.value + 1e-12
    assert (found.repeats.answered, found.planned) == (items, values.size)
    assert found.repeats.identical == sum((item == item[0]).all() for item in values)
    # The comparison of two runs reads the same outcomes out of the table of scores.
    outcomes = paired(CIRCULAR, values)
    assert list(outcomes.values) == pytest.approx((right / epochs).tolist())
    assert list(outcomes.best) == (right > 0).tolist()
    assert list(outcomes.worst) == (right == epochs).tolist()
    if orders > 1:
        assert found.circular is not None
        assert found.circular.acc_origin == pytest.approx(values[:, :, 0].mean())
        assert found.circular.acc_mean == pytest.approx(values.mean())
        for least in range(1, orders + 1):
            share = (values.sum(axis=2) >= least).mean()
            assert found.circular.more_m.get(str(least), 0.0) == pytest.approx(share)
    else:
        assert found.circular is None


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(2, 5), st.integers(0, 2**32))
def test_graded_outcomes_give_the_best_and_the_worst(items, epochs, seed):
    values = np.random.default_rng(seed).random((items, epochs, 1))
    families = [f"f{item // 2}" for item in range(items)]
    found = figures(FIELDS, values)
    same(found.estimate, clustered_mean(values.mean(axis=(1, 2)), families))
    assert found.repeats is not None
    same(found.repeats.pass_at_k, clustered_mean(values.max(axis=(1, 2)), families))
    same(found.repeats.pass_all_k, clustered_mean(values.min(axis=(1, 2)), families))
    outcomes = paired(FIELDS, values)
    assert list(outcomes.worst) == values.min(axis=(1, 2)).tolist()


def test_one_epoch_has_no_such_figures():
    found = figures(SINGLE, np.ones((4, 1, 1)))
    assert found.repeats is None
    assert not paired(SINGLE, np.ones((4, 1, 1))).best


@pytest.mark.parametrize("missing", ["answer", "judge"])
def test_an_item_that_lacks_an_epoch_has_no_outcome_and_no_zero(missing):
    part = Part(FieldsForm(), ("accuracy_field", "llm_judge")) if missing == "judge" else SINGLE
    tally = PartTally(part, 2)
    for item in range(6):
        rows: list[ScoreRow | None] = [row(asked(part, item, variant, 1), 1.0) for variant in (0, 1)]
        if part.judged_metrics:
            judged = (JudgedMetric("llm_judge", "scored", 1.0),)
            rows = [ScoreRow(r.asked, "scored", 1.0, "", r.extraction, r.marking, "scored", judged) for r in rows if r]
        if item == 0 and missing == "judge":
            call = asked(part, item, 1, 1)
            lost = (JudgedMetric("llm_judge", "judge_failed", None),)
            rows[1] = ScoreRow(call, "judge_failed", None, "", Extraction(None), Marking(1.0), "scored", lost)
        elif item == 0:
            rows[1] = None
        tally.add_item(rows, Key(f"D/q{item}", ["A"]), None if None in rows else ["x", "x"])
    found = tally.figures()
    assert found.repeats is not None
    assert (found.repeats.pass_all_k.value, found.repeats.pass_all_k.n) == (1.0, 5)
    estimate = found.combined if part.judged_metrics else found.estimate
    assert (estimate.value, estimate.n) == (1.0, 5)
    assert found.counted == 11


def test_micro_f1_pools_the_epochs_and_has_no_outcome_per_item():
    # The first item has no labels; one epoch says so, which is no value, and the other invents one.
    counts = [[(0, 0, 0), (0, 1, 0)], [(1, 0, 1), (2, 0, 0)], [(1, 1, 0), (0, 0, 1)]]
    tally = PartTally(LABELS, 2)
    for item, several in enumerate(counts):
        rows = []
        for variant, (hits, false, missed) in enumerate(several):
            value = 2 * hits / (2 * hits + false + missed) if hits + false + missed else None
            rows.append(row(asked(LABELS, item, variant, 1), value, (hits, false, missed)))
        tally.add_item(rows, None, ["x", "y"])
    found = tally.figures()
    sums = np.array(counts).sum(axis=1)
    same(found.estimate, micro_f1(*sums.T, ["f0", "f0", "f1"]))
    assert found.repeats is not None
    assert (found.repeats.pass_at_k, found.repeats.pass_all_k, found.repeats.answered) == (None, None, 3)


def test_by_simulation_the_figures_hit_the_truth_and_their_intervals_hold_it():
    """Items whose chance of a right answer is beta(2, 1.5): E p = 4/7, E p^3 and 1 − E (1−p)^3 by its moments."""
    generator = np.random.default_rng(5)
    epochs, items, runs = 3, 60, 600
    questions = [Question(f"q{item}", "D", "?", options=OPTIONS) for item in range(items)]  # each its own family
    calls = [[Asked(0, each, SINGLE, n, Variant(order=ORDERS[0]), n) for n in range(epochs)] for each in questions]
    up = [np.prod([(2 + i) / (3.5 + i) for i in range(n)]) for n in range(epochs + 1)]
    down = np.prod([(1.5 + i) / (3.5 + i) for i in range(epochs)])
    truth = {"estimate": up[1], "pass_at_k": 1 - down, "pass_all_k": up[3]}
    means = {name: [] for name in truth}
    inside = dict.fromkeys(truth, 0)
    for _ in range(runs):
        chances = generator.beta(2, 1.5, items)
        tally = PartTally(SINGLE, epochs)
        for item, drawn in enumerate(generator.random((items, epochs)) < chances[:, None]):
            rows = [row(calls[item][variant], float(value)) for variant, value in enumerate(drawn)]
            tally.add_item(rows, None, ["x"] * epochs)
        found = tally.figures()
        assert found.repeats is not None
        for name in truth:
            estimate = found.estimate if name == "estimate" else getattr(found.repeats, name)
            means[name].append(estimate.value)
            inside[name] += estimate.low <= truth[name] <= estimate.high
    for name, value in truth.items():
        # Six standard errors of the mean of all runs.
        assert np.mean(means[name]) == pytest.approx(value, abs=6 * np.std(means[name]) / runs**0.5)
        assert 0.925 <= inside[name] / runs <= 0.98, (name, inside[name] / runs)
