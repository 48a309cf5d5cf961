"""What an answer takes: every leaf call of an item passes here, is counted, and is refused beyond the item's budget."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from medbench.agents.orchestration.events import AnyEvent, Called
from medbench.engine.budget import FALLBACK_OUTPUT_TOKENS
from medbench.models.clock import Clock
from medbench.models.context_of import ContextOf
from medbench.models.model import CallError, Completion, Context, Usage
from medbench.models.tools import Tool


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The budget of one item.

    Attributes:
        turns: Most calls of the backbone.
        tokens: Most tokens, given and written. A call is let through only if the most that it may take still fits: a
            token per byte of the request and the limit of its output.
    """

    turns: int = 40
    tokens: int = 400_000


class BudgetSpent(Exception):
    """The next call might pass the item's budget."""


class Spending:
    """What an item has taken so far, its events and its clock.

    Args:
        limits: The budget.
        clock: Of the item.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._started = clock.seconds
        self._reserved = 0
        self._paid = self._all = (0, 0)
        self._used = 0
        self._estimated = False
        self._held = (0, 0)
        self.calls = 0
        self.attempts = 0
        self.events: list[AnyEvent] = []

    @property
    def seconds(self) -> float:
        """Since the agent took the question, without what people took."""
        return round(self._clock.seconds - self._started, 4)

    @property
    def turns_left(self) -> int:
        """Calls of the backbone that the budget still allows, without those held for the answer."""
        return self._limits.turns - self.calls - self._held[0]

    def hold(self, turns: int, tokens: int) -> None:
        """Keep this much of the budget back for the answer; zeros let it go."""
        self._held = (turns, tokens)

    @property
    def cached(self) -> bool:
        """All came from the response cache."""
        return self.calls > 0 and self.attempts == 0

    @property
    def usage(self) -> Usage:
        """Tokens of the calls that were sent; of all, where all came from the cache."""
        given, written = self._all if self.cached else self._paid
        return Usage(given, written, self._estimated)

    def note(self, event: AnyEvent) -> None:
        """Keep an event, at its time."""
        self.events.append(msgspec.structs.replace(event, at_s=self.seconds))

    async def call(
        self, step: str, most: int, send: Callable[[], Awaitable[tuple[Completion, int, bool]]]
    ) -> tuple[Completion, int, bool]:
        """Make one leaf call.

        Args:
            step: Who asks.
            most: Most tokens that it may take.
            send: Makes it.

        Raises:
            BudgetSpent: It might pass the budget.
            CallError: It failed for good.
        """
        if self.turns_left < 1 or self._used + self._reserved + self._held[1] + most > self._limits.tokens:
            raise BudgetSpent
        self.calls += 1
        self._reserved += most
        began = time.perf_counter()
        try:
            completion, attempts, cached = await send()
        except CallError as error:
            self.attempts += error.attempts
            took = round(time.perf_counter() - began, 4)
            self.note(Called(step=step, seconds=took, attempts=error.attempts, status=error.code))
            raise
        finally:
            self._reserved -= most
        self._book(completion.usage, most, cached=cached)
        self.attempts += attempts
        self.note(
            Called(
                step=step,
                input_tokens=completion.usage.input_tokens,
                output_tokens=completion.usage.output_tokens,
                seconds=round(time.perf_counter() - began, 4),
                attempts=attempts,
                status=completion.status,
            )
        )
        return completion, attempts, cached

    def _book(self, usage: Usage, most: int, *, cached: bool) -> None:
        given, written = usage.input_tokens, usage.output_tokens
        self._all = (self._all[0] + given, self._all[1] + written)
        if not cached:
            self._paid = (self._paid[0] + given, self._paid[1] + written)
        self._estimated = self._estimated or usage.estimated
        # An endpoint that does not count is booked at the most it may have used.
        self._used += most if usage.estimated else given + written


class StepContext(ContextOf):
    """The question's context as one step of the agent sees it.

    Args:
        context: Of the question.
        spending: Of the item.
        step: Who asks.
        prompt: What is asked in place of the question's prompt; None: that.
    """

    def __init__(self, context: Context, spending: Spending, step: str, prompt: str | None = None) -> None:
        super().__init__(context, prompt)
        self._spending = spending
        self._step = step

    @property
    def tools(self) -> Sequence[Tool]:
        """None: the backbone reaches the environment's tools through the agent."""
        return ()

    async def call(
        self,
        request: bytes,
        send: Callable[[bytes], Awaitable[Completion]],
        *,
        output_limit: int = 0,
        image_tokens: int = 0,
    ) -> tuple[Completion, int, bool]:
        """Send a leaf call through the question's context, counted."""
        most = len(request) + image_tokens + (output_limit or FALLBACK_OUTPUT_TOKENS)
        return await self._spending.call(
            self._step,
            most,
            lambda: super(StepContext, self).call(request, send, output_limit=output_limit, image_tokens=image_tokens),
        )
