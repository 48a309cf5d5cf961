"""The report: one HTML file that loads nothing, runs nothing and escapes everything that came from files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agcrc.evaluate.compare import Difference
from agcrc.evaluate.estimates import Figure
from agcrc.evaluate.figures import case_chart, froc_chart, places_chart, shown_name, size_chart
from agcrc.evaluate.folders import list_folder, write_whole
from agcrc.evaluate.froc import RATES
from agcrc.evaluate.overlays import (
    PREDICTION,
    SIDE_MM,
    TRUTH,
    Picture,
    caption,
    chosen_cases,
    draw_pictures,
    find_images,
)
from agcrc.evaluate.places import Region
from agcrc.evaluate.rules import RULES
from agcrc.evaluate.run import Arm, Evaluation
from agcrc.evaluate.summary import SIZES, Summary
from agcrc.evaluate.tables import case_row
from medbench.stats import half_up

if TYPE_CHECKING:
    from jinja2 import Template

REPORT_FILE = "report.html"
CONFIDENCES = {
    "probability": "Candidates are ranked by the mean of the probability map in them.",
    "json": "Candidates are ranked by the mean probability that the JSON beside each mask tells.",
    "volume": "There are no probabilities beside the masks, so candidates are ranked by volume: "
    "the curve says how sizes rank, not how sure the network was.",
}


def write_report(evaluation: Evaluation, out_dir: Path, *, images: Path | None = None) -> Path:
    """Write `report.html`. The same evaluation gives the same bytes.

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
    write_whole(path, render_report(evaluation, pictures))
    return path


def render_report(evaluation: Evaluation, pictures: list[Picture]) -> str:
    """The report as HTML."""
    arms = _named_arms(evaluation)
    charts = {
        "froc": froc_chart(arms) if evaluation.pred.summary.lesions else None,
        "sizes": size_chart(arms) if evaluation.pred.summary.lesions else None,
        "places": places_chart(arms),
        "cases": case_chart(arms),
    }
    return _template().render(
        evaluation=evaluation,
        arms=arms,
        rows=_headline(evaluation),
        froc_rows=_table([_rate(rate) for rate in RATES], arms, lambda summary: summary.froc),
        size_rows=_table([name for name, _ in SIZES], arms, lambda summary: summary.by_size),
        place_rows=_table(
            ["Colon label", "Elsewhere in the organ of interest", "Outside"],
            arms,
            lambda summary: tuple(summary.places.get(region, Figure.missing("")) for region in Region),
        ),
        charts={name: None if svg is None else _data_uri(svg.encode(), "svg+xml") for name, svg in charts.items()},
        pictures=[(each.title, caption(each.case), _data_uri(each.png, "png")) for each in pictures],
        truth_colour=TRUTH,
        prediction_colour=PREDICTION,
        side_mm=int(SIDE_MM),
        case_rows=[[(case, case_row(case)) for case in arm.cases] for _, arm in arms],
        confidence=CONFIDENCES[evaluation.pred.confidence],
        rules=RULES,
        style=_source("report.css"),
        version=version("medbench"),
    )


def figure_text(figure: Figure, places: int = 3) -> str:
    """A figure as `0.71 (0.65 to 0.76)`, or a dash."""
    if figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return number(figure.value, places)
    return f"{number(figure.value, places)} ({number(figure.low, places)} to {number(figure.high, places)})"


def difference_text(difference: Difference, places: int) -> str:
    """A difference with its sign and interval."""
    figure = difference.figure
    if figure.value is None:
        return "–"
    value = f"{'+' if figure.value > 0 else ''}{number(figure.value, places)}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} ({number(figure.low, places)} to {number(figure.high, places)})"


def counted(count: int, what: str) -> str:
    """`1 scan` or `3 scans`."""
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def p_text(p: float | None) -> str:
    """A p value for people."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else str(half_up(p, 3))


def number(value: float | None, places: int) -> str:
    """A number with this many places and a real minus; a dash for None."""
    return "–" if value is None else str(half_up(value, places)).replace("-", "−")


def _headline(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The rows of the first table: label, unit, the figure of each arm, and the difference."""
    differences = {each.metric: each for each in evaluation.differences}
    summaries = [evaluation.pred.summary] + ([evaluation.against.summary] if evaluation.against else [])
    at_one = RATES.index(1.0)
    table = (
        ("dice", "Dice", "scans", 3, [each.dice for each in summaries]),
        ("lesion_dice", "Lesion-wise Dice", "lesions", 3, [each.lesion_dice for each in summaries]),
        ("nsd", "NSD at 2 mm", "scans", 3, [each.nsd_2mm for each in summaries]),
        ("nsd_4mm", "NSD at 4 mm", "scans", 3, [each.nsd_4mm for each in summaries]),
        ("hd95", "HD95 (mm)", "scans", 1, [each.hd95 for each in summaries]),
        (
            "hd95_where_predicted",
            "HD95 where anything was predicted (mm)",
            "scans",
            1,
            [each.hd95_where_predicted for each in summaries],
        ),
        ("lesion_sensitivity", "Lesions found", "lesions", 3, [each.lesion_sensitivity for each in summaries]),
        (
            "sensitivity_at_1_fp",
            "Lesions found at 1 false positive per scan",
            "lesions",
            3,
            [each.froc[at_one] for each in summaries],
        ),
        (
            "false_positives_per_scan",
            "False positives per scan",
            "scans",
            2,
            [each.false_positives_per_scan for each in summaries],
        ),
        (
            "healthy_false_positives",
            "False positives per healthy scan",
            "healthy",
            2,
            [each.healthy_false_positives for each in summaries],
        ),
        (
            "healthy_clean",
            "Healthy scans without a false positive",
            "healthy",
            3,
            [each.healthy_clean for each in summaries],
        ),
        ("ceiling", "OOI ceiling of Dice", "scans", 3, [each.ceiling for each in summaries]),
        ("windows", "Windows per scan", "scans", 1, [each.windows for each in summaries]),
        ("seconds", "Seconds per scan", "scans", 1, [each.seconds for each in summaries]),
    )
    return [
        {
            "label": label,
            "unit": unit,
            "places": places,
            "figures": figures,
            "difference": differences.get(metric),
            "reason": next((each.reason for each in figures if each.reason), ""),
        }
        for metric, label, unit, places, figures in table
        # What was not asked for (organ masks, run times) is not a gap in the table.
        if metric not in {"ceiling", "windows", "seconds"} or any(each.value is not None for each in figures)
    ]


def _table(
    labels: Sequence[str], arms: Sequence[tuple[str, Arm]], of: Callable[[Summary], Sequence[Figure]]
) -> list[tuple[str, list[Figure]]]:
    columns = [of(arm.summary) for _, arm in arms]
    return [(label, [column[row] for column in columns]) for row, label in enumerate(labels)]


def _named_arms(evaluation: Evaluation) -> list[tuple[str, Arm]]:
    """The arms by the names of their folders, with the folder above where these are the same."""
    arms = [evaluation.pred] + ([evaluation.against] if evaluation.against else [])
    paths = [arm.path.resolve() for arm in arms]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{path.name}" for path in paths]
    return [(shown_name(name), arm) for name, arm in zip(names, arms, strict=True)]


def _rate(rate: float) -> str:
    return str(int(rate)) if rate >= 1.0 else f"1/{round(1.0 / rate)}"


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _template() -> Template:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        counted=counted,
        number=number,
        figure_text=figure_text,
        difference_text=difference_text,
        p_text=p_text,
        shown=shown_name,
    )
    return environment.get_template("report.html.jinja")


def _source(name: str) -> str:
    return files("agcrc.evaluate").joinpath(name).read_text("utf-8")
