"""SLAKE: questions about pictures in English and Chinese, without the pictures, from the table to the report."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest

from conftest import shared_folder
from medbench.catalog import load_catalog
from medbench.scoring.extract import extract
from support.command import medbench_json
from support.endpoint import running_endpoint
from support.judge import reading_judge
from support.pictures import YES_OR_NO, write_slake

SAYING = {"en": ("{}", "The answer is {}.", "**{}**"), "zh": ("{}", "答案是：{}。", "**{}**")}
MERIT = {"en": 8, "zh": 4}
UNREADABLE = {"en": "I can't tell without the picture.", "zh": "没有图像，难以判断。"}


@pytest.fixture(scope="module")
def slake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slake")
    return folder, *write_slake(shared_folder("data/multimodal/slake_zh_en_text"), folder)


def imported(slake, mapping, into):
    folder, table, _, catalog, _ = slake
    bank = folder / into
    return bank, medbench_json("items", "import", table, "--mapping", mapping, "--catalog", catalog, "--into", bank)


def test_pictures_that_are_absent_are_told_and_nothing_is_asked(slake):
    folder, _, mapping, catalog, rows = slake
    bank, done = imported(slake, mapping, "bank")
    assert {name: each["items"] for name, each in done["by_dataset"].items()} == Counter(
        row["dataset"] for row in rows.values()
    )
    assert len(done["media"]["missing"]) == 180
    with running_endpoint(text="yes") as endpoint:
        run = medbench_json(
            *("run", "--items", bank, "--catalog", catalog, "--model", "openai:m", "--base-url", endpoint.url),
            *("--out", folder / "run"),
        )
        assert endpoint.totals()["requests"] == 0
    assert run["by_status"] == {"media_missing": 2094}
    assert run["by_error"] == {"media_absent": 2094}
    page = (folder / "run/report.html").read_text("utf-8")
    assert ">not there</td>" in page
    assert "文件缺失" in page
    report = medbench_json("report", folder / "run")
    assert report["coverage"] == 0
    assert {each["name"]: each["score"] for each in report["datasets"]} == dict.fromkeys(
        ("SlakeClosedEn", "SlakeClosedZh", "SlakeOpenEn", "SlakeOpenZh")
    )


def table_rows(path) -> list[dict[str, object]]:
    return pq.read_table(path).to_pylist()


def estimates(run) -> dict[str, dict[str, object]]:
    figures = json.loads((run / "figures.json").read_text())
    return {each["dataset"]: each["parts"][0] for each in figures["datasets"]}


def test_the_text_alone_is_scored_in_each_language_as_by_hand(slake):
    """Each question is answered as is right for most of the pictures that it is asked about."""
    folder, _, mapping, catalog, rows = slake
    without = folder / "text.toml"
    without.write_text(mapping.read_text().replace("media =", "family ="))
    bank, _ = imported(slake, without, "text-bank")
    command = ("run", "--items", bank, "--catalog", catalog, "--model", "openai:m", "--base-url")
    with running_endpoint(echo=True) as endpoint:
        medbench_json(*command, endpoint.url, "--out", folder / "prompts")
    asked = defaultdict(Counter)
    for row in rows.values():
        asked[row["dataset"], row["question"]][row["answer"]] += 1
    usual = {each: answers.most_common(1)[0][0] for each, answers in asked.items()}
    by_prompt = {}
    for number, response in enumerate(table_rows(folder / "prompts/responses")):
        row = rows[response["uid"]]
        said = SAYING[row["q_lang"]][number % 3].format(usual[row["dataset"], row["question"]])
        judged = row["dataset"].startswith("SlakeOpen")
        by_prompt[response["text"]] = f"{said} merit {MERIT[row['q_lang']]}" if judged else said
    with (
        running_endpoint(by_prompt=by_prompt, text="no such prompt") as endpoint,
        reading_judge(lambda merit: merit) as judge,
    ):
        run = medbench_json(
            *(*command, endpoint.url, "--out", folder / "told"),
            *("--judge", "openai:judge", "--judge-base-url", judge),
        )
    assert (run["by_status"], run["coverage"]) == ({"ok": 2094}, 1.0)
    parts = estimates(folder / "told")
    for language, labels in YES_OR_NO.items():
        name = f"SlakeClosed{language.title()}"
        right = {
            uid: labels[usual[name, row["question"]]] == labels[row["answer"]]
            for uid, row in rows.items()
            if row["dataset"] == name
        }
        values = {row["uid"]: row["value"] for row in table_rows(folder / "told/scores") if row["dataset"] == name}
        assert values == right
        assert 0 < sum(right.values()) < len(right)
        assert parts[name]["estimate"]["value"] == pytest.approx(sum(right.values()) / len(right))
        assert parts[name]["estimate"]["clusters"] == len({row["img_id"] for uid, row in rows.items() if uid in right})
        assert parts[name]["chance"] == 0.5
        opened = parts[f"SlakeOpen{language.title()}"]
        assert opened["combined"]["value"] == pytest.approx(MERIT[language] / 10)
        assert opened["combined"]["n"] == sum(row["dataset"] == f"SlakeOpen{language.title()}" for row in rows.values())


def test_what_the_key_says_is_read_as_itself_and_its_contrary_as_that(slake):
    """Half of the Chinese words for yes stand within those for no."""
    catalog = slake[3]
    for language, labels in YES_OR_NO.items():
        form = load_catalog().with_datasets(catalog).dataset(f"SlakeClosed{language.title()}").parts[0].answer
        for said, label in labels.items():
            for wrapper in SAYING[language]:
                assert extract(form, wrapper.format(said)).value == {label}
        assert extract(form, UNREADABLE[language]).value is None
