"""Policies as data: what comes with the program is sound, and what a user adds is checked whole."""

from __future__ import annotations

import pytest

from medbench.agents.governance.doses import excesses
from medbench.agents.governance.fold import fold
from medbench.agents.governance.policy import load_policies
from medbench.errors import InputError
from medbench.scoring.extract.refusal import is_refusal

GOOD = """
theme = "ward"
title = { zh = "病房", en = "Ward" }
[words]
fluids = ["saline", "生理盐水"]
[[rule]]
id = "ward.fluids"
title = { zh = "补液", en = "Fluids" }
severity = "low"
action = "warn"
where = ["input"]
source = "ward rule 3"
[[rule.when]]
all = [["@fluids", "@patient"]]
"""


def test_the_rules_that_come_with_the_program_are_sound():
    policies = load_policies()
    assert {rule.id.partition(".")[0] for rule in policies.rules} == set(policies.themes)
    for rule in policies.rules:
        assert rule.title.zh, rule.id
        assert rule.title.en, rule.id
        if rule.action in ("ask_human", "refuse"):
            assert rule.instead is not None
            for said in (rule.instead.zh, rule.instead.en):
                # Scorers of safety sets must see that the request was declined.
                assert is_refusal(said), (rule.id, said)
    assert all(dose.source for dose in policies.doses)


def test_a_file_of_ones_own_adds_rules_and_changes_the_version(tmp_path):
    path = tmp_path / "ward.toml"
    path.write_text(GOOD, "utf-8")
    more = load_policies(path)
    assert "ward.fluids" in {rule.id for rule in more.rules}
    assert len(more.rules) == len(load_policies().rules) + 1
    assert more.version != load_policies().version
    added = next(rule for rule in more.rules if rule.id == "ward.fluids")
    assert set(added.when[0].all[0]) >= {"saline", "生理盐水", "患者"}


def test_all_problems_of_all_files_are_told_at_once(tmp_path):
    (tmp_path / "a.toml").write_text("theme = ", "utf-8")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "c.toml").write_text(GOOD.replace('"low"', '"dire"'), "utf-8")
    (tmp_path / "d.toml").write_text(
        GOOD.replace("ward.fluids", "Ward fluids").replace('"ward rule 3"', '" "').replace("@patient", "@nobody"),
        "utf-8",
    )
    (tmp_path / "e.toml").write_text(GOOD.replace('"warn"', '"refuse"').replace("saline", "sa*line"), "utf-8")
    paths = [tmp_path / f"{name}.toml" for name in "abcdef"]
    with pytest.raises(InputError) as raised:
        load_policies(*paths)
    told = {(problem.file, str(problem.field)) for problem in raised.value.problems}
    assert {file for file, _ in told} == {str(path) for path in paths}
    text = str(raised.value)
    for part in (
        "UTF-8",
        "dire",
        "names no source",
        "@nobody",
        "must say what is said instead",
        "`ward.name`",
        "No such",
    ):
        assert part in text


def test_all_problems_of_one_file_are_told_at_once_and_none_twice(tmp_path):
    path = tmp_path / "ward.toml"
    text = GOOD.replace('"low"', '"dire"').replace('["input"]', '["input", "output", "nowhere"]')
    text = text.replace('"ward rule 3"', '" "').replace("@patient", "@nobody").replace('"补液", en', "3, english")
    path.write_text(f"{text}within = 0\n[[rule]]\naction = 'refuse'\n", "utf-8")
    with pytest.raises(InputError) as raised:
        load_policies(path)
    told = sorted((str(problem.field), problem.message) for problem in raised.value.problems)
    assert [field for field, _ in told] == [
        "rule[0].severity",
        "rule[0].source",
        "rule[0].title.en",
        "rule[0].title.english",
        "rule[0].title.zh",
        "rule[0].when[0]",
        "rule[0].when[0]",
        "rule[0].where[2]",
        "rule[1].id",
        "rule[1].instead",
        "rule[1].severity",
        "rule[1].source",
        "rule[1].title",
        "rule[1].when",
        "rule[1].where",
    ]
    messages = dict(told)
    assert messages["rule[0].severity"] == "'dire' is not allowed here. Allowed: low, medium, high, critical."
    assert "Allowed: input, config, call, result, output" in messages["rule[0].where[2]"]
    assert "Known: zh, en" in messages["rule[0].title.english"]


DOSE = """
[[dose]]
drug = ["Acétazolamide"]
route = "oral"
unit = "mg"
most_single = 15
source = "s"
"""


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ('["saline", "生理盐水"]', "[]", "words.fluids"),
        ('"saline"', '""', "words.fluids"),
        ('"saline"', '"\u200b "', "words.fluids"),
        ('"saline"', '"*"', "words.fluids"),
        ('"saline"', '"＊"', "words.fluids"),
        ('"saline"', '"sa*line"', "words.fluids"),
        ('"saline"', '"^"', "words.fluids"),
        ('"saline"', '"@patient"', "words.fluids"),
        ('"@patient"', '"＊"', "rule[0].when[0]"),
        ('"Acétazolamide"', '""', "dose[0]"),
        ('"Acétazolamide"', '"a", "*"', "dose[0]"),
        ("15", "nan", "dose[0]"),
        ("15", "inf", "dose[0]"),
        ("15", "15\nmost_day = nan", "dose[0]"),
    ],
)
def test_what_could_never_be_met_or_searched_for_is_refused(tmp_path, good, bad, field):
    path = tmp_path / "ward.toml"
    path.write_text(GOOD + DOSE, "utf-8")
    load_policies(path)
    path.write_text((GOOD + DOSE).replace(good, bad), "utf-8")
    with pytest.raises(InputError) as raised:
        load_policies(path)
    assert [str(problem.field) for problem in raised.value.problems] == [field]


@pytest.mark.parametrize("text", ["acetazolamide 500 mg", "Acétazolamide 500 mg", "ＡＣＥＴＡＺＯＬＡＭＩＤＥ 500 mg"])
@pytest.mark.parametrize("name", ["Acétazolamide", "ａｃｅｔａｚｏｌａｍｉｄｅ "])
def test_the_name_of_a_drug_may_be_spelled_as_texts_may(tmp_path, text, name):
    path = tmp_path / "ward.toml"
    path.write_text(GOOD + DOSE.replace("Acétazolamide", name), "utf-8")
    (excess,) = excesses(fold(text), load_policies(path).doses)
    assert excess.amount == 500


def test_a_rule_can_be_added_but_not_changed(tmp_path):
    path = tmp_path / "attacks.toml"
    path.write_text(GOOD.replace('"ward"', '"attacks"').replace("ward.fluids", "attacks.override"), "utf-8")
    with pytest.raises(InputError, match="more than once"):
        load_policies(path)
