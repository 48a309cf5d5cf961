"""Ratings as categories: codes, and where the categories stand on their scale."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medbench.stats.clusters import CodeArray, FloatArray

Weights = Literal["nominal", "linear", "quadratic"]
"""What a disagreement costs: 1; its distance on the scale; the square of that."""

MOST_CATEGORIES = 500


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of items by raters.

    Attributes:
        codes: Category of each rating, shape (items, raters), −1 where there is none.
        positions: Where each category stands, shape (K,): the numbers themselves, or 0, 1, 2, … for names in order.
        labels: The categories as given, for messages.
        ordered: The positions mean something: numbers, or names whose order was given.
    """

    codes: CodeArray
    positions: FloatArray
    labels: tuple[Any, ...]
    ordered: bool

    def disagreement(self, weights: Weights) -> FloatArray:
        """Cost of each pair of categories in [0, 1], shape (K, K), 0 on the diagonal and 1 at most.

        Raises:
            ValueError: `weights` is unknown, or needs an order that the categories do not have.
        """
        size = self.positions.size
        if weights not in ("nominal", "linear", "quadratic"):
            raise ValueError(f"weights is {weights!r}; it is one of nominal, linear, quadratic")
        if weights == "nominal":
            return 1.0 - np.eye(size)
        self.require_order(weights)
        distances = np.abs(self.positions[:, None] - self.positions[None, :])
        if size > 1:
            distances /= distances.max()
        return distances if weights == "linear" else np.square(distances)

    def require_order(self, purpose: str) -> None:
        """Raise ValueError where categories are names without a given order."""
        if not self.ordered:
            raise ValueError(
                f"{purpose} needs an order, and the categories {list(self.labels)[:5]} are names: give `categories`"
            )


def coded(ratings: ArrayLike, categories: Sequence[Hashable] | None = None, name: str = "ratings") -> Ratings:
    """Read a table of ratings.

    Args:
        ratings: Shape (items, raters). Numbers, with NaN or None where there is no rating; or names, with None.
        categories: All categories in their order, also those that nobody used. None: the ratings that occur, sorted.
        name: What the table is called in messages.

    Raises:
        ValueError: Not a table, no rating at all, an infinite number, a rating that is not in `categories`, categories
            given twice, or more than 500 categories.
    """
    table = _table(ratings, name)
    if table.dtype.kind in "fiub":
        numbers = table.astype(np.float64)
        present = ~np.isnan(numbers)
        if np.isinf(numbers).any():
            raise ValueError(f"{name} holds an infinite number")
        found, inverse = np.unique(numbers[present], return_inverse=True)
        labels: list[Any] = found.tolist()
    else:
        present = np.array([rating is not None for rating in table.reshape(-1)], dtype=bool).reshape(table.shape)
        given = [str(rating) for rating in table[present]]
        labels = sorted(set(given))
        places = {label: place for place, label in enumerate(labels)}
        inverse = np.fromiter((places[rating] for rating in given), dtype=np.intp, count=len(given))
    if not present.any():
        raise ValueError(f"{name} holds no rating")
    if categories is not None:
        labels, inverse = _in_order(labels, inverse, list(categories), name)
    codes = np.full(table.shape, -1, dtype=np.intp)
    codes[present] = inverse.reshape(-1)
    numeric = all(isinstance(label, int | float) for label in labels)
    positions = np.asarray(labels if numeric else range(len(labels)), dtype=np.float64)
    return Ratings(codes, positions, tuple(labels), numeric or categories is not None)


def require_few(ratings: Ratings) -> None:
    """Raise ValueError for more categories than a coefficient of categories is meant for."""
    if ratings.positions.size > MOST_CATEGORIES:
        raise ValueError(
            f"{ratings.positions.size} different ratings are no categories (at most {MOST_CATEGORIES}): round them, "
            "or use quadratic weights, an interval alpha or a correlation"
        )


def rating_table(
    items: Iterable[Hashable], raters: Iterable[Hashable], scores: Iterable[Any]
) -> tuple[NDArray[np.object_], list[Hashable], list[Hashable]]:
    """Ratings in rows (item, rater, score) as a table with None where there is no rating.

    Args:
        items: What was rated, one per row.
        raters: Who rated it.
        scores: The rating.

    Returns:
        The table, shape (items, raters), and the labels of its rows and columns in the order in which they appear.

    Raises:
        ValueError: The three differ in length, or a rater rates an item twice.
    """
    rows: dict[Hashable, int] = {}
    columns: dict[Hashable, int] = {}
    cells: dict[tuple[int, int], Any] = {}
    for item, rater, score in zip(items, raters, scores, strict=True):
        cell = (rows.setdefault(item, len(rows)), columns.setdefault(rater, len(columns)))
        if cell in cells:
            raise ValueError(f"rater {rater!r} rates item {item!r} twice; keep one rating of each")
        cells[cell] = score
    table = np.full((len(rows), len(columns)), None, dtype=object)
    for cell, score in cells.items():
        table[cell] = score
    return table, list(rows), list(columns)


def _table(ratings: ArrayLike, name: str) -> NDArray[Any]:
    table: NDArray[Any] = np.asarray(ratings) if isinstance(ratings, np.ndarray) else np.array(ratings, dtype=object)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name} must be a table of items and raters, not of shape {table.shape}")
    if table.dtype.kind == "O":
        entries = table.reshape(-1).tolist()
        if all(entry is None or isinstance(entry, int | float | np.number | np.bool_) for entry in entries):
            numbers = [np.nan if entry is None else float(entry) for entry in entries]
            return np.array(numbers, dtype=np.float64).reshape(table.shape)
        missing = [entry is None or (isinstance(entry, float) and entry != entry) for entry in entries]
        names = np.empty(len(entries), dtype=object)
        names[:] = [None if gap else entry for entry, gap in zip(entries, missing, strict=True)]
        return names.reshape(table.shape)
    return table


def _in_order(found: list[Any], inverse: CodeArray, order: list[Any], name: str) -> tuple[list[Any], CodeArray]:
    if found and isinstance(found[0], str):
        order = [str(label) for label in order]
    elif all(isinstance(label, int | float | np.number | np.bool_) for label in order):
        order = [float(label) for label in order]
        if order != sorted(order):
            raise ValueError(f"categories {order[:10]} are numbers and must be given in ascending order")
    places = {label: place for place, label in enumerate(order)}
    if len(places) < len(order):
        raise ValueError(f"categories {order[:10]} name one twice")
    unknown = [label for label in found if label not in places]
    if unknown:
        raise ValueError(f"{name} holds {unknown[0]!r}, which is not among the categories {order[:10]}")
    return order, np.array([places[label] for label in found], dtype=np.intp)[inverse.reshape(-1)]
