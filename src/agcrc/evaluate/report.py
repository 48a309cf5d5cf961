"""The report: one HTML file in English and Chinese that loads nothing, runs nothing and escapes what files brought."""

from __future__ import annotations

import base64
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from agcrc.evaluate.figures import draw_charts, shown_name
from agcrc.evaluate.folders import list_folder, write_whole
from agcrc.evaluate.overlays import (
    PREDICTION,
    SIDE_MM,
    TRUTH,
    Picture,
    chosen_cases,
    draw_pictures,
    find_images,
)
from agcrc.evaluate.page import number, p_text, pages
from agcrc.evaluate.run import Evaluation
from agcrc.evaluate.words import LANGUAGES, NAMES, TAGS, rules

if TYPE_CHECKING:
    from jinja2 import Template

REPORT_FILE = "report.html"


def write_report(evaluation: Evaluation, out_dir: Path, *, images: Path | None = None) -> Path:
    """Write `report.html`: English first, the reader can switch to Chinese. The same evaluation gives the same bytes.

    Args:
        evaluation: What to show.
        out_dir: Folder to write to; made where it does not exist.
        images: Folder of the CTs, for pictures of the best, the median and the worst scan and of the healthy one with
            most false positives; without it there are no pictures.

    Returns:
        Path of the file.

    Raises:
        InputError: A CT that is to be shown is missing, can't be read or stands on another grid.
        WorkError: The report can't be written; an older one is untouched.
    """
    pictures: list[Picture] = []
    if images is not None:
        chosen = chosen_cases(evaluation.pred.cases)
        masks = list_folder(evaluation.pred.path).masks
        paths = find_images(images, [case.name for _, case in chosen])
        pictures = draw_pictures(chosen, paths, evaluation.truth_files, masks)
    path = out_dir / REPORT_FILE
    write_whole(path, _render(evaluation, pictures))
    return path


def _render(evaluation: Evaluation, pictures: list[Picture]) -> str:
    spoken = pages(evaluation, LANGUAGES)
    return _template().render(
        pages=spoken,
        charts={
            page.language: {
                name: _data_uri(svg.encode(), "svg+xml") for name, svg in draw_charts(page.arms, page.language).items()
            }
            for page in spoken
        },
        pictures=[(each, _data_uri(each.png, "png")) for each in pictures],
        truth_colour=TRUTH,
        prediction_colour=PREDICTION,
        side_mm=int(SIDE_MM),
        rules={language: rules(language) for language in LANGUAGES},
        names=NAMES,
        tags=TAGS,
        style=_source("report.css"),
        version=version("medbench"),
    )


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _template() -> Template:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(number=number, p_text=p_text, shown=shown_name)
    return environment.get_template("report.html.jinja")


def _source(name: str) -> str:
    return files("agcrc.evaluate").joinpath(name).read_text("utf-8")
