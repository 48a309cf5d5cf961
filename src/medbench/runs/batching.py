"""A judge asked for all statements of an answer at once, and one by one; resumed one call at a time."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections.abc import Iterable
from contextlib import closing
from itertools import groupby
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger
from medbench.engine.progress import Watch
from medbench.errors import InputError, Problem, WorkError
from medbench.models.model import Identity
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.judges import Judge
from medbench.runs.judging import ask_what_is_left
from medbench.runs.plan import asked
from medbench.runs.results import answered
from medbench.scoring.asked import Asked
from medbench.scoring.judging.batching import TaskFigures, bundled_calls, comparable, compare
from medbench.scoring.judging.calls import JudgePlanner
from medbench.scoring.judging.contract import decode_judgement
from medbench.scoring.judging.plan import JudgeCall, JudgePins
from medbench.scoring.judging.verdict import Judgement, Task
from medbench.store.files import exclusive, made, write_json
from medbench.text import say

RESULT_FILE = "batching.json"
TASKS: tuple[Task, ...] = ("key_points", "criteria")


class BatchingOutcome(msgspec.Struct, frozen=True):
    """The result of the comparison.

    Attributes:
        judge: The model.
        together: Id of the judge that is asked at once.
        apart: Id of the judge that is asked one by one.
        repeats: Of both.
        run: Whose answers were judged; empty: the bundled sample.
        calls: Judge calls that both ways need.
        tokens_together: Input and output tokens of all sessions of this folder.
        tokens_apart: As above.
        by_reason: Failed calls by reason, of both ways.
        tasks: Key points and criteria, where there are some.
    """

    judge: Identity
    together: str
    apart: str
    repeats: int
    run: str
    calls: int
    tokens_together: int
    tokens_apart: int
    by_reason: dict[str, int]
    tasks: tuple[TaskFigures, ...]


def compare_batching(
    judge: Judge, out: Path, *, run_dir: Path | None = None, size: int = 100, watch: Watch | None = None
) -> BatchingOutcome:
    """Let a judge judge key points and criteria in both ways.

    Args:
        judge: Who is asked; in which way it would be asked plays no part.
        out: Folder of the comparison; the same command goes on with one that was interrupted.
        run_dir: Run whose answers are judged; None: the clean answers to the items of the attack corpus.
        size: Most answers.
        watch: Sees the progress.

    Raises:
        InputError: The run is under hidden disclosure, or nothing in it has two statements to judge.
        WorkError: The disk failed, or the judge can't be asked any further; what came back is kept.
    """
    together, apart = (
        Judge(msgspec.structs.replace(judge.spec, points=points)) for points in ("together", "one_by_one")
    )
    at_once = _calls(run_dir, size, together.pins)
    if not at_once:
        raise InputError(Problem(message=say("runs.batching_nothing"), file=str(run_dir)))
    one_by_one = _calls(run_dir, size, apart.pins)
    with exclusive(made(out, "--out")), closing(Ledger(out / LEDGER_FILE)) as ledger:
        for way, calls in ((together, at_once), (apart, one_by_one)):
            stopped, reason = asyncio.run(ask_what_is_left(way, calls, ledger, 0, watch))
            if stopped:
                raise WorkError(reason)
        said = [(way.pins, _said(way, calls, ledger)) for way, calls in ((together, at_once), (apart, one_by_one))]
        used = [ledger.totals(way.pins.kind) for way in (together, apart)]
    failed = [each.reason for _, those in said for each in those.values() if each.status != "judged"]
    outcome = BatchingOutcome(
        judge=judge.model.identity,
        together=together.pins.id,
        apart=apart.pins.id,
        repeats=judge.spec.repeats,
        run=str(run_dir or ""),
        calls=len(at_once) + len(one_by_one),
        tokens_together=used[0].input_tokens + used[0].output_tokens,
        tokens_apart=used[1].input_tokens + used[1].output_tokens,
        by_reason={reason: failed.count(reason) for reason in sorted(set(failed))},
        tasks=tuple(figures for task in TASKS if (figures := compare(task, at_once, *said)) is not None),
    )
    write_json(out / RESULT_FILE, outcome)
    return outcome


def _calls(run_dir: Path | None, size: int, pins: JudgePins) -> list[JudgeCall]:
    if run_dir is None:
        return _drawn(bundled_calls(pins), size)
    run = read_pins(run_dir)
    if run.disclosure == "hidden":
        raise InputError(Problem(message=say("compare.hidden", path=run_dir)))
    plan = asked(open_pinned(run), run.selection)
    planner = JudgePlanner(Path(run.items), run.own_catalog)
    with closing(Ledger(run_dir / LEDGER_FILE, read_only=True)) as ledger:
        return _drawn(comparable(planner.calls(answered(plan, ledger), pins)), size)


def _drawn(calls: Iterable[JudgeCall], size: int) -> list[JudgeCall]:
    """The calls on a simple random sample of the answers, the same for both ways: those with the smallest hashes."""
    by_answer = (list(several) for _, several in groupby(calls, key=lambda call: call.asked.seq))
    drawn = heapq.nsmallest(size, by_answer, key=lambda several: _ticket(several[0].asked))
    return sorted((call for several in drawn for call in several), key=lambda call: call.seq)


def _ticket(call: Asked) -> bytes:
    return hashlib.sha256(f"{call.question.uid}\0{call.variant}".encode()).digest()


def _said(judge: Judge, calls: Iterable[JudgeCall], ledger: Ledger) -> dict[int, Judgement]:
    """Place of a call -> judgement, of those that judge these very answers and keys."""
    done = ledger.done(judge.pins.kind, 0, max(call.seq for call in calls))
    wanted = {call.seq for call in calls if done.get(call.seq) == call.hash(judge.pins)}
    return {seq: decode_judgement(body) for seq, body in ledger.bodies(judge.pins.kind) if seq in wanted}
