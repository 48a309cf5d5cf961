"""What answering one item in an environment may take, and what it took."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec

from medbench.engine.budget import Price
from medbench.models.model import Completion, Usage

Reached = Literal["turn_limit", "token_limit", "time_limit", "cost_limit"]
_AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class ItemLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one item in one variant. What is reached ends the item; its state is graded as it was left.

    Attributes:
        turns: Most calls of the model.
        tokens: No further call once so many went in and out; None: no limit.
        seconds: On the clock, waiting for the endpoint included, for a person not; None: no limit.
        cost: No further call once it cost so much, by the prices of the run; None: no limit.
    """

    turns: _AtLeastOne = 40
    tokens: _AtLeastOne | None = None
    seconds: _Positive | None = None
    cost: _Positive | None = None


class ItemBounds(NamedTuple):
    """Limits of an item, and the prices that its cost is counted by."""

    limits: ItemLimits
    price: Price


class LimitReached(Exception):
    """A limit of the item does not allow another call of the model.

    Attributes:
        code: Which.
    """

    def __init__(self, code: Reached) -> None:
        super().__init__(code)
        self.code: Reached = code


class Count:
    """What the leaf calls of one item took so far: all of them in `usage`, those that were sent in `paid`.

    Calls answered by the cache count as any other against the limits, so that a run that is resumed reaches them at the
    same call.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.answered = 0
        self.attempts = 0
        self.cached = 0
        self.usage = Usage()
        self.paid = Usage()

    @property
    def all_cached(self) -> bool:
        """There were calls, and the cache answered all of them."""
        return self.calls > 0 and self.cached == self.calls

    def begin(self, bounds: ItemBounds | None) -> None:
        """Count a call that is to be made; several may be under way at a time.

        Raises:
            LimitReached: It may not be made.
        """
        if bounds is not None:
            limits, price = bounds
            given, written = self.usage.input_tokens, self.usage.output_tokens
            if self.calls >= limits.turns:
                raise LimitReached("turn_limit")
            if limits.tokens is not None and given + written >= limits.tokens:
                raise LimitReached("token_limit")
            if limits.cost is not None and price.cost(given, written) >= limits.cost:
                raise LimitReached("cost_limit")
        self.calls += 1

    def add(self, completion: Completion, attempts: int, cached: bool) -> None:
        """Count what a call took that came back."""
        self.answered += 1
        self.attempts += attempts
        self.cached += cached
        self.usage = _sum(self.usage, completion.usage)
        if not cached:
            self.paid = _sum(self.paid, completion.usage)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        estimated=one.estimated or other.estimated,
    )
