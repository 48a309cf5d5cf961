"""People who are asked before something is done."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from medbench.agents.governance.guard import Decision

Verdict = Literal["approved", "refused", "nobody"]


class Approver(Protocol):
    """Whoever may approve; a person behind a screen, or nobody."""

    async def decide(self, decision: Decision) -> Verdict:
        """Approve what a decision asks a person for, refuse it, or say that nobody is there.

        Args:
            decision: With the action `ask_human`; `original` is what would be done, `hits` why it is asked.
        """


class Nobody:
    """Nobody is at hand, as in a benchmark run: what needs a person is refused."""

    async def decide(self, decision: Decision) -> Verdict:
        """Always `nobody`."""
        return "nobody"


async def settled(decision: Decision, approver: Approver) -> Decision:
    """A decision without `ask_human`: approved it is allowed as it came, else refused with `reason`."""
    if decision.action != "ask_human":
        return decision
    verdict = await approver.decide(decision)
    if verdict == "approved":
        return msgspec.structs.replace(decision, action="allow", text=decision.original)
    reason = "needs_human" if verdict == "nobody" else "human_refused"
    return msgspec.structs.replace(decision, action="refuse", reason=reason)
