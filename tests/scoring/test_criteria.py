"""Criteria with points: arithmetic, the places of their calls, and what several calls add up to."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.catalog.model import Part, TextForm
from medbench.items.model import Key, KeyPoint, Question, RubricCriterion, Turn, Variant
from medbench.models.model import Identity, Response
from medbench.scoring.asked import Asked
from medbench.scoring.criteria import judged_criteria, rubric_score
from medbench.scoring.judging.plan import FIRST_CRITERION, POINTS, SLOTS, JudgePins, judge_calls, repeats_of
from medbench.scoring.judging.verdict import Judgement, PointFound
from medbench.scoring.keypoints import recall
from medbench.scoring.opinions import Panel
from medbench.scoring.rows import score_response
from medbench.scoring.tally import PartTally

CRITERIA = (
    RubricCriterion("asks how long", 5.0, ("axis:context",)),
    RubricCriterion("names the danger", 10.0, ("axis:accuracy",)),
    RubricCriterion("advises the wrong drug", -8.0, ("axis:accuracy", "axis:safety")),
)
PART = Part(TextForm(), ("rubric_points",))
points = st.floats(-10, 10).filter(lambda value: abs(value) > 0.01)


def judged(*met: int) -> Judgement:
    found = tuple(PointFound(index, "hit" if index in met else "miss") for index in range(len(CRITERIA)))
    return judged_criteria(CRITERIA, Judgement("criteria", "judged", points=found))


@pytest.mark.parametrize(
    ("met", "score"),
    [
        ((True, True, False), 1.0),
        ((True, False, False), 5 / 15),
        ((False, True, True), 2 / 15),
        ((False, False, True), -8 / 15),
    ],
)
def test_met_points_over_positive_points(met, score):
    assert rubric_score(CRITERIA, met) == pytest.approx(score)


def test_without_positive_points_there_is_no_score():
    assert rubric_score(CRITERIA[2:], [True]) is None
    assert rubric_score((), ()) is None


@given(st.lists(st.tuples(points, st.booleans()), min_size=1, max_size=12))
def test_the_netted_form_of_key_points_is_the_same_arithmetic(drawn):
    criteria = [RubricCriterion("c", value) for value, _ in drawn]
    met = [each for _, each in drawn]
    key_points = [KeyPoint("c", abs(value), "must" if value > 0 else "must_not") for value, _ in drawn]
    found = [PointFound(index, "hit") for index, each in enumerate(met) if each]
    score = rubric_score(criteria, met)
    netted = recall(key_points, found).netted
    assert score == (None if netted is None else pytest.approx(netted))
    if score is not None:
        assert score <= 1.0 + 1e-9


def test_tags_are_scored_over_their_own_criteria_and_left_out_without_positive_points():
    assert judged(0, 2).by_tag == {"axis:context": 1.0, "axis:accuracy": pytest.approx(-0.8)}
    failed = Judgement("criteria", "judge_failed", reason="not_json")
    assert judged_criteria(CRITERIA, failed) == failed


KEY = Key("D/q", key_points=(KeyPoint("a"), KeyPoint("b")), criteria=CRITERIA)
ASKED = Asked(
    3, Question("q", "D", "What now?"), Part(TextForm(), ("rubric_points", "keypoint_macro_recall")), 0, Variant()
)


@pytest.mark.parametrize("way", ["together", "one_by_one"])
def test_calls_of_criteria_and_key_points_have_places_of_their_own(way):
    pins = JudgePins(Identity("m", "m"), repeats=2, points=way)
    calls = list(judge_calls(ASKED, Response("ok", text="x"), KEY, pins))
    places = [call.seq for call in calls]
    assert places == sorted(set(places))
    assert {place // SLOTS for place in places} == {3}
    criteria = [call for call in calls if call.task == "criteria"]
    assert {call.seq % POINTS - FIRST_CRITERION for call in criteria} == ({0} if way == "together" else {0, 1, 2})
    assert sum(len(call.points) for call in criteria) == 2 * len(CRITERIA)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_one_by_one_adds_up_to_what_one_call_gives(met):
    def read(call):
        prompt = call.prompt()
        shown = [line for line in prompt.text.splitlines() if line[:3] in ("1. ", "2. ", "3. ")]
        texts = [each.text for each in CRITERIA]
        entries = [{"criterion": place, "met": met[texts.index(line[3:])]} for place, line in enumerate(shown, start=1)]
        return prompt.contract.read(json.dumps({"criteria": entries}), prompt.answer)

    values = []
    for way in ("together", "one_by_one"):
        pins = JudgePins(Identity("m", "m"), points=way)
        calls = [call for call in judge_calls(ASKED, Response("ok", text="x"), KEY, pins) if call.task == "criteria"]
        (whole,) = repeats_of([(call.seq, read(call)) for call in calls], KEY, pins)["criteria"]
        values.append((whole.value, whole.by_tag))
    assert values[0] == values[1]
    assert values[0][0] == pytest.approx(rubric_score(CRITERIA, met))


def test_a_criterion_without_a_verdict_fails_the_whole_answer():
    pins = JudgePins(Identity("m", "m"), points="one_by_one")
    said = [(call.seq, judged(0)) for call in judge_calls(ASKED, Response("ok", text="x"), KEY, pins)][:-1]
    said = [(seq, each) for seq, each in said if seq % POINTS >= FIRST_CRITERION]
    (whole,) = repeats_of(said, KEY, pins)["criteria"]
    assert (whole.status, whole.reason, whole.value) == ("judge_failed", "incomplete", None)


def scored(number: int, met: tuple[int, ...], tags: list[str]):
    question = Question(f"q{number}", "D", "What now?", meta={"tags": tags})
    pins = JudgePins(Identity("m", "m"))
    asked = Asked(number, question, PART, 0, Variant())
    key, response = Key(question.uid, criteria=CRITERIA), Response("ok", text="x")
    (call,) = (each for each in judge_calls(asked, response, key, pins) if each.task == "criteria")
    panel = Panel([pins], {pins.id: [(call.seq, call.hash(pins), judged(*met))]})
    return score_response(asked, response, key, panel), key


def test_only_the_mean_is_clipped_and_tags_break_it_down():
    tally = PartTally(PART)
    rows = [scored(0, (2,), ["theme:a"]), scored(1, (0,), ["theme:a", "theme:b"]), scored(2, (0, 1), [])]
    for row, key in rows:
        tally.add_item([row], key)
    assert [row.value for row, _ in rows] == pytest.approx([-8 / 15, 5 / 15, 1.0])
    figures = tally.figures()
    (judged_figures,) = figures.judged
    assert judged_figures.estimate.value == pytest.approx(np.mean([-8 / 15, 5 / 15, 1.0]))
    assert figures.combined == judged_figures.estimate
    assert 0.0 <= figures.combined.low <= figures.combined.value <= figures.combined.high <= 1.0
    by_tag = judged_figures.by_tag
    assert by_tag["theme:a"].value == 0.0, "the mean of -8/15 and 5/15 is clipped"
    assert (by_tag["theme:b"].value, by_tag["theme:b"].n) == (pytest.approx(5 / 15), 1)
    assert by_tag["axis:accuracy"].value == pytest.approx(max(0.0, (-0.8 + 0.0 + 1.0) / 3))
    assert "axis:safety" not in by_tag


def test_a_conversation_is_shown_to_the_judge_with_its_speakers():
    turns = (Turn("user", "My child is hot."), Turn("assistant", "How old?"))
    asked = Asked(0, Question("q", "D", "Two months.", language="en", turns=turns), PART, 0, Variant())
    assert asked.shown_question == "[user] My child is hot.\n\n[assistant] How old?\n\n[user] Two months."
    (call,) = judge_calls(asked, Response("ok", text="x"), Key("D/q", criteria=CRITERIA), JudgePins(Identity("m", "m")))
    assert asked.shown_question in call.prompt().text
