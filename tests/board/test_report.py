"""The report: what it says, that it says it in two languages, and that nothing hostile in it comes alive."""

from __future__ import annotations

import json
import tomllib
from html.parser import HTMLParser
from importlib.resources import files

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from medbench.board.report.render import render_report, write_report
from medbench.board.report.repeat import command_line, judge_files
from medbench.board.report.view import View
from medbench.board.summary import Summary, summarise
from medbench.catalog import Bilingual, Catalog, ChoiceForm, Dataset, Part, load_catalog
from medbench.cli.main import app
from medbench.engine.budget import Price
from medbench.models.model import Identity
from medbench.runs.config import Pins, Selection
from medbench.scoring.circular import CircularFigures
from medbench.scoring.score import DatasetFigures, Figures
from medbench.scoring.tally import PartFigures, RunTotals
from medbench.stats import clustered_mean

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil.example","x")',
    "{{ 7*7 }}{% raw %}",
    "</style></title></svg><svg onload=alert(1)>",
    "javascript:alert(1)//'`${x}",
]


def part(
    name: str = "",
    *,
    metric: str | None = "accuracy",
    right: int | None = 20,
    items: int = 30,
    awaiting: tuple[str, ...] = (),
    chance: float | None = 0.2,
    circular: CircularFigures | None = None,
    variants: int = 1,
    by_status: dict[str, int] | None = None,
    by_reason: dict[str, int] | None = None,
    answered: int | None = None,
    refusals: int = 0,
) -> PartFigures:
    calls = items * variants
    estimate = None
    if right is not None and metric:
        estimate = clustered_mean(np.arange(items) < right, np.arange(items))
    answered = calls if answered is None else answered
    statuses = {"scored": answered} if by_status is None else by_status
    return PartFigures(
        name=name,
        metric=metric,
        estimate=estimate,
        awaiting=awaiting,
        items=items,
        planned=calls,
        answered=answered,
        counted=answered - statuses.get("excluded", 0),
        by_status=statuses,
        by_reason=by_reason or {},
        refusals=refusals,
        keys=0 if right is None else items,
        chance=chance,
        at_chance=None if estimate is None or chance is None or estimate.low is None else estimate.low <= chance,
        circular=circular,
    )


def orders(p: float = 0.0005, first: float = 0.42, right: float = 0.5) -> CircularFigures:
    rest = (1 - first) / 4
    return CircularFigures(
        acc_origin=right + 0.1,
        acc_mean=right + 0.05,
        acc_mean_low=right - 0.1,
        acc_mean_high=right + 0.2,
        chance_mean=0.2,
        more_m={str(m): right + 0.05 * (5 - m) for m in range(1, 6)},
        consistency=right + 0.1,
        position_shares=(first, rest, rest, rest, rest),
        position_expected=(0.22, 0.2, 0.2, 0.19, 0.19),
        position_p=p,
        preference_items=30,
    )


def judged() -> PartFigures:
    return part(
        metric=None, right=None, awaiting=("keypoint_macro_recall", "llm_judge"), chance=None,
        by_status={"awaiting_judge": 30}, refusals=2,
    )  # fmt: skip


DATASETS: dict[str, tuple[PartFigures, ...]] = {
    "MedExam": (
        part(
            metric="accuracy_circular", right=14, variants=5, chance=0.00032, circular=orders(),
            by_status={"scored": 143, "unparsed": 7}, by_reason={"no_verdict": 5, "ambiguous": 2},
        ),
    ),
    "MedHC": (judged(),),
    "MedHG": (part(right=2, chance=0.0625),),
    "DDx-advanced": (part(right=3, chance=0.1),),
    "MedOutcome": (part(right=18, chance=0.25, awaiting=("llm_judge",)),),
    "SMDoc": (part(metric="accuracy_field", right=26, chance=None),),
    "MedInsureCalc": (part(metric="accuracy_field", right=9, chance=None),),
    "MedRxCheck": (
        part("SCQ", metric="accuracy_circular", right=12, variants=5, chance=0.00032, circular=orders(0.41, 0.23)),
        part("MSQ", right=7, chance=0.1),
        part("SQ", metric=None, right=None, awaiting=("llm_judge",), chance=None, by_status={"awaiting_judge": 30}),
    ),
    "MedSafety": (part(metric="accuracy_circular", right=22, variants=5, chance=0.00032, circular=orders(0.2, 0.25)),),
    "MedEthics": (
        part(
            metric="accuracy_circular", right=25, variants=5, chance=0.00032, circular=orders(0.7, 0.21), refusals=4
        ),
    ),
    "MedIntentID": (part(right=27, chance=0.125),),
    "MedShield": (judged(),),
    "MedClass": (
        part(right=None, chance=None, by_status={"no_key": 30}),
    ),
    "MedDetect": (
        part(metric="detection_iou", right=None, chance=None, by_status={"excluded": 30},
             by_reason={"media_missing": 30}),
    ),
}  # fmt: skip


def make_pins(**changes: object) -> Pins:
    pins = Pins(
        items="/data/medbench v4",
        items_fingerprint="ab" * 32,
        catalog_version="cd" * 8,
        model=Identity(
            spec="openai:qwen3-8b",
            name="qwen3-8b",
            endpoint="https://models.example/v1",
            api_key_env="MODEL_KEY",
            parameters={"temperature": 0, "max_tokens": 4096},
        ),
        selection=Selection(),
        disclosure="local",
        n_items=420,
        n_calls=900,
        created="2026-01-15T08:30:00+00:00",
        code_version="0.1.0",
        python="3.11.9",
    )
    return msgspec.structs.replace(pins, **changes)


def make_summary(
    datasets: dict[str, tuple[PartFigures, ...]] | None = None,
    *,
    pins: Pins | None = None,
    catalog: Catalog | None = None,
    by_error: dict[str, int] | None = None,
    served: set[str] | None = None,
) -> Summary:
    datasets = DATASETS if datasets is None else datasets
    parts = [each for several in datasets.values() for each in several]
    answered = sum(each.answered for each in parts)
    figures = Figures(
        datasets=tuple(DatasetFigures(name, several) for name, several in datasets.items()),
        items=sum(each.items for each in parts),
        planned=sum(each.planned for each in parts),
        answered=answered,
        counted=sum(each.counted for each in parts),
        scored=sum(each.by_status.get(status, 0) for each in parts for status in ("scored", "unparsed")),
        totals=RunTotals(
            by_status={"ok": answered - 9, "truncated": 4, "failed": 3, "blocked": 2},
            by_error={"http_500": 2, "timeout": 1, "content_filter": 2} if by_error is None else by_error,
            input_tokens=1_234_567,
            output_tokens=234_567,
            requests=answered + 12,
            uncounted=17,
            latencies=[0.5, 0.75, 1.0, 4.0],
            served_models=served or {"qwen3-8b-2026-01"},
        ),
        keys_fingerprint="ef" * 32,
        illustrative=0,
    )
    return summarise(pins or make_pins(), figures, catalog or load_catalog())


class Page(HTMLParser):
    """Elements, attributes and text of a page, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {"": "", "en": "", "zh-Hans": ""}
        self._language = ""
        self._hidden = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "main":
            self._language = str(dict(attrs)["lang"])
        if tag == "style":
            self._hidden = tag

    def handle_endtag(self, tag):
        if tag == "main":
            self._language = ""
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data):
        if not self._hidden and data.strip():
            self.text[self._language] += " ".join(data.split()) + " "


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(make_summary(), "en", price=Price(input=1, output=4)))


def test_one_file_that_loads_and_runs_nothing(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image", "a"}
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"href", "src", "action", "xlink:href"}, (tag, name)
            assert "url(" not in (value or ""), (tag, value)
    policy = next(
        attributes["content"] for tag, attributes in page.elements if "content-security" in str(attributes).lower()
    )
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_its_words_hold_no_marks_of_another_format():
    messages = tomllib.loads(files("medbench.text").joinpath("messages", "report.toml").read_text("utf-8"))
    assert not [name for name, each in messages.items() if "`" in str(each)]


def test_headline_says_what_it_is_and_is_not(page):
    summary = make_summary()
    english = page.text["en"]
    assert summary.headline is not None
    assert summary.headline.value == pytest.approx(
        np.mean(
            [
                90,
                np.mean([100 * 14 / 30, 100 * 2 / 30]),
                10,
                np.mean([100 * 26 / 30, 30]),
                np.mean([100 * 22 / 30, 100 * 25 / 30]),
            ]
        )
    )
    assert "Score of this run 52.7 95% interval 47.3–57.8" in english
    assert "Coverage 96.9%" in english
    assert "the dimensions scored in this run (5), each the mean of its scored datasets (8 in all)" in english
    assert "not the overall score of the track “Language models”: 29 of its 36 datasets" in english
    assert "not the overall score of the track “Agents”: 13 of its 14 datasets" in english
    missing = english.split("Datasets without a score")[1].split("Read this first")[0]
    assert "MedHC" in missing
    assert "MedReflect" in missing
    assert "MedExam" not in missing


def test_a_track_with_all_its_datasets_has_an_overall_score():
    catalog = load_catalog()
    everything = {
        dataset.name: tuple(part(each.name, chance=None) for each in dataset.parts)
        for dataset in catalog.datasets.values()
        if dataset.track == "multimodal"
    }
    text = Page(render_report(make_summary(everything), "en")).text["en"]
    assert "Overall score of the track “Multimodal models” (all 10 datasets of MedBench v4): 66.7 (95% interval" in text
    assert "not the overall score" not in text
    assert "Datasets without a score" not in text


def test_warnings(page):
    english, chinese = page.text["en"], page.text["zh-Hans"]
    assert "Coverage is 96.9%, below 98.0%: this run is not to be ranked" in english
    assert "MedHG (6.7; guessing gives 6.3), DDx-advanced (10.0; guessing gives 10.0)" in english
    assert "MedHG（6.7；随机猜测可得 6.3）" in chinese
    assert "For 17 of 960 answers the endpoint reported no token counts" in english
    assert "they need a judge: MedHC, MedOutcome, MedRxCheck, MedShield" in english
    assert "incomplete" not in english.split("Dimensions")[0]
    assert "illustrative" not in english

    half = {"MedHG": (part(items=30, answered=12),)}
    stopped = msgspec.structs.replace(make_summary(half), illustrative=30)
    text = Page(render_report(stopped, "en")).text["en"]
    assert "The run is incomplete: 12 of 30 answers are there" in text
    assert "30 of the 30 items are illustrative" in text


def test_no_warning_where_there_is_none():
    summary = make_summary({"MedHG": (part(right=29, items=30),)})
    summary = msgspec.structs.replace(summary, uncounted_usage=0)
    assert "Read this first" not in Page(render_report(summary, "en")).text["en"]


def test_statuses_stand_in_words_and_never_as_zero():
    view = View(make_summary(), "en", Price())
    rows = {row.name: row for track in view.tracks() for row in view.dataset_rows(track)}
    assert (rows["MedHC"].score, rows["MedHC"].status) == ("–", "awaits a judge")
    assert (rows["MedClass"].score, rows["MedClass"].status) == ("–", "no key (the official release publishes none)")
    assert rows["MedDetect"].status == "not scored, missing by our fault: media_missing"
    assert rows["MedDetect"].coverage == "0.0%"
    assert rows["MedOutcome"].status.startswith("awaits a judge; what code can score alone: 60.0 (")
    assert rows["part SCQ"].score == "40.0"
    assert rows["part SQ"].status == "awaits a judge"
    assert rows["MedExam"].unparsed == "4.7%"
    assert rows["MedExam"].clusters == "30 / 30"
    assert rows["MedHC"].unparsed == "–"


def test_codes_of_other_packages_stand_as_they_are():
    view = View(make_summary(), "zh", Price())
    assert view.code("media_reason_", "absent") == "文件缺失"
    assert view.code("media_reason_", "no_ecg") == "no_ecg"


def test_option_orders_and_position_preference():
    view = View(make_summary(), "en", Price())
    rows = {row.name: row for row in view.circular_rows()}
    assert set(rows) == {"MedExam", "MedRxCheck SCQ", "MedSafety", "MedEthics"}
    assert rows["MedExam"].position == "A: chosen 42.0%, 22.0% expected (p\u00a0<\u00a00.001)"
    assert rows["MedRxCheck SCQ"].position == "none shown (p\u00a0=\u00a00.410)"
    assert rows["MedExam"].more == ("70.0", "65.0", "60.0", "55.0", "50.0")
    assert rows["MedExam"].acc_circular.startswith("46.7 (")
    text = Page(render_report(make_summary({"MedHG": (part(),)}), "en")).text["en"]
    assert "Option orders Each of these" not in text


def test_safety_stands_apart(page):
    safety = page.text["en"].split("Safety, ethics and compliance")[1].split("Answers and errors")[0]
    for name in ("MedSafety", "MedEthics", "MedShield"):
        assert name in safety
    assert "4 of 150" in safety
    assert "MedExam" not in safety
    without = Page(render_report(make_summary({"MedHG": (part(),)}), "en")).text["en"]
    assert "this run says nothing about safety" in without
    unscored = Page(render_report(make_summary({"MedShield": (judged(),)}), "en")).text["en"]
    assert "None of them is scored in this run: it says nothing about safety" in unscored


def test_usage_and_cost(page):
    assert "Input tokens 1,234,567" in page.text["en"]
    assert "Cost, at 1 and 4 per million input and output tokens 2.1728" in page.text["en"]
    assert "Seconds per answer: median, 90%, 99% 0.88 / 3.10 / 3.91" in page.text["en"]
    assert "Cost" not in Page(render_report(make_summary(), "en")).text["en"].split("Terms")[0]


def test_both_languages_say_the_same_numbers(page):
    def numbers(text: str) -> list[str]:
        return sorted("".join(c if c.isdigit() or c == "." else " " for c in text).split())

    english, chinese = numbers(page.text["en"]), numbers(page.text["zh-Hans"])
    assert len(english) > 300
    assert [n for n in english if "." in n.strip(".")] == [n for n in chinese if "." in n.strip(".")]
    checked = [attributes["id"] for _, attributes in page.elements if "checked" in attributes]
    assert checked == ["show-en"]
    assert 'id="show-zh" aria-label="中文" checked' in render_report(make_summary(), "zh")


def test_tables_are_accessible(page):
    headers = [attributes for tag, attributes in page.elements if tag == "th"]
    assert headers
    assert all(attributes.get("scope") in {"col", "row"} for attributes in headers)
    figures = [attributes for tag, attributes in page.elements if tag == "figure"]
    assert figures
    assert all(attributes["role"] == "img" and len(str(attributes["aria-label"])) > 10 for attributes in figures)
    assert sum(tag == "svg" for tag, _ in page.elements) == len(figures)


def test_half_up_to_one_decimal():
    # 23/80 = 28.749999999999996 as a float product: shown as 28.8.
    summary = make_summary({"MedHG": (part(right=23, items=80),)})
    assert "Score of this run 28.8" in Page(render_report(summary, "en")).text["en"]


def test_nothing_scored():
    text = Page(render_report(make_summary({"MedHC": (judged(),)}), "en")).text["en"]
    assert "Score of this run – Coverage" in text
    assert "No score: none of the datasets asked could be scored" in text


def test_same_summary_gives_the_same_bytes(tmp_path):
    first = write_report(tmp_path, make_summary(), "zh").read_bytes()
    assert write_report(tmp_path, make_summary(), "zh").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_hidden_disclosure_shows_no_small_cells():
    pins = make_pins(disclosure="hidden")
    small = {"MedHG": (part(right=None, items=4, chance=0.125, by_status={"scored": 3, "unparsed": 1}),)}
    view = View(make_summary(small, pins=pins), "en", Price())
    (row,) = view.dataset_rows("llm")
    assert (row.score, row.chance, row.unparsed) == ("–", "–", "–")
    assert any("fewer than 5 items are not shown" in line for line in view.warnings())
    assert "--disclosure=hidden" in view.command()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_stay_text(hostile):
    harmless = "harmless"

    def report(name: str) -> str:
        dataset = Dataset(
            name=name,
            track="llm",
            dimension="safety_ethics",
            title=Bilingual(zh=name, en=name),
            description=Bilingual(zh="", en=""),
            parts=(Part(ChoiceForm(), ("accuracy_circular",), name="P"), Part(ChoiceForm(), ("accuracy",), name="Q")),
            source=name,
        )
        catalog = Catalog([*load_catalog().datasets.values(), dataset], load_catalog().dimensions("llm"), [])
        figures = (
            part("P", metric="accuracy_circular", right=2, variants=5, chance=0.9, circular=orders()),
            part("Q", right=3, chance=0.9, by_reason={name: 3}),
            part("R", metric=None, right=None, by_status={"excluded": 30}, by_reason={name: 30}),
        )
        pins = make_pins(
            model=Identity(spec=f"openai:{name}", name=name, revision=name, endpoint=name, parameters={"x": name}),
            items=name,
            selection=Selection(datasets=(name,), sample=3),
            created=name,
        )
        datasets = {name: figures[:2], "MedHG": (figures[2],)}
        # Names that the catalog's loader would refuse are put in beside it: the report must stand on its own.
        return render_report(
            make_summary(datasets, pins=pins, catalog=catalog, by_error={name: 5}, served={name}), "en"
        )

    found, expected = Page(report(hostile)), Page(report(harmless))
    assert [tag for tag, _ in found.elements] == [tag for tag, _ in expected.elements]
    assert [sorted(attributes) for _, attributes in found.elements] == [
        sorted(attributes) for _, attributes in expected.elements
    ]
    # Positions and words of attributes do not depend on the name either: none of it reached one.
    assert [attributes for _, attributes in found.elements] == [attributes for _, attributes in expected.elements]
    shown = " ".join(hostile.split())
    for language in ("en", "zh-Hans"):
        assert found.text[language].count(shown) >= 10


def test_the_command_repeats_every_choice():
    import shlex

    pins = make_pins(
        model=Identity(
            spec="openai:$(rm -rf /)",
            name="x",
            endpoint="http://127.0.0.1:8000/v1",
            api_key_env="KEY",
            parameters={"temperature": 0.6, "stop": ["\n'"]},
        ),
        selection=Selection(track="llm", datasets=("-x", "MedHG"), sample=500, seed=7, orders="all"),
        disclosure="hidden",
        catalog_folder="/own datasets",
    )
    words = shlex.split(command_line(pins).replace("\\\n", " "))
    assert words[:2] == ["medbench", "run"]
    assert words[2:] == [
        "--items=/data/medbench v4",
        "--model=openai:$(rm -rf /)",
        "--base-url=http://127.0.0.1:8000/v1",
        "--api-key-env=KEY",
        "--parameter=max_tokens=null",
        "--parameter=temperature=0.6",
        '--parameter=stop=["\\n\'"]',
        "--track=llm",
        "--dataset=-x",
        "--dataset=MedHG",
        "--sample=500",
        "--seed=7",
        "--orders=all",
        "--disclosure=hidden",
        "--catalog=/own datasets",
        "--out=repeated-run",
    ]


def test_the_command_names_the_judges_and_what_options_can_not_say_stands_in_their_files():
    import tomllib

    from medbench.models.openai import DEFAULTS
    from medbench.runs.judges import PARAMETERS, JudgeSpec
    from medbench.scoring.judging.plan import JudgePins

    asked = {"endpoint": "https://host/v1", "api_key_env": "KEY", "parameters": {**DEFAULTS, **PARAMETERS}}
    plain = JudgePins(Identity(spec="openai:j", name="j", **asked))
    assert judge_files([plain]) == {}
    lines = command_line(make_pins(), [plain]).replace(" \\\n ", "").split()
    assert lines[-4:-1] == ["--judge=openai:j", "--judge-base-url=https://host/v1", "--judge-api-key-env=KEY"]
    other = {"temperature": 0.5, "stop": ['"\n'], "response_format": {"type": "json", "deep": {"a b": [1, True]}}}
    often = JudgePins(Identity(spec="local:x", name="x", parameters=other), repeats=3, points="one_by_one")
    files = judge_files([plain, often])
    assert command_line(make_pins(), [plain, often]).count("--judge=judge-") == len(files) == 2
    read = [msgspec.convert(tomllib.loads(text), JudgeSpec) for text in files.values()]
    assert read == [
        JudgeSpec("openai:j", "https://host/v1", "KEY", asked["parameters"]),
        JudgeSpec("local:x", parameters=other, repeats=3, points="one_by_one"),
    ]


def test_without_the_renderer_the_advice_says_what_to_install(monkeypatch, tmp_path):
    from medbench.board.report import charts, vega
    from medbench.errors import InputError

    monkeypatch.setattr(vega.util, "find_spec", lambda _: None)
    monkeypatch.setattr(charts, "renderer", vega.renderer.__wrapped__)
    with pytest.raises(InputError, match=r"pip install vl-convert-python"):
        write_report(tmp_path, make_summary(), "en")
    assert list(tmp_path.iterdir()) == []


def test_charts_hold_every_number(page):
    assert page.text["en"].count("90.0 (73.2–97.4)") == 1  # the text in the chart beside the table
    bars = View(make_summary(), "en", Price()).dataset_bars("llm")
    assert [bar.label for bar in bars] == [
        "MedExam", "MedHG", "DDx-advanced", "SMDoc", "MedInsureCalc", "MedSafety", "MedEthics",
    ]  # fmt: skip
    assert all(bar.low is not None and bar.low <= bar.value <= bar.high for bar in bars)


def test_report_of_a_real_run(tmp_path):
    items = tmp_path / "items.jsonl"
    question = {"dataset": "MedExam", "question": "?", "options": ["a", "b", "c"], "answer": "B", "language": "en"}
    items.write_text("".join(json.dumps({"id": f"q{i}", **question}) + "\n" for i in range(4)))
    answers = tmp_path / "answers.jsonl"
    answer = {"dataset": "MedExam", "answer": "<B>"}
    answers.write_text(
        "".join(json.dumps({"id": f"q{i}", "variant": v, **answer}) + "\n" for i in range(4) for v in range(3))
    )

    def invoke(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["--lang", "en", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    invoke("run", "--items", items, "--model", f"answers:{answers}", "--out", tmp_path / "run")
    report = tmp_path / "run" / "report.html"
    report.unlink()
    assert str(report) in invoke("report", tmp_path / "run").replace("\n", "")
    # "B" in every order is the right text in one of three: always the same place, never the same content.
    text = Page(report.read_text("utf-8")).text["en"]
    assert "Score of this run 0.0" in text
    for flags in (["--json"], ["--format", "json"]):
        found = json.loads(invoke("report", tmp_path / "run", *flags))
        assert found["headline"]["value"] == 0.0
        circular = found["datasets"][0]["parts"][0]["circular"]
        assert circular["acc_mean"] == pytest.approx(1 / 3)
        assert circular["position_shares"] == [0.0, 1.0, 0.0]
        assert circular["consistency"] == 0.0
