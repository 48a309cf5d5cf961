"""What the report says of answers that were run: how many could be, how many passed, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.pictures import estimate_text
from medbench.text import say

if TYPE_CHECKING:
    from medbench.board.report.view import View

NOTHING = "–"
MOST_FINDINGS = 4


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A part whose answers were run."""

    name: str
    covered: str
    passed: str
    findings: str


def check_lines(view: View) -> list[CheckLine]:
    """The parts whose answers were run, in the order of the run."""
    lines = []
    for dataset in view.summary.datasets:
        for part in dataset.parts:
            checked = part.checked
            if checked is None:
                continue
            found = list(checked.by_finding.items())[:MOST_FINDINGS]
            lines.append(
                CheckLine(
                    name=f"{dataset.name} {part.name}".strip(),
                    covered=f"{estimate_text(checked.covered)}, n = {checked.covered.n:,}",
                    passed=f"{estimate_text(checked.passed)}, n = {checked.passed.n:,}" if checked.passed else NOTHING,
                    findings=view.names(
                        f"{say(f'scoring.check_{code}', language=view.language)} ({count:,})" for code, count in found
                    )
                    or NOTHING,
                )
            )
    return lines
