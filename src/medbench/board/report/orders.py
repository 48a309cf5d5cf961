"""What the report says of items asked in several option orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.charts import Positions
from medbench.board.report.figures import NOTHING, estimate_text, p_value, percent, score
from medbench.scoring.circular import CircularFigures
from medbench.scoring.tally import PartFigures

if TYPE_CHECKING:
    from medbench.board.report.view import View

POSITION_LEVEL = 0.05
"""p value below which a preferred position is named."""


@dataclass(frozen=True, slots=True)
class CircularRow:
    """One line of the table of option orders."""

    name: str
    items: str
    acc_circular: str
    acc_origin: str
    acc_mean: str
    more: tuple[str, ...]
    consistency: str
    position: str


def circular_parts(view: View) -> list[tuple[str, PartFigures, CircularFigures]]:
    """(name, part, its figures) of everything asked in several orders."""
    return [
        (name, part, part.circular)
        for name, part in view.summary.named_parts()
        if part.circular is not None and not view.concealed(part.items)
    ]


def most_orders(view: View) -> int:
    """The largest m of `more_m`."""
    return max((len(figures.more_m) for _, _, figures in circular_parts(view)), default=0)


def circular_rows(view: View) -> list[CircularRow]:
    """Lines of the table of option orders."""
    most = most_orders(view)
    return [
        CircularRow(
            name=name,
            items=f"{part.items:,}",
            acc_circular=estimate_text(part.estimate) if part.metric == "accuracy_circular" else NOTHING,
            acc_origin=score(figures.acc_origin),
            acc_mean=score(figures.acc_mean),
            more=tuple(score(figures.more_m.get(str(least))) for least in range(1, most + 1)),
            consistency=score(figures.consistency),
            position=_position(view, figures),
        )
        for name, part, figures in circular_parts(view)
    ]


def positions(view: View) -> list[Positions]:
    """Shares per displayed position, for the chart."""
    return [
        Positions(name, figures.position_shares, figures.position_expected)
        for name, _, figures in circular_parts(view)
        if figures.position_shares
    ]


def _position(view: View, figures: CircularFigures) -> str:
    if figures.position_p is None or not figures.position_shares:
        return NOTHING
    p = p_value(figures.position_p)
    if figures.position_p >= POSITION_LEVEL:
        return view.t("position_none", p=p)
    excess = [share - due for share, due in zip(figures.position_shares, figures.position_expected, strict=True)]
    most = excess.index(max(excess))
    shares = {
        "share": percent(figures.position_shares[most]),
        "expected": percent(figures.position_expected[most]),
    }
    return view.t("position_found", letter=chr(ord("A") + most), p=p, **shares)
