"""What the report says of answers that were run: how many could be, how many passed, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.checks import checks_of
from medbench.board.report.figures import NOTHING, estimate_text
from medbench.text import say

if TYPE_CHECKING:
    from medbench.board.report.view import View
    from medbench.scoring.executable.tally import CheckFigures

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
    for name, checked in checks_of(view.summary).items():
        found = list(checked.by_finding.items())[:MOST_FINDINGS]
        findings = view.names(
            f"{say(f'scoring.check_{code}', language=view.language)} ({count:,})" for code, count in found
        )
        lines.append(CheckLine(name, *shares_text(checked), findings=findings or NOTHING))
    return lines


def shares_text(checked: CheckFigures) -> tuple[str, str]:
    """The share of answers that could be run, and of these the share with nothing wrong; each with interval and n."""
    covered, passed = (
        NOTHING if each is None else f"{estimate_text(each)}, n = {each.n:,}"
        for each in (checked.covered, checked.passed)
    )
    return covered, passed
