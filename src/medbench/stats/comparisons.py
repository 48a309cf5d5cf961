"""Many comparisons at once, and what a comparison can see at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import FloatArray
from medbench.stats.intervals import require_level
from medbench.stats.student import t_quantile


def holm(p_values: ArrayLike) -> FloatArray:
    """Holm's (1979) step-down adjustment: p values that may each be held against the family's level.

    Args:
        p_values: Shape (m,), each in [0, 1]; m may be 0.

    Returns:
        Adjusted p values in the order given, shape (m,).

    Raises:
        ValueError: Not one-dimensional, or a value outside [0, 1] or NaN.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if raw.ndim != 1:
        raise ValueError(f"p_values must be one-dimensional, not of shape {raw.shape}")
    inside = (raw >= 0.0) & (raw <= 1.0)
    if not inside.all():
        position = int(np.argmin(inside))
        raise ValueError(f"p_values[{position}] = {raw[position]} is not a probability")
    order = np.argsort(raw, kind="stable")
    stepped = raw[order] * np.arange(raw.size, 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def minimum_detectable_effect(
    standard_error: float, level: float = 0.95, power: float = 0.8, degrees: float | None = None
) -> float:
    """Smallest true difference that a two-sided test finds with the given power.

    SE times the noncentrality δ at which P(T_df(δ) > t_{(1+level)/2, df}) = `power`; for the normal distribution
    SE·(z_{(1+level)/2} + z_power). The chance of a finding in the wrong direction is neglected, as usual.

    Args:
        standard_error: Of the difference, >= 0.
        level: Confidence level of the test, in (0, 1).
        power: Chance to find the difference, in [0.5, 1).
        degrees: Degrees of freedom (clusters − 1), > 0; None: normal distribution.

    Returns:
        The difference, in the unit of `standard_error`.

    Raises:
        ValueError: An argument is out of its range.
    """
    from scipy.special import nctdtrinc, ndtri

    require_level(level)
    if not 0.5 <= power < 1.0:
        raise ValueError(f"power is {power}; it must be at least 0.5 and below 1")
    if not 0.0 <= standard_error < float("inf"):
        raise ValueError(f"standard_error is {standard_error}; it must be a finite number of at least 0")
    if degrees is None:
        return standard_error * float(ndtri((1.0 + level) / 2.0) + ndtri(power))
    if not degrees > 0.0:
        raise ValueError(f"degrees is {degrees}; with fewer than two clusters no effect can be detected")
    return standard_error * float(nctdtrinc(degrees, 1.0 - power, t_quantile(degrees, (1.0 + level) / 2.0)))
