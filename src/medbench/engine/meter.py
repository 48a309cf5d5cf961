"""The meter: every leaf call passes through limits, cache and budget here, and is retried here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from medbench.engine.budget import Budget, Price, Reservation
from medbench.engine.cache import ResponseCache
from medbench.engine.limits import Bucket, Concurrency, Limits
from medbench.engine.progress import Progress
from medbench.models.model import CallError, Completion

Send = Callable[[bytes], Awaitable[Completion]]
_UNCACHED = ContextVar("uncached", default=False)


@contextmanager
def uncached() -> Iterator[None]:
    """Calls made within reach the endpoint, whatever the cache holds."""
    token = _UNCACHED.set(True)
    try:
        yield
    finally:
        _UNCACHED.reset(token)


class RetryPolicy(msgspec.Struct, frozen=True):
    """Capped exponential back-off with full jitter.

    Attributes:
        attempts: Most sends of one call.
        base_s: Upper end of the first delay; doubles with each retry.
        cap_s: Upper end of any delay.
        longest_retry_after_s: A longer wait asked for by the endpoint fails the call instead.
    """

    attempts: int = 6
    base_s: float = 1.0
    cap_s: float = 60.0
    longest_retry_after_s: float = 300.0

    def delay_s(self, attempt: int, error: CallError, chance: random.Random) -> float:
        """Seconds before the next send; `attempt` counts from 1. Retry-After is a lower bound."""
        jittered = chance.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** (attempt - 1)))
        return max(jittered, error.retry_after_s or 0.0)


class Meter:
    """Meters the leaf calls to one (provider, account)."""

    def __init__(
        self,
        limits: Limits,
        progress: Progress,
        *,
        budget: Budget | None = None,
        cache: ResponseCache | None = None,
        retry: RetryPolicy | None = None,
        price: Price | None = None,
    ) -> None:
        self.concurrency = Concurrency(limits.concurrency)
        self.waiting = 0
        self._requests = Bucket(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Bucket(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._progress = progress
        self._budget = budget
        self._price = price
        self._cache = cache
        self._retry = retry or RetryPolicy()
        self._chance = random.Random()  # noqa: S311 - jitter, not a secret

    async def call(
        self,
        request: bytes,
        send: Send,
        *,
        output_limit: int,
        variant: int,
        attachments: Sequence[str],
        image_tokens: int = 0,
    ) -> tuple[Completion, int, bool]:
        """Send one leaf call; see `medbench.models.model.Context.call`.

        Raises:
            CallError: It failed for good.
            BudgetReached: The budget does not allow it.
        """
        key = b""
        cache = None if _UNCACHED.get() else self._cache
        if cache:
            key = cache.key(request, variant, attachments)
            found = cache.get(key)
            if found:
                return found, 0, True
        attempt = 0
        while True:
            attempt += 1
            try:
                completion = await self._send_once(request, send, output_limit, image_tokens)
            except CallError as error:
                if error.throttled:
                    self.concurrency.throttled()
                too_long = (error.retry_after_s or 0.0) > self._retry.longest_retry_after_s
                error.attempts = attempt
                if error.error_class != "retryable" or attempt >= self._retry.attempts or too_long:
                    raise
                self._progress.retries[error.code] += 1
                await self._pause(self._retry.delay_s(attempt, error, self._chance))
                continue
            self.concurrency.succeeded()
            if cache and completion.status == "ok":
                cache.put(key, completion)
            return completion, attempt, False

    async def _send_once(self, request: bytes, send: Send, output_limit: int, image_tokens: int) -> Completion:
        reservation = await self._reserve(len(request) + image_tokens, output_limit) if self._budget else None
        given = output = 0
        try:
            if self._requests:
                await self._pause(self._requests.take(1.0))
            if self._tokens:
                await self._pause(self._tokens.take(len(request) / 3 + image_tokens + output_limit))
            await self.concurrency.acquire()
            try:
                completion = await send(request)
            finally:
                self.concurrency.release()
            usage = completion.usage
            given, output = usage.input_tokens, usage.output_tokens
            if usage.estimated and reservation:
                # An endpoint that does not count is booked at the most it may have used.
                given, output = reservation.input_tokens, reservation.output_tokens
            return completion
        finally:
            if self._budget and reservation:
                self._budget.settle(reservation, given, output)
                self._budget.freed.set()

    async def _reserve(self, input_limit: int, output_limit: int) -> Reservation:
        assert self._budget
        while (reservation := self._budget.reserve(input_limit, output_limit, self._price)) is None:
            self._budget.freed.clear()
            await self._budget.freed.wait()
        return reservation

    async def _pause(self, seconds: float) -> None:
        if seconds > 0.0:
            self.waiting += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                self.waiting -= 1
