"""Repeated attempts at the same items: pass@k and pass^k."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import Clusters, FloatArray, observations
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import clustered_mean


def pass_at_k(correct: ArrayLike, attempts: ArrayLike, k: int, clusters: Clusters, level: float = 0.95) -> Estimate:
    """Chance that at least one of k attempts at an item is right, mean over items.

    Per item with c of n attempts right the unbiased estimate 1 − C(n−c, k)/C(n, k); then `clustered_mean`.

    Source: Chen et al. (2021), "Evaluating large language models trained on code", arXiv 2107.03374, equation 1.

    Args:
        correct: Right attempts of each item, shape (items,), whole numbers with 0 <= correct <= attempts.
        attempts: Attempts at each item, shape (items,) or one number, at least k.
        k: Number of attempts asked about, >= 1.
        clusters: Cluster (item family) of each item, shape (items,).
        level: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: Shapes differ, nothing is given, counts are no counts, or an item has fewer than k attempts.
    """
    right, tried = _counts(correct, attempts, k)
    return clustered_mean(1.0 - _all_drawn_from(tried - right, tried, k), clusters, level)


def pass_all_k(correct: ArrayLike, attempts: ArrayLike, k: int, clusters: Clusters, level: float = 0.95) -> Estimate:
    """pass^k: chance that all of k attempts at an item are right, mean over items; for safety-critical tasks.

    Per item with c of n attempts right the unbiased estimate C(c, k)/C(n, k); then `clustered_mean`.

    Source: Yao et al. (2024), "τ-bench", arXiv 2406.12045 (pass^k).

    Args and errors as `pass_at_k`.
    """
    right, tried = _counts(correct, attempts, k)
    return clustered_mean(_all_drawn_from(right, tried, k), clusters, level)


def _all_drawn_from(marked: FloatArray, total: FloatArray, k: int) -> FloatArray:
    """C(marked, k)/C(total, k): chance that k drawn without replacement are all marked."""
    chance = np.ones_like(total)
    for drawn in range(k):
        chance *= np.maximum(marked - drawn, 0.0) / (total - drawn)
    return chance


def _counts(correct: ArrayLike, attempts: ArrayLike, k: int) -> tuple[FloatArray, FloatArray]:
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    right = observations(correct, "correct")
    tried = np.asarray(attempts, dtype=np.float64)
    tried = np.full(right.shape, float(tried)) if tried.ndim == 0 else observations(tried, "attempts")
    if tried.shape != right.shape:
        raise ValueError(f"correct has {right.size} items and attempts {tried.size}: give one of each per item")
    wrong = (right != np.floor(right)) | (tried != np.floor(tried)) | (right < 0.0) | (right > tried)
    if wrong.any():
        item = int(np.argmax(wrong))
        raise ValueError(
            f"item {item}: {right[item]:g} of {tried[item]:g} attempts right; need 0 <= correct <= attempts"
        )
    if (tried < k).any():
        item = int(np.argmax(tried < k))
        raise ValueError(f"item {item} has {tried[item]:g} attempts, too few for k = {k}")
    return right, tried
