"""What the agent asks of a guard. Any object that answers these three questions will do; none at all, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

PASSES = frozenset({"allow", "warn"})
"""Actions after which the agent goes on; after any other the decision's text is its answer."""


class Decision(Protocol):
    """What a guard decided."""

    @property
    def action(self) -> str:
        """`allow`, `warn`, or an action that stops."""

    @property
    def hits(self) -> Sequence[object]:
        """Rules that it rests on."""

    @property
    def text(self) -> str:
        """What to say instead, where it stops."""


class Guard(Protocol):
    """Looks at what comes in, at every tool call and at what goes out."""

    def check_input(self, text: str) -> Decision:
        """Whether the task may be taken up."""

    def check_tool(self, name: str, arguments: Mapping[str, object]) -> Decision:
        """Whether a tool may be called so."""

    def check_output(self, text: str) -> Decision:
        """Whether the answer may be given."""


def rules(decision: Decision) -> tuple[str, ...]:
    """Its hits by their ids."""
    return tuple(str(getattr(hit, "id", hit)) for hit in decision.hits)
