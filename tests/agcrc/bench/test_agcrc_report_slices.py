"""Volumes in the report of a run: the worst ones slice by slice, or why not; scrolled by keys and clicks alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agcrc import medbench_plugin as plugin
from agcrc.items import write_items
from agcrc.predict.lesions import Lesion
from agcrc.volumes import write_volume
from medbench.board.report import volumes
from medbench.cli.main import app
from medbench.errors import InputError
from medbench.scoring import case_slices
from support.browser import find_chromium, open_page
from support.segmented import GRID, LESION, filled, write_data, write_untrained

HALF = filled((slice(8, 10), *LESION[1:]))


class Half:
    """Stands for `predict_case`: finds the lower half of the lesion, in the healthy case too."""

    def __init__(self, *_: object, **__: object) -> None:
        self.mask, self.windows = HALF, 1
        self.lesions = (Lesion(1, 2.048, 15.8, 0.9, 0.8, (38.0, 46.0, 34.0), None),)


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["--lang", "en", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def make_run(folder: Path, *options: object, bank: bool = False) -> Path:
    """A run over the two cases; its items lie in `folder/data`, or in `folder/bank`."""
    data = write_data(folder / "data")
    model = write_untrained(folder / "model", data)
    items: Path = data / "items.jsonl"
    write_items(data, items)
    own = ["--catalog", data / "catalog"]
    if bank:
        invoke("items", "import", items, "--format", "jsonl", *own, "--into", folder / "bank")
        items, own = folder / "bank", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agcrc.predict.predict_case", Half)
        invoke("run", "--items", items, *own, "--model", f"agcrc:{model}", "--out", folder / "run", *options)
    return folder / "run"


def report_of(run: Path) -> str:
    (run / "report.html").unlink()
    invoke("report", run)
    return (run / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("shown"))


def test_slices_are_drawn_once_for_both_languages_and_say_what_they_show(run):
    page = (run / "report.html").read_text("utf-8")
    # The case with a lesion first, its slices 7 to 12; the healthy one, of which two slices were marked, behind it.
    assert re.findall(r'<symbol id="slice-(\d-\d)"', page) == [
        *(f"1-{number}" for number in range(1, 7)),
        *(f"2-{number}" for number in range(1, 5)),
    ]
    assert page.count("data:image/jpeg;base64,") == 10
    assert page.count('<use href="#slice-') == page.count('<input type="radio" class="') == 20
    assert len(page) < 150_000
    assert "<script" not in page
    english, chinese = page.split("<main")[1:]
    named = re.findall(r"<figcaption><strong>([^<]+)</strong> ([^<]+)</figcaption>", english)
    voxels = "Voxels 4.00 × 4.00 × 4.00 mm (z, y, x). Window -160 … 240 HU."
    of = "slices with truth or answer, or next to one; 20 in the volume."
    assert named == [
        ("ColorectalCT/ill", f"Dice 66.7. 6 of the 6 {of} {voxels}"),
        ("ColorectalCT/healthy", f"No lesion is there; components marked: 1. 4 of the 4 {of} {voxels}"),
    ]
    assert "Slice 8 of 0–19, z = 32.0 mm. Area: true 256 mm², answered 256 mm²." in english
    assert "Slice 11 of 0–19, z = 44.0 mm. Area: true 256 mm², answered 0 mm²." in english
    assert "断层 11（0–19），z = 44.0 mm。面积：真值 256 mm²，回答 0 mm²。" in chinese
    assert "2 of the 2 items are illustrative" in english.split("Volumes with the lowest scores")[1]
    # The strip: both masks on 8 and 9, the truth alone on 10 and 11, neither beside them.
    marks = re.findall(r'<input type="radio" class="([^"]*)" name="slice-en-1"', english)
    assert [mark.split() for mark in marks] == [[], ["true", "given"], ["true", "given"], ["true"], ["true"], []]


def test_under_hidden_disclosure_nothing_is_drawn(tmp_path):
    page = (make_run(tmp_path, "--disclosure", "hidden") / "report.html").read_text("utf-8")
    assert "ColorectalCT" in page
    assert "<symbol" not in page
    assert "data:image" not in page
    assert "Volumes with the lowest scores" not in page


def keys_changed(run, patch):
    write_volume(run.parent / "data" / "labelsTs" / "ill.nii.gz", HALF, GRID)


def no_file(run, patch):
    for artifact in (run / "artifacts").glob("*.nii.gz"):
        artifact.write_bytes(b"changed")


def packages_missing(run, patch):
    patch.setattr(plugin, "NEEDED_TO_DRAW", ("nibabel", "nowhere_installed"))


def no_metric(run, patch):
    def absent(name):
        raise InputError("not installed")

    patch.setattr(case_slices, "file_metric", absent)


def not_shown(run, patch):
    patch.setattr(case_slices, "file_metric", lambda name: object())


def too_many_bytes(run, patch):
    patch.setattr(volumes, "MOST_BYTES", 1_000)


REASONS = {
    keys_changed: ("the keys are not those that it was scored by", "标准答案已不是评分时所用"),
    no_file: ("the run&#39;s artifacts lack its mask, or it was changed", "运行产物中缺少其掩膜，或掩膜已更改"),
    packages_missing: ("packages that draw it are not installed", "未安装绘图所需的软件包"),
    no_metric: ("the package that brings its metric is not installed", "未安装提供该指标的软件包"),
    not_shown: ("its metric draws no pictures", "其指标不提供图像"),
    too_many_bytes: ("the page would become too large", "页面会过大"),
}


@pytest.mark.parametrize("change", REASONS, ids=lambda change: change.__name__)
def test_what_can_not_be_shown_is_told_and_the_report_is_made(change, tmp_path, monkeypatch):
    run = make_run(tmp_path)
    change(run, monkeypatch)
    page = report_of(run)
    assert "data:image" not in page
    for reason in REASONS[change]:
        assert page.count(reason) == 2
    assert page.count("Dice 66.7") == 2


def test_a_bank_shows_its_volumes_and_tells_which_of_its_files_are_gone(tmp_path):
    run = make_run(tmp_path, bank=True)
    assert (run / "report.html").read_text("utf-8").count('<use href="#slice-') == 20
    media = [path for path in (tmp_path / "bank" / "media").rglob("*") if path.is_file()]
    for path in media:
        path.write_bytes(b"changed")
    assert report_of(run).count("its CT can&#39;t be read") == 2
    for path in (tmp_path / "bank" / "key_media").rglob("*"):
        if path.is_file():
            path.write_bytes(b"changed")
    assert report_of(run).count("a mask can&#39;t be read") == 2
    for path in (tmp_path / "bank").glob("keys*"):
        path.unlink()
    assert report_of(run).count("the keys can&#39;t be read") == 2


@pytest.mark.browser
def test_a_reader_scrolls_through_the_slices_by_buttons_strip_and_keys(run, tmp_path):
    """In Chromium, with scripts forbidden by the page itself."""
    shown = """[...document.querySelectorAll('.page-en .slice')].filter(each => each.checkVisibility())
        .map(each => each.querySelector('.caption').textContent.match(/Slice (\\d+)/)[1])"""
    first = "document.querySelectorAll('.page-en .slices')[0]"

    async def read() -> None:
        async with open_page(find_chromium(), tmp_path / "profile", (run / "report.html").as_uri()) as page:
            assert await page.value(shown) == ["8", "8"]
            before = await page.picture(width=390, height=1600)
            await page.click(f"{first}.querySelector('input:checked + .slice .up')")
            assert await page.value(shown) == ["9", "8"]
            await page.click(f"{first}.querySelectorAll('input')[4]")
            assert await page.value(shown) == ["11", "8"]
            assert await page.picture(width=390, height=1600) != before
            await page.press("ArrowRight", 39)
            assert await page.value(shown) == ["12", "8"]
            await page.press("ArrowLeft", 37)
            await page.press("ArrowLeft", 37)
            assert await page.value(shown) == ["10", "8"]
            assert await page.value("document.documentElement.scrollWidth <= window.innerWidth")
            await page.click("document.querySelector('label[for=show-zh]')")
            assert await page.value(shown) == []
            assert await page.value(shown.replace("page-en", "page-zh").replace("Slice", "断层")) == ["8", "8"]

    asyncio.run(read())
