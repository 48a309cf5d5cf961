"""Figures as every page of ours shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from medbench.stats import Estimate, half_up
from medbench.text import Language, say

NOTHING = "–"


class HasLimits(Protocol):
    """A figure's interval, if it has one."""

    @property
    def low(self) -> float | None:
        """Lower limit."""

    @property
    def high(self) -> float | None:
        """Upper limit."""


class HasValue(HasLimits, Protocol):
    """A figure with its interval, where it is known."""

    @property
    def value(self) -> float | None:
        """The figure."""


class HasDifference(HasLimits, Protocol):
    """A difference with its interval, where that is known."""

    @property
    def difference(self) -> float:
        """In points of 100."""


def number(value: float | None, places: int = 1) -> str:
    """A figure as shown: half up to so many decimals, by default as a score."""
    return NOTHING if value is None else str(half_up(value, places))


def score(share: float | None) -> str:
    """A score in [0, 1] as shown, out of 100."""
    return number(None if share is None else 100 * share)


def percent(share: float) -> str:
    """A share as shown."""
    return f"{half_up(100 * share)}%"


def interval(figure: HasLimits | None, scale: float = 1.0, places: int = 1) -> str:
    """Limits as shown, times `scale`."""
    if figure is None or figure.low is None or figure.high is None:
        return NOTHING
    return f"{number(scale * figure.low, places)}–{number(scale * figure.high, places)}"


def with_interval(figure: HasValue | None, scale: float = 1.0, places: int = 1) -> str:
    """A figure as shown, its limits in brackets if it has any, times `scale`."""
    if figure is None or figure.value is None:
        return NOTHING
    value, limits = number(scale * figure.value, places), interval(figure, scale, places)
    return value if limits == NOTHING else f"{value} ({limits})"


def difference(gap: HasDifference | None) -> str:
    """A difference as shown: with its sign, its limits in brackets if it has any."""
    if gap is None:
        return NOTHING
    if gap.low is None or gap.high is None:
        return f"{half_up(gap.difference):+}"
    return f"{half_up(gap.difference):+} ({half_up(gap.low):+} … {half_up(gap.high):+})"


def metric_names(metrics: Iterable[str], language: Language) -> str:
    """Judged metrics in a row."""
    names = (say(f"report.metric_{metric}", language=language) for metric in metrics)
    return ("、" if language == "zh" else ", ").join(names)


def estimate_text(found: Estimate | None) -> str:
    """An estimate in [0, 1] as shown, out of 100."""
    return with_interval(found, 100.0)


def p_value(p: float) -> str:
    """A p value as shown, kept on one line."""
    return "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0=\u00a0{half_up(p, 3)}"
