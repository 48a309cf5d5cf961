"""Two readings of one anchor set: what is called drift and what is not."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.errors import InputError
from medbench.items.model import Key, Question
from medbench.models.model import Identity
from medbench.scoring.judging.anchors import Anchor, floor_anchors, read_anchors, write_anchors
from medbench.scoring.judging.drift import Reading, compare_readings, floor_of, noise_of, with_people
from medbench.scoring.judging.plan import JudgePins

PINS = JudgePins(Identity("scripted:judge", "judge"), 2)


def anchors(count: int, *, families: int = 1, per_item: int = 1, floor: bool = False) -> list[Anchor]:
    return [
        Anchor(
            Question(f"q{place // per_item}", "MedMC", "?"), "a", ("llm_judge",), f"r{place % families}", floor=floor
        )
        for place in range(count)
    ]


def reading(values, *, name: str = "a", pins: JudgePins = PINS, rubrics=None) -> Reading:
    rubric = tuple(tuple(each) for each in values)
    nothing = tuple(() for _ in rubric)
    known = {"rubric": rubric, "key_points": nothing}
    return Reading(name, "2026-01-01T00:00:00+00:00", "hash", pins.id, pins, rubrics or {}, {}, known)


def compared(then, now, *, families: int = 1, per_item: int = 1):
    them = anchors(len(then), families=families, per_item=per_item)
    return compare_readings(them, reading(then), reading(now, name="b"))


def noisy(rng, means, sd: float, repeats: int):
    """Whole levels of a judge whose repeats scatter."""
    levels = np.rint(10 * np.asarray(means)[:, None] + rng.normal(0, sd, (len(means), repeats)))
    return (np.clip(levels, 0, 10) / 10).tolist()


class TestCompare:
    def test_a_reading_compared_with_itself_shows_no_drift(self):
        values = noisy(np.random.default_rng(0), np.linspace(0.2, 0.9, 40), 1.0, 2)
        found = compared(values, values)
        (group,) = found.groups
        assert (found.verdict, group.signs) == ("no_drift_shown", ())
        assert (group.shift.value, group.unchanged.value, group.quadratic_kappa.value) == (0.0, 1.0, 1.0)
        assert group.shift.low < 0.0 < group.shift.high, "what was not drawn may have changed"

    def test_a_shift_of_one_level_is_told_in_levels(self):
        means = np.linspace(0.2, 0.8, 40)
        found = compared([[each, each] for each in means], [[each + 0.1, each + 0.1] for each in means])
        (group,) = found.groups
        assert found.verdict == "drift"
        assert "level" in group.signs
        assert group.shift.value == pytest.approx(1.0)
        assert group.moved.value is None
        assert "all alike" in group.moved.reason
        assert group.now - group.then == pytest.approx(1.0, abs=1e-3)
        assert group.unchanged.value == 0.0

    def test_answers_that_move_both_ways_are_found_though_the_mean_stays(self):
        rng = np.random.default_rng(1)
        means = rng.uniform(0.3, 0.7, 60)
        signs = np.where(np.arange(60) % 2, 0.2, -0.2)
        found = compared(noisy(rng, means, 0.5, 3), noisy(rng, means + signs, 0.5, 3))
        (group,) = found.groups
        assert (found.verdict, group.signs) == ("drift", ("answers",))
        assert group.moved.value == pytest.approx(2.0, abs=0.4)
        assert group.shift.low < 0.0 < group.shift.high

    def test_without_repeats_such_a_change_can_not_be_told_from_noise(self):
        means = np.linspace(0.3, 0.7, 60)
        signs = np.where(np.arange(60) % 2, 0.2, -0.2)
        found = compared([[each] for each in means], [[each] for each in means + signs])
        (group,) = found.groups
        assert found.verdict == "no_drift_shown"
        assert group.moved.value is None
        assert "two repeats" in group.moved.reason

    def test_a_judge_that_begins_to_fail_has_drifted(self):
        before = [[0.5, 0.5]] * 40
        after = [[None, 0.5] if place % 3 else [None, None] for place in range(40)]
        (group,) = compared(before, after).groups
        assert group.pairs == 0, "one of two repeats is no majority"
        assert group.signs == ("failures",)
        assert group.failed.value == 1.0

    def test_one_item_gives_no_interval_and_no_verdict(self):
        found = compared([[0.1, 0.1]] * 6, [[0.9, 0.9]] * 6, per_item=6)
        assert (found.verdict, found.reason) == ("unknown", "few_items")
        (group,) = found.groups
        assert group.now - group.then == pytest.approx(8.0)
        assert group.shift.value is None
        assert "single cluster" in group.shift.reason

    def test_answers_too_few_to_show_a_shift_of_two_levels_are_unknown(self):
        few = compared([[0.5]] * 20, [[0.5]] * 20)
        assert (few.verdict, few.reason) == ("unknown", "few_items")
        assert few.groups[0].shift.high > 2.0
        assert compared([[0.5]] * 40, [[0.5]] * 40).verdict == "no_drift_shown"

    def test_a_judge_that_always_fails_is_unknown(self):
        found = compared([[None, None]] * 9, [[None, None]] * 9)
        assert (found.verdict, found.reason, found.groups[0].then) == ("unknown", "few_judged", None)

    def test_a_family_that_drifts_is_named(self):
        means = np.tile([0.5, 0.6], 30)
        after = means + np.where(np.arange(60) % 3 == 1, 0.2, 0.0)
        found = compared([[each] for each in means], [[each] for each in after], families=3)
        verdicts = {group.family: group.verdict for group in found.groups}
        assert verdicts == {"all": "drift", "r0": "unknown", "r1": "drift", "r2": "unknown"}
        assert {group.reason for group in found.groups if group.verdict == "unknown"} == {"few_items"}

    def test_the_floor_stands_apart_from_the_answers(self):
        them = [*anchors(40), *anchors(10, floor=True)]
        then = reading([[0.5]] * 40 + [[0.0]] * 10)
        now = reading([[0.5]] * 40 + [[0.8]] * 10, name="b")
        found = compare_readings(them, then, now)
        assert {group.family: group.verdict for group in found.groups} == {"all": "no_drift_shown", "floor": "drift"}
        assert found.verdict == "drift"
        assert (floor_of(them, then, "rubric").held, floor_of(them, now, "rubric").above) == (True, 10)
        assert floor_of(them, now, "key_points").held is None

    def test_what_is_known_to_differ_is_told(self):
        other = JudgePins(Identity("scripted:judge", "judge", revision="2"), 3)
        found = compare_readings(
            anchors(3), reading([[0.5]] * 3), reading([[0.5]] * 3, pins=other, rubrics={"general": "x"})
        )
        assert found.changed == ("model", "repeats", "rubrics")

    @given(st.lists(st.lists(st.sampled_from([None, 0.0, 0.3, 1.0]), max_size=3), min_size=1, max_size=8), st.data())
    def test_any_reading_gets_a_verdict_with_its_reason(self, then, data):
        now = [
            data.draw(st.lists(st.sampled_from([None, 0.0, 0.3, 1.0]), min_size=len(each), max_size=len(each)))
            for each in then
        ]
        found = compared(then, now, families=2)
        assert (found.verdict == "unknown") == bool(found.reason)
        for group in found.groups:
            assert (group.verdict == "unknown") == bool(group.reason)
            assert (group.verdict == "drift") == bool(group.signs)
            assert group.pairs <= group.n
        back = compare_readings(anchors(len(then), families=2), reading(now), reading(then, name="b"))
        assert back.verdict == found.verdict, "forwards and backwards are the same change"


def test_an_unchanged_noisy_judge_is_hardly_ever_flagged_and_a_changed_one_mostly(monkeypatch):
    def no_bootstrap(*_, **__):
        raise ValueError("plays no part in the verdict")

    monkeypatch.setattr("medbench.scoring.judging.drift.cohen_kappa", no_bootstrap)
    rng = np.random.default_rng(7)
    flagged = {"unchanged": 0, "up half a level": 0, "answers moved by one level": 0}
    rounds = 200
    for _ in range(rounds):
        means = rng.uniform(0.2, 0.8, 100)
        then = noisy(rng, means, 1.0, 3)
        moved = means + rng.choice([-0.1, 0.1], 100)
        for name, now in zip(flagged, (means, means + 0.05, moved), strict=True):
            flagged[name] += compared(then, noisy(rng, now, 1.0, 3), families=5).verdict == "drift"
    # A binomial share of 5 % in 200 rounds lies below 9 % with a probability of .995.
    assert flagged["unchanged"] < 0.09 * rounds
    assert flagged["up half a level"] > 0.95 * rounds
    assert flagged["answers moved by one level"] > 0.9 * rounds


class TestNoise:
    def test_by_hand(self):
        noise = noise_of(reading([[0.5, 0.7], [0.5, 0.5], [0.4], [None, 0.4]]), "rubric")
        # Variances 2 and 0 levels²; the others have one judgement.
        assert (noise.n, noise.sd, noise.unchanged) == (2, pytest.approx(1.0), 0.5)

    def test_without_repeats_there_is_none(self):
        noise = noise_of(reading([[0.5], [0.4]]), "rubric")
        assert (noise.n, noise.sd, noise.unchanged) == (0, None, None)

    def test_it_is_the_sd_of_one_judgement(self):
        values = noisy(np.random.default_rng(3), np.full(400, 0.5), 1.0, 2)
        assert noise_of(reading(values), "rubric").sd == pytest.approx(sqrt(1 + 1 / 12), abs=0.1)


def test_against_people():
    rated = [
        Anchor(Question(f"q{place}", "MedMC", "?"), "a", ("llm_judge",), "general", people=(share,))
        for place, share in enumerate((0.2, 0.5, 0.8) * 3)
    ]
    found = with_people([*rated, *anchors(1)], reading([*([[0.3], [0.6], [0.9]] * 3), [0.0]]))
    assert found.n == 9
    assert found.bias.value == pytest.approx(1.0)
    assert found.quadratic_kappa.value > 0.8
    nobody = with_people(anchors(2), reading([[0.3], [0.6]]))
    assert (nobody.n, nobody.bias.value) == (0, None)
    assert nobody.bias.reason


class TestFile:
    def test_it_comes_back_as_it_was_frozen(self, tmp_path):
        them = [
            Anchor(
                Question("1", "MedMC", "问题\n?", language="zh", family="f"),
                "答\u2028案",
                ("llm_judge",),
                "general",
                Key("MedMC/1", "参考"),
                people=(0.5,),
            ),
            *floor_anchors(),
        ]
        written = write_anchors(tmp_path / "a.jsonl", them, run="run", seed=3)
        again = read_anchors(tmp_path / "a.jsonl")
        assert again == written
        assert again.anchors == tuple(them)
        assert write_anchors(tmp_path / "b.jsonl", them, run="other", seed=4).hash == written.hash

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda text: text.replace(b'"answer":"a"', b'"answer":"b"'), "changed since it was frozen"),
            (lambda text: text.splitlines(keepends=True)[0], "changed since it was frozen"),
            (lambda text: text.replace(b'"format":1', b'"format":2'), "format 2"),
            (lambda text: b"", "no anchor file"),
            (lambda text: b'{"item": 1}\n', "no anchor file"),
            (lambda text: b"\xff\n", "no anchor file"),
        ],
    )
    def test_a_changed_one_is_refused(self, tmp_path, change, message):
        path = tmp_path / "a.jsonl"
        write_anchors(path, anchors(2), run="run", seed=0)
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(InputError, match=message):
            read_anchors(path)

    def test_the_floor_is_of_answers_that_hold_none_in_both_languages(self):
        them = list(floor_anchors())
        assert {each.question.language for each in them} == {"zh", "en"}
        assert len({(each.question.uid, each.answer) for each in them}) == len(them)
        assert all(each.floor and each.key and each.calls(0, PINS) for each in them)
        assert any("满分" in each.answer for each in them)
        assert any("full marks" in each.answer for each in them)
