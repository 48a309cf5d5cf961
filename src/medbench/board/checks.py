"""Executable checks of several runs: each run's figures, and two runs on the same items. No part of any score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec

from medbench.board.effects import PairedFigure, numbers, p_value
from medbench.board.pairing import MEAN, Outcomes, pair_items
from medbench.board.summary import Summary
from medbench.scoring.executable.tally import CheckFigures
from medbench.store.parquet import read_batches

COLUMNS = ("dataset", "part", "uid", "family", "check_status")


class CheckComparison(msgspec.Struct, frozen=True):
    """What running the answers of one part showed in both runs, A − B.

    Attributes:
        name: Of the dataset, with its part where it has several.
        covered: Share of the answers that could be run, over the items that both runs answered.
        passed: Share of these in which nothing wrong was found, over the items with answers of both runs that could be
            run; None where there is no such item.
    """

    name: str
    covered: PairedFigure
    passed: PairedFigure | None


def checks_of(summary: Summary) -> dict[str, CheckFigures]:
    """The parts of a run whose answers were run, by name, with what that showed."""
    return {name: part.checked for name, part in summary.named_parts() if part.checked is not None}


def compare_checks(runs: tuple[Path, Path], summaries: tuple[Summary, Summary]) -> tuple[CheckComparison, ...]:
    """Compare what running the answers of two runs over the same items showed; empty where nothing was run in both."""
    names = [name for name in checks_of(summaries[0]) if name in checks_of(summaries[1])]
    if not names:
        return ()
    (covered_a, passed_a), (covered_b, passed_b) = (_read(run) for run in runs)
    found = []
    for name in names:
        covered = _figure(name, covered_a[name], covered_b[name])
        if covered is not None:
            found.append(CheckComparison(name, covered, _figure(name, passed_a[name], passed_b[name])))
    return tuple(found)


def _read(run_dir: Path) -> tuple[defaultdict[str, Outcomes], defaultdict[str, Outcomes]]:
    """By part the items' shares of answers that could be run, and of these the shares that passed."""
    covered, passed = (defaultdict[str, Outcomes](lambda: Outcomes(MEAN)) for _ in range(2))
    for (dataset, part, uid, family), rows in groupby(_rows(run_dir), key=itemgetter(0, 1, 2, 3)):
        name = f"{dataset} {part}".strip()
        statuses = [row[-1] for row in rows]
        run = [status == "passed" for status in statuses if status != "not_covered"]
        covered[name].add(uid, [(family, len(run) / len(statuses), 0, 0)])
        if run:
            passed[name].add(uid, [(family, sum(run) / len(run), 0, 0)])
    return covered, passed


def _rows(run_dir: Path) -> Iterator[tuple[str, ...]]:
    """The columns of each answer that has a check."""
    for batch in read_batches(run_dir / "scores", COLUMNS):
        for row in zip(*(batch[name].to_pylist() for name in COLUMNS), strict=True):
            if row[-1] is not None:
                yield row


def _figure(name: str, ours: Outcomes, theirs: Outcomes) -> PairedFigure | None:
    pair = pair_items(name, ours, theirs)
    if pair is None:
        return None
    effect = {**numbers(pair.difference), "p": p_value(pair.difference, [pair])}
    return PairedFigure(a=100 * pair.a, b=100 * pair.b, **effect)
