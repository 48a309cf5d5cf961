"""A figure with its interval, or why there is none."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from medbench.stats import Estimate, Undefined

ONE_CLUSTER = "a single cluster says nothing about the spread between clusters"


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A figure with its 95 % interval, or why there is none: never a value without its limits."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def figure(make: Callable[[], Estimate | Undefined], possible: bool = True, reason: str = "") -> Figure:
    """An estimate as a figure, or why there is none: not `possible`, undefined, refused, or without an interval."""
    if not possible:
        return Figure(reason=reason)
    try:
        found = make()
    except ValueError as error:
        return Figure(reason=str(error))
    if isinstance(found, Undefined):
        return Figure(reason=found.reason)
    if found.low is None or found.high is None:
        return Figure(reason=getattr(found, "reason", None) or ONE_CLUSTER)
    return Figure(found.value, found.low, found.high)
