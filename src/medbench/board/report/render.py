"""Writing the report: charts drawn, the page filled in, the file put in place whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from medbench.board.controls import PictureEffects, picture_effects
from medbench.board.report.boxes import BoxCase, worst_boxes
from medbench.board.report.charts import (
    Spec,
    dataset_chart,
    dimension_chart,
    draw,
    mark_chart,
    position_chart,
    reliability_chart,
)
from medbench.board.report.figures import interval, number, percent
from medbench.board.report.people import agreement_marks, bias_marks, reliability
from medbench.board.report.view import View
from medbench.board.report.volumes import VolumeCase, worst_volumes
from medbench.board.summary import Summary
from medbench.engine.budget import Price
from medbench.store.files import write_atomically
from medbench.text import LANGUAGES, Language

if TYPE_CHECKING:
    from jinja2 import Environment, Template

REPORT_FILE = "report.html"
NO_PRICE = Price()
TAGS: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}
NAMES: Mapping[Language, str] = {"en": "English", "zh": "中文"}


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of a page as SVG, those of scores by track."""

    dimensions: dict[str, Markup]
    datasets: dict[str, Markup]
    positions: Markup | None
    reliability: Markup | None
    agreement: Markup | None
    bias: Markup | None


def write_report(
    run_dir: Path,
    summary: Summary,
    language: Language,
    *,
    price: Price = NO_PRICE,
    controls: Sequence[Path] = (),
) -> Path:
    """Write `report.html` into the folder of a run. The same summary gives the same bytes.

    Args:
        run_dir: Folder of the run.
        summary: What is shown.
        language: Shown first; the reader can switch to the other.
        price: Per million tokens; the cost is shown where it is given.
        controls: Folders of media controls of the run, which it is held against.

    Returns:
        Path of the file.

    Raises:
        InputError: vl-convert is not installed, or a control is none of this run.
        WorkError: The file can't be written; an older one is untouched.
    """
    path = run_dir / REPORT_FILE
    effects = None
    pins = summary.pins
    if controls or (summary.probes and pins.disclosure == "local" and pins.selection.media_control == "none"):
        effects = picture_effects(run_dir, controls)
    page = render_report(
        summary,
        language,
        price=price,
        effects=effects,
        boxes=worst_boxes(run_dir, summary),
        volumes=worst_volumes(run_dir, summary),
    )
    write_atomically(path, page.encode())
    return path


def render_report(
    summary: Summary,
    language: Language,
    *,
    price: Price = NO_PRICE,
    effects: PictureEffects | None = None,
    boxes: Sequence[BoxCase] = (),
    volumes: Sequence[VolumeCase] = (),
) -> str:
    """The report as HTML that loads nothing and runs nothing.

    Raises:
        InputError: vl-convert is not installed.
    """
    ordered = [language, *(other for other in LANGUAGES if other != language)]
    views = [View(summary, each, price, effects, boxes, volumes) for each in ordered]
    return _template().render(views=views, charts=_charts(views), tags=TAGS, names=NAMES)


@cache
def environment() -> Environment:
    """Templates of the pages: everything is escaped, nothing may be missing."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
    )


@cache
def _template() -> Template:
    return environment().get_template(
        "report.html.jinja", globals={"number": number, "percent": percent, "interval": interval}
    )


def _charts(views: Sequence[View]) -> dict[Language, Charts]:
    """Draw everything; charts that hold names of datasets only are shared by the languages."""
    view = views[0]
    datasets = {track: _svg(dataset_chart(bars)) for track in view.tracks() if (bars := view.dataset_bars(track))}
    positions = _svg(position_chart(found)) if (found := view.positions()) else None
    return {
        each.language: Charts(
            dimensions={
                track: _svg(dimension_chart(bars)) for track in each.tracks() if (bars := each.dimension_bars(track))
            },
            datasets=datasets,
            positions=positions,
            reliability=(
                _svg(reliability_chart(curves, each.t("judge_level"), each.t("people_mean")))
                if (curves := reliability(each))
                else None
            ),
            agreement=_svg(mark_chart(marks, 0.0, 1.0)) if (marks := agreement_marks(each)) else None,
            bias=_svg(mark_chart(marks, -10.0, 10.0)) if (marks := bias_marks(each)) else None,
        )
        for each in views
    }


def _svg(spec: Spec) -> Markup:
    # The only text of the page that is not escaped by the template: our own drawing, escaped by the renderer.
    return Markup(draw(spec))  # noqa: S704


def _source(name: str) -> str:
    return files("medbench.board.report").joinpath(name).read_text("utf-8")
