"""A difference of two runs with its interval, p, and the smallest one that would have been found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from medbench.board.pairing import LEVEL, Difference, Paired
from medbench.stats import minimum_detectable_effect, sign_flip_permutation

FEW_CLUSTERS = 30
"""Below this number of clusters p comes from the sign-flip permutation test instead of t."""
POWER = 0.8


class Effect(msgspec.Struct, frozen=True):
    """A difference A − B in points of 100.

    Attributes:
        difference: On the items that both runs have an outcome for.
        low: Lower limit of the 95 % interval; None where it is undefined (fewer than two clusters).
        high: Upper limit.
        p: Two-sided; None where it is undefined.
        mde: Smallest true difference that a test at .05 finds with power .8; None where no error is known, or where it
            would be larger than the scale.
        n: Items paired.
        clusters: Item families among them.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    mde: float | None
    n: int
    clusters: int


class PairedFigure(Effect, frozen=True, kw_only=True):
    """A difference in a figure beside the score; its p is not adjusted for the number of datasets.

    Attributes:
        a: The figure of A on the paired items, 0..100.
        b: That of B.
    """

    a: float
    b: float


def numbers(difference: Difference) -> dict[str, Any]:
    """The fields of an `Effect`."""
    estimate, degrees = difference.estimate, difference.degrees
    error = estimate.standard_error
    mde = minimum_detectable_effect(error, LEVEL, POWER, degrees) if error and degrees else None
    if mde is not None and mde > 1.0:
        mde = None  # more than the whole scale: these items can show no difference at all
    return {
        "difference": 100 * estimate.value,
        # t does not know that scores are bounded.
        "low": None if estimate.low is None else max(-100.0, 100 * estimate.low),
        "high": None if estimate.high is None else min(100.0, 100 * estimate.high),
        "p": _t_test(difference),
        "mde": None if mde is None else 100 * mde,
        "n": estimate.n,
        "clusters": estimate.clusters,
    }


def p_value(difference: Difference, paired: Sequence[Paired]) -> float | None:
    """By sign flips where clusters are few or all differ alike, else by t."""
    few = difference.estimate.clusters < FEW_CLUSTERS or not difference.estimate.standard_error
    flips = [pair.flips for pair in paired if pair.flips is not None]
    if not few or len(flips) < len(paired):
        return _t_test(difference)
    # A family may have items in several parts: its sign is flipped in all of them at once.
    families, sums = (np.concatenate(column) for column in zip(*flips, strict=True))
    return sign_flip_permutation(np.bincount(np.unique(families, return_inverse=True)[1].reshape(-1), weights=sums))


def _t_test(difference: Difference) -> float | None:
    from scipy.special import stdtr

    error, degrees = difference.estimate.standard_error, difference.degrees
    if error is None:
        return None
    if not error or not degrees:
        return 1.0 if difference.estimate.value == 0.0 else None
    return float(2 * stdtr(degrees, -abs(difference.estimate.value) / error))
