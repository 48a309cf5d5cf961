"""The guard over one item: decisions settled, noted in the trace, and written into the audit trail."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from medbench.agents.governance.approval import Approver, settled
from medbench.agents.governance.audit import Trail, call_record, decision_record, step_record
from medbench.agents.governance.guard import Decision, Guard
from medbench.agents.orchestration.events import Guarded
from medbench.agents.orchestration.spending import Spending
from medbench.catalog.model import AnswerForm
from medbench.items.model import Question
from medbench.models.clock import Clock
from medbench.models.tools import ToolError

_SUBJECT = 300
_CLOSING = re.compile(r"\n</data-([0-9a-f]{12})>\s*\Z")


class Oversight:
    """What the guard says at each point, and a person where a rule asks for one.

    Args:
        guard: Holds texts against the rules; None: everything passes, and there is no trail.
        approver: Asked where a rule asks for a person.
        question: The item.
        form: Of the answer that it asks for.
        revision: Of the agent, for the trail.
        spending: Takes the events.
        clock: Of the item; stopped while a person is asked.
        exact: The task asks for calls or JSON where the catalogue says text: an answer goes without notes, which would
            break it. It may still be refused, else whoever writes a task could switch the guard off.
    """

    def __init__(
        self,
        guard: Guard | None,
        approver: Approver,
        question: Question,
        form: AnswerForm,
        revision: str,
        spending: Spending,
        clock: Clock,
        *,
        exact: bool = False,
    ) -> None:
        self._guard = guard
        self._approver = approver
        self._question = question
        self._form = form
        self._exact = exact
        self._spending = spending
        self._clock = clock
        self._trail = Trail()
        if guard is not None:
            policies = guard.policies.version
            self._trail.append(step_record("start", item=question.uid, agent=revision, policies=policies))

    @property
    def trail(self) -> bytes | None:
        """The audit trail, closed; None where nothing was watched."""
        if self._guard is None:
            return None
        self._trail.append(step_record("end", calls=self._spending.calls))
        return self._trail.content

    async def asked(self, prompt: str) -> str | None:
        """What is to be said in place of taking up a task; None: it may be taken up."""
        if self._guard is None:
            return None
        decision = await self._settle(self._guard.check_input(prompt, self._form, self._question.language))
        self._note("input", decision)
        return None if decision.allowed else decision.text

    async def given(self, answer: str) -> tuple[str, bool]:
        """An answer as it may be given, and whether the guard speaks in its place."""
        if self._guard is None:
            return answer, False
        decision = self._guard.check_output(answer, self._form, self._question.language)
        if self._exact and decision.allowed:
            decision = msgspec.structs.replace(decision, text=answer)
        decision = await self._settle(decision)
        self._note("output", decision)
        return decision.text, not decision.allowed

    async def before(self, name: str, arguments: Mapping[str, object]) -> None:
        """Hold a tool call against the rules.

        Raises:
            ToolError: `refused_by_guard`, with what the agent is told instead.
        """
        if self._guard is None:
            return
        decision = await self._settle(self._guard.check_tool(name, arguments), name)
        if decision.hits:
            self._note("tool", decision)
        if not decision.allowed:
            raise ToolError("refused_by_guard", decision.text)

    def after(self, name: str, arguments: Mapping[str, object], result: str) -> str:
        """What of a tool's result, or of retrieved text, the backbone may see."""
        if self._guard is None:
            return result
        decision = self._guard.check_tool(name, arguments, result)
        self._trail.append(decision_record(decision, name))
        if decision.hits:
            self._note("result", decision)
        return decision.text

    def called(self, name: str, arguments: Mapping[str, object], status: str, result: str) -> None:
        """Write a tool call into the trail, also one that no tool got."""
        if self._guard is not None:
            self._trail.append(call_record(name, arguments, status, result))

    async def _settle(self, decision: Decision, name: str = "") -> Decision:
        with self._clock.stopped():
            decision = await settled(decision, self._approver, self._question)
        self._trail.append(decision_record(decision, name))
        return decision

    def _note(self, point: str, decision: Decision) -> None:
        subject = decision.original[:_SUBJECT] if decision.hits else ""
        self._spending.note(
            Guarded(
                point=point,
                action=decision.action,
                hits=decision.hits,
                subject=subject,
                reason=decision.reason,
                by=decision.by,
            )
        )


def cut(text: str, longest: int) -> str:
    """At most so many characters of a text, of data between the guard's marks with both of them, or nothing."""
    if len(text) <= longest:
        return text
    closing = _CLOSING.search(text)
    if closing is None:
        return text[: max(longest, 0)]
    opened = text.find("\n", text.find(f"<data-{closing[1]}>"))
    left = longest - len(closing[0])
    return text[:left] + closing[0] if left > opened else ""
