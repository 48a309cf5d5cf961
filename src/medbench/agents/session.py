"""One item in its environment: open, let the model work, keep the state that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from medbench.agents.checked import CheckedTool, raise_ctrl_c, shortened
from medbench.agents.environment import ENVIRONMENT, Environment, decode_state
from medbench.agents.limits import Count, ItemLimits, LimitReached
from medbench.agents.loop import talk
from medbench.agents.registry import environment_maker
from medbench.errors import InputError
from medbench.items.media import pictures
from medbench.items.model import Question
from medbench.models.chat import ChatModel, Message, UsesTools
from medbench.models.context_of import ContextOf
from medbench.models.images import MediaMissing
from medbench.models.model import CallError, Context, Model, Response
from medbench.models.tools import Tool

_encode_trace = msgspec.json.Encoder(order="sorted").encode


class EnvironmentFailed(Exception):
    """An environment could not be made or read: our fault, never the model's."""


class Session:
    """An environment as it is open for one item.

    Attributes:
        tools: What a model may do in it, behind their checks.
        environment: The world itself.
        troubles: What went wrong with the tools themselves, in order: `tool_timeout`, `tool_failed`.

    Args:
        question: Names its environment.
        context: Gives it the question's files.

    Raises:
        EnvironmentFailed: It can't be made, or a file that it needs is missing.
    """

    def __init__(self, question: Question, context: Context) -> None:
        self.troubles: list[str] = []
        make = environment_maker(str(question.meta[ENVIRONMENT]))
        self.environment: Environment = _ours(make, question, context)
        self.tools: tuple[Tool, ...] = _ours(
            lambda: tuple(CheckedTool(tool, self.troubles) for tool in self.environment.tools)
        )

    def snapshot(self) -> bytes:
        """Its state now.

        Raises:
            EnvironmentFailed: It can't be told, or not be graded.
        """
        state = _ours(self.environment.snapshot)
        if not isinstance(state, bytes):
            raise EnvironmentFailed("the snapshot is not made of bytes")
        try:
            with suppress(RecursionError):  # what the model entered may be nested deeply: that is for the metric
                decode_state(state)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EnvironmentFailed(f"the snapshot is no state: {shortened(str(error))}") from error
        return state

    def over(self) -> bool:
        """Whether the agent has done what ends the task.

        Raises:
            EnvironmentFailed: It can't be told.
        """
        return bool(_ours(lambda: self.environment.over))

    async def close(self) -> None:
        """Give back what it holds; an environment that can't has no say any more."""
        try:
            await self.environment.close()
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the state is kept already
            raise_ctrl_c(error)


class WorkContext(ContextOf):
    """The context that an agent works in: it may say what is to be kept of its work where a limit ends it.

    Attributes:
        unfinished: Given the limit's code, makes the `truncated` response that stands for the answer; called once the
            work has ended. None: the agent tells nothing.
    """

    unfinished: Callable[[str], Response] | None = None


def works_with_tools(model: Model) -> bool:
    """Whether a model is asked in environments: one that can be talked to, or an agent."""
    return isinstance(model, ChatModel | UsesTools)


async def answer_in(
    session: Session, model: Model, question: Question, context: Context, limits: ItemLimits, count: Count
) -> Response:
    """Let a model work in an environment, and keep the state that it leaves.

    A limit that is reached ends the work: the response is `truncated` with the limit as its code, and the state is
    graded as it is.

    Args:
        session: Open for this question; its tools are the context's.
        model: An agent (`UsesTools`) answers by itself; any other `ChatModel` goes through the plain loop.
        question: The item.
        context: Of the item.
        limits: Of the item; the context holds them against the count before each call.
        count: What the context counts.

    Returns:
        The response, with the snapshot as its first artifact.

    Raises:
        EnvironmentFailed: The state can't be told.
        MediaMissing: The question's pictures can't be shown.
    """
    clock = context.clock
    started = clock.seconds
    messages: list[Message] = []
    work = WorkContext(context)
    try:
        async with clock.timeout(limits.seconds) as scope:
            if isinstance(model, UsesTools):
                response = await model.answer(question, work)
            else:
                assert isinstance(model, ChatModel)
                messages += await _opening(model, question, context)
                said = await talk(model, messages, session.over, context, question.language)
                response = Response(
                    status=said.status, text=said.text, reasoning=said.reasoning, served_model=said.served_model
                )
    except LimitReached as limit:
        response = _cut_short(limit.code, work, messages)
    except TimeoutError:
        if not scope.expired():
            raise
        response = _cut_short("time_limit", work, messages)
        if not count.answered:
            # Nothing ever came back: that says nothing of the model, and a run must be able to see a dead endpoint.
            response = msgspec.structs.replace(response, status="failed", error_class="retryable")
    except CallError as error:
        response = Response(
            status="failed", error_class=error.error_class, error_code=error.code, error_detail=error.detail
        )
    code = response.error_code or (session.troubles[0] if session.troubles else "")
    trace = response.trace or (context.keep(_encode_trace(messages), ".json") if messages else "")
    return msgspec.structs.replace(
        response,
        error_code=code,
        trace=trace,
        artifacts=(context.keep(session.snapshot(), ".json"), *response.artifacts),
        usage=count.usage if count.all_cached else count.paid,
        latency_s=round(clock.seconds - started, 4),
        attempts=count.attempts,
        cached=count.all_cached,
    )


async def _opening(model: Any, question: Question, context: Context) -> list[Message]:  # noqa: ANN401 - both protocols
    """The conversation before the model's first turn: what stood before, then the question with its pictures."""
    shown = pictures(question.media)
    if shown and model.identity.images is None:
        raise MediaMissing("media_text_only", model.identity.name)
    images = await context.images() if shown else ()
    before = [Message(turn.role, turn.content) for turn in question.turns]
    return [*before, Message("user", context.prompt, images=images)]


def _cut_short(code: str, work: WorkContext, messages: list[Message]) -> Response:
    """What stands for an answer that a limit ended."""
    if work.unfinished is not None:
        return work.unfinished(code)
    return Response(status="truncated", text=_last_words(messages), error_code=code)


def _last_words(messages: list[Message]) -> str:
    return next((message.content for message in reversed(messages) if message.role == "assistant"), "")


def _ours(do: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - whatever is done
    """Do something of an environment's; what it raises is our fault.

    Raises:
        EnvironmentFailed: With what it raised.
    """
    try:
        return do(*arguments)
    except MediaMissing as error:
        raise EnvironmentFailed(shortened(str(error))) from error
    except InputError as error:
        raise EnvironmentFailed(shortened("; ".join(map(str, error.problems)))) from error
    except BaseException as error:  # an environment may raise whatever it likes, and nothing is awaited
        raise_ctrl_c(error)
        raise EnvironmentFailed(f"{type(error).__name__}: {shortened(str(error))}") from error
