"""The loop of turns in which the backbone calls tools, natively or by writing JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from medbench.agents.loop import with_ids
from medbench.agents.orchestration.events import Skipped
from medbench.agents.orchestration.prompts import Prompts
from medbench.agents.orchestration.spending import Spending, StepContext
from medbench.agents.orchestration.text_protocol import asked_call, described, tries_a_call
from medbench.agents.orchestration.toolbox import Toolbox
from medbench.items.model import ItemLanguage, Question
from medbench.models.chat import ChatModel, Message
from medbench.models.images import PreparedImage
from medbench.models.model import CallError, Completion, Context, ToolCall

MOST_UNREAD = 2
"""So often a model is told that its tool call could not be read; then it is taken at its word."""
MOST_CALLS = 8
"""Calls of one turn that are done; the model is told of the others."""

REFUSALS = frozenset({"http_500", "http_501"})
"""How servers without tool templates answer, beside plain refusals."""


class ToolMode:
    """Whether tools are called natively; shared by all items, since an endpoint that refuses goes on refusing.

    Args:
        native: How to begin.
        may_fall_back: On a refusal, calls are written as text from then on.
    """

    def __init__(self, *, native: bool, may_fall_back: bool) -> None:
        self.native = native
        self._may_fall_back = may_fall_back

    def refused(self, error: CallError) -> bool:
        """Whether a failed first call may mean that the endpoint takes no tools; then they are written as text."""
        fits = error.error_class == "submitter" or error.code in REFUSALS
        if self._may_fall_back and fits:
            self.native = False
        return self._may_fall_back and fits


@dataclass(frozen=True, slots=True)
class Conversation:
    """Talks with the backbone about one item.

    Attributes:
        backbone: Who is asked.
        mode: How tools are called.
        prompts: The templates.
        question: The item.
        context: Of the item.
        spending: Of the item.
    """

    backbone: ChatModel
    mode: ToolMode
    prompts: Prompts
    question: Question
    context: Context
    spending: Spending

    @property
    def language(self) -> ItemLanguage:
        """Of the prompts."""
        return self.question.language

    async def once(self, step: str, prompt: str, system: str = "") -> str:
        """Ask one thing outside any conversation.

        Raises:
            CallError: The call failed for good.
            BudgetSpent: There was no room for it.
        """
        messages = [Message("system", system)] if system else []
        completion = await self._turn(step, [*messages, Message("user", prompt)], None)
        return completion.text.strip()

    async def with_tools(
        self,
        step: str,
        system: str,
        prompt: str,
        toolbox: Toolbox,
        images: Sequence[PreparedImage],
        *,
        as_text: bool = False,
    ) -> Completion | None:
        """Let the backbone call tools until it says something else.

        Args:
            step: Name for the trace.
            system: What it is to do.
            prompt: The task.
            toolbox: What it may call.
            images: Of the task.
            as_text: Calls are written as text, also where the endpoint takes them natively.

        Returns:
            Its last turn; None where the budget, or the same calls twice in a row, ended the loop.

        Raises:
            CallError: A call failed for good.
            BudgetSpent: There was no room for a call.
        """
        say, specs = self.prompts.say, toolbox.specs
        names = [spec.name for spec in specs]
        with_text = f"{system}\n\n{say('text_tools', self.language, tools=described(specs))}"
        native = self.mode.native and not as_text
        messages = [Message("system", system if native else with_text)]
        messages += [Message(turn.role, turn.content) for turn in self.question.turns]
        messages.append(Message("user", prompt, images=tuple(images)))
        begun, unread = len(messages), 0
        before: tuple[ToolCall, ...] = ()
        while self.spending.turns_left > 0:
            try:
                completion = await self._turn(step, messages, toolbox if native else None)
            except CallError as error:
                if not native or len(messages) > begun or not self.mode.refused(error):
                    raise
                self.spending.note(Skipped(step="native_tools", why=error.code))
                native, messages[0] = False, Message("system", with_text)
                continue
            if completion.tool_calls:
                asked = with_ids(completion.tool_calls, len(messages))
                messages.append(Message("assistant", completion.text, tool_calls=asked))
            else:
                call = asked_call(completion.text, names)
                if call is None:
                    if not tries_a_call(completion.text) or unread == MOST_UNREAD:
                        return completion
                    unread += 1
                    messages.append(Message("assistant", completion.text))
                    messages.append(Message("user", say("unread_call", self.language)))
                    continue
                asked = (call,)
                messages.append(Message("assistant", completion.text))
            made = tuple(msgspec.structs.replace(call, id="") for call in asked)
            if made == before:
                return None
            before = made
            messages += await self._results(asked, toolbox, native=bool(completion.tool_calls))
        return None

    async def answer_now(self, step: str, system: str, prompt: str) -> Completion:
        """Ask for the answer after a loop that ended without one."""
        asked = self.prompts.say("answer_now", self.language)
        return await self._turn(step, [Message("system", system), Message("user", f"{prompt}\n\n{asked}")], None)

    async def _results(self, asked: Sequence[ToolCall], toolbox: Toolbox, *, native: bool) -> list[Message]:
        messages = []
        for place, call in enumerate(asked):
            result = await toolbox.use(call) if place < MOST_CALLS else f"ERROR too_many_calls: {MOST_CALLS} a turn"
            if native:
                messages.append(Message("tool", result, tool_call_id=call.id))
            else:
                told = self.prompts.say("tool_result", self.language, tool=call.name, result=result)
                messages.append(Message("user", told))
        return messages

    async def _turn(self, step: str, messages: Sequence[Message], toolbox: Toolbox | None) -> Completion:
        context = StepContext(self.context, self.spending, step)
        reply = await self.backbone.chat(messages, context, tools=toolbox.specs if toolbox else ())
        return reply.completion
