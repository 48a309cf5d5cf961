"""The report: self-contained, escaped, honest about what it lacks, and readable in a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from agcrc.errors import InputError
from agcrc.evaluate import evaluate_folders, write_report
from agcrc.evaluate.figures import NAME_SIZE, draw_charts
from agcrc.evaluate.overlays import chosen_cases, draw_planes
from agcrc.evaluate.page import pages
from agcrc.evaluate.words import LANGUAGES
from agcrc.volumes import Grid, Volume, write_volume

SHAPE = (14, 26, 30)
GRID = Grid.of(SHAPE, (4.0, 3.0, 3.0))
HOSTILE = "=<img src=x onerror=alert(1)>$a_b$ &amp;"


def ball(centre, radius):
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2


def written(tmp_path):
    rng = np.random.default_rng(0)
    for index, name in enumerate(["a", "b", "c", HOSTILE, "healthy"]):
        truth = ball((6, 12, 12), 3) if name != "healthy" else np.zeros(SHAPE, dtype=bool)
        prediction = ball((6, 12, 12 + index % 3), 3) if name != "healthy" else ball((4, 20, 20), 2)
        for folder, array in (("labels", truth), ("pred", prediction), ("other", ball((6, 12, 14), 2))):
            write_volume(tmp_path / folder / f"{name}.nii.gz", array.astype(np.uint8), GRID)
        ct = rng.normal(40, 20, SHAPE).astype(np.float32)
        ct[:, :3] = -1000.0
        write_volume(tmp_path / "ct" / f"{name}_0000.nii.gz", ct.astype(np.int16), GRID)
    return tmp_path


@pytest.fixture
def data(tmp_path):
    return written(tmp_path)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two arms with pictures, which tests only read."""
    folder = written(tmp_path_factory.mktemp("report"))
    evaluation = evaluate_folders(folder / "pred", folder / "labels", against=folder / "other")
    return write_report(evaluation, folder / "out", images=folder / "ct")


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.handlers, self.text = set(), [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def parsed(path):
    tags = Tags()
    tags.feed(path.read_text("utf-8"))
    return tags


def texts(chart):
    return list(chart.iter("{http://www.w3.org/2000/svg}text"))


def test_report_loads_and_runs_nothing_and_escapes_names(report):
    found = parsed(report)
    assert "script" not in found.tags
    assert not found.handlers
    assert found.sources
    assert all(source.startswith("data:image/") for source in found.sources)
    assert "=<img src=x onerror=alert(1" in "".join(found.text)
    assert sum(source.startswith("data:image/png") for source in found.sources) == 4


def test_words_in_charts_are_text_so_that_the_browser_finds_a_font_for_them(data):
    for folder in ("labels", "pred"):
        (data / folder / "c.nii.gz").rename(data / folder / "门静脉期_甲.nii.gz")
    evaluation = evaluate_folders(data / "pred", data / "labels")
    sources = [source for source in parsed(write_report(evaluation, data / "out")).sources if "svg+xml" in source]
    charts = [ET.fromstring(base64.b64decode(source.split(",", 1)[1])) for source in sources]
    by_language = {
        language: {
            "".join(each.itertext()) for chart in charts if chart.get("lang") == language for each in texts(chart)
        }
        for language in ("en", "zh-Hans")
    }
    assert {"False positives per scan", "Share of lesions found", "Dice"} <= by_language["en"]
    assert {"假阳性数/例", "病灶敏感度", "Dice 系数"} <= by_language["zh-Hans"]
    assert all("门静脉期_甲" in found for found in by_language.values())


def test_a_long_chinese_name_stays_inside_the_chart(data):
    name = "甲" * 27
    for folder in ("labels", "pred"):
        (data / folder / "c.nii.gz").rename(data / folder / f"{name}.nii.gz")
    evaluation = evaluate_folders(data / "pred", data / "labels")
    chart = ET.fromstring(draw_charts(pages(evaluation, ["zh"])[0].arms, "zh")["cases"])
    label = next(each for each in texts(chart) if name in "".join(each.itertext()))
    assert "text-anchor: end" in label.get("style")
    assert float(label.get("x")) >= 27 * NAME_SIZE


def test_a_reader_of_one_language_finds_the_other(report):
    html = report.read_text("utf-8")
    assert re.findall(
        r'<input class="switch" type="radio" name="language" id="show-(\w+)"[^>]*?( checked)?>', html
    ) == [
        ("en", " checked"),
        ("zh", ""),
    ]
    assert '<label for="show-en" lang="en">English</label>' in html
    assert '<label for="show-zh" lang="zh-Hans">中文</label>' in html
    for language in LANGUAGES:
        assert f"#show-{language}:checked ~ main .{'zh' if language == 'en' else 'en'}" in html


def test_each_language_says_everything_in_its_own_words(report):
    html = report.read_text("utf-8")
    english = " ".join(
        re.findall(r'<(?:div|span) class="en".*?(?=<(?:div|span) class="zh"|<figure class="picture")', html, re.S)
    )
    chinese = " ".join(
        re.findall(
            r'<(?:div|span) class="zh".*?(?=<(?:div|span) class="en"|<figure class="picture"|</main>)', html, re.S
        )
    )
    assert "Lesions found against false positives" in english
    assert "FROC 曲线：病灶敏感度与假阳性" in chinese
    assert not re.search("[\u4e00-\u9fff]", english)
    # Paths and names apart, what is left of Latin script are terms that Chinese papers use as well.
    words = set(re.findall(r"[A-Za-z]{4,}", re.sub(r"<[^>]*>", " ", re.sub(r"<code>.*?</code>", "", chinese))))
    assert words <= {
        *("Dice", "Hausdorff", "Holm", "FROC", "Wilson", "Poisson", "Hesterberg", "Nikolov", "bootstrap"),
        *(
            "marching",
            "cubes",
            "JSON",
            "json",
            "dataset",
            "agcrc",
            "pred",
            "other",
            "healthy",
            "onerror",
            "alert",
            "nbsp",
        ),
    }


def test_charts_are_images_without_script_or_reference(report):
    sources = parsed(report).sources
    charts = [base64.b64decode(source.split(",", 1)[1]) for source in sources if "svg+xml" in source]
    assert len(charts) == 2 * 3
    for chart in charts:
        root = ET.fromstring(chart)
        assert root.tag.endswith("svg")
        text = chart.decode()
        assert "<script" not in text
        assert not re.search(r'href="(?!#)', text)


def test_the_same_evaluation_gives_the_same_bytes(report):
    folder = report.parents[1]
    evaluation = evaluate_folders(folder / "pred", folder / "labels", against=folder / "other")
    assert write_report(evaluation, folder / "again", images=folder / "ct").read_bytes() == report.read_bytes()


def test_the_top_says_where_the_data_are_from(data):
    def top():
        evaluation = evaluate_folders(data / "pred", data / "labels")
        return write_report(evaluation, data / "out").read_text("utf-8").split("<h2>")[0]

    assert "There is no dataset.json beside the truth" in top()
    (data / "dataset.json").write_text(json.dumps({"name": "P", "description": "A <b>phantom</b> of tier cpu"}))
    assert "These scans are a simulation" in top()
    assert "A &lt;b&gt;phantom&lt;/b&gt; of tier cpu" in top()


def test_pictures_are_best_median_worst_and_a_healthy_one(data):
    evaluation = evaluate_folders(data / "pred", data / "labels")
    chosen = chosen_cases(evaluation.pred.cases)
    assert [title for title, _ in chosen] == ["best", "median", "worst", "healthy_worst"]
    dices = [case.dice for _, case in chosen[:3]]
    assert dices == sorted(dices, reverse=True)
    assert chosen[3][1].name == "healthy"


def test_missing_ct_and_other_grid_are_refused_before_anything_is_written(data):
    evaluation = evaluate_folders(data / "pred", data / "labels")
    for path in (data / "ct").glob("healthy*"):
        path.unlink()
    with pytest.raises(InputError, match="has no CT of healthy"):
        write_report(evaluation, data / "out", images=data / "ct")
    write_volume(data / "ct" / "healthy.nii.gz", np.full((5, 5, 5), -7, dtype=np.int16), Grid.of((5, 5, 5), (1, 1, 1)))
    with pytest.raises(InputError, match="different grids"):
        write_report(evaluation, data / "out", images=data / "ct")
    assert not (data / "out").exists()


def test_healthy_scans_only(data):
    for folder in ("labels", "pred"):
        for path in (data / folder).iterdir():
            if not path.name.startswith("healthy"):
                path.unlink()
    text = write_report(evaluate_folders(data / "pred", data / "labels"), data / "out").read_text("utf-8")
    assert "No scan has a lesion." in text
    assert "no case has a lesion" in text
    assert "nan" not in text.split("<style>")[0] + text.split("</style>")[1].lower()


def test_picture_shows_the_right_of_the_patient_on_the_left():
    """A bright lesion on the patient's right (high x) must be in the left half of the axial panel."""
    from io import BytesIO

    from matplotlib.image import imread

    ct = np.full((40, 40, 40), -1000.0, dtype=np.float32)
    ct[:, 15:25, 30:36] = 240.0
    ct[0] = -1000.0
    empty = np.zeros(ct.shape, dtype=bool)
    empty[20, 20, 20] = True
    grid = Grid.of((40, 40, 40), (3.0, 3.0, 3.0))
    picture = imread(BytesIO(draw_planes(Volume(ct, grid), Volume(empty, grid), Volume(empty, grid))))[..., :3].mean(
        axis=-1
    )
    axial = picture[:, : picture.shape[1] // 3]
    bright = np.argwhere(axial > 0.95)[:, 1]
    assert bright.size > 100
    assert np.median(bright) < axial.shape[1] / 2


@pytest.mark.browser
def test_a_browser_shows_it(report, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    shown = subprocess.run(
        [*command, f"file://{report}"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "Lesions found against false positives" in shown
    assert "病灶敏感度" in shown
    assert "&lt;img src=x onerror" in shown
    assert "<img src=x" not in shown
