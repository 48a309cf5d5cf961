"""Checks of one part, gathered while scores stream by, and the figures that come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from medbench.scoring.clustered import ClusteredValues
from medbench.scoring.executable.model import ExecutableCheck
from medbench.stats import Estimate


class CheckFigures(msgspec.Struct, frozen=True):
    """What running the answers of one part showed; no score.

    Attributes:
        covered: Share of the answers that could be run, in [0, 1], mean over the items.
        passed: Share of these in which nothing wrong was found; None where none could be run.
        by_status: Status -> responses.
        by_finding: Code of what was found -> responses, most frequent first.
    """

    covered: Estimate
    passed: Estimate | None
    by_status: dict[str, int]
    by_finding: dict[str, int]


class CheckTally:
    """Gathers the checks of one part."""

    def __init__(self) -> None:
        self._by_status: Counter[str] = Counter()
        self._by_finding: Counter[str] = Counter()
        self._covered, self._passed = ClusteredValues(), ClusteredValues()

    def add(self, found: Sequence[ExecutableCheck], cluster: int) -> None:
        """Take the checks of all answers to an item."""
        for check in found:
            self._by_status[check.status] += 1
            self._by_finding.update({finding.code for finding in check.findings})
        run = [check.status == "passed" for check in found if check.status != "not_covered"]
        self._covered.add(len(run) / len(found), cluster)
        if run:
            self._passed.add(sum(run) / len(run), cluster)

    def figures(self) -> CheckFigures | None:
        """The figures of everything taken so far; None where nothing was checked."""
        covered = self._covered.mean()
        if covered is None:
            return None
        return CheckFigures(
            covered=covered,
            passed=self._passed.mean(),
            by_status=dict(sorted(self._by_status.items())),
            by_finding=dict(sorted(self._by_finding.items(), key=lambda each: (-each[1], each[0]))),
        )
