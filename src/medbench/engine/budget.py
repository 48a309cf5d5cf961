"""Budgets in tokens and money that stop before they are passed."""

from __future__ import annotations

import asyncio

import msgspec

FALLBACK_OUTPUT_TOKENS = 4096


class Price(msgspec.Struct, frozen=True):
    """Price per million tokens, in any currency."""

    input: float = 0.0
    output: float = 0.0

    def cost(self, input_tokens: float, output_tokens: float) -> float:
        """Cost of these tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Reservation(msgspec.Struct, frozen=True):
    """Tokens and money set aside for a call in flight."""

    input_tokens: int
    output_tokens: int
    cost: float
    price: Price

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


class BudgetReached(Exception):
    """The next call might pass the budget, and none in flight can free any of it."""


class Budget:
    """Sets aside the most that a call may take before it is sent, and books what it took.

    A request takes at most as many input tokens as its JSON has bytes, and at most its limit of output tokens. That is
    several times what it mostly takes; the difference comes back as soon as the call does. Images are estimated apart
    (`medbench.models.images.most_tokens`).
    """

    def __init__(self, *, tokens: int | None, cost: float | None, price: Price) -> None:
        self._token_limit = tokens
        self._cost_limit = cost
        self._price = price
        self.used_tokens = 0
        self.used_cost = 0.0
        self._reserved_tokens = 0
        self._reserved_cost = 0.0
        self._in_flight = 0
        self.freed = asyncio.Event()
        """Set when a reservation came back; whoever waits for one clears it first."""

    def book(self, input_tokens: int, output_tokens: int, price: Price | None = None) -> None:
        """Count tokens that were used, here or in an earlier session of the run."""
        self.used_tokens += input_tokens + output_tokens
        self.used_cost += (price or self._price).cost(input_tokens, output_tokens)

    def reserve(self, input_limit: int, output_limit: int, price: Price | None = None) -> Reservation | None:
        """Set aside what the call may take; None when calls in flight must come back first.

        Args:
            input_limit: Most tokens that the request may take.
            output_limit: Most tokens that the answer may take.
            price: Of the model asked; by default that of the system under test.

        Raises:
            BudgetReached: Nothing is in flight and it still does not fit.
        """
        output = output_limit or FALLBACK_OUTPUT_TOKENS
        price = price or self._price
        wanted = Reservation(input_limit, output, price.cost(input_limit, output), price)
        tokens = self.used_tokens + self._reserved_tokens + wanted.tokens
        cost = self.used_cost + self._reserved_cost + wanted.cost
        over_tokens = self._token_limit is not None and tokens > self._token_limit
        over_cost = self._cost_limit is not None and cost > self._cost_limit
        if over_tokens or over_cost:
            if self._in_flight == 0:
                raise BudgetReached
            return None
        self._reserved_tokens += wanted.tokens
        self._reserved_cost += wanted.cost
        self._in_flight += 1
        return wanted

    def settle(self, reservation: Reservation, input_tokens: int, output_tokens: int) -> None:
        """Give the reservation back and book what was used; zeros when the call failed."""
        self._reserved_tokens -= reservation.tokens
        self._reserved_cost -= reservation.cost
        self._in_flight -= 1
        self.book(input_tokens, output_tokens, reservation.price)
