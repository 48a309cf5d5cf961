"""The charts of the report, drawn without a display as SVG that loads nothing."""

from __future__ import annotations

import io
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Okabe & Ito's palette: told apart with any colour vision; arms differ in their marks as well.
COLOURS = ("#0072b2", "#d55e00")
MARKS = ("o", "D")
LINES = ("-", "--")
REGION_COLOURS = {Region.COLON: "#56b4e9", Region.OOI: "#e69f00", Region.OUTSIDE: "#7f7f7f"}
REGION_NAMES = {Region.COLON: "in the colon label", Region.OOI: "elsewhere in the OOI", Region.OUTSIDE: "outside"}
CHINESE_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "SimHei")
GRID = "#d9d9d9"
INK = "#222222"
NAMED_CASES = 60
"""More cases than this get no name beside their dot; the table has them."""
NAME_LENGTH = 28


def froc_chart(arms: Sequence[tuple[str, Arm]]) -> str:
    """Sensitivity against false positives per scan, with intervals at the rates of the table."""
    with drawing(6.2, 3.8) as (figure, out):
        axes = figure.subplots()
        low = RATES[0] / 2**0.5
        for index, (name, arm) in enumerate(arms):
            rates = np.geomspace(low, RATES[-1] * 2**0.5, 400)
            curve = froc(arm.cases).sensitivity(rates.tolist())[0]
            axes.plot(rates, curve, color=COLOURS[index], ls=LINES[index], lw=1.6, drawstyle="steps-post")
            mask = (arm.summary.false_positives_per_scan.value or 0.0, arm.summary.lesion_sensitivity.value or 0.0)
            axes.plot(
                min(max(mask[0], low), RATES[-1] * 2**0.5),
                mask[1],
                "s",
                ms=12,
                mfc="none",
                mec=COLOURS[index],
                zorder=4,
                clip_on=False,
            )
            # Arms stand a little apart, so that one interval does not hide the other.
            places = np.array(RATES) * (1.0 if len(arms) == 1 else 2.0 ** (0.12 * index - 0.06))
            _points(axes, places, arm.summary.froc, index, name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(RATES, ["1/8", "1/4", "1/2", "1", "2", "4", "8"])
        axes.set(xlim=(low, RATES[-1] * 2**0.5), ylim=(-0.02, 1.02))
        axes.set(xlabel="False positives per scan", ylabel="Share of lesions found")
        _finish(axes, legend=len(arms) > 1)
    return out.getvalue()


def size_chart(arms: Sequence[tuple[str, Arm]]) -> str:
    """Share of the lesions of each size that the mask hits."""
    with drawing(6.2, 2.9) as (figure, out):
        axes = figure.subplots()
        for index, (name, arm) in enumerate(arms):
            shift = 0.0 if len(arms) == 1 else 0.16 * index - 0.08
            _points(axes, np.arange(len(SIZES), dtype=np.float64) + shift, arm.summary.by_size, index, name)
        labels = [
            f"{name}\n{figure.n} lesions" for (name, _), figure in zip(SIZES, arms[0][1].summary.by_size, strict=True)
        ]
        axes.set_xticks(range(len(SIZES)), labels)
        axes.set(xlim=(-0.5, len(SIZES) - 0.5), ylim=(-0.02, 1.02), ylabel="Share of lesions found")
        _finish(axes, legend=len(arms) > 1)
    return out.getvalue()


def case_chart(arms: Sequence[tuple[str, Arm]]) -> str | None:
    """Dice of each scan with a lesion, worst at the bottom; two arms are joined by a line. None without such a scan."""
    ordered = sorted((case for case in arms[0][1].cases if case.dice is not None), key=_by_dice)
    if not ordered:
        return None
    named = len(ordered) <= NAMED_CASES
    height = 1.0 + (0.19 * len(ordered) if named else 6.0)
    with drawing(6.2, max(2.0, height)) as (figure, out):
        axes = figure.subplots()
        rows = np.arange(len(ordered))
        values = []
        for _, arm in arms:
            dice = {case.name: case.dice for case in arm.cases}
            values.append(np.array([dice[case.name] for case in ordered], dtype=np.float64))
        if len(values) == 2:
            axes.hlines(rows, np.minimum(*values), np.maximum(*values), color="#9a9a9a", lw=1.0, zorder=1)
        for index, (name, _) in enumerate(arms):
            axes.plot(
                values[index], rows, MARKS[index], color=COLOURS[index], ms=4.5, label=name, zorder=2, clip_on=False
            )
        axes.set_yticks(rows if named else [], [shown_name(case.name) for case in ordered] if named else [])
        axes.tick_params(axis="y", labelsize=7, length=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(ordered) - 0.3), xlabel="Dice")
        if not named:
            axes.set_ylabel(f"{len(ordered)} scans with a lesion, by Dice")
        _finish(axes, along="x", legend=False)
        if len(arms) > 1:
            axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return out.getvalue()


def places_chart(arms: Sequence[tuple[str, Arm]]) -> str | None:
    """False positives per scan by where they lie; None where no organ masks were given."""
    if not all(arm.summary.places for _, arm in arms):
        return None
    with drawing(6.2, 1.3 + 0.45 * len(arms)) as (figure, out):
        axes = figure.subplots()
        for row, (_, arm) in enumerate(arms):
            start = 0.0
            for region in Region:
                value = arm.summary.places[region].value or 0.0
                label = REGION_NAMES[region] if row == 0 else None
                axes.barh(
                    row, value, left=start, height=0.6, color=REGION_COLOURS[region], label=label, edgecolor="white"
                )
                start += value
        axes.set_yticks(range(len(arms)), [name for name, _ in arms])
        axes.set(ylim=(len(arms) - 0.5, -0.5), xlabel="False positives per scan")
        axes.set_xlim(left=0.0, right=None if axes.get_xlim()[1] > 0.01 else 1.0)
        _finish(axes, along="x", legend=False)
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return out.getvalue()


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Canvas, io.StringIO]]:
    """A figure of this many inches, written as SVG when the block ends; the same content gives the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    style: dict[Any, Any] = {
        "font.size": 9,
        "font.family": ["DejaVu Sans", *(name for name in CHINESE_FONTS if name in installed)],
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        # A case's name is text, also where it has dollars in it.
        "text.parse_math": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "agcrc",
    }
    out = io.StringIO()
    with mpl.rc_context(style), warnings.catch_warnings():
        # Names in scripts that no font has are drawn as boxes; the table has them right.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Canvas(figsize=(width, height), layout="constrained")
        yield figure, out
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})


def shown_name(name: str) -> str:
    """A case's name as one short line of printable characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= NAME_LENGTH else f"{text[: NAME_LENGTH - 1]}…"


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


def _finish(axes: Axes, along: Literal["x", "y"] = "y", legend: bool = True) -> None:
    axes.grid(axis=along, color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _by_dice(case: Case) -> tuple[float, str]:
    return (case.dice or 0.0, case.name)
