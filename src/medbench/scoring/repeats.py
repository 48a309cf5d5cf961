"""Items asked several times: their outcome in each epoch, and the best and the worst of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from medbench.scoring.clustered import ClusteredValues
from medbench.stats import Estimate


class RepeatFigures(msgspec.Struct, frozen=True):
    """What asking every item of a part k times shows.

    pass@k is the mean of the items' best outcome and pass^k that of their worst. Where an outcome is right or wrong
    these are the published figures (`medbench.stats.pass_at_k` and `pass_all_k` with k attempts at each item); graded
    outcomes give the same means without a pass mark, which nobody has set. pass@1 is the part's score.

    Attributes:
        epochs: k.
        pass_at_k: In [0, 1]; None where the items have no outcomes of their own (micro-averaged F1) or none is whole.
        pass_all_k: Likewise.
        answered: Items with a response in every epoch and order.
        identical: Those of them whose answers are the same, letter by letter, in every epoch.
    """

    epochs: int
    pass_at_k: Estimate | None
    pass_all_k: Estimate | None
    answered: int
    identical: int


class RepeatTally:
    """Gathers best and worst outcomes of the items of one part."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._best, self._worst = ClusteredValues(), ClusteredValues()
        self._answered = self._identical = 0

    def add_answers(self, answers: Sequence[str]) -> None:
        """Take the answers to an item in all its variants."""
        orders = len(answers) // self._epochs
        self._answered += 1
        self._identical += answers[orders:] == answers[:-orders]

    def add_outcomes(self, outcomes: Sequence[float], cluster: int) -> None:
        """Take an item's outcome in every epoch."""
        self._best.add(max(outcomes), cluster)
        self._worst.add(min(outcomes), cluster)

    def figures(self) -> RepeatFigures:
        """The figures of everything taken so far."""
        return RepeatFigures(
            epochs=self._epochs,
            pass_at_k=self._best.mean(),
            pass_all_k=self._worst.mean(),
            answered=self._answered,
            identical=self._identical,
        )


def epoch_outcomes(values: Sequence[float], epochs: int, *, every_order: bool) -> list[float]:
    """An item's outcome in each epoch.

    Args:
        values: Scores of its variants in [0, 1]: all option orders, epoch after epoch.
        epochs: How many there are.
        every_order: An epoch is right (1) if all its orders are, else wrong (0); otherwise the mean over its orders.
    """
    orders = len(values) // epochs
    several = [values[start : start + orders] for start in range(0, len(values), orders)]
    return [float(min(each) == 1.0) if every_order else sum(each) / orders for each in several]
