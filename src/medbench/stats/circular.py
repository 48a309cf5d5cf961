"""Circular evaluation: chance level, and preference for displayed positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medbench.stats.clusters import Clusters, CodeArray, FloatArray, cluster_codes


@dataclass(frozen=True, slots=True)
class PositionPreference:
    """Test of whether a model prefers displayed positions whatever stands there.

    Attributes:
        shares: Share of responses that chose each displayed position, shape (positions,).
        expected_shares: The shares to be expected if the options chosen had nothing to do with where they stood.
        statistic: Σ_p n·(share_p − expected_p)² / expected_p, over positions with expected_p > 0.
        p_value: Of the within-item permutation test; None where no item was asked in two different orders.
        responses: Number of responses.
        items: Number of items.
        informative_items: Items in which a permutation changes anything: at least two different orders and two
            different options chosen. A model that always picks the same option of an item tells nothing against the
            null there.
    """

    shares: tuple[float, ...]
    expected_shares: tuple[float, ...]
    statistic: float
    p_value: float | None
    responses: int
    items: int
    informative_items: int


def position_preference(
    chosen: ArrayLike,
    orders: Sequence[Sequence[int]] | NDArray[np.integer],
    items: Clusters,
    resamples: int = 2_000,
    seed: int = 0,
) -> PositionPreference:
    """Within-item permutation test of preference for displayed positions.

    Null: given the item, the option (content) a model chooses does not depend on the order in which the options are
    shown, so the options chosen for an item's variants are exchangeable over these variants. They may prefer any
    content, right or wrong, as strongly as they like. Each resample permutes the chosen options among the variants of
    the same item and looks up the position at which the option stands in the order it falls to; an item with n options
    thus contributes to its own n positions only. The expected shares are the exact mean over all such permutations.

    p = (1 + #{statistic of resample >= observed}) / (1 + resamples). Positions are counted from the first; a preference
    for "the last option" of items of different lengths shows only as far as the lengths agree.

    Source: specs/scoring.md section 3.

    Args:
        chosen: Displayed position chosen in each response, 0-based, shape (n,). Unparsed responses are left out.
        orders: For each response its option order: the index of the option shown at each position. A sequence of n
            sequences, or an array of shape (n, most options) padded at the end with −1. Options are numbered the same
            way in all variants of an item.
        items: Item of each response, shape (n,).
        resamples: Number of permutations, >= 1.
        seed: Seed of the permutations.

    Raises:
        ValueError: Shapes differ, nothing is given, an order is not a permutation of 0..options−1, an item's orders
            have different lengths, or a chosen position does not exist.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    positions = np.asarray(chosen)
    if positions.ndim != 1 or positions.size == 0 or positions.dtype.kind not in "iu":
        raise ValueError("chosen must be a non-empty, one-dimensional list of whole numbers (0-based positions)")
    total = positions.size
    table, lengths = _order_table(orders, total)
    outside = (positions < 0) | (positions >= lengths)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(f"chosen[{row}] = {positions[row]}, but that response showed {lengths[row]} options")
    codes = np.unique(cluster_codes(items, total), return_inverse=True)[1].reshape(-1)
    _require_same_length(lengths, codes)

    # where[row, option] = position of the option in the order of that row.
    where = np.argsort(np.where(table < 0, np.iinfo(np.int64).max, table), axis=1, kind="stable")
    content = table[np.arange(total), positions]
    width = table.shape[1]
    observed = np.bincount(positions, minlength=width).astype(np.float64)
    expected = np.zeros(width)
    fixed = np.zeros(width)
    movable: list[NDArray[np.intp]] = []
    informative = 0
    several_orders = False
    for rows in _rows_by_variants(codes):
        # lookup[i, v, u] = position in the order of variant v of the option that was chosen in variant u.
        lookup = where[rows[:, :, None], content[rows][:, None, :]]
        expected += np.bincount(lookup.reshape(-1), minlength=width) / rows.shape[1]
        reordered = (table[rows] != table[rows[:, :1]]).any(axis=(1, 2))
        changes = reordered & (lookup != lookup[:, :, :1]).any(axis=(1, 2))
        fixed += np.bincount(positions[rows[~changes]].reshape(-1), minlength=width)
        several_orders = several_orders or bool(reordered.any())
        informative += int(np.count_nonzero(changes))
        if changes.any():
            movable.append(lookup[changes])

    statistic = float(_discrepancy(observed[None, :], expected)[0])
    p_value: float | None = None
    if several_orders:
        generator = np.random.default_rng(seed)
        drawn = np.tile(fixed, (resamples, 1))
        for lookup in movable:
            drawn += _permuted_counts(lookup, resamples, width, generator)
        # A resample that repeats the observed counts is as extreme as they are, whatever rounding says.
        extreme = int(np.count_nonzero(_discrepancy(drawn, expected) >= statistic * (1.0 - 1e-9)))
        p_value = (1 + extreme) / (1 + resamples)
    return PositionPreference(
        shares=tuple((observed / total).tolist()),
        expected_shares=tuple((expected / total).tolist()),
        statistic=statistic,
        p_value=p_value,
        responses=total,
        items=int(codes.max()) + 1,
        informative_items=informative,
    )


def chance_circular(option_counts: ArrayLike, order_counts: ArrayLike) -> float:
    """Chance level of `acc_circular`: mean over items of (1/options)^orders, for independent uniform guesses.

    Args:
        option_counts: Number of answers an item's guess is drawn from, >= 1, shape (items,) or one number.
        order_counts: Number of orders in which an item is asked, >= 1, shape (items,) or one number.

    Raises:
        ValueError: A count is below 1, or nothing is given.
    """
    options, orders = np.asarray(option_counts, dtype=np.float64), np.asarray(order_counts, dtype=np.float64)
    if options.size == 0 or orders.size == 0:
        raise ValueError("option_counts and order_counts need at least one item")
    if not ((options >= 1.0).all() and (orders >= 1.0).all()):
        raise ValueError("option_counts and order_counts must be 1 or more")
    return float(np.mean(options**-orders))


def _order_table(orders: Iterable[Sequence[int]] | NDArray[np.integer], n: int) -> tuple[CodeArray, CodeArray]:
    """Orders as an array padded with −1, shape (n, most options), and their lengths, shape (n,)."""
    if isinstance(orders, np.ndarray):
        if orders.ndim != 2 or orders.dtype.kind not in "iu":
            raise ValueError(f"orders must be whole numbers of shape (responses, options), not {orders.shape}")
        table = orders.astype(np.intp)
    else:
        listed = [list(order) for order in orders]
        table = np.full((len(listed), max(map(len, listed), default=0)), -1, dtype=np.intp)
        for row, order in enumerate(listed):
            table[row, : len(order)] = order
    if table.shape[0] != n:
        raise ValueError(f"there are {n} responses but {table.shape[0]} orders: give one order per response")
    lengths = np.count_nonzero(table >= 0, axis=1)
    # Sorted, a permutation of 0..options−1 padded with −1 reads −1 … −1 0 1 … options−1; the padding stands at the end.
    ranks = np.arange(table.shape[1])
    shift = (table.shape[1] - lengths)[:, None]
    proper = (np.sort(table, axis=1) == np.maximum(ranks - shift, -1)).all(axis=1)
    proper &= ((table >= 0) == (ranks < lengths[:, None])).all(axis=1)
    if not proper.all():
        row = int(np.argmin(proper))
        raise ValueError(f"orders[{row}] = {table[row].tolist()} is not an order of the options 0, 1, 2, …")
    return table, lengths


def _require_same_length(lengths: CodeArray, codes: CodeArray) -> None:
    longest = np.zeros(int(codes.max()) + 1, dtype=lengths.dtype)
    np.maximum.at(longest, codes, lengths)
    shorter = lengths < longest[codes]
    if shorter.any():
        row = int(np.argmax(shorter))
        raise ValueError(f"orders[{row}] has {lengths[row]} options, another order of its item {longest[codes[row]]}")


def _rows_by_variants(codes: CodeArray) -> Iterable[CodeArray]:
    """Rows of the items, one array of shape (items, m) for each number m of variants."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    for variants in np.unique(counts):
        yield order[starts[counts == variants][:, None] + np.arange(variants)]


def _permuted_counts(lookup: CodeArray, count: int, width: int, generator: np.random.Generator) -> FloatArray:
    """Responses per position under `count` random within-item permutations, shape (count, width)."""
    items, variants, _ = lookup.shape
    drawn = np.empty((count, width))
    identity = np.broadcast_to(np.arange(variants), (items, variants))
    for resample in range(count):
        permutation = generator.permuted(identity, axis=1)
        positions = np.take_along_axis(lookup, permutation[:, :, None], axis=2)
        drawn[resample] = np.bincount(positions.reshape(-1), minlength=width)
    return drawn


def _discrepancy(counts: FloatArray, expected: FloatArray) -> FloatArray:
    possible = expected > 0.0
    squared: FloatArray = np.square(counts[:, possible] - expected[possible]) / expected[possible]
    totals: FloatArray = squared.sum(axis=1)
    return totals
