"""Means of independent estimates: a dimension over its datasets, overall over its dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medbench.stats.estimate import Estimate


def combine_mover(estimates: Sequence[Estimate | None], weights: Sequence[float] | None = None) -> Estimate | None:
    """Weighted mean of independent estimates with the MOVER interval.

    With weights w_i that sum to 1, θ = Σ w_i θ_i has the limits

        low  = θ − sqrt(Σ w_i² (θ_i − low_i)²),    high = θ + sqrt(Σ w_i² (high_i − θ_i)²)

    (method of variance estimates recovery: Zou & Donner 2008, Statistics in Medicine 27:1693), which keeps the
    asymmetry of each interval and stays within [0, 1] if they do.

    Args:
        estimates: What to combine, at least one, all with intervals of the same level. None stands for one that is
            missing.
        weights: One weight >= 0 per estimate, not all 0; they are scaled to sum 1. None: equal weights.

    Returns:
        The combination, or None if any estimate is missing (never a mean of the rest). SE, and the interval, are None
        if they are so in any part with a positive weight. `n` and `clusters` are sums.

    Raises:
        ValueError: No estimates, or weights that do not fit.
    """
    if not estimates:
        raise ValueError("estimates is empty: there is nothing to combine")
    weights = [1.0] * len(estimates) if weights is None else weights
    if len(weights) != len(estimates):
        raise ValueError(f"{len(estimates)} estimates but {len(weights)} weights: give one weight per estimate")
    total = math.fsum(weights)
    if not math.isfinite(total) or total <= 0.0 or min(weights) < 0.0:
        raise ValueError(f"weights {list(weights)}: each must be finite and at least 0, and one above 0")
    present = [estimate for estimate in estimates if estimate is not None]
    if len(present) < len(estimates):
        return None
    shares = [weight / total for weight in weights]
    value = math.fsum(share * part.value for share, part in zip(shares, present, strict=True))
    used = [(share, part) for share, part in zip(shares, present, strict=True) if share > 0.0]
    low = _root_sum(used, [None if part.low is None else part.value - part.low for _, part in used])
    high = _root_sum(used, [None if part.high is None else part.high - part.value for _, part in used])
    return Estimate(
        value=value,
        low=None if low is None else value - low,
        high=None if high is None else value + high,
        standard_error=_root_sum(used, [part.standard_error for _, part in used]),
        n=sum(part.n for part in present),
        clusters=sum(part.clusters for part in present),
        method="mover",
    )


def _root_sum(used: Sequence[tuple[float, Estimate]], distances: Sequence[float | None]) -> float | None:
    known = [distance for distance in distances if distance is not None]
    if len(known) < len(distances):
        return None
    return math.hypot(*(share * distance for (share, _), distance in zip(used, known, strict=True)))
