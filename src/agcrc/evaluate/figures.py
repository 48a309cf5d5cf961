"""The charts of the report, drawn without a display as SVG that loads nothing.

Their words stay text, which the reader's browser draws with its own fonts: the machine that draws needs none for
Chinese. Margins are fixed and texts anchored, so that its fonts don't change the layout either.
"""

from __future__ import annotations

import io
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from agcrc.evaluate.case import Case
from agcrc.evaluate.estimates import Figure
from agcrc.evaluate.froc import RATES, froc
from agcrc.evaluate.places import Region
from agcrc.evaluate.run import Arm
from agcrc.evaluate.summary import SIZES
from agcrc.evaluate.words import TAGS, Language, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's palette: told apart with any colour vision; arms differ in their marks as well.
COLOURS = ("#0072b2", "#d55e00")
MARKS = ("o", "D")
LINES = ("-", "--")
REGION_COLOURS = {Region.COLON: "#56b4e9", Region.OOI: "#e69f00", Region.OUTSIDE: "#7f7f7f"}
GRID = "#d9d9d9"
INK = "#222222"
WIDTH = 6.2
"""Of every chart, in inches."""
SIDE, BOTTOM, LEGEND_ROW = 0.62, 0.5, 0.2
NAME_SIZE = 7.0
NAMED_CASES = 60
"""More cases than this get no name beside their dot; the table has them."""
NAME_LENGTH = 28
Arms = Sequence[tuple[str, Arm]]


def draw_charts(arms: Arms, language: Language) -> dict[str, str]:
    """The charts that there are data for: `froc`, `sizes`, `places` and `cases` as SVG.

    Args:
        arms: One or two, with their names.
        language: Of the words in them.
    """
    charts = {}
    if arms[0][1].summary.lesions:
        charts["froc"] = _froc_chart(arms, language)
        charts["sizes"] = _size_chart(arms, language)
        charts["cases"] = _case_chart(arms, language)
    if all(arm.summary.places for _, arm in arms):
        charts["places"] = _places_chart(arms, language)
    return charts


def _froc_chart(arms: Arms, language: Language) -> str:
    """Sensitivity against false positives per scan, with intervals at the rates of the table."""
    low, high = RATES[0] / 2**0.5, RATES[-1] * 2**0.5
    with _drawing(3.8, language, legend=_legend_rows(arms)) as (axes, out):
        for index, (name, arm) in enumerate(arms):
            rates = np.geomspace(low, high, 400)
            curve = froc(arm.cases).sensitivity(rates.tolist())[0]
            axes.plot(rates, curve, color=COLOURS[index], ls=LINES[index], lw=1.6, drawstyle="steps-post")
            wrong = arm.summary.false_positives_per_scan.value or 0.0
            place, found = min(max(wrong, low), high), arm.summary.lesion_sensitivity.value or 0.0
            axes.plot(place, found, "s", ms=12, mfc="none", mec=COLOURS[index], zorder=4, clip_on=False)
            # Arms stand a little apart, so that one interval does not hide the other.
            places = np.array(RATES) * (1.0 if len(arms) == 1 else 2.0 ** (0.12 * index - 0.06))
            _points(axes, places, arm.summary.froc, index, name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(RATES, [rate_text(rate) for rate in RATES])
        axes.set(xlim=(low, high), ylim=(-0.02, 1.02))
        axes.set(xlabel=say("false_positives_per_scan", language), ylabel=say("share_found", language))
        _finish(axes, legend=len(arms) > 1)
    return out.getvalue()


def _size_chart(arms: Arms, language: Language) -> str:
    """Share of the lesions of each size that the mask hits."""
    with _drawing(2.9, language, legend=_legend_rows(arms)) as (axes, out):
        for index, (name, arm) in enumerate(arms):
            shift = 0.0 if len(arms) == 1 else 0.16 * index - 0.08
            _points(axes, np.arange(len(SIZES), dtype=np.float64) + shift, arm.summary.by_size, index, name)
        counts = [figure.n for figure in arms[0][1].summary.by_size]
        labels = [f"{name}\nn = {count}" for (name, _), count in zip(SIZES, counts, strict=True)]
        axes.set_xticks(range(len(SIZES)), labels)
        axes.set(xlim=(-0.5, len(SIZES) - 0.5), ylim=(-0.02, 1.02), ylabel=say("share_found", language))
        _finish(axes, legend=len(arms) > 1)
    return out.getvalue()


def _case_chart(arms: Arms, language: Language) -> str:
    """Dice of each scan with a lesion, worst at the bottom; two arms are joined by a line."""
    ordered = sorted((case for case in arms[0][1].cases if case.dice is not None), key=_by_dice)
    named = len(ordered) <= NAMED_CASES
    names = [shown_name(case.name) for case in ordered] if named else []
    height = 0.8 + max(0.6, 0.19 * len(ordered)) if named else 6.0
    with _drawing(height, language, names, legend=_legend_rows(arms)) as (axes, out):
        rows = np.arange(len(ordered))
        values = []
        for _, arm in arms:
            dice = {case.name: case.dice for case in arm.cases}
            values.append(np.array([dice[case.name] for case in ordered], dtype=np.float64))
        if len(values) == 2:
            axes.hlines(rows, np.minimum(*values), np.maximum(*values), color="#9a9a9a", lw=1.0, zorder=1)
        for index, (name, _) in enumerate(arms):
            # The second is smaller, so that both are seen where they are equal.
            mark, colour, size = MARKS[index], COLOURS[index], (6.5, 3.5)[index]
            axes.plot(values[index], rows, mark, color=colour, ms=size, label=name, zorder=2, clip_on=False)
        axes.set_yticks(rows if named else [], names)
        axes.tick_params(axis="y", labelsize=NAME_SIZE, length=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(ordered) - 0.3), xlabel=say("dice", language))
        if not named:
            axes.set_ylabel(say("cases_by_dice", language, count=len(ordered)))
        _finish(axes, along="x", legend=len(arms) > 1)
    return out.getvalue()


def _places_chart(arms: Arms, language: Language) -> str:
    """False positives per scan by where they lie."""
    names = [name for name, _ in arms]
    with _drawing(0.75 + 0.45 * len(arms), language, names, legend=len(Region)) as (axes, out):
        for row, (_, arm) in enumerate(arms):
            start = 0.0
            for region in Region:
                value = arm.summary.places[region].value or 0.0
                label = say(region.value, language) if row == 0 else None
                colour = REGION_COLOURS[region]
                axes.barh(row, value, left=start, height=0.6, color=colour, label=label, edgecolor="white")
                start += value
        axes.set_yticks(range(len(arms)), names)
        axes.tick_params(axis="y", labelsize=NAME_SIZE, length=0)
        axes.set(ylim=(len(arms) - 0.5, -0.5), xlabel=say("false_positives_per_scan", language))
        axes.set_xlim(left=0.0, right=None if axes.get_xlim()[1] > 0.01 else 1.0)
        _finish(axes, along="x", legend=True)
    return out.getvalue()


@contextmanager
def _drawing(
    height: float, language: Language, names: Sequence[str] = (), *, legend: int = 0
) -> Iterator[tuple[Axes, io.StringIO]]:
    """Axes that are written as SVG when the block ends; the same content gives the same text.

    Args:
        height: Of the chart in inches, without its legend.
        language: Tells the browser which shapes of Chinese characters to draw.
        names: What stands to the left of the axes in `NAME_SIZE`.
        legend: Rows of the legend above the axes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    style: dict[Any, Any] = {
        "font.size": 9,
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        # A case's name is text, also where it has dollars in it.
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "agcrc",
    }
    left = max([SIDE, *(0.15 + _text_width(name, NAME_SIZE) for name in names)])
    top = 0.15 + LEGEND_ROW * legend
    height += LEGEND_ROW * legend
    drawn, out = io.StringIO(), io.StringIO()
    with mpl.rc_context(style), warnings.catch_warnings():
        # DejaVu Sans has no Chinese; it is the browser that draws.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Canvas(figsize=(WIDTH, height))
        inside = (left / WIDTH, BOTTOM / height, (WIDTH - left - 0.2) / WIDTH, (height - BOTTOM - top) / height)
        yield figure.add_axes(inside), out
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    out.write(drawn.getvalue().replace("<svg ", f'<svg lang="{TAGS[language]}" ', 1))


def shown_name(name: str) -> str:
    """A case's name as one short line of printable characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= NAME_LENGTH else f"{text[: NAME_LENGTH - 1]}…"


def rate_text(rate: float) -> str:
    """A rate of false positives per scan, such as `1/8` or `2`."""
    return str(int(rate)) if rate >= 1.0 else f"1/{round(1.0 / rate)}"


def _text_width(text: str, points: float) -> float:
    """About how wide a text is, in inches, whatever font draws it: Chinese characters are square."""
    return sum(1.0 if unicodedata.east_asian_width(sign) in "FW" else 0.64 for sign in text) * points / 72.0


def _legend_rows(arms: Arms) -> int:
    return len(arms) if len(arms) > 1 else 0


def _points(axes: Axes, places: NDArray[np.float64], figures: Sequence[Figure], index: int, name: str) -> None:
    known = [(place, each) for place, each in zip(places.tolist(), figures, strict=True) if each.value is not None]
    for place, each in known:
        if each.low is not None and each.high is not None:
            axes.plot([place, place], [each.low, each.high], color=COLOURS[index], lw=1.2, alpha=0.75, zorder=2)
    axes.plot(
        [place for place, _ in known],
        [each.value or 0.0 for _, each in known],
        MARKS[index],
        color=COLOURS[index],
        ms=5.5,
        label=name,
        zorder=3,
        clip_on=False,
    )


def _finish(axes: Axes, along: Literal["x", "y"] = "y", *, legend: bool) -> None:
    axes.grid(axis=along, color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        # One below the other: no text stands where another should end.
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderpad=0.2)


def _by_dice(case: Case) -> tuple[float, str]:
    return (case.dice or 0.0, case.name)
