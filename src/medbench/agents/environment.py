"""An environment: a small world that an agent changes by tools and that is graded by the state it is left in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from medbench.items.model import Question
from medbench.models.model import Context
from medbench.models.tools import Tool

ENVIRONMENT = "environment"
"""A question names its environment under this name in its `meta`."""


class Environment(Protocol):
    """The world of one question in one variant, made anew for each."""

    @property
    def tools(self) -> Sequence[Tool]:
        """What can be done in it."""

    @property
    def over(self) -> bool:
        """The agent has done what ends the task, so that it need not be asked again."""

    def snapshot(self) -> bytes:
        """Its state as canonical JSON, for `medbench.scoring` to grade; the same acts give the same bytes."""

    async def close(self) -> None:
        """Give back what it holds."""


class MakesEnvironment(Protocol):
    """What stands under a name in the entry-point group `medbench.environments`."""

    def __call__(self, question: Question, context: Context) -> Environment:
        """Make the world of a question; its data are the question's `meta` and files (`context.file`).

        Raises:
            InputError: The question's data can't be used.
        """
