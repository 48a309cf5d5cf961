"""Observations, clusters and sums over clusters: the input side of every estimator here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
CodeArray = NDArray[np.intp]
Clusters = NDArray[np.generic] | Iterable[Hashable]

# Rounding in the sum of n numbers leaves a spread of about n·1e-16 between equal observations; real spread is larger.
ROUNDING = 1e-12


def observations(values: ArrayLike, name: str = "values") -> FloatArray:
    """`values` as a one-dimensional array of finite numbers.

    Raises:
        ValueError: It is empty, not one-dimensional, or holds NaN or infinity (a missing score is not a number: leave
            the row out and report the coverage).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: there is nothing to estimate from")
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name}[{int(np.argmin(finite))}] is not a finite number; leave missing rows out")
    return array


def require_unit_interval(array: FloatArray, name: str = "values") -> None:
    """Raise ValueError unless every value lies in [0, 1]."""
    outside = (array < 0.0) | (array > 1.0)
    if outside.any():
        position = int(np.argmax(outside))
        raise ValueError(
            f"{name}[{position}] = {array[position]} is outside [0, 1]; say bounded=False for other scales"
        )


def cluster_codes(clusters: Clusters, n: int) -> CodeArray:
    """One non-negative integer per row; rows of the same cluster share it. Codes may have gaps.

    Integer arrays that are already codes (0 up to a small multiple of the rows) are used as they are, which is the fast
    path. Anything else may be any hashable: text, tuples, None.

    Args:
        clusters: One label per row, shape (n,).
        n: The number of rows expected.

    Raises:
        ValueError: The number of labels differs from the number of rows.
    """
    if not isinstance(clusters, np.ndarray):
        clusters = _labels_as_array(list(clusters))
    if clusters.shape != (n,):
        raise ValueError(f"clusters has shape {clusters.shape}, but there are {n} rows: give one label per row")
    if clusters.dtype.kind in "iu":
        # Few unused codes cost less than sorting all rows; many would cost memory.
        if n == 0 or (clusters.min() >= 0 and clusters.max() < 4 * n + 1024):
            return clusters.astype(np.intp, copy=False)
        return np.unique(clusters, return_inverse=True)[1].reshape(-1).astype(np.intp, copy=False)
    seen: dict[Hashable, int] = {}
    return np.fromiter((seen.setdefault(label, len(seen)) for label in clusters.tolist()), dtype=np.intp, count=n)


def _labels_as_array(labels: list[Hashable]) -> NDArray[np.generic]:
    # np.asarray would turn a list of tuples into a table and mixed labels into text.
    if labels and all(type(label) is int for label in labels):
        try:
            return np.asarray(labels, dtype=np.int64)
        except OverflowError:
            pass
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Sums over the clusters that hold at least one row.

    Attributes:
        sums: Sum of the values in each cluster, shape (G,).
        sizes: Number of rows in each cluster, shape (G,), as floats.
    """

    sums: FloatArray
    sizes: FloatArray

    @property
    def effective(self) -> float:
        """Kish's effective number of clusters, (Σ size)² / Σ size²: G when all are of one size, less otherwise."""
        return effective_number(self.sizes)


def effective_number(sizes: FloatArray) -> float:
    """Kish's effective number for weights `sizes` (at least one positive), in [1, len(sizes)]."""
    return float(sizes.sum() ** 2 / np.square(sizes).sum())


def cluster_sums(values: FloatArray, codes: CodeArray) -> ClusterSums:
    """Sum `values` over `codes` (both of shape (n,)) in one pass each."""
    sizes = np.bincount(codes).astype(np.float64)
    sums: FloatArray = np.bincount(codes, weights=values).astype(np.float64, copy=False)
    used = sizes > 0.0
    return ClusterSums(sums[used], sizes[used])


def group_means(values: ArrayLike, groups: Clusters) -> tuple[FloatArray, CodeArray]:
    """Mean of the values within each group, for example of an item over its variants.

    Args:
        values: Shape (n,).
        groups: One label per row, shape (n,).

    Returns:
        The means, shape (K,), in the order in which the groups first appear, and for each the row where it first
        appears, shape (K,): `families[rows]` are then the clusters of the means.

    Raises:
        ValueError: As `observations` and `cluster_codes`.
    """
    array = observations(values)
    codes = cluster_codes(groups, array.size)
    _, first_rows, inverse = np.unique(codes, return_index=True, return_inverse=True)
    dense = inverse.reshape(-1)
    means = np.bincount(dense, weights=array) / np.bincount(dense)
    order = np.argsort(first_rows)
    return means[order], first_rows[order].astype(np.intp, copy=False)
