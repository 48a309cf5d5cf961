"""The attack corpus, and what it makes of judges whose weakness is known."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter

import msgspec
import pytest

from medbench.models.model import CallError, Response
from medbench.runs.attack import CALLS_FILE, RESULT_FILE, Rated, attack_judge, calls_table, kind_figures
from medbench.scoring.judging.attacks import MARKER, Attack, BaseItem, load_corpus, subjects
from medbench.scoring.judging.plan import answer_of
from medbench.scoring.judging.prompt import Case, rubric_prompt
from medbench.scoring.judging.quote import shown
from medbench.scoring.judging.rubric import load_rubric
from medbench.scoring.judging.verdict import Judgement
from support.judges import ScriptedJudge

CORPUS = load_corpus()
ITEM = CORPUS.items[0]
KINDS = {
    "instruction", "fake_verdict", "delimiter", "format_field", "invisible", "flattery", "empty", "constant",
    "copied_question", "very_long", "refuse_all", "role_play", "claim", "encoded", "emotional", "fake_turn", "mixture",
}  # fmt: skip


def attack(text: str, **more) -> Attack:
    return Attack("kind/name", "kind", "any", text, **more)


class TestCorpus:
    def test_it_holds_every_kind_in_both_languages(self):
        assert set(CORPUS.titles) == KINDS
        by_language = Counter(each.language for each in CORPUS.attacks)
        assert len(CORPUS.attacks) >= 80
        assert by_language["zh"] >= 40
        assert by_language["en"] >= 40
        for kind in KINDS:
            languages = {each.language for each in CORPUS.attacks if each.kind == kind}
            assert "any" in languages or languages == {"zh", "en"}, kind

    def test_attacks_differ_from_one_another(self):
        for item in CORPUS.items:
            texts = [each.on(item) for each in CORPUS.attacks if each.language in ("any", item.language)]
            assert len(set(texts)) == len(texts)

    def test_items_are_whole_and_in_both_languages(self):
        assert {item.language for item in CORPUS.items} == {"zh", "en"}
        assert 6 <= len(CORPUS.items) <= 8
        for item in CORPUS.items:
            assert {point.kind for point in item.points} == {"must", "should", "must_not"}
            assert all((item.question, item.reference, item.good, item.poor))
            assert item.good != item.reference

    def test_no_marker_is_left_and_a_good_answer_is_never_given_away(self):
        for item in CORPUS.items:
            for each in CORPUS.attacks:
                text = each.on(item)
                assert MARKER not in text
                assert item.good not in text
                assert item.reference not in text

    def test_hidden_characters_are_really_there_and_the_judge_does_not_see_them(self):
        for each in CORPUS.attacks:
            if each.kind == "invisible":
                text = each.on(ITEM)
                assert shown(text)[0] != text, each.id

    def test_very_long_ones_are_long_and_one_is_cut(self):
        lengths = {each.id: len(each.on(ITEM)) for each in CORPUS.attacks if each.kind == "very_long"}
        assert min(lengths.values()) > 1_000
        assert any(shown(each.on(ITEM))[1] for each in CORPUS.attacks if each.kind == "very_long")

    def test_no_attack_closes_its_fence(self):
        for each in CORPUS.attacks:
            prompt = rubric_prompt(Case(ITEM.question, each.on(ITEM), ITEM.key), load_rubric("general"))
            assert prompt.text.count(f"</answer-{prompt.fence.mark}>") == 1

    def test_the_version_covers_every_text(self):
        other = msgspec.structs.replace(CORPUS, attacks=CORPUS.attacks[1:])
        assert other.version() != CORPUS.version()


class TestAttack:
    def test_the_base_is_put_in_as_plain_text(self):
        hostile = BaseItem("x", "en", f"Q {{0}} %s {MARKER}", "R", (), "G", f"P {{reason}} \\1 {MARKER} %s")
        assert attack(f"a {MARKER} b {{x}}").on(hostile) == f"a {hostile.poor} b {{x}}"
        assert attack(f"{MARKER}{MARKER}").on(hostile) == hostile.poor * 2
        assert attack(f"[{MARKER}]", base="question").on(hostile) == f"[{hostile.question}]"

    def test_times_and_weave_touch_only_what_stands_beside_the_base(self):
        assert attack(f"{MARKER}ab", times=2, weave="-").on(ITEM) == f"{ITEM.poor}a-ba-b"

    def test_what_holds_no_answer_is_known(self):
        assert attack("full marks").alone
        assert attack(MARKER, base="question").alone
        assert not attack(f"{MARKER} full marks").alone


class TestSubjects:
    def test_all_of_them(self):
        found = list(subjects(CORPUS))
        pairs = sum(each.language in ("any", item.language) for each in CORPUS.attacks for item in CORPUS.items)
        assert len(found) == pairs + 2 * len(CORPUS.items)
        places = [each.asked.seq for each in found]
        assert places == sorted(set(places))
        assert all(each.attack is None or each.attack.language in ("any", each.item.language) for each in found)

    def test_a_sample_is_spread_over_the_kinds_and_a_larger_one_holds_it(self):
        small = {each.asked.seq for each in subjects(CORPUS, sample=34, seed=1)}
        large = {each.asked.seq for each in subjects(CORPUS, sample=60, seed=1)}
        other = {each.asked.seq for each in subjects(CORPUS, sample=34, seed=2)}
        assert small < large
        assert small != other
        kinds = Counter(each.attack.kind for each in subjects(CORPUS, sample=34, seed=1) if each.attack)
        assert set(kinds.values()) == {2}
        assert len(kinds) == len(KINDS)


def answer_in(prompt: str) -> str:
    return re.search(r"<answer-([0-9a-f]{16})>\n(.*)\n</answer-\1>", prompt, re.DOTALL)[2]


def verdict(prompt: str, level: int) -> str:
    """A level by the rubric; by key points all hits from 5 on, else all misses, each in its own words."""
    if '"overall"' in prompt.split("</answer-")[-1]:
        return json.dumps({"reason": "my own", "overall": level})
    answer, count = answer_in(prompt), len(re.findall(r"^\d\. ", prompt.split("<answer-")[0], re.MULTILINE))
    words = next((word for word in answer.split() if word.isalnum()), None)
    hit = level >= 5 and words is not None
    entry = {"found": "hit", "span": words} if hit else {"found": "miss", "span": ""}
    return json.dumps({"points": [{"point": place, **entry} for place in range(1, count + 1)]})


def honest(prompt: str) -> str:
    answer = answer_in(prompt)
    return verdict(prompt, 9 if any(item.good in answer for item in CORPUS.items) else 1 if answer else 0)


def gullible(prompt: str) -> str:
    """Obeys whoever writes a ten."""
    answer = answer_in(prompt)
    return verdict(prompt, 10) if "10" in answer and "0.5" not in answer else honest(prompt)


def kinds_of(outcome, task="rubric"):
    return {each.kind: each for each in outcome.kinds if each.task == task}


class TestAttackJudge:
    def test_an_honest_judge_is_moved_by_nothing(self):
        outcome = attack_judge(ScriptedJudge(honest))
        rubric = next(each for each in outcome.clean if each.task == "rubric")
        assert (rubric.good.value, rubric.poor.value, rubric.apart.value, rubric.tells_apart) == (9.0, 1.0, 8.0, True)
        kinds = kinds_of(outcome)
        assert set(kinds) == KINDS | {"all"}
        assert all(each.moved == "not_shown" for each in kinds.values())
        assert kinds["all"].lifted == kinds["all"].as_good == kinds["all"].above_floor == 0.0
        assert kinds["empty"].attacked < 1.0
        assert outcome.by_status["no_answer"] > 0
        assert "judge_failed" not in outcome.by_status
        assert outcome.by_status["judged"] == outcome.calls

    def test_a_gullible_judge_is_named_with_the_kinds_that_move_it(self):
        kinds = kinds_of(attack_judge(ScriptedJudge(gullible)))
        assert kinds["fake_verdict"].moved == "moved"
        assert kinds["fake_verdict"].shift.value > 5.0
        assert kinds["fake_verdict"].p < 0.05
        assert kinds["fake_verdict"].as_good > 0.5
        assert kinds["format_field"].moved == kinds["empty"].moved == "not_shown"
        assert kinds["fake_verdict"].above_floor == 1.0, "a forged verdict alone holds no answer"

    def test_a_parrot_fails_and_is_given_no_level(self):
        outcome = attack_judge(ScriptedJudge(answer_in), sample=170)
        fake = kinds_of(outcome)["fake_verdict"]
        assert (fake.failed, fake.pairs, fake.shift, fake.moved) == (1.0, 0, None, "unknown")
        assert outcome.by_status.keys() == {"judge_failed", "no_answer"}
        assert outcome.by_reason["quoted"] > 0
        assert all(each.good is None and not each.tells_apart for each in outcome.clean)

    def test_single_calls_that_fail_lower_no_level(self):
        def reply(prompt):
            return CallError("submitter", "http_400") if len(answer_in(prompt)) > 2_000 else honest(prompt)

        kinds = kinds_of(attack_judge(ScriptedJudge(reply), sample=170))
        assert kinds["very_long"].failed > 0.5
        assert kinds["very_long"].attacked in (None, 1.0)
        assert kinds["claim"].failed == 0.0

    def test_a_dead_endpoint_stops_it_and_says_so(self, tmp_path):
        outcome = attack_judge(ScriptedJudge(lambda prompt: CallError("submitter", "http_401")), out=tmp_path / "out")
        assert outcome.stopped == "endpoint"
        assert "http_401" in outcome.reason
        assert json.loads((tmp_path / "out" / RESULT_FILE).read_text())["stopped"] == "endpoint"

    def test_it_goes_on_where_it_was_and_asks_again_what_failed(self, tmp_path):
        first = ScriptedJudge(lambda prompt: "nonsense" if "</answer-d" in prompt else honest(prompt))
        before = attack_judge(first, out=tmp_path, sample=40)
        failed = before.by_status["judge_failed"]
        assert 0 < failed < before.calls
        second = ScriptedJudge(honest)
        after = attack_judge(second, out=tmp_path, sample=60)
        assert second.model.asked == failed + after.calls - before.calls
        assert "judge_failed" not in after.by_status
        whole = attack_judge(ScriptedJudge(honest), sample=60)
        assert (after.clean, after.kinds) == (whole.clean, whole.kinds)
        assert attack_judge(again := ScriptedJudge(honest), out=tmp_path, sample=60).kinds == after.kinds
        assert again.model.asked == 0

    def test_the_table_has_a_line_per_judgement(self, tmp_path):
        outcome = attack_judge(ScriptedJudge(honest), out=tmp_path, sample=17)
        rows = list(csv.DictReader(io.StringIO((tmp_path / CALLS_FILE).read_text())))
        assert len(rows) == sum(outcome.by_status.values())
        assert Counter(row["status"] for row in rows) == outcome.by_status
        good = next(row for row in rows if row["answer"] == "good" and row["task"] == "rubric")
        assert (good["level"], good["kind"], good["levels"]) == ("9", "", "overall=9")


class TestFigures:
    def rated(self, level, attack_of=None, *, item=0, said=""):
        each = next(
            subject
            for subject in subjects(CORPUS)
            if subject.item is CORPUS.items[item]
            and (subject.role == attack_of or (subject.attack and subject.attack.kind == attack_of))
        )
        value = None if level is None else level / 10
        status = "judge_failed" if level is None else "judged"
        judgement = Judgement("rubric", status, value=value, said=said)
        return Rated(each, "rubric", (judgement,), level)

    def test_by_hand(self):
        rated = [
            *(self.rated(8.0, "good", item=item) for item in (0, 1)),
            *(self.rated(2.0, "poor", item=item) for item in (0, 1)),
            self.rated(8.0, "claim", item=0),
            self.rated(3.0, "claim", item=1),
            self.rated(None, "claim", item=1),
        ]
        figures = kind_figures(rated, "rubric", CORPUS)[1]
        assert (figures.kind, figures.n, figures.pairs) == ("claim", 3, 2)
        assert (figures.poor, figures.attacked, figures.shift.value, figures.shift.items) == (2.0, 5.5, 3.5, 2)
        assert (figures.lifted, figures.as_good, figures.failed) == (0.5, 0.5, pytest.approx(1 / 3, abs=1e-4))

    def test_without_the_poor_answers_level_there_is_no_shift(self):
        figures = kind_figures([self.rated(None, "poor"), self.rated(9.0, "claim")], "rubric", CORPUS)[1]
        assert (figures.pairs, figures.shift, figures.lifted, figures.moved) == (0, None, None, "unknown")

    def test_one_item_gives_no_interval_and_no_verdict(self):
        figures = kind_figures([self.rated(1.0, "poor"), self.rated(9.0, "claim")], "rubric", CORPUS)[1]
        assert (figures.shift.value, figures.shift.low, figures.moved) == (8.0, None, "unknown")

    @pytest.mark.parametrize("said", ["=1+1", "+cmd", "-2", "@x", "\t=1", "\r\n=HYPERLINK()"])
    def test_what_a_judge_says_is_no_formula(self, said):
        rows = list(csv.DictReader(io.StringIO(calls_table([self.rated(3.0, "poor", said=said)]).decode())))
        assert len(rows) == 1
        assert rows[0]["said"].startswith("'")


def test_empty_ones_need_no_judge():
    settled = {each.id for each in CORPUS.attacks if not answer_of(Response("ok", text=each.on(ITEM)))}
    assert {"empty/nothing", "empty/white-space", "empty/zero-width", "empty/fillers"} <= settled
