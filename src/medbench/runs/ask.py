"""The handler that asks a model: one call of the plan in, one durable response out."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from medbench.agents.environment import ENVIRONMENT
from medbench.agents.limits import Count, ItemBounds
from medbench.agents.session import EnvironmentFailed, Session, answer_in, works_with_tools
from medbench.catalog import default_instruction
from medbench.catalog.model import AnswerForm
from medbench.engine.ledger import Result
from medbench.engine.meter import Meter
from medbench.items.media import pictures
from medbench.items.model import Media
from medbench.items.render import render
from medbench.models.clock import Clock
from medbench.models.images import MediaMissing, PreparedImage
from medbench.models.model import CallError, Completion, Model, Response
from medbench.models.preparation import MediaPreparer
from medbench.models.tools import Tool
from medbench.runs.plan import KIND, call_key
from medbench.scoring.asked import Asked
from medbench.scoring.extract import extract
from medbench.store.artifacts import Artifacts

LOOK_AHEAD = 64
"""Calls of the plan whose media are made ready before it is their turn: so many more than processes that decode that
these never wait, and few enough to be no memory."""
MAX_DETAIL = 300
_encode = msgspec.json.Encoder().encode


class AskContext:
    """The context of one call; see `medbench.models.model.Context`.

    Attributes:
        bounds: Held against the count before each leaf call; None: there are none.
        clock: Of the item.
        count: Leaf calls and what they took.
    """

    __slots__ = (
        "_artifacts",
        "_asked",
        "_media_path",
        "_meter",
        "_preparer",
        "bounds",
        "clock",
        "count",
        "prompt",
        "tools",
    )

    def __init__(
        self,
        asked: Asked,
        prompt: str,
        meter: Meter,
        media_path: Callable[[Media], Path | None],
        preparer: MediaPreparer,
        artifacts: Artifacts,
    ) -> None:
        self._asked = asked
        self._media_path = media_path
        self._artifacts = artifacts
        self._meter = meter
        self._preparer = preparer
        self.prompt = prompt
        self.tools: Sequence[Tool] = ()
        self.bounds: ItemBounds | None = None
        self.clock = Clock()
        self.count = Count()

    @property
    def variant(self) -> int:
        """Index of the variant."""
        return self._asked.variant

    @property
    def row(self) -> int:
        """Row in the official file, from 1; 0 for other items."""
        return self._asked.form.row

    @property
    def media(self) -> tuple[Media, ...]:
        """Media of the question."""
        return self._asked.question.media

    @property
    def form(self) -> AnswerForm:
        """The form of answer that is asked for."""
        return self._asked.part.answer

    def reads(self, text: str) -> bool:
        """Whether the scorer can read an answer in this form."""
        asked = self._asked
        return extract(self.form, text, asked.displayed_options, asked.question.fields).value is not None

    async def images(self) -> tuple[PreparedImage, ...]:
        """Pictures of the question, ready to send."""
        return await self._preparer.images(pictures(self._asked.question.media))

    def file(self, medium: Media) -> Path | None:
        """The file of one of the question's media, and of nothing else."""
        return self._media_path(medium) if medium in self._asked.question.media else None

    def keep(self, content: bytes, suffix: str) -> str:
        """Keep a file in the run's folder."""
        return self._artifacts.keep(content, suffix)

    async def call(
        self,
        request: bytes,
        send: Callable[[bytes], Awaitable[Completion]],
        *,
        output_limit: int = 0,
        image_tokens: int = 0,
    ) -> tuple[Completion, int, bool]:
        """Send a leaf call through the meter.

        Raises:
            LimitReached: The item may make no further call.
        """
        self.count.begin(self.bounds)
        completion, attempts, cached = await self._meter.call(
            request,
            send,
            output_limit=output_limit,
            variant=self._asked.variant,
            attachments=[media.sha256 for media in self._asked.question.media],
            image_tokens=image_tokens,
        )
        self.count.add(completion, attempts, cached)
        return completion, attempts, cached


class AskHandler:
    """Asks the model; failures of its side become responses with the status `failed`.

    Args:
        model: The system under test.
        meter: Meters its leaf calls.
        media_path: Where the file of a medium is.
        preparer: Makes media ready for models that take images.
        artifacts: Keeps the files that it makes.
        bounds: Limits of each item in an environment.
    """

    kind = KIND

    def __init__(
        self,
        model: Model,
        meter: Meter,
        media_path: Callable[[Media], Path | None],
        preparer: MediaPreparer,
        artifacts: Artifacts,
        bounds: ItemBounds,
    ) -> None:
        self._model = model
        self._meter = meter
        self._media_path = media_path
        self._preparer = preparer
        self._artifacts = artifacts
        self._bounds = bounds

    def ahead(self, calls: Iterable[Asked]) -> Iterator[Asked]:
        """The same calls; the media of those that follow are made ready meanwhile."""
        if self._model.identity.images is None:
            yield from calls
            return
        waiting: deque[Asked] = deque()
        for call in calls:
            if found := pictures(call.question.media):
                self._preparer.begin(found)
            waiting.append(call)
            if len(waiting) > LOOK_AHEAD:
                yield waiting.popleft()
        yield from waiting

    async def perform(self, call: Asked) -> Result:
        """Ask one question in one variant."""
        response = await self._respond(call)
        return Result(
            seq=call.seq,
            key=call_key(call),
            status=response.status,
            body=_encode(response),
            error_class=response.error_class,
            error_code=response.error_code,
            input_tokens=0 if response.cached else response.usage.input_tokens,
            output_tokens=0 if response.cached else response.usage.output_tokens,
            requests=response.attempts,
            detail=response.error_detail,
        )

    async def _respond(self, call: Asked) -> Response:
        try:
            context = AskContext(call, prompt_of(call), self._meter, self._media_path, self._preparer, self._artifacts)
            if ENVIRONMENT in call.question.meta and works_with_tools(self._model):
                return await self._in_environment(call, context)
            return await self._model.answer(call.question, context)
        except EnvironmentFailed as error:
            code = "environment_failed"
            return Response(status="failed", error_class="ours", error_code=code, error_detail=str(error)[:MAX_DETAIL])
        except MediaMissing as error:
            return Response(
                status="media_missing", error_class="ours", error_code=error.code, error_detail=error.detail
            )
        except CallError as error:
            return Response(
                status="failed",
                error_class=error.error_class,
                error_code=error.code,
                error_detail=error.detail,
                attempts=error.attempts,
            )

    async def _in_environment(self, call: Asked, context: AskContext) -> Response:
        session = Session(call.question, context)
        context.tools = session.tools
        context.bounds = self._bounds
        try:
            return await answer_in(session, self._model, call.question, context, self._bounds.limits, context.count)
        finally:
            await session.close()


def prompt_of(call: Asked) -> str:
    """The whole text to ask: verbatim where the item brings it, else rendered."""
    if call.form.prompt:
        return call.form.prompt
    return render(call.question, call.form, call.part, default_instruction(call.part, call.question.language))
