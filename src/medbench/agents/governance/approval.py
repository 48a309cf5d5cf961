"""People who are asked before something is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from medbench.agents.governance.guard import Decision
from medbench.errors import InputError, Problem, WorkError
from medbench.items.model import Question
from medbench.plugins import APPROVERS, load_plugin, plugin_names
from medbench.text import say

FIELD = "approver"
"""Of the agent's file."""
_LONGEST_NAME = 200
_REASONS = {"approved": "human_approved", "refused": "human_refused", "nobody": "needs_human"}


class Verdict(msgspec.Struct, frozen=True):
    """What a person decided.

    Attributes:
        answer: `nobody` where nobody was there to decide.
        by: Who decided, as their login name; empty where nobody did. It goes into the audit trail.
    """

    answer: Literal["approved", "refused", "nobody"]
    by: str = ""


class Approver(Protocol):
    """Whoever may approve; a person behind a screen, or nobody. Asked by many items at a time."""

    async def decide(self, decision: Decision, question: Question) -> Verdict:
        """Approve what a decision asks a person for, refuse it, or say that nobody is there.

        However long it takes, it counts neither as time of the model nor against the limits of the item.

        Args:
            decision: With the action `ask_human`; `original` is what would be done, `hits` why it is asked.
            question: That the agent is at work on.
        """


class MakesApprover(Protocol):
    """What stands under a name in the entry-point group `medbench.approvers`."""

    def __call__(self) -> Approver:
        """Make the approver, before the run starts.

        Raises:
            InputError: Nobody could be asked.
        """


class Nobody:
    """Nobody is at hand, as in a benchmark run: what needs a person is refused."""

    async def decide(self, decision: Decision, question: Question) -> Verdict:
        """Always `nobody`."""
        return Verdict("nobody")


def _terminal() -> Approver:
    from medbench.agents.governance.terminal import Terminal

    return Terminal()


BUILT_IN: Mapping[str, Callable[[], Approver]] = {"nobody": Nobody, "terminal": _terminal}


def make_approver(name: str) -> Approver:
    """The approver of that name.

    Raises:
        InputError: There is none, it can't be loaded, or nobody could be asked.
    """
    make: MakesApprover | None = load_plugin(APPROVERS, name, taken=BUILT_IN, field=FIELD)
    make = make or BUILT_IN.get(name)
    if make is None:
        known = ", ".join(sorted({*BUILT_IN, *plugin_names(APPROVERS)}))
        raise InputError(Problem(message=say("agent.no_approver", name=name, known=known), field=FIELD))
    return make()


async def settled(decision: Decision, approver: Approver, question: Question) -> Decision:
    """A decision without `ask_human`: approved it is allowed as it came, else refused; `reason` and `by` tell why.

    Raises:
        WorkError: The approver is out of order. A refusal in its place would be nobody's.
    """
    if decision.action != "ask_human":
        return decision
    try:
        verdict = await approver.decide(decision, question)
        answer, reason = verdict.answer, _REASONS[verdict.answer]
        by = verdict.by[:_LONGEST_NAME].encode("utf-8", "replace").decode()
        if answer != "nobody" and not by.strip():
            raise ValueError("a verdict without a name")
    except Exception as error:  # an approver of a third party may raise whatever it likes
        raise WorkError(say("agent.approver_failed", error=f"{type(error).__name__}: {error}")) from error
    if answer == "approved":
        return msgspec.structs.replace(decision, action="allow", text=decision.original, reason=reason, by=by)
    return msgspec.structs.replace(decision, action="refuse", reason=reason, by=by)
