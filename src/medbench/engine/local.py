"""The local engine: dispatches the calls of a run in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from medbench.engine.budget import BudgetReached
from medbench.engine.ledger import FLUSH_SECONDS, Recorder, Result
from medbench.engine.meter import Meter, uncached
from medbench.engine.progress import Progress
from medbench.tasks import together
from medbench.text import say

FAILURES_IN_A_ROW = 20
"""After this many calls in a row that failed for good, with no success among them, the endpoint has to prove that it is
not down: by answering again what it answered before."""

SMOKE_ITEMS = 3
"""An endpoint is not called down by fewer items than this: one item may be asked more than 20 times."""


class Stopped(Exception):
    """The run stopped before its end for a reason that a person should read; what came back is kept."""

    def __init__(self, code: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.detail = detail

    def of_judge(self, name: str) -> str:
        """The reason where it was a judge that was asked: other commands go on then."""
        return say(f"engine.judge_{self.code}", judge=name, detail=self.detail)


class Call(Protocol):
    """The atom of work, as the engine sees it."""

    @property
    def seq(self) -> int:
        """Place in the plan."""

    @property
    def item(self) -> str:
        """What it is about: calls about the same item may all fail where others succeed."""


T = TypeVar("T")
C = TypeVar("C", bound=Call)
C_contra = TypeVar("C_contra", bound=Call, contravariant=True)


class Handler(Protocol[C_contra]):
    """Performs the calls of one kind."""

    kind: str

    async def perform(self, call: C_contra) -> Result:
        """Perform one call; failures of the other side come back as a result with status `failed`."""


async def smoke(
    calls: list[C],
    handler: Handler[C],
    recorder: Recorder,
    progress: Progress,
    stop: asyncio.Event,
    earlier: Callable[[], C | None] = lambda: None,
) -> list[C]:
    """Perform the first calls, each about another item, before anything is spent on the rest.

    Args:
        calls: One of each item.
        handler: Performs them.
        recorder: Keeps their results.
        progress: Counts them.
        stop: Ends the work when it is set.
        earlier: A call that succeeded in an earlier session, if there is one.

    Returns:
        The calls that failed while others succeeded; they are asked again with the rest.

    Raises:
        Stopped: All of them failed and so did the earlier one, or `stop` was set.
    """
    progress.in_flight = progress.limit = len(calls)
    results = await _unless(stop, [handler.perform(call) for call in calls])
    failed = [result for result in results if result.status == "failed"]
    if calls and len(failed) == len(calls):
        known = earlier()
        if known is None or not all(await _unless(stop, [_succeeds_again(known, handler, failed)])):
            codes = ", ".join(sorted({result.error_code for result in failed}))
            ours = all(result.error_class == "ours" for result in failed)
            message = "engine.smoke_failed_here" if ours else "engine.smoke_failed"
            raise Stopped("smoke", say(message, n=len(calls), codes=codes, detail=_detail(failed[0])))
    for result in results:
        if result.status != "failed":
            recorder.add(result)
            progress.completed(result)
    recorder.flush()
    lost = {result.seq for result in failed}
    return [call for call in calls if call.seq in lost]


async def dispatch(
    calls: Iterator[C] | asyncio.Queue[C | None],
    handler: Handler[C],
    recorder: Recorder,
    progress: Progress,
    meter: Meter,
    stop: asyncio.Event,
    earlier: Callable[[], C | None] = lambda: None,
) -> None:
    """Perform all calls with bounded memory, recording results as they come.

    A crew of workers takes the next call as soon as one is done. Its size follows the meter's concurrency; a worker
    that waits for a retry does not count, so that it holds nobody up.

    Args:
        calls: All calls, or a queue that they arrive in, with None behind the last one.
        handler: Performs them.
        recorder: Keeps their results.
        progress: Counts them.
        meter: Tells how many may be in flight.
        stop: Ends the work when it is set.
        earlier: A call that succeeded in an earlier session, if there is one.

    Raises:
        Stopped: The budget is reached, the endpoint is down, or `stop` was set.
        WorkError: A result could not be made durable.
    """
    crew: set[asyncio.Task[None]] = set()
    held: list[Result] = []
    failing: set[str] = set()
    known: C | None = None
    proving = asyncio.Lock()
    troubles: list[BaseException] = []
    over = asyncio.Event()
    exhausted = False
    busy = 0

    def size() -> int:
        limit = meter.concurrency.limit
        return min(limit + meter.waiting, 2 * limit)

    def fill() -> None:
        while not exhausted and len(crew) < size():
            worker = asyncio.create_task(work())
            crew.add(worker)
            worker.add_done_callback(leave)

    def leave(worker: asyncio.Task[None]) -> None:
        crew.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            troubles.append(error)
        if troubles or not crew:
            over.set()

    async def work() -> None:
        nonlocal exhausted, busy
        me = asyncio.current_task()
        assert me is not None
        while not exhausted:
            if len(crew) > size():
                crew.discard(me)  # at once: of those who come back in the same turn only as many leave as are too many
                return
            if isinstance(calls, asyncio.Queue):
                call = await calls.get()
                if call is None:
                    calls.put_nowait(None)  # for the others who wait
            else:
                call = next(calls, None)
            if call is None:
                exhausted = True
                return
            busy += 1
            result = await handler.perform(call)
            busy -= 1
            take(call, result)
            if looks_down():
                await prove()
            fill()

    def take(call: C, result: Result) -> None:
        nonlocal known
        if result.status == "failed":
            # Only later successes prove that it was the item and not a dead endpoint, so failures wait for one.
            held.append(result)
            failing.add(call.item)
            return
        if result.error_class is None:
            known = call
            release()
        keep((result,))

    def looks_down() -> bool:
        return len(held) >= FAILURES_IN_A_ROW and len(failing) >= SMOKE_ITEMS

    async def prove() -> None:
        # Items that fail for good take longest and so come last, where no other success follows them.
        nonlocal known
        async with proving:
            if looks_down():
                known = known or earlier()
                if known is not None and await _succeeds_again(known, handler, held):
                    release()
                elif looks_down():  # no success came meanwhile
                    ours = all(result.error_class == "ours" for result in held)
                    message = "engine.failing_here" if ours else "engine.endpoint_down"
                    detail = _detail(held[-1])
                    raise Stopped("endpoint", say(message, n=len(held), detail=detail), detail)

    def release() -> None:
        keep(held)
        held.clear()
        failing.clear()

    def keep(results: Iterable[Result]) -> None:
        for result in results:
            recorder.add(result)
            progress.completed(result)

    try:
        fill()
        while crew and not troubles:
            progress.in_flight, progress.limit = busy, meter.concurrency.limit
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), FLUSH_SECONDS)
            recorder.flush_if_due()
            if stop.is_set():
                raise Stopped("interrupted", say("engine.interrupted"))
        for error in troubles:
            raise error
        keep(held)
    except BudgetReached as error:
        raise Stopped("budget", say("engine.budget_reached")) from error
    finally:
        for worker in crew:
            worker.cancel()
        await asyncio.gather(*crew, return_exceptions=True)
        recorder.flush()


async def _succeeds_again(call: C, handler: Handler[C], failures: Sequence[Result]) -> bool:
    """Whether what succeeded before still does, at the endpoint where the failures met it; the result is not kept."""
    with uncached():
        again = await handler.perform(call)
    reached = again.requests > 0 or not any(each.requests for each in failures)
    return again.status != "failed" and again.error_class is None and reached


async def _unless(stop: asyncio.Event, several: list[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them at the same time.

    Raises:
        Stopped: `stop` was set before their end, or the budget is reached.
    """
    asking = asyncio.ensure_future(together(several))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise Stopped("interrupted", say("engine.interrupted"))
    finally:
        stopping.cancel()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    try:
        return await asking
    except BudgetReached as error:
        raise Stopped("budget", say("engine.budget_reached")) from error


def _detail(result: Result) -> str:
    return f"{result.error_code} {result.detail}".strip()
