"""The one shape in which a number with its uncertainty travels."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point estimate with its interval.

    Attributes:
        value: The estimate, in the unit of the observations.
        low: Lower limit of the interval; None where it is undefined (fewer than two clusters).
        high: Upper limit, None together with `low`.
        standard_error: Standard error of `value`; None where it is undefined. Undefined is not 0.
        n: Number of observations (rows).
        clusters: Number of independent clusters the observations fall into.
        method: How the interval was made: `wilson_clustered`, `t_clustered`, `wilson_jackknife`, `paired_t_clustered`,
            `mover`, `cluster_bootstrap`, `labels_alone` or `prediction_powered` (both t).
    """

    value: float
    low: float | None
    high: float | None
    standard_error: float | None
    n: int
    clusters: int
    method: str

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The fields by name, ready for JSON."""
        return asdict(self)
