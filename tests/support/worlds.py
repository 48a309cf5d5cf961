"""Contexts and environments for tests of the tool loop."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from medbench.agents.environment import State
from medbench.agents.limits import Count, ItemBounds, ItemLimits
from medbench.engine.budget import Price
from medbench.items.model import Media, Question
from medbench.models.chat import ChatReply, Message
from medbench.models.clock import Clock
from medbench.models.model import Completion, Identity, ToolCall, Usage
from medbench.models.tools import Tool, ToolSpec

NO_LIMITS, FREE = ItemLimits(), Price()


class FolderContext:
    """As much of a context as an environment and a scripted model need; data files lie in a folder."""

    prompt = "Do it."
    variant = 0
    row = 0

    def __init__(self, folder: Path, limits: ItemLimits = NO_LIMITS, price: Price = FREE) -> None:
        self.folder = folder
        self.kept: dict[str, bytes] = {}
        self.tools: Sequence[Tool] = ()
        self.clock = Clock()
        self.count = Count()
        self.bounds = ItemBounds(limits, price)
        self.media: tuple[Media, ...] = ()

    def file(self, medium: Media) -> Path | None:
        return self.folder / medium.path if not medium.missing else None

    def keep(self, content: bytes, suffix: str) -> str:
        name = hashlib.sha256(content).hexdigest() + suffix
        self.kept[name] = content
        return name

    async def images(self):
        return ()

    async def call(self, request, send, *, output_limit=0, image_tokens=0):
        self.count.begin(self.bounds)
        completion = await send(request)
        self.count.add(completion, 1, False)
        return completion, 1, False


class ScriptedModel:
    """Says what it was told to say, turn after turn; then the last turn again. Each turn takes 10 tokens."""

    identity = Identity("scripted", "scripted")

    def __init__(self, *turns: str | Sequence[tuple[str, str]]) -> None:
        self.turns = turns
        self.seen: list[list[Message]] = []

    async def chat(self, messages: Sequence[Message], context, *, tools: Sequence[ToolSpec] = (), parameters=None):
        turn = self.turns[min(len(self.seen), len(self.turns) - 1)]
        self.seen.append(list(messages))

        async def send(_):
            calls = () if isinstance(turn, str) else tuple(ToolCall(name, given) for name, given in turn)
            return Completion("ok", turn if isinstance(turn, str) else "", "", calls, Usage(7, 3))

        completion, attempts, cached = await context.call(b"", send)
        return ChatReply(completion, attempts, cached)


class FunctionTool:
    """A tool that does what a test wants."""

    def __init__(self, name: str, do, properties: Mapping[str, object] = {}, required: Sequence[str] = ()) -> None:
        parameters = {"type": "object", "properties": dict(properties), "required": list(required)}
        self.spec = ToolSpec(name, "A tool of a test.", parameters)
        self.do = do

    async def call(self, arguments):
        return await self.do(arguments)


class World:
    """An environment with given tools; its state is the names and arguments of the calls that reached it."""

    def __init__(self, *tools: Tool) -> None:
        self.tools = tools
        self.over = False
        self.state = State(environment="test").snapshot()
        self.closed = False

    def snapshot(self) -> bytes:
        return self.state

    async def close(self) -> None:
        self.closed = True


def question(environment: str, *, media: Sequence[str] = (), language: str = "en", **meta: object) -> Question:
    return Question(
        id="q",
        dataset="D",
        text="Do it.",
        language=language,
        media=tuple(Media(path=name, sha256="0", size=1) for name in media),
        meta={"environment": environment, **meta},
    )
