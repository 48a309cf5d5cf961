"""Readings of an anchor set through the engine: history, resumption, what is compared with what."""

from __future__ import annotations

import json
import re

import pytest

from medbench.errors import InputError, WorkError
from medbench.items.model import Key, KeyPoint, Question
from medbench.models.model import CallError
from medbench.runs.drift import HISTORY_FILE, RESULT_FILE, read_again
from medbench.scoring.judging.anchors import Anchor, floor_anchors, write_anchors
from support.judges import ScriptedJudge

METRICS = ("keypoint_macro_recall", "llm_judge")
COUNT = 60


@pytest.fixture
def frozen(tmp_path):
    path = tmp_path / "anchors.jsonl"
    answers = [
        Anchor(
            Question(f"q{place}", "MedMC", f"Synthetic question {place}?", language="en"),
            f"Take tablet {place} with food.",
            METRICS,
            "general" if place % 2 else "care_plan",
            Key(f"MedMC/q{place}", "With food.", (KeyPoint("with food"), KeyPoint("no driving"))),
            people=(0.7,) if place < 10 else (),
        )
        for place in range(COUNT)
    ]
    write_anchors(path, [*answers, *floor_anchors()], run="run", seed=0)
    return path


def judge(level: int, *, repeats: int = 2, fails=lambda prompt: False) -> ScriptedJudge:
    """Knows an answer by its words; gives the level, or 0."""

    def reply(prompt: str):
        if fails(prompt):
            return CallError("submitter", "http_401")
        answered = re.search(r"Take tablet (\d+) with food", prompt)
        if '"overall"' in prompt:
            return json.dumps({"reason": "mine", "overall": level - int(answered[1]) % 3 if answered else 0})
        count = len(re.findall(r"^\d\. ", prompt.split("<answer-")[0], re.MULTILINE))
        entry = {"found": "hit", "span": "with food"} if answered else {"found": "miss", "span": ""}
        return json.dumps({"points": [{"point": place, **entry} for place in range(1, count + 1)]})

    return ScriptedJudge(reply, repeats=repeats)


def again(frozen, judge, out, name, **more):
    return read_again(frozen, judge, out, name=name, watch=None, **more)


def history(out):
    return [json.loads(line) for line in (out / HISTORY_FILE).read_text().splitlines()]


def test_the_first_reading_is_noted_and_the_second_compared_with_it(tmp_path, frozen):
    out = tmp_path / "out"
    first = again(frozen, judge(7), out, "one")
    assert (first.verdict, first.reason, first.comparison) == ("unknown", "first_reading", None)
    assert first.now.floor["rubric"].held
    assert first.now.floor["key_points"].held
    assert first.now.noise["rubric"].sd == 0.0
    assert first.now.people.n == 10
    same = again(frozen, judge(7), out, "two")
    assert (same.verdict, same.then.name) == ("no_drift_shown", "one")
    changed = again(frozen, judge(9), out, "three")
    assert (changed.verdict, changed.then.name) == ("drift", "one")
    groups = {(group.task, group.family): group for group in changed.comparison.groups}
    assert groups["rubric", "all"].shift.value == pytest.approx(2.0)
    assert groups["rubric", "care_plan"].n == groups["rubric", "general"].n == COUNT // 2
    assert groups["key_points", "all"].verdict == "no_drift_shown"
    assert groups["rubric", "floor"].signs == ()
    assert changed.now.people.bias.value == pytest.approx(changed.then.people.bias.value + 2.0)
    later = again(frozen, judge(9), out, "four", against="three")
    assert (later.verdict, later.then.name) == ("no_drift_shown", "three")
    assert [line["name"] for line in history(out)] == ["one", "two", "three", "four"]
    assert json.loads((out / RESULT_FILE).read_text())["verdict"] == "no_drift_shown"


def test_an_interrupted_reading_goes_on_and_stands_in_no_history_before_it_is_whole(tmp_path, frozen):
    out = tmp_path / "out"
    asked = 0

    def fails(_prompt):
        nonlocal asked
        asked += 1
        return asked > 20

    with pytest.raises(WorkError, match="http_401"):
        again(frozen, judge(7, fails=fails), out, "one")
    assert not (out / HISTORY_FILE).exists()
    second = judge(7)
    whole = again(frozen, second, out, "one")
    calls = 2 * 2 * whole.answers
    assert 0 < calls - second.model.asked <= 20, "what was judged is not judged again"
    assert whole.now.failures == {}
    assert again(frozen, third := judge(7), out, "one").now == whole.now
    assert third.model.asked == 0
    assert len(history(out)) == 1


def test_a_reading_given_again_keeps_its_place_as_the_first(tmp_path, frozen):
    out = tmp_path / "out"
    poor = ScriptedJudge(lambda prompt: "nonsense" if "tablet 3 " in prompt else judge(7).model.reply(prompt))
    assert again(frozen, poor, out, "one").now.failures == {"not_json": 2}
    again(frozen, judge(7, repeats=1), out, "two")
    assert again(frozen, judge(7, repeats=1), out, "one").then is None, "what came later is no earlier reading"
    lines = history(out)
    assert [line["name"] for line in lines] == ["one", "two"]
    assert lines[0]["failures"] == {}


def test_another_judge_is_compared_when_it_is_named(tmp_path, frozen):
    out = tmp_path / "out"
    first = again(frozen, judge(7), out, "one")
    other = again(frozen, judge(7, repeats=3), out, "one")
    assert (other.reason, other.others) == ("first_reading", (f"{first.now.judge_id}/one",))
    named = again(frozen, judge(7, repeats=3), out, "two", against=other.others[0])
    assert named.comparison.changed == ("repeats",)
    assert named.verdict == "no_drift_shown"


@pytest.mark.parametrize(
    ("more", "message"),
    [({"name": "../x"}, "can't be the name"), ({"name": "two", "against": "nine"}, "no earlier reading nine")],
)
def test_wrong_names_are_refused_before_anything_is_asked(tmp_path, frozen, more, message):
    asked = judge(7)
    with pytest.raises(InputError, match=message):
        read_again(frozen, asked, tmp_path / "out", watch=None, **more)
    assert asked.model.asked == 0
    assert not (tmp_path / "out").exists()
