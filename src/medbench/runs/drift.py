"""Anchors are drawn from a run and judged again with every version of a judge; readings are kept in a history."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger
from medbench.engine.progress import Watch
from medbench.errors import InputError, Problem, WorkError
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.judges import Judge
from medbench.runs.judging import ask_what_is_left
from medbench.runs.people import judged, nothing_rated
from medbench.runs.plan import asked
from medbench.runs.results import answered
from medbench.scoring.judging.anchors import (
    AnchorSet,
    floor_anchors,
    read_anchors,
    run_anchors,
    write_anchors,
)
from medbench.scoring.judging.contract import decode_judgement
from medbench.scoring.judging.drift import (
    TASKS,
    Comparison,
    Floor,
    Noise,
    Reading,
    Repeats,
    Verdict,
    WithPeople,
    compare_readings,
    floor_of,
    noise_of,
    with_people,
)
from medbench.scoring.judging.plan import SLOTS, JudgeCall, repeats_of
from medbench.scoring.judging.rubric import load_rubric
from medbench.scoring.judging.sheet import CRITERION, draw
from medbench.scoring.judging.verdict import Task
from medbench.scoring.ratings import Answered, read_all
from medbench.store.files import exclusive, made, write_atomically, write_json
from medbench.text import say

HISTORY_FILE = "history.jsonl"
RESULT_FILE = "drift.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class DrawnAnchors(msgspec.Struct, frozen=True):
    """What became of drawing anchors.

    Attributes:
        anchors: The file.
        hash: Of the set.
        answers: Of the run.
        rated: Of these, rated by people.
        floor: Answers that hold none.
    """

    anchors: str
    hash: str
    answers: int
    rated: int
    floor: int


class OfReading(msgspec.Struct, frozen=True):
    """What one reading says by itself.

    Attributes:
        name: Of the reading.
        at: When it ended, UTC.
        judge: Name of the model.
        judge_id: Of the judge as an instrument.
        failures: Failed judgements by reason.
        noise: By task.
        floor: By task.
        people: Against people.
    """

    name: str
    at: str
    judge: str
    judge_id: str
    failures: dict[str, int]
    noise: dict[Task, Noise]
    floor: dict[Task, Floor]
    people: WithPeople


class DriftOutcome(msgspec.Struct, frozen=True):
    """A reading, and how it compares with an earlier one.

    Attributes:
        anchors: Hash of the anchor set.
        answers: Anchors, those of the floor included.
        now: The reading.
        then: The earlier one; None where there is none of this judge.
        others: Readings of other judges, which could be named to be compared with; `JUDGE/NAME`.
        comparison: None without an earlier reading.
        verdict: Of the comparison; `unknown` without one.
        reason: Why it is unknown: `first_reading`, `few_judged` or `few_items`.
    """

    anchors: str
    answers: int
    now: OfReading
    then: OfReading | None
    others: tuple[str, ...]
    comparison: Comparison | None
    verdict: Verdict
    reason: str


def draw_anchors(run_dir: Path, ratings: Sequence[Path], size: int, seed: int, out: Path) -> DrawnAnchors:
    """Freeze judged answers of a run, those first that people rated, and the answers that belong at the floor.

    Args:
        run_dir: A judged run.
        ratings: Ratings files, as `medbench judge import` writes them.
        size: Most answers of the run.
        seed: Of the draw.
        out: The file; never overwritten.

    Raises:
        InputError: The run has no judged answers or hides its keys, the ratings are of other answers, or there is a
            file already.
        WorkError: The file can't be written.
    """
    pins = read_pins(run_dir)
    problems = []
    if pins.disclosure == "hidden":
        problems.append(Problem(message=say("drift.hidden"), file=str(run_dir)))
    if out.exists():
        problems.append(Problem(message=say("drift.anchors_exist"), file=str(out)))
    people: dict[tuple[str, Answered], list[float]] = {}
    try:
        for rating in read_all(ratings):
            if rating.kind == "human" and rating.criterion == CRITERION:
                people.setdefault(rating.unit, []).append(rating.share)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    answers = [answer for answer, _ in judged(run_dir)]
    if not answers:
        raise nothing_rated(run_dir)
    rated = [each for each in answers if (each.item, each.response) in people]
    if ratings and not rated:
        raise InputError(Problem(message=say("drift.ratings_of_others", path=run_dir), file=str(ratings[0])))
    drawn = draw(rated, size, seed)
    drawn += draw((each for each in answers if (each.item, each.response) not in people), size - len(drawn), seed)
    chosen = {
        int(each.response.rpartition("/")[2]): tuple(people.get((each.item, each.response), ())) for each in drawn
    }
    with closing(Ledger(run_dir / LEDGER_FILE, read_only=True)) as ledger:
        plan = answered(asked(open_pinned(pins), pins.selection), ledger)
        anchors = list(run_anchors(Path(pins.items), pins.own_catalog, plan, chosen))
    floor = list(floor_anchors())
    frozen = write_anchors(out, anchors + floor, run=pins.config_hash(), seed=seed)
    return DrawnAnchors(str(out), frozen.hash, len(anchors), sum(bool(each.people) for each in anchors), len(floor))


def read_again(
    anchors: Path, judge: Judge, out: Path, *, name: str | None = None, against: str | None = None, watch: Watch | None
) -> DriftOutcome:
    """Let a judge judge an anchor set, note it in the history, and compare it with an earlier reading.

    Args:
        anchors: Anchor file.
        judge: Who is asked; nothing comes from a cache.
        out: Folder with the history and a ledger per reading.
        name: Of the reading; None: today's date (UTC). The same name goes on with a reading that was interrupted.
        against: Name of the earlier reading, or `JUDGE/NAME`; None: the first one of this judge.
        watch: Sees the progress.

    Raises:
        InputError: Something can't be used; nothing was asked.
        WorkError: The disk failed, or the judge can't be asked any further; what came back is kept.
    """
    name = name or datetime.now(UTC).date().isoformat()
    frozen = read_anchors(anchors)
    problems = []
    if not _NAME.fullmatch(name):
        problems.append(Problem(message=say("drift.bad_name", name=repr(name)), field="--reading"))
    here = f"{judge.pins.id}/{name}"
    readings = (each for each in _history(out) if each.anchors == frozen.hash)
    earlier = list(takewhile(lambda each: each.id != here, readings))
    chosen = _chosen(earlier, judge, against)
    if against is not None and chosen is None:
        known = ", ".join(each.id for each in earlier) or "–"
        problems.append(Problem(message=say("drift.no_reading", name=against, known=known), field="--against"))
    if problems:
        raise InputError(*problems)
    calls = [call for place, each in enumerate(frozen.anchors) for call in each.calls(place, judge.pins)]
    with exclusive(made(out, "--out")), closing(Ledger(out / f"{frozen.hash[:16]}-{name}.sqlite")) as ledger:
        _ask(judge, calls, ledger, watch)
        now = _note(out, _reading(frozen, judge, name, ledger))
        comparison = compare_readings(frozen.anchors, chosen, now) if chosen else None
        outcome = DriftOutcome(
            anchors=frozen.hash,
            answers=len(frozen.anchors),
            now=_of(frozen, now),
            then=_of(frozen, chosen) if chosen else None,
            others=tuple(each.id for each in earlier if each.judge_id != judge.pins.id),
            comparison=comparison,
            verdict=comparison.verdict if comparison else "unknown",
            reason=comparison.reason if comparison else "first_reading",
        )
        write_json(out / RESULT_FILE, outcome)
    return outcome


def _ask(judge: Judge, calls: Sequence[JudgeCall], ledger: Ledger, watch: Watch | None) -> None:
    if not calls:
        return
    stopped, reason = asyncio.run(ask_what_is_left(judge, calls, ledger, 0, watch))
    if stopped:
        raise WorkError(reason)


def _reading(frozen: AnchorSet, judge: Judge, name: str, ledger: Ledger) -> Reading:
    """What the judge said of every anchor."""
    values: dict[Task, list[Repeats]] = {task: [] for task in TASKS}
    failures: dict[str, int] = {}
    for place, anchor in enumerate(frozen.anchors):
        bodies = ledger.bodies(judge.pins.kind, place * SLOTS, place * SLOTS + SLOTS - 1)
        said = repeats_of([(seq, decode_judgement(body)) for seq, body in bodies], anchor.key, judge.pins)
        for task in TASKS:
            repeats = said.get(task, [])
            values[task].append(tuple(None if each.value is None else round(each.value, 6) for each in repeats))
            for each in repeats:
                if each.status != "judged":
                    failures[each.reason] = failures.get(each.reason, 0) + 1
    return Reading(
        name=name,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        anchors=frozen.hash,
        judge_id=judge.pins.id,
        judge=judge.pins,
        rubrics={each: load_rubric(each).version() for each in sorted({anchor.rubric for anchor in frozen.anchors})},
        failures=dict(sorted(failures.items())),
        values={task: tuple(each) for task, each in values.items()},
    )


def _note(out: Path, now: Reading) -> Reading:
    """Put a reading into the history, in its own place where it is there already and says something else."""
    history = list(_history(out))
    place = next((at for at, each in enumerate(history) if (each.anchors, each.id) == (now.anchors, now.id)), None)
    if place is None:
        history.append(now)
    elif msgspec.structs.replace(history[place], at=now.at) == now:
        return history[place]
    else:
        history[place] = now
    write_atomically(out / HISTORY_FILE, b"".join(msgspec.json.encode(each) + b"\n" for each in history))
    return now


def _of(frozen: AnchorSet, reading: Reading) -> OfReading:
    return OfReading(
        name=reading.name,
        at=reading.at,
        judge=reading.judge.model.name,
        judge_id=reading.judge_id,
        failures=reading.failures,
        noise={task: noise_of(reading, task) for task in TASKS},
        floor={task: floor_of(frozen.anchors, reading, task) for task in TASKS},
        people=with_people(frozen.anchors, reading),
    )


def _chosen(earlier: Sequence[Reading], judge: Judge, against: str | None) -> Reading | None:
    """The reading to compare with; None where there is none, or its name is that of several judges."""
    own = [each for each in earlier if each.judge_id == judge.pins.id]
    if against is None:
        return own[0] if own else None
    for those in (own, earlier):
        found = [each for each in those if against in (each.name, each.id)]
        if len(found) == 1:
            return found[0]
    return None


def _history(out: Path) -> tuple[Reading, ...]:
    path = out / HISTORY_FILE
    try:
        return tuple(msgspec.json.Decoder(Reading).decode_lines(path.read_bytes()))
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(say("runs.bad_run_file", path=path, error=error)) from error
