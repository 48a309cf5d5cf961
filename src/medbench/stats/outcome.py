"""Estimates that resampling gives, and what stands in their place where there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from medbench.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Undefined:
    """There is no estimate, and why: what a function returns in place of a silent 0 or NaN.

    Attributes:
        reason: Why the figure does not exist for these data, in English, for people.
        n: Number of observations (rows) there were.
        clusters: Number of independent clusters they fall into.
    """

    reason: str
    n: int
    clusters: int

    def as_dict(self) -> dict[str, int | str]:
        """The fields by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Resampled(Estimate):
    """An estimate whose interval comes from a cluster bootstrap.

    Attributes:
        draws: Resamples drawn; 0 where none were needed.
        undefined_draws: Resamples for which the figure does not exist; the interval is that of the others.
        reason: Why there is no interval; None where there is one.
    """

    draws: int
    undefined_draws: int
    reason: str | None

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The fields by name, ready for JSON."""
        return asdict(self)
