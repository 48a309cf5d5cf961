"""What the report says of items that were asked several times: one attempt, the best and the worst of k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.figures import NOTHING, percent, with_interval
from medbench.board.summary import Repeats

if TYPE_CHECKING:
    from medbench.board.report.view import View


@dataclass(frozen=True, slots=True)
class EpochLine:
    """A dataset, or all of the run."""

    name: str
    pass_at_1: str
    pass_at_k: str
    pass_all_k: str
    identical: str


def epoch_lines(view: View) -> list[EpochLine]:
    """The datasets that were asked in several epochs, and the run; none where there was one epoch only."""
    if view.summary.repeats is None:
        return []
    lines = [_line(dataset.name, dataset.repeats) for dataset in view.summary.datasets if dataset.repeats]
    return [*lines, _line(view.t("headline"), view.summary.repeats)]


def _line(name: str, repeats: Repeats) -> EpochLine:
    return EpochLine(
        name=name,
        pass_at_1=with_interval(repeats.pass_at_1),
        pass_at_k=with_interval(repeats.pass_at_k),
        pass_all_k=with_interval(repeats.pass_all_k),
        identical=NOTHING if repeats.identical is None else percent(repeats.identical),
    )
