"""Talking to a model over several turns, with tools: what environments and agents stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from medbench.items.model import Question
from medbench.models.images import PreparedImage
from medbench.models.model import Completion, Context, Model, Response, ToolCall
from medbench.models.tools import ToolSpec


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation with a model.

    Attributes:
        role: Who speaks.
        content: The text; of a `tool`, its result.
        tool_calls: What an `assistant` asked for.
        tool_call_id: Of a `tool`: the call that it answers.
        images: What a `user` shows, before the text.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    images: tuple[PreparedImage, ...] = ()


class ChatReply(msgspec.Struct, frozen=True):
    """One turn of a model.

    Attributes:
        completion: What it said, or which tools it asks for.
        attempts: Sends, retries included; 0 where it came from the cache.
        cached: It came from the response cache.
    """

    completion: Completion
    attempts: int
    cached: bool


@runtime_checkable
class ChatModel(Protocol):
    """A model that can be talked to; many systems under test are both this and a `Model`."""

    async def chat(
        self,
        messages: Sequence[Message],
        context: Context,
        *,
        tools: Sequence[ToolSpec] = (),
        parameters: Mapping[str, object] = {},
    ) -> ChatReply:
        """One turn: the conversation so far goes in, the next message comes back.

        Args:
            messages: The conversation.
            context: Of the question that this is about; it meters the call.
            tools: What the model may ask for.
            parameters: Sampling parameters, over the model's own; None removes one.

        Raises:
            CallError: The call failed for good.
        """


@runtime_checkable
class UsesTools(Protocol):
    """An agent: a `Model` that takes `Context.tools` and works with them by itself, whatever `uses_tools` says.

    A model that is no agent and can be talked to goes through the plain loop (`medbench.agents.loop`).
    """

    @property
    def uses_tools(self) -> Literal[True]:
        """The mark of an agent."""

    async def answer(self, question: Question, context: Context) -> Response:
        """See `medbench.models.model.Model`."""


class TalkingModel(Model, ChatModel, Protocol):
    """A model that answers questions, and that can be talked to."""
