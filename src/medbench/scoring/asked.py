"""One call of a plan, as the scorer needs to know it."""

from __future__ import annotations

import msgspec

from medbench.catalog.model import Part
from medbench.items.model import Question, Variant

_SPEAKERS = {
    "zh": {"system": "系统", "user": "用户", "assistant": "助手", "tool": "工具"},
    "en": {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"},
}


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
    def shown_question(self) -> str:
        """What was asked, for who rates the answer: without instructions on its form, with the turns before it."""
        text = self.form.prompt or self.question.text
        names = _SPEAKERS[self.question.language]
        turns = [f"[{names[turn.role]}] {turn.content}" for turn in self.question.turns]
        return "\n\n".join([*turns, f"[{names['user']}] {text}"]) if turns else text

    @property
    def displayed_options(self) -> tuple[str, ...]:
        """Option texts in the order displayed."""
        options = self.question.options
        return tuple(options[index] for index in self.form.order) if self.form.order else options
