"""Ratings of pairs: what somebody prefers where both orders are taken together, and a liking for the first place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from medbench.scoring.judging.figure import Figure, figure
from medbench.scoring.ratings import Answered, Rating
from medbench.stats import clustered_mean


class Position(msgspec.Struct, frozen=True):
    """Whether a judge likes what stands first.

    Attributes:
        first: Share of the verdicts that prefer what stood first, 1/2 where place plays no part; clustered by item.
        n: Verdicts: ties, and pairs of which nothing says what stood first, are none.
    """

    first: Figure
    n: int


def verdicts_of(ratings: Sequence[Rating]) -> list[Rating]:
    """One rating per rater and pair, in place of those in both orders: 0 where these prefer not the same answer."""
    together: dict[tuple[str, str, str, Answered], list[Rating]] = defaultdict(list)
    for rating in ratings:
        together[rating.kind, rating.rater, *rating.unit].append(rating)
    return [
        several[0] if len({each.score for each in several}) == 1 else msgspec.structs.replace(several[0], score=0.0)
        for several in together.values()
    ]


def position_of(ratings: Sequence[Rating]) -> Position:
    """How often one judge prefers what stood first."""
    told = [rating for rating in ratings if rating.order and rating.score]
    firsts = [float(rating.order == rating.response[0 if rating.score > 0 else 1]) for rating in told]
    return Position(
        figure(
            lambda: clustered_mean(np.array(firsts), [rating.item for rating in told]),
            bool(told),
            "no rating prefers one of two answers and says by `order` which stood first",
        ),
        len(told),
    )
