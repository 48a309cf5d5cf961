"""The plain loop: a model talks, asks for tools, is told their results, until the task is over or it stops asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import msgspec

from medbench.agents.checked import result_of
from medbench.items.model import ItemLanguage
from medbench.models.chat import ChatModel, Message
from medbench.models.model import Completion, Context, ToolCall
from medbench.text import say

MOST_CALLS = 32
"""Tool calls of one turn that are carried out; of those beyond the model is told that they were not."""


async def talk(
    model: ChatModel, messages: list[Message], over: Callable[[], bool], context: Context, language: ItemLanguage
) -> Completion:
    """Let a model work in an environment.

    Calls that come in one turn are carried out one after the other, in their order, so that the same calls leave the
    same state. A model that stops to ask for tools before the task is over is reminded once.

    Args:
        model: The model.
        messages: The conversation; grows as it goes on, and is whole up to the point where this raises.
        over: Whether the task is done.
        context: Of the item, with the tools.
        language: Of the reminder.

    Returns:
        Its last turn.

    Raises:
        CallError: A leaf call failed for good.
        LimitReached: The item may take no further call.
    """
    specs = [tool.spec for tool in context.tools]
    reminded = False
    while True:
        completion = (await model.chat(messages, context, tools=specs)).completion
        calls = with_ids(completion.tool_calls, len(messages))
        messages.append(Message("assistant", completion.text, calls))
        if completion.status != "ok":
            return completion
        for place, call in enumerate(calls):
            messages.append(Message("tool", await _result(call, place, over, context), tool_call_id=call.id))
        if over() or (not calls and reminded):
            return completion
        if not calls:
            reminded = True
            messages.append(Message("user", say("agents.reminder", language=language)))


async def _result(call: ToolCall, place: int, over: Callable[[], bool], context: Context) -> str:
    if (done := over()) or place >= MOST_CALLS:
        return msgspec.json.encode({"error": "over" if done else "too_many_calls"}).decode()
    return await result_of(call, context.tools)


def with_ids(calls: Sequence[ToolCall], turn: int) -> tuple[ToolCall, ...]:
    """The calls of a turn, each with an id of its own: some endpoints give none, or the same twice.

    Args:
        calls: As they came.
        turn: Number that no other turn of the conversation has.
    """
    given = {call.id for call in calls}
    free = (name for place in count() if (name := f"call_{turn}_{place}") not in given)
    named: dict[str, ToolCall] = {}
    for call in calls:
        name = call.id if call.id and call.id not in named else next(free)
        named[name] = msgspec.structs.replace(call, id=name)
    return tuple(named.values())
