"""Checks of one part, gathered while scores stream by, and the figures that come of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from medbench.scoring.executable.model import ExecutableCheck
from medbench.stats import Estimate, clustered_mean


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
        self._covered, self._covered_families = array("d"), array("q")
        self._passed, self._passed_families = array("d"), array("q")

    def add(self, found: Sequence[ExecutableCheck], family: int) -> None:
        """Take the checks of all answers to an item."""
        for check in found:
            self._by_status[check.status] += 1
            self._by_finding.update({finding.code for finding in check.findings})
        run = [check.status == "passed" for check in found if check.status != "not_covered"]
        self._covered.append(len(run) / len(found))
        self._covered_families.append(family)
        if run:
            self._passed.append(sum(run) / len(run))
            self._passed_families.append(family)

    def figures(self) -> CheckFigures | None:
        """The figures of everything taken so far; None where nothing was checked."""
        covered = _mean(self._covered, self._covered_families)
        if covered is None:
            return None
        return CheckFigures(
            covered=covered,
            passed=_mean(self._passed, self._passed_families),
            by_status=dict(sorted(self._by_status.items())),
            by_finding=dict(sorted(self._by_finding.items(), key=lambda each: (-each[1], each[0]))),
        )


def _mean(values: array[float], families: array[int]) -> Estimate | None:
    if not values:
        return None
    return clustered_mean(np.frombuffer(values), np.frombuffer(families, dtype=np.int64))
