"""Rubrics: one for every judged part of the catalog, whole in both languages, and a name that is unknown is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from medbench.catalog import Bilingual, Dataset, Part, TextForm, load_catalog
from medbench.errors import InputError
from medbench.items.model import Key
from medbench.scoring.judging.prompt import Case, rubric_prompt
from medbench.scoring.judging.rubric import (
    GENERAL,
    Criterion,
    Level,
    Rubric,
    check_rubrics,
    load_rubric,
    rubric_names,
)
from medbench.text import LANGUAGES
from support.command import medbench

JUDGED = [
    (dataset.name, part)
    for dataset in load_catalog().datasets.values()
    for part in dataset.parts
    if part.judged_metrics
]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "judging.md"
# Small judges have little room: (letters of an anchor, of a task) in Chinese, words in English.
ROOM = {"zh": (45, 120), "en": (30, 80)}


def size(text: str, language: str) -> int:
    return len(text) if language == "zh" else len(text.split())


def own(rubric: str, name: str = "WardRounds") -> Dataset:
    words = Bilingual("查房", "Ward rounds")
    return Dataset(name, "llm", "knowledge_qa", words, words, (Part(TextForm(), ("llm_judge",), rubric=rubric),))


def test_every_judged_part_names_a_rubric_of_its_family():
    without = [name for name, part in JUDGED if part.rubric in ("", GENERAL)]
    assert not without
    check_rubrics(load_catalog().datasets.values())


def test_a_part_that_no_judge_sees_names_none():
    closed = [part for dataset in load_catalog().datasets.values() for part in dataset.parts if not part.judged_metrics]
    assert closed
    assert not any(part.rubric for part in closed)


def test_every_rubric_is_used():
    used = Counter(part.rubric for _, part in JUDGED)
    assert set(rubric_names()) - set(used) == {GENERAL}


@pytest.mark.parametrize("name", rubric_names())
class TestEachRubric:
    def test_its_levels_run_from_0_to_10(self, name):
        (overall,) = load_rubric(name).criteria
        assert overall.id == "overall"
        assert [level.score for level in overall.levels] == list(range(11))

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_its_texts_are_there_and_leave_room(self, name, language):
        rubric = load_rubric(name)
        anchors = [getattr(level.anchor, language) for level in rubric.criteria[0].levels]
        task = getattr(rubric.task, language)
        most, most_of_task = ROOM[language]
        assert all(anchor.strip() and size(anchor, language) <= most for anchor in anchors), anchors
        assert task.strip()
        assert size(task, language) <= most_of_task
        for text in (*anchors, task, getattr(rubric.title, language)):
            assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (language == "zh"), text
        ends = "。" if language == "zh" else "."
        assert all(text.endswith(ends) for text in (*anchors, task))

    def test_its_floor_names_empty_copied_and_off_topic_answers(self, name):
        floor = load_rubric(name).criteria[0].levels[0].anchor
        # A synonym or a definition that only says the term again is a copy.
        assert re.match("空白、.*(抄|重复)", floor.zh)
        assert re.search("跑题|答非所问|与问题无关|解释了别的词", floor.zh)
        assert re.match(r"Blank, .*\b(copy|copied|repeated)\b", floor.en)
        assert re.search("off the (subject|question)|another term defined", floor.en)

    def test_a_refusal_is_at_the_floor_but_where_it_may_be_right(self, name):
        floor = load_rubric(name).criteria[0].levels[0].anchor
        refusal = re.search("拒答|拒写|拒审|不给结局|不给结果", floor.zh)
        assert bool(refusal) == (name != "safety"), floor.zh
        assert bool(re.search("refused|no outcome|no result", floor.en)) == (name != "safety"), floor.en

    def test_it_says_what_holds_with_and_without_a_reference_answer(self, name):
        task = load_rubric(name).task
        assert re.search("有参考答案.*，无则", task.zh)
        assert re.search(r"\breference\b.*\belse\b", task.en)

    def test_danger_outweighs_all_else(self, name):
        task = load_rubric(name).task
        assert task.zh.endswith("评最低等级。")
        assert task.en.endswith("rates lowest.")

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("key", [None, Key("MedHC/1", answer="Reference.")], ids=["no key", "reference"])
    def test_a_prompt_holds_all_of_it(self, name, language, key):
        rubric = load_rubric(name)
        text = rubric_prompt(Case("Question?", "Answer.", key, language), rubric).text
        for level in rubric.criteria[0].levels:
            assert f"\n{level.score}: {getattr(level.anchor, language)}\n" in text
        assert getattr(rubric.task, language) in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_level_says_what_another_says(language):
    said = Counter(
        getattr(level.anchor, language) for name in rubric_names() for level in load_rubric(name).criteria[0].levels
    )
    assert [text for text, times in said.items() if times > 1] == []


def test_the_reference_page_lists_what_the_catalog_binds():
    listed = re.findall(r"^\| `(\w+)` \| (.+?) · (.+?) \| (.+?) \|$", PAGE.read_text("utf-8"), re.M)
    bound: dict[str, list[str]] = {}
    for name, part in JUDGED:
        bound.setdefault(part.rubric, []).append(f"{name} {part.name}".strip())
    assert {row[0]: row[3].split(", ") for row in listed} == bound
    assert all((title.en, title.zh) == row[1:3] for row in listed for title in [load_rubric(row[0]).title])


def scale(name: str, low: int, high: int, weight: float) -> Criterion:
    levels = tuple(Level(score, Bilingual(f"{score} 级", f"level {score}")) for score in range(low, high + 1))
    return Criterion(name, Bilingual(name, name), levels, weight)


def test_the_value_is_the_weighted_mean_of_the_scales():
    rubric = Rubric(
        "two", Bilingual("", ""), Bilingual("", ""), (scale("right", 0, 10, 3.0), scale("plain", 1, 5, 1.0))
    )
    assert rubric.value({"right": 0, "plain": 1}) == 0
    assert rubric.value({"right": 10, "plain": 5}) == 1
    assert rubric.value({"right": 4, "plain": 3}) == pytest.approx((3 * 0.4 + 1 * 0.5) / 4)
    # Of a scale alone, a level is a tenth.
    assert [load_rubric("sql").value({"overall": level}) for level in (0, 3, 10)] == pytest.approx([0, 0.3, 1])


def test_another_wording_is_another_version():
    versions = {load_rubric(name).version() for name in rubric_names()}
    assert len(versions) == len(rubric_names())
    rubric = load_rubric("safety")
    reread = msgspec.json.decode(msgspec.json.encode(rubric), type=Rubric)
    assert reread.version() == rubric.version()
    for changed in (
        msgspec.structs.replace(rubric, task=msgspec.structs.replace(rubric.task, en=rubric.task.en + " ")),
        msgspec.structs.replace(rubric, criteria=(msgspec.structs.replace(rubric.criteria[0], weight=2.0),)),
        msgspec.structs.replace(rubric, criteria=(scale("overall", 0, 10, 1.0),)),
    ):
        assert changed.version() != rubric.version()


def test_unknown_names_are_told_all_at_once_with_the_known_ones():
    with pytest.raises(InputError) as error:
        check_rubrics([own("sql"), own("saftey", "A"), own(""), own("General", "B")])
    fields = [problem.field for problem in error.value.problems]
    assert fields == ["A.parts[0].rubric", "B.parts[0].rubric"]
    for problem, name in zip(error.value.problems, ("saftey", "General"), strict=True):
        assert name in problem.message
        assert all(known in problem.advice for known in rubric_names())


@pytest.mark.parametrize("name", ["../rubrics/sql", "./sql", "sql.toml", "/etc/passwd", "sql\0", "SQL", "saftey"])
def test_a_name_is_never_a_path(name):
    with pytest.raises(InputError, match=r"sql, "):
        load_rubric(name)


def test_a_run_with_an_unknown_rubric_is_refused_before_anything_is_asked(tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "own.toml").write_text(
        'name = "WardRounds"\ntrack = "llm"\ndimension = "knowledge_qa"\nsource = "us"\n'
        'title = { zh = "查房", en = "Ward rounds" }\ndescription = { zh = "查房题。", en = "Questions." }\n'
        '[[parts]]\nmetrics = ["llm_judge"]\nanswer = { form = "text" }\nrubric = "saftey"\n'
    )
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"id": "1", "dataset": "WardRounds", "question": "What now?"}) + "\n")
    out = tmp_path / "run"
    done = medbench(
        *("run", "--items", items, "--catalog", folder, "--model", "openai:m"),
        *("--base-url", "http://127.0.0.1:9", "--out", out),
    )
    assert done.returncode == 2
    assert "WardRounds.parts[0].rubric" in done.stderr
    assert "'saftey'" in done.stderr
    assert "safety" in done.stderr
    assert not out.exists()
