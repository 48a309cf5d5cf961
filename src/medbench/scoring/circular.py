"""Items asked in several option orders: how often all are right, and whether the position decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from medbench.scoring.clustered import ClusteredValues
from medbench.scoring.rows import ScoreRow
from medbench.stats import position_preference

PREFERENCE_ITEMS = 2_000
"""Position preference is tested on the first items up to this many: its permutations cost more than all the rest."""


class CircularFigures(msgspec.Struct, frozen=True):
    """Circular evaluation of one part (specs/scoring.md, section 3); shares in [0, 1].

    Where items are asked in several epochs, an item in one epoch takes the place of an item.

    Attributes:
        acc_origin: Share of items right in the first order.
        acc_mean: Share of responses that are right; its interval is clustered by item.
        acc_mean_low: Lower limit of that interval.
        acc_mean_high: Upper limit.
        chance_mean: What guessing gives there: mean over items of one over its number of options.
        more_m: m -> share of items with at least m orders right.
        consistency: Share of items whose chosen option text is the same in all orders; needs no key.
        position_shares: Share of responses per displayed position, A first.
        position_expected: The same if position played no part.
        position_p: p value of the within-item permutation test.
        preference_items: Items in that test.
    """

    acc_origin: float | None
    acc_mean: float | None
    acc_mean_low: float | None
    acc_mean_high: float | None
    chance_mean: float | None
    more_m: dict[str, float]
    consistency: float | None
    position_shares: tuple[float, ...]
    position_expected: tuple[float, ...]
    position_p: float | None
    preference_items: int


class CircularTally:
    """Gathers the choices of the items of one part."""

    def __init__(self) -> None:
        self._means = ClusteredValues()
        self._origin = self._epochs = 0
        self._more: Counter[int] = Counter()
        self._comparable = self._consistent = 0
        self._chosen: list[int] = []
        self._displayed: list[tuple[int, ...]] = []
        self._items: list[int] = []

    def add_values(self, values: Sequence[float], orders: int, cluster: int) -> None:
        """Take the outcomes of an item: all orders, epoch after epoch."""
        for start in range(0, len(values), orders):
            self._epochs += 1
            self._origin += values[start] == 1.0
            for least in range(1, values[start : start + orders].count(1.0) + 1):
                self._more[least] += 1
        self._means.add(values.count(1.0) / len(values), cluster)

    def add_choices(self, item: int, rows: Sequence[ScoreRow | None]) -> None:
        """Take the choices of an item in one epoch.

        Args:
            item: Its number in the part, from 1.
            rows: Of its orders; None where a call was not answered.
        """
        known = [row for row in rows if row is not None]
        texts: set[str] = set()
        parsed = 0
        for row in known:
            value = row.extraction.value
            if not isinstance(value, frozenset) or len(value) != 1:
                continue
            (position,) = (int(one) for one in value)
            parsed += 1
            options = row.asked.question.options
            order = row.asked.form.order or tuple(range(len(options)))
            texts.add(options[order[position]])
            if item <= PREFERENCE_ITEMS:
                self._chosen.append(position)
                self._displayed.append(order)
                self._items.append(item)
        if len(known) == len(rows):
            self._comparable += 1
            self._consistent += parsed == len(rows) and len(texts) == 1

    def figures(self, chance_mean: float | None) -> CircularFigures | None:
        """The figures of everything taken so far; None where no item was asked in several orders.

        Args:
            chance_mean: Share of right responses that guessing gives.
        """
        if not self._comparable and not self._chosen:
            return None
        preference = position_preference(self._chosen, self._displayed, self._items) if self._chosen else None
        most = max(self._more, default=0)
        mean = self._means.mean()
        return CircularFigures(
            acc_origin=self._origin / self._epochs if self._epochs else None,
            acc_mean=mean.value if mean else None,
            acc_mean_low=mean.low if mean else None,
            acc_mean_high=mean.high if mean else None,
            chance_mean=chance_mean,
            more_m={str(least): self._more[least] / self._epochs for least in range(1, most + 1)},
            consistency=self._consistent / self._comparable if self._comparable else None,
            position_shares=preference.shares if preference else (),
            position_expected=preference.expected_shares if preference else (),
            position_p=preference.p_value if preference else None,
            preference_items=preference.items if preference else 0,
        )
