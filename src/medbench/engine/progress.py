"""What a run has done so far, for whoever shows it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from medbench.engine.budget import Price
from medbench.engine.ledger import Result, Totals

WINDOW_S = 30.0
SHOWN_EVERY_S = 0.5
FREE = Price()


class Progress:
    """Counters of one run; the display reads them, the engine writes them."""

    def __init__(self, total: int, before: Totals | None = None, price: Price = FREE) -> None:
        self.total = total
        self._price = price
        self.started = time.monotonic()
        self.done = before.responses if before else 0
        self.by_status: Counter[str] = Counter(before.by_status if before else {})
        self.by_error: Counter[str] = Counter(before.by_error if before else {})
        self.requests = before.requests if before else 0
        self.input_tokens = before.input_tokens if before else 0
        self.output_tokens = before.output_tokens if before else 0
        self.retries: Counter[str] = Counter()
        self.in_flight = 0
        self.limit = 0
        self._marks: deque[tuple[float, int]] = deque([(self.started, self.done)])

    def completed(self, result: Result) -> None:
        """Count a result."""
        self.done += 1
        self.by_status[result.status] += 1
        if result.error_code:
            self.by_error[result.error_code] += 1
        self.requests += result.requests
        self.input_tokens += result.input_tokens
        self.output_tokens += result.output_tokens

    @property
    def cost(self) -> float | None:
        """What the tokens cost so far; None where no price is known."""
        return self._price.cost(self.input_tokens, self.output_tokens) if self._price != FREE else None

    def rate(self) -> float:
        """Responses per second over the last half minute."""
        now = time.monotonic()
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_S:
            self._marks.popleft()
        then, done = self._marks[0]
        return (self.done - done) / (now - then) if now > then else 0.0


_on_screen: list[Callable[[], AbstractContextManager[None]]] = []


@contextmanager
def on_screen(away: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Progress is on the terminal while this is open; `away` takes it off while that is open."""
    _on_screen.append(away)
    try:
        yield
    finally:
        _on_screen.remove(away)


@contextmanager
def off_screen() -> Iterator[None]:
    """Progress is off the terminal while this is open: somebody talks with a person there."""
    with ExitStack() as stack:
        for away in _on_screen:
            stack.enter_context(away())
        yield


Watch = Callable[[Progress], None]
"""Shows progress to somebody."""


async def show(current: Callable[[], Progress], watch: Watch) -> None:
    """Show what is under way twice a second, until it is cancelled."""
    while True:
        watch(current())
        await asyncio.sleep(SHOWN_EVERY_S)
