"""Judging the answers of a run, while they come in or afterwards; resumed one call at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from medbench.engine.budget import Budget
from medbench.engine.cache import ResponseCache
from medbench.engine.ledger import Ledger, Recorder
from medbench.engine.local import C, Handler, Stopped, dispatch
from medbench.engine.meter import Meter
from medbench.engine.progress import Progress, Watch, show
from medbench.items.source import ItemSource
from medbench.models.model import Response
from medbench.runs.config import Pins
from medbench.runs.judges import Judge, JudgeHandler, Unjudged, feed
from medbench.runs.plan import KIND, asked
from medbench.runs.settings import Settings
from medbench.scoring.judging.calls import JudgePlanner
from medbench.scoring.judging.plan import SLOTS, JudgeCall
from medbench.tasks import together

QUEUE = 256

_decode = msgspec.json.Decoder(Response).decode


async def judge_answers(
    source: ItemSource,
    pins: Pins,
    judges: Sequence[Judge],
    settings: Settings,
    answers: Ledger,
    judgements: Ledger,
    *,
    budget: Budget | None,
    answering: asyncio.Event,
    stop: asyncio.Event,
    progress: Progress,
) -> tuple[str, str]:
    """Let every judge judge every answer that it has not judged yet.

    Args:
        source: The items.
        pins: Of the run.
        judges: All are asked at the same time.
        settings: Cache of the run.
        answers: Ledger with the responses.
        judgements: Ledger that takes the judgements; may be the same.
        budget: Shared with the run.
        answering: Set once no more answers come.
        stop: Ends the work when it is set.
        progress: Counts the judgements of all judges.

    Returns:
        Code and reason where judging stopped before its end, else two empty strings.
    """
    outcomes = await together(
        [
            _one(source, pins, judge, settings, answers, judgements, budget, answering, stop, progress)
            for judge in judges
        ]
    )
    return next((outcome for outcome in outcomes if outcome[0]), ("", ""))


async def _one(
    source: ItemSource,
    pins: Pins,
    judge: Judge,
    settings: Settings,
    answers: Ledger,
    judgements: Ledger,
    budget: Budget | None,
    answering: asyncio.Event,
    stop: asyncio.Event,
    progress: Progress,
) -> tuple[str, str]:
    cache = ResponseCache(Path(settings.cache), judge.model.identity) if settings.cache else None
    meter = Meter(judge.limits, progress, budget=budget, cache=cache, price=judge.price)
    recorder = Recorder(judgements, judge.pins.kind, lambda: meter.concurrency.limit, replace=True)
    queue: asyncio.Queue[JudgeCall | None] = asyncio.Queue(QUEUE)
    planner = JudgePlanner(Path(pins.items), pins.own_catalog)

    def responses(first: int, last: int) -> Mapping[int, Response]:
        return {seq: _decode(body) for seq, body in answers.bodies(KIND, first, last)}

    def earlier() -> JudgeCall | None:
        place = judgements.succeeded(judge.pins.kind)
        if place is None:
            return None
        seq = place // SLOTS
        call = next(each for each in asked(source, pins.selection) if each.seq == seq)
        answered = [(call, response) for response in responses(seq, seq).values()]
        calls = JudgePlanner(Path(pins.items), pins.own_catalog).calls(iter(answered), judge.pins)
        return next((each for each in calls if each.seq == place), None)

    unjudged = Unjudged(judge.pins, planner, judgements)
    counted = _Counted(queue, progress)
    try:
        await judge.model.open()
        await together(
            [
                feed(asked(source, pins.selection), responses, unjudged, counted, answering),
                dispatch(queue, JudgeHandler(judge, meter), recorder, progress, meter, stop, earlier),
            ]
        )
    except Stopped as error:
        return f"judge_{error.code}", error.of_judge(judge.model.identity.name)
    finally:
        await judge.model.close()
        if cache:
            cache.close()
    return "", ""


async def ask_judge(
    judge: Judge,
    calls: Sequence[C],
    handler: Callable[[Meter], Handler[C]],
    ledger: Ledger,
    watch: Watch | None,
) -> None:
    """Let a judge make calls that are all known, into a ledger that takes the place of what failed there before.

    Args:
        judge: Who is asked.
        calls: All of them.
        handler: Makes the handler that performs them.
        ledger: Takes the results.
        watch: Sees the progress.

    Raises:
        Stopped: The judge can't be asked any further; what came back is kept.
        WorkError: The disk or the bundled model failed.
    """
    progress = Progress(len(calls), price=judge.price)
    meter = Meter(judge.limits, progress, price=judge.price)
    performing = handler(meter)
    recorder = Recorder(ledger, performing.kind, lambda: meter.concurrency.limit, replace=True)
    watching = asyncio.create_task(show(lambda: progress, watch)) if watch else None
    try:
        await judge.model.open()
        await dispatch(iter(calls), performing, recorder, progress, meter, asyncio.Event())
    finally:
        await judge.model.close()
        if watching:
            watching.cancel()


async def ask_what_is_left(
    judge: Judge, calls: Sequence[JudgeCall], ledger: Ledger, seed: int, watch: Watch | None
) -> tuple[str, str]:
    """Let a judge make those of some judgements that the ledger lacks; failed ones are made again.

    Args:
        judge: Who is asked.
        calls: In the order of their places; at least one.
        ledger: Takes the judgements.
        seed: Of the order of calls.
        watch: Sees the progress.

    Returns:
        Code and reason where it stopped before its end, else two empty strings.
    """
    done = ledger.settled(judge.pins.kind, 0, calls[-1].seq)
    left = [call for call in calls if done.get(call.seq) != call.hash(judge.pins)]
    if not left:
        return "", ""
    # Answers of one kind may all fail alike; in a row they would look like a dead endpoint.
    random.Random(seed).shuffle(left)  # noqa: S311 - an order, not a secret
    try:
        await ask_judge(judge, left, lambda meter: JudgeHandler(judge, meter), ledger, watch)
    except Stopped as error:
        return error.code, error.of_judge(judge.model.identity.name)
    return "", ""


class _Counted:
    """A queue whose calls count as planned once they are put in."""

    def __init__(self, queue: asyncio.Queue[JudgeCall | None], progress: Progress) -> None:
        self._queue = queue
        self._progress = progress

    async def put(self, call: JudgeCall | None) -> None:
        """Put a call in."""
        self._progress.total += call is not None
        await self._queue.put(call)
