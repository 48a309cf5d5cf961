"""A backbone that answers by a function, and the real context of a question, for tests of the agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.agents.governance.approval import Approver, Nobody
from medbench.agents.governance.guard import Guard
from medbench.agents.orchestration.agent import AgentModel
from medbench.agents.orchestration.events import Trace, decode_trace
from medbench.agents.orchestration.file import read_agent_file
from medbench.agents.orchestration.guidelines import Guidelines
from medbench.catalog.model import AnswerForm, ChoiceForm, Part, TextForm
from medbench.engine.limits import Limits
from medbench.engine.meter import Meter, RetryPolicy
from medbench.engine.progress import Progress
from medbench.items.model import Question, Variant
from medbench.models.chat import ChatReply, Message
from medbench.models.images import ImageLimits
from medbench.models.model import CallError, Completion, Context, Identity, Response, ToolCall, Usage
from medbench.models.preparation import MediaPreparer
from medbench.models.tools import Tool, ToolSpec
from medbench.runs.ask import AskContext, prompt_of
from medbench.scoring.asked import Asked
from medbench.store.artifacts import Artifacts

Said = str | Completion | CallError
Script = Callable[[list[dict[str, Any]], Sequence[str]], Said]
"""(messages, names of the tools offered) -> what the backbone says."""
NOBODY = Nobody()
OUTPUT = 100
"""Its limit of output tokens."""


class Backbone:
    """A model that says what a function says; requests pass the context's meter like those of any model."""

    most_in_flight = None

    def __init__(self, script: Script, latency_s: float = 0.0) -> None:
        self._script = script
        self._latency_s = latency_s
        self.identity = Identity(spec="test:backbone", name="backbone", parameters={"max_tokens": OUTPUT})
        self.requests: list[dict[str, Any]] = []
        self.in_flight = self.most = 0

    def check(self, plan: object) -> None:
        pass

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def answer(self, question: Question, context: Context) -> Response:
        completion, attempts, cached = await self._ask([{"role": "user", "content": context.prompt}], (), context)
        return Response(
            status=completion.status,
            text=completion.text,
            usage=completion.usage,
            attempts=attempts,
            cached=cached,
        )

    async def chat(
        self,
        messages: Sequence[Message],
        context: Context,
        *,
        tools: Sequence[ToolSpec] = (),
        parameters: Mapping[str, object] = {},
    ) -> ChatReply:
        return ChatReply(*await self._ask(msgspec.to_builtins(list(messages)), [tool.name for tool in tools], context))

    async def _ask(self, messages: list[dict[str, Any]], tools: Sequence[str], context: Context):
        request = json.dumps({"messages": messages, "tools": list(tools)}, ensure_ascii=False).encode()

        async def send(body: bytes) -> Completion:
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            try:
                await asyncio.sleep(self._latency_s)
            finally:
                self.in_flight -= 1
            self.requests.append(json.loads(body))
            said = self._script(messages, tools)
            if isinstance(said, CallError):
                raise said
            if isinstance(said, Completion):
                return said
            return Completion(status="ok", text=said, usage=Usage(len(body) // 4, min(len(said) // 2 + 1, OUTPUT)))

        return await context.call(request, send, output_limit=OUTPUT)


def calls(*asked: tuple[str, str]) -> Completion:
    """A turn that asks for tools."""
    made = tuple(ToolCall(name, arguments, f"call_{place}") for place, (name, arguments) in enumerate(asked))
    return Completion(status="ok", text="", tool_calls=made, usage=Usage(10, 5))


def question(
    text: str = "Which is right?",
    options: Sequence[str] = ("alpha", "beta", "gamma"),
    *,
    language: Any = "en",
    **more: Any,
) -> Question:
    return Question(id="q", dataset="D", text=text, options=tuple(options), language=language, **more)


class Bench:
    """One agent and what answering takes.

    Args:
        folder: For its file and what it keeps.
        backbone: Its backbone.
        yaml: The agent's file behind the backbone.
        concurrency: Of the meter.
        tools: Its own tools.
        guidelines: What it looks up.
        guard: Holds texts against the rules.
        approver: Who is asked.
    """

    def __init__(
        self,
        folder: Path,
        backbone: Backbone,
        yaml: str = "",
        *,
        concurrency: int = 8,
        tools: Sequence[Tool] = (),
        guidelines: Guidelines | None = None,
        guard: Guard | None = None,
        approver: Approver = NOBODY,
    ) -> None:
        self.backbone = backbone
        self.folder = folder
        retry = RetryPolicy(attempts=2, base_s=0.001)
        self.meter = Meter(Limits(concurrency=concurrency), Progress(total=1), retry=retry)
        path = folder / "agent.yaml"
        path.write_text(
            "backbone: {model: 'openai:x', tools: native}\n" + yaml if "backbone" not in yaml else yaml, "utf-8"
        )
        agent, document = read_agent_file(path)
        self.agent = AgentModel(agent, document.content, path, backbone, list(tools), guidelines, guard, approver)

    def context(self, asked: Question, form: AnswerForm | None = None) -> AskContext:
        part = Part(answer=form or (ChoiceForm() if asked.options else TextForm()), metrics=("accuracy",))
        call = Asked(seq=0, question=asked, part=part, variant=0, form=Variant())
        preparer = MediaPreparer(self.folder / "media", lambda _: None, ImageLimits())
        return AskContext(call, prompt_of(call), self.meter, lambda _: None, preparer, Artifacts(self.folder / "kept"))

    def ask(self, asked: Question, form: AnswerForm | None = None, tools: Sequence[Any] = ()) -> tuple[Response, Trace]:
        """Answer one question."""
        context = self.context(asked, form)
        context.tools = tuple(tools)
        response = asyncio.run(self.agent.answer(asked, context))
        return response, self.trace(response)

    def trace(self, response: Response) -> Trace:
        path = Artifacts(self.folder / "kept").path(response.trace)
        assert path is not None
        return decode_trace(path.read_bytes())


def of(trace: Trace, kind: type) -> list[Any]:
    """The events of a kind."""
    return [event for event in trace.events if isinstance(event, kind)]


def last_user(messages: list[dict[str, Any]]) -> str:
    """Text of the last user message."""
    return next(message["content"] for message in reversed(messages) if message["role"] == "user")
