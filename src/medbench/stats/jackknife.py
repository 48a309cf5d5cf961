"""Figures that are one ratio of sums per dataset: delete-one-cluster jackknife."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import ROUNDING, Clusters, cluster_codes, cluster_sums, effective_number, observations
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import bounded_interval, require_level


def jackknife_ratio(
    numerators: ArrayLike, denominators: ArrayLike, clusters: Clusters, level: float = 0.95
) -> Estimate | None:
    """Σ numerators / Σ denominators, a figure in [0, 1], with the delete-one-cluster jackknife.

    With θ the ratio and θ_(g) the ratio without cluster g, SE² = (G−1)/G · Σ_g (θ_(g) − θ̄_(·))² (Efron & Stein, 1981).
    The interval is `bounded_interval`, the clusters weighted by their denominators. SE and interval are None where
    fewer than two clusters have a positive denominator.

    Args:
        numerators: Shape (n,), 0 <= numerator <= denominator in each row.
        denominators: Shape (n,).
        clusters: Cluster of each row, shape (n,).
        level: Coverage of the interval, in (0, 1).

    Returns:
        The estimate, or None where all denominators are 0: the ratio does not exist.

    Raises:
        ValueError: Shapes differ, nothing is given, a number is not finite, or a row is not 0 <= numerator <=
            denominator.
    """
    require_level(level)
    above = observations(numerators, "numerators")
    below = observations(denominators, "denominators")
    if above.shape != below.shape:
        raise ValueError(f"numerators has {above.size} rows and denominators {below.size}: give one of each per row")
    wrong = (above < 0.0) | (above > below)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"row {row}: {above[row]} of {below[row]} is not a share; need 0 <= numerator <= denominator")
    codes = cluster_codes(clusters, above.size)
    parts, wholes = cluster_sums(above, codes).sums, cluster_sums(below, codes).sums
    count = int(parts.size)
    part, whole = float(parts.sum()), float(wholes.sum())
    if whole == 0.0:
        return None
    value = part / whole
    if np.count_nonzero(wholes) < 2:
        return Estimate(value, None, None, None, above.size, count, "wilson_jackknife")
    without = (part - parts) / (whole - wholes)
    deviations = without - without.mean()
    error = math.sqrt((count - 1) / count * float(deviations @ deviations))
    if error <= ROUNDING:
        error = 0.0
    low, high = bounded_interval(value, error, int(np.count_nonzero(wholes)), effective_number(wholes), level)
    return Estimate(value, low, high, error, above.size, count, "wilson_jackknife")


def micro_f1(
    true_positives: ArrayLike,
    false_positives: ArrayLike,
    false_negatives: ArrayLike,
    clusters: Clusters,
    level: float = 0.95,
) -> Estimate | None:
    """Micro-averaged F1 = 2·Σtp / (2·Σtp + Σfp + Σfn) with the delete-one-cluster jackknife.

    Source: specs/scoring.md sections 1 and 4.

    Args:
        true_positives: Counts per item, shape (n,), >= 0.
        false_positives: As above.
        false_negatives: As above.
        clusters: Cluster of each item, shape (n,).
        level: Coverage of the interval, in (0, 1).

    Returns:
        The estimate, or None where no label is true or predicted anywhere: F1 does not exist.

    Raises:
        ValueError: As `jackknife_ratio`.
    """
    hits = observations(true_positives, "true_positives")
    errors = observations(false_positives, "false_positives"), observations(false_negatives, "false_negatives")
    for name, array in zip(("false_positives", "false_negatives"), errors, strict=True):
        if array.shape != hits.shape:
            raise ValueError(f"true_positives has {hits.size} rows and {name} {array.size}: give one of each per item")
        if (array < 0.0).any():
            raise ValueError(f"{name}[{int(np.argmax(array < 0.0))}] is negative; counts are not")
    return jackknife_ratio(2.0 * hits, 2.0 * hits + errors[0] + errors[1], clusters, level)
