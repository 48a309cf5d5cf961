"""What somebody who knows nothing gets on the items of one part."""

from __future__ import annotations

from collections import Counter
from math import comb

from medbench.catalog.model import ChoiceForm, LabelForm, Part
from medbench.items.model import Key
from medbench.scoring.rows import ScoreRow
from medbench.stats import chance_circular


class Guessing:
    """Gathers how many options the keyed items of one part have."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._orders: Counter[tuple[int, int]] = Counter()
        self._labels = 0

    def add(self, row: ScoreRow, key: Key | None, orders: int) -> None:
        """Take an item, by one of its rows, and in how many orders it was asked."""
        form = self._part.answer
        options = len(row.asked.question.options)
        if isinstance(form, ChoiceForm) and key is not None and key.answer is not None:
            self._sizes[options, len(key.answer)] += 1
            self._orders[options, orders] += 1
        elif isinstance(form, LabelForm) and not form.multiple and form.correction_keys is None:
            self._labels = len(form.labels) or options

    def chance(self) -> float | None:
        """Expected share of right items; None where it is not defined.

        One letter: one of the options. Several letters: the best set size, which a guesser may know, and a random set
        of that size. One label: one of the closed list. Circular: every order right, guessing anew in each.
        """
        total = self._sizes.total()
        if not total:
            return 1.0 / self._labels if self._labels else None
        if self._part.circular:
            options = [pair[0] for pair, count in self._orders.items() for _ in range(count)]
            orders = [pair[1] for pair, count in self._orders.items() for _ in range(count)]
            return chance_circular(options, orders)
        return max(
            sum(count / comb(options, size) for (options, of), count in self._sizes.items() if of == size) / total
            for size in {size for _, size in self._sizes}
        )

    def chance_of_response(self) -> float | None:
        """Expected share of right responses where one letter is right in each of several orders, else None."""
        total = self._sizes.total()
        if not total or not self._part.circular:
            return None
        return sum(count / options for (options, _), count in self._sizes.items()) / total
