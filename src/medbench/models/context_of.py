"""A question's context as somebody else may see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from medbench.catalog.model import AnswerForm
from medbench.items.model import Media
from medbench.models.clock import Clock
from medbench.models.images import PreparedImage
from medbench.models.model import Completion, Context
from medbench.models.tools import Tool


class ContextOf:
    """Another context with a prompt of its own; see `medbench.models.model.Context`.

    Args:
        context: Does everything.
        prompt: What is asked in place of its prompt; None: that.
    """

    def __init__(self, context: Context, prompt: str | None = None) -> None:
        self._context = context
        self.prompt = context.prompt if prompt is None else prompt

    @property
    def variant(self) -> int:
        """Index of the variant."""
        return self._context.variant

    @property
    def row(self) -> int:
        """Row in the official file."""
        return self._context.row

    @property
    def media(self) -> tuple[Media, ...]:
        """Media of the question."""
        return self._context.media

    @property
    def tools(self) -> Sequence[Tool]:
        """Tools of the question's environment."""
        return self._context.tools

    @property
    def form(self) -> AnswerForm:
        """The form of answer that is asked for."""
        return self._context.form

    @property
    def clock(self) -> Clock:
        """Of the item."""
        return self._context.clock

    def reads(self, text: str) -> bool:
        """Whether an answer can be read in that form."""
        return self._context.reads(text)

    async def images(self) -> tuple[PreparedImage, ...]:
        """Pictures of the question."""
        return await self._context.images()

    def file(self, medium: Media) -> Path | None:
        """The file of a medium."""
        return self._context.file(medium)

    def keep(self, content: bytes, suffix: str) -> str:
        """Keep a file with the run."""
        return self._context.keep(content, suffix)

    async def call(
        self,
        request: bytes,
        send: Callable[[bytes], Awaitable[Completion]],
        *,
        output_limit: int = 0,
        image_tokens: int = 0,
    ) -> tuple[Completion, int, bool]:
        """Send a leaf call through it."""
        return await self._context.call(request, send, output_limit=output_limit, image_tokens=image_tokens)
