"""The local engine: dispatches the calls of a run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Protocol, TypeVar

from medbench.engine.budget import BudgetReached
from medbench.engine.ledger import FLUSH_SECONDS, Recorder, Result
from medbench.engine.meter import Meter
from medbench.engine.progress import Progress
from medbench.text import say

FAILURES_IN_A_ROW = 20
"""This many calls in a row that failed for good, with no success among them, mean that the endpoint is down."""

SMOKE_ITEMS = 3


class Stopped(Exception):
    """The run stopped before its end for a reason that a person should read; what came back is kept."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Call(Protocol):
    """The atom of work, as the engine sees it."""

    @property
    def seq(self) -> int:
        """Place in the plan."""


C = TypeVar("C", bound=Call)
C_contra = TypeVar("C_contra", bound=Call, contravariant=True)


class Handler(Protocol[C_contra]):
    """Performs the calls of one kind."""

    kind: str

    async def perform(self, call: C_contra) -> Result:
        """Perform one call; failures of the other side come back as a result with status `failed`."""


async def smoke(calls: list[C], handler: Handler[C], recorder: Recorder, progress: Progress) -> list[C]:
    """Ask the first items before anything else, to fail before it costs.

    Returns:
        The calls that failed while others succeeded; they are asked again with the rest.

    Raises:
        Stopped: All of them failed.
    """
    results = await _reach_budget(asyncio.gather(*(handler.perform(call) for call in calls)))
    failed = [result for result in results if result.status == "failed"]
    if calls and len(failed) == len(calls):
        codes = ", ".join(sorted({result.error_code for result in failed}))
        raise Stopped("smoke", say("engine.smoke_failed", n=len(calls), codes=codes, detail=_detail(failed[0])))
    for result in results:
        if result.status != "failed":
            recorder.add(result)
            progress.completed(result)
    recorder.flush()
    lost = {result.seq for result in failed}
    return [call for call in calls if call.seq in lost]


async def dispatch(
    calls: Iterator[C],
    handler: Handler[C],
    recorder: Recorder,
    progress: Progress,
    meter: Meter,
    stop: asyncio.Event,
) -> None:
    """Perform all calls with bounded memory, recording results as they come.

    Tasks in flight are bounded by the meter's concurrency; a call that waits for its retry does not hold others up.

    Raises:
        Stopped: The budget is reached, the endpoint is down, or `stop` was set.
        WorkError: A result could not be made durable.
    """
    tasks: set[asyncio.Task[Result]] = set()
    wake = asyncio.Event()
    finished: list[asyncio.Task[Result]] = []
    held: list[Result] = []

    def on_done(task: asyncio.Task[Result]) -> None:
        finished.append(task)
        wake.set()

    async def tick() -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            wake.set()

    def take(task: asyncio.Task[Result]) -> None:
        tasks.discard(task)
        result = task.result()
        if result.status == "failed":
            # Only later successes prove that it was the item and not a dead endpoint, so failures wait for one.
            held.append(result)
            if len(held) >= FAILURES_IN_A_ROW:
                raise Stopped("endpoint", say("engine.endpoint_down", n=len(held), detail=_detail(held[-1])))
            return
        for known in (*held, result):
            recorder.add(known)
            progress.completed(known)
        held.clear()

    ticker = asyncio.create_task(tick())
    exhausted = False
    try:
        while True:
            while not exhausted and not stop.is_set():
                limit = meter.concurrency.limit
                if len(tasks) - meter.waiting >= limit or len(tasks) >= 2 * limit:
                    break
                call = next(calls, None)
                if call is None:
                    exhausted = True
                    break
                task: asyncio.Task[Result] = asyncio.create_task(_run(handler, call))
                task.add_done_callback(on_done)
                tasks.add(task)
            progress.in_flight, progress.limit = len(tasks), meter.concurrency.limit
            if stop.is_set():
                raise Stopped("interrupted", say("engine.interrupted"))
            if not tasks:
                break
            await wake.wait()
            wake.clear()
            ready, finished[:] = finished[:], []
            for task in ready:
                take(task)
            recorder.flush_if_due()
        for result in held:
            recorder.add(result)
            progress.completed(result)
        recorder.flush()
    except BudgetReached as error:
        raise Stopped("budget", say("engine.budget_reached")) from error
    finally:
        ticker.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and task.exception() is None and task.result().status != "failed":
                recorder.add(task.result())
                progress.completed(task.result())
        recorder.flush()


async def _run(handler: Handler[C], call: C) -> Result:
    return await handler.perform(call)


async def _reach_budget(results: Awaitable[list[Result]]) -> list[Result]:
    try:
        return await results
    except BudgetReached as error:
        raise Stopped("budget", say("engine.budget_reached")) from error


def _detail(result: Result) -> str:
    return f"{result.error_code} {result.detail}".strip()
