"""One call of a plan, as the scorer needs to know it."""

from __future__ import annotations

import msgspec

from medbench.catalog.model import Part
from medbench.items.model import Question, Variant


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A question in one variant.

    Attributes:
        seq: Place in the plan.
        question: The question.
        part: Its part of the dataset.
        variant: Index of the variant among all of the item's: its option orders, epoch after epoch.
        form: Option order and prompt of the variant.
        epoch: Which time the item is asked, from 0; each time in all its orders.
    """

    seq: int
    question: Question
    part: Part
    variant: int
    form: Variant
    epoch: int = 0

    @property
    def item(self) -> str:
        """The item that it is about."""
        return self.question.uid

    @property
    def displayed_options(self) -> tuple[str, ...]:
        """Option texts in the order displayed."""
        options = self.question.options
        return tuple(options[index] for index in self.form.order) if self.form.order else options
