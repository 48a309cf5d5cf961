from __future__ import annotations

import pytest

from medbench.catalog.model import Part, TextForm
from medbench.items.model import Key, KeyPoint, Question, Variant
from medbench.models.model import Identity, Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.plan import JudgePins, judge_calls
from medbench.scoring.judging.verdict import Judgement, PointFound
from medbench.scoring.opinions import Panel
from medbench.scoring.rows import score_response

PART = Part(TextForm(what="text"), metrics=("keypoint_macro_recall", "llm_judge"))
ASKED = Asked(0, Question("D/q0", "D", "What now?"), PART, 0, Variant())
ANSWER = Response("ok", text="Rest and drink.")
KEY = Key("D/q0", answer="Rest.", key_points=(KeyPoint("rest"), KeyPoint("drink")))
ONE, TWO = (JudgePins(Identity(name, name), points="one_by_one") for name in ("one", "two"))


def said(pins: JudgePins, key: Key, value: float | None):
    """What a judge says of everything that it is asked with a key; None: it fails."""
    for call in judge_calls(ASKED, ANSWER, key, pins):
        points = () if call.task == "rubric" else (PointFound(call.points[0], "hit"),)
        judgement = Judgement(call.task, "judged", value=value, points=points)
        if value is None:
            judgement = Judgement(call.task, "judge_failed", reason="not_json")
        yield call.seq, call.hash(pins), judgement


@pytest.mark.parametrize(
    "mended",
    [
        Key("D/q0", answer="Rest.", key_points=(KeyPoint("rest"), KeyPoint("no alcohol"))),
        Key("D/q0", answer="Rest.", key_points=(KeyPoint("rest"),)),
        Key("D/q0", answer="Rest and drink.", key_points=KEY.key_points),
    ],
)
def test_what_was_said_by_another_key_does_not_count(mended):
    panel = Panel([ONE], {ONE.id: said(ONE, KEY, 0.5)})
    row = score_response(ASKED, ANSWER, mended, panel)
    assert (row.status, row.value) == ("awaiting_judge", None)
    assert (panel.outdated, panel.awaited) == (1, {ONE.id: 1})
    same = Panel([ONE], {ONE.id: said(ONE, KEY, 0.5)})
    assert score_response(ASKED, ANSWER, KEY, same).value == 0.75
    assert (same.outdated, same.awaited) == (0, {})


def test_an_answer_that_one_of_two_judges_has_judged_awaits_the_other():
    panel = Panel([ONE, TWO], {ONE.id: said(ONE, KEY, 0.5)})
    assert score_response(ASKED, ANSWER, KEY, panel).status == "awaiting_judge"
    assert panel.awaited == {TWO.id: 1}


def test_a_judge_that_is_left_out_is_not_waited_for_and_one_that_failed_is_no_zero():
    left_out = Panel([ONE, TWO], {ONE.id: said(ONE, KEY, 0.5), TWO.id: said(TWO, KEY, None)}, left_out={TWO.id})
    row = score_response(ASKED, ANSWER, KEY, left_out)
    assert (row.status, row.value, row.reason) == ("scored", 0.75, "")
    assert [each.by_judge for each in row.judged] == [(1.0, None), (0.5, None)]
    failed = Panel([ONE, TWO], {ONE.id: said(ONE, KEY, 0.5), TWO.id: said(TWO, KEY, None)})
    row = score_response(ASKED, ANSWER, KEY, failed)
    assert (row.status, row.value, row.reason) == ("judge_failed", None, "not_json")


def test_an_answer_that_was_judged_in_part_awaits_the_rest():
    first, *_ = said(ONE, KEY, 0.5)
    points = [each for each in said(ONE, KEY, 0.5) if each[2].task == "key_points"]
    rubric = [each for each in said(ONE, KEY, 0.5) if each[2].task == "rubric"]
    for some in ([first], rubric + points[:1]):
        panel = Panel([ONE], {ONE.id: sorted(some, key=lambda each: each[0])})
        assert score_response(ASKED, ANSWER, KEY, panel).status == "awaiting_judge"
        assert panel.awaited == {ONE.id: 1}
