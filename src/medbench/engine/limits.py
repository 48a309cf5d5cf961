"""How fast one (provider, account) may be asked: adaptive concurrency, requests and tokens per minute."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import msgspec

START = 20
GROWTH = 1.05
CUT = 0.8
CUT_INTERVAL_S = 15.0
BUSY_SHARE = 0.8
AUTO_MAXIMUM = 512


class Limits(msgspec.Struct, frozen=True):
    """Limits asked for.

    Attributes:
        concurrency: Most calls in flight; None: found by trying (`auto`).
        requests_per_minute: None: no limit.
        tokens_per_minute: None: no limit.
    """

    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Concurrency:
    """AIMD control of calls in flight.

    Starts at 20 (or at the fixed number), doubles per clean round until the first 429, then grows by 5 % per clean
    round and shrinks by a fifth at most once per 15 s. A round is `limit` successes; it grows only when at least 80 %
    of the limit was in use.
    """

    def __init__(self, fixed: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.maximum = fixed or AUTO_MAXIMUM
        self._limit = float(fixed or START)
        self._clock = clock
        self._slow_start = fixed is None
        self._last_cut = float("-inf")
        self._successes = 0
        self._round_was_busy = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._limit))

    async def acquire(self) -> None:
        """Wait for a slot."""
        if self.in_flight < self.limit and not self._waiters:
            self.in_flight += 1
        else:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self.release()
                raise
        if self.in_flight >= BUSY_SHARE * self._limit:
            self._round_was_busy = True

    def release(self) -> None:
        """Give the slot back."""
        self.in_flight -= 1
        while self._waiters and self.in_flight < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)

    def succeeded(self) -> None:
        """A call came back well."""
        self._successes += 1
        if self._successes < self._limit:
            return
        if self._round_was_busy and self._limit < self.maximum:
            self._limit = min(self.maximum, self._limit * 2 if self._slow_start else max(self._limit * GROWTH, 1.0))
        self._successes = 0
        self._round_was_busy = False

    def throttled(self) -> None:
        """The provider said that it is asked too fast."""
        self._slow_start = False
        self._successes = 0
        now = self._clock()
        if now - self._last_cut >= CUT_INTERVAL_S:
            self._last_cut = now
            self._limit = max(1.0, self._limit * CUT)


class Bucket:
    """A token bucket: `per_minute` units a minute, up to a minute's worth of a tenth in store."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60.0
        self._capacity = max(1.0, per_minute / 10.0)
        self._level = self._capacity
        self._clock = clock
        self._at = clock()

    def take(self, amount: float) -> float:
        """Take the amount, if need be in advance, and return the seconds to wait before using it."""
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        self._level -= amount
        return max(0.0, -self._level / self._rate)
