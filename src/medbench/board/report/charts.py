"""Charts as Vega-Lite specs, and their drawing as SVG.

Names reach a spec as data only, never as a field name, an expression or an address. Positions come from row numbers and
fixed widths, so that neither the names nor the fonts of the machine that draws change the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from medbench.board.report.vega import renderer
from medbench.errors import InputError
from medbench.text import say

Spec = dict[str, Any]

WIDTH = 460
# From the palette of Okabe and Ito, whose colours everybody tells apart; `PALE` is a tint of `SKY`.
BLUE, SKY, PALE, ORANGE = "#0072b2", "#56b4e9", "#cde7f8", "#d55e00"
INK, GREY, GRID = "#1f2933", "#616e7c", "#e4e7eb"
NAME_WIDTH = 132
ROW, BAR_ROW, MARK_ROW = 22, 44, 36


class Bar(msgspec.Struct, frozen=True):
    """One score in a chart, 0..100.

    Attributes:
        label: Name shown.
        value: Score.
        low: Lower limit of its interval; None: undefined.
        high: Upper limit.
        text: The numbers as shown.
        whole: Nothing that belongs to it is missing.
        chance: What guessing gives; None: not defined.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    text: str
    whole: bool = True
    chance: float | None = None


class Positions(msgspec.Struct, frozen=True):
    """Shares of the answers per displayed position, A first, and those to be expected without preference."""

    label: str
    shares: tuple[float, ...]
    expected: tuple[float, ...]


class Rung(msgspec.Struct, frozen=True):
    """People's mean where a judge gave one level, with its interval, and the number of answers."""

    judge: float
    people: float
    low: float | None
    high: float | None
    n: int


class Reliability(msgspec.Struct, frozen=True):
    """A judge's reliability curve; `levels` are the lowest and the highest of the scale."""

    label: str
    levels: tuple[float, float]
    rungs: tuple[Rung, ...]


class Mark(msgspec.Struct, frozen=True):
    """A figure with its interval and its numbers as shown; `people` where it is theirs and no judge's."""

    label: str
    value: float
    low: float | None
    high: float | None
    text: str
    people: bool = False


def dimension_chart(bars: Sequence[Bar]) -> Spec:
    """Bars with interval whiskers, names above them: readable on a phone whatever their length."""
    y = _rows()
    axis = {"values": [0, 25, 50, 75, 100], **_AXIS}
    bar = {"type": "bar", "height": 12, "yOffset": 8}
    return _chart(
        [
            {
                "mark": bar,
                "encoding": {
                    "y": y,
                    "x": {"field": "value", "type": "quantitative", "scale": {"domain": [0, 100]}, "axis": axis},
                    "color": {"condition": {"test": "datum.whole", "value": SKY}, "value": PALE},
                },
            },
            _interval(y, offset=8),
            _text(y, "label", 0, dy=-9, color=INK, limit=320),
            _text(y, "text", WIDTH, align="right", dy=-9, color=GREY),
        ],
        bars,
        BAR_ROW,
    )


def dataset_chart(bars: Sequence[Bar]) -> Spec:
    """Dots with intervals and a mark where guessing would stand."""
    y = _rows()
    scale = {"domain": [0, 100], "range": [NAME_WIDTH, WIDTH - 8]}
    x = {"field": "value", "type": "quantitative", "scale": scale, "axis": {"values": [0, 25, 50, 75, 100], **_AXIS}}
    return _chart(
        [
            _interval(y),
            {
                "mark": {"type": "tick", "color": ORANGE, "thickness": 2.5, "size": 13, "opacity": 1},
                "transform": [{"filter": "datum.chance !== null"}],
                "encoding": {"y": y, "x": {**x, "field": "chance"}},
            },
            {
                "mark": {"type": "point", "filled": True, "color": BLUE, "size": 55, "opacity": 1},
                "encoding": {"y": y, "x": x},
            },
            _text(y, "label", 0, color=INK, limit=NAME_WIDTH - 12),
        ],
        bars,
        ROW,
    )


def position_chart(parts: Sequence[Positions]) -> Spec:
    """One small chart per part: share of the answers at each displayed position, and the share expected."""
    columns = 2
    wide = (WIDTH - 40 * columns) / columns
    most = max(max(part.shares + part.expected) for part in parts)
    y = {"type": "quantitative", "scale": {"domain": [0, most]}, "title": None}

    def small(part: Positions) -> Spec:
        values = [
            {"at": index, "letter": chr(ord("A") + index), "share": share, "expected": expected}
            for index, (share, expected) in enumerate(zip(part.shares, part.expected, strict=True))
        ]
        x = {
            "field": "letter",
            "type": "ordinal",
            "sort": {"field": "at"},
            "axis": {"title": None, "labelAngle": 0, "labelFontSize": 12, "labelColor": GREY, "ticks": False},
        }
        axis = {"format": ".0%", "tickCount": 3, **_AXIS}
        return {
            "width": wide,
            "height": 84,
            "data": {"values": values},
            "layer": [
                {
                    "mark": {"type": "bar", "color": SKY, "width": {"band": 0.7}},
                    "encoding": {"x": x, "y": {**y, "field": "share", "axis": axis}},
                },
                {
                    "mark": {"type": "tick", "color": ORANGE, "thickness": 2.5, "width": {"band": 0.7}, "opacity": 1},
                    "encoding": {"x": x, "y": {**y, "field": "expected", "axis": axis}},
                },
                {
                    "data": {"values": [{"label": part.label}]},
                    **_text({"value": -14}, "label", 0, color=INK, limit=int(wide)),
                },
            ],
        }

    return {**_FRAME, "concat": [small(part) for part in parts], "columns": columns, "spacing": 24}


def reliability_chart(curves: Sequence[Reliability], judge: str, people: str) -> Spec:
    """One small chart per judge: people's mean at each of its levels, where it would lie, and the number of answers.

    Args:
        curves: Of the judges.
        judge: Title of the axis of the judge's levels.
        people: Title of the axis of people's mean.
    """
    columns = 2
    wide = (WIDTH - 40 * columns) / columns

    def small(curve: Reliability) -> Spec:
        low, high = curve.levels
        domain = {"type": "quantitative", "scale": {"domain": [low, high]}}
        title = {**_AXIS, "tickCount": 5, "titleColor": GREY, "titleFontSize": 12, "titleFontWeight": "normal"}
        x = {**domain, "field": "judge", "axis": {**title, "title": judge}}
        y = {**domain, "field": "people", "axis": {**title, "title": people}}
        return {
            "width": wide,
            "height": wide,
            "data": {"values": [msgspec.structs.asdict(rung) for rung in curve.rungs]},
            "layer": [
                {
                    "data": {"values": [{"judge": each, "people": each} for each in curve.levels]},
                    "mark": {"type": "line", "color": ORANGE, "strokeDash": [4, 3], "strokeWidth": 1.5},
                    "encoding": {"x": x, "y": y},
                },
                {
                    "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5},
                    "transform": [{"filter": "datum.low !== null"}],
                    "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
                },
                {
                    "mark": {"type": "point", "filled": True, "color": BLUE, "size": 55, "opacity": 1},
                    "encoding": {"x": x, "y": y},
                },
                {
                    "mark": {"type": "text", "fontSize": 10, "color": GREY, "baseline": "bottom"},
                    "encoding": {"x": x, "y": {"value": -3}, "text": {"field": "n", "type": "quantitative"}},
                },
                {
                    "data": {"values": [{"label": curve.label}]},
                    **_text({"value": -26}, "label", 0, color=INK, limit=int(wide)),
                },
            ],
        }

    return {**_FRAME, "concat": [small(curve) for curve in curves], "columns": columns, "spacing": 28}


def mark_chart(marks: Sequence[Mark], least: float, most: float) -> Spec:
    """Dots with intervals, their names and numbers above them; people's in another colour, a line at 0.

    Args:
        marks: From top to bottom.
        least: The axis goes at least down to here.
        most: And up to here.
    """
    ends = [least, most, *(limit for mark in marks for limit in (mark.value, mark.low, mark.high) if limit is not None)]
    y = _rows()
    axis = {"tickCount": 5, **_AXIS}
    x = {"type": "quantitative", "scale": {"domain": [min(ends), max(ends)]}, "axis": axis}
    return _chart(
        [
            {
                "data": {"values": [{"at": 0}]},
                "mark": {"type": "rule", "color": GREY, "strokeWidth": 1, "opacity": 0.5},
                "encoding": {"x": {**x, "field": "at"}},
            },
            _interval(y, offset=8),
            {
                "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1, "yOffset": 8},
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "value"},
                    "color": {"condition": {"test": "datum.people", "value": ORANGE}, "value": BLUE},
                },
            },
            _text(y, "label", 0, dy=-7, color=INK, limit=300),
            _text(y, "text", WIDTH, align="right", dy=-7, color=GREY),
        ],
        marks,
        MARK_ROW,
    )


def draw(spec: Spec) -> str:
    """Draw a spec as SVG text; names in its data are escaped by the renderer.

    Raises:
        InputError: vl-convert is not installed.
    """
    found = renderer()
    if found is None:
        raise InputError(say("report.no_renderer"))
    return found.draw(spec)


_AXIS: Spec = {
    "title": None,
    "grid": True,
    "gridColor": GRID,
    "domain": False,
    "ticks": False,
    "labelColor": GREY,
    "labelFontSize": 11,
    "labelPadding": 6,
}
_FRAME: Spec = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "background": None,
    "config": {"aria": False, "font": "sans-serif", "view": {"stroke": None}, "axis": {"labelFontWeight": "normal"}},
}


def _chart(layers: list[Spec], bars: Sequence[Bar | Mark], step: int) -> Spec:
    values = [{"row": row, **msgspec.structs.asdict(bar)} for row, bar in enumerate(bars)]
    frame = {**_FRAME, "padding": {"left": 2, "right": 10, "top": 2, "bottom": 2}}
    return {**frame, "width": WIDTH, "height": {"step": step}, "data": {"values": values}, "layer": layers}


def _rows() -> Spec:
    return {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}


def _interval(y: Spec, offset: float = 0) -> Spec:
    return {
        "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5, "yOffset": offset},
        "transform": [{"filter": "datum.low !== null"}],
        "encoding": {"y": y, "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
    }


def _text(y: Spec, field: str, x: float, *, color: str, align: str = "left", dy: float = 0, limit: int = 0) -> Spec:
    mark = {"type": "text", "align": align, "dy": dy, "fontSize": 13, "color": color, "baseline": "middle"}
    return {
        "mark": {**mark, **({"limit": limit} if limit else {})},
        "encoding": {"y": y, "x": {"value": x}, "text": {"field": field, "type": "nominal"}},
    }
