"""The protocol of a system under test: a question goes in through a context, a response comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from medbench.catalog.model import AnswerForm
from medbench.items.model import Media, Question, Turn
from medbench.models.clock import Clock
from medbench.models.images import ImageLimits, PreparedImage, SentImage
from medbench.models.tools import Tool

ResponseStatus = Literal["ok", "truncated", "blocked", "failed", "media_missing"]
ErrorClass = Literal["retryable", "submitter", "ours"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens as the endpoint counted them; `estimated` where it did not."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call that the model asked for; arguments as the JSON text it wrote."""

    name: str
    arguments: str = ""
    id: str = ""


class Response(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came back for (item, variant).

    Attributes:
        status: `ok`, `truncated` (the length limit cut it), `blocked` (a content filter), `failed`, `media_missing`.
        text: The answer.
        reasoning: What the endpoint keeps apart as reasoning; never scored.
        turns: Conversation of an agent, beyond the plain question and answer.
        tool_calls: Tool calls asked for in the last turn.
        trace: Reference of a stored trace.
        artifacts: References of files that the system made, by `Context.keep`; an answer that is a file comes first.
        usage: Tokens.
        latency_s: Seconds from the first send to the answer, waiting for a retry included.
        attempts: Leaf calls sent, retries included.
        cached: The answer came from the response cache.
        error_class: Whose fault a failure is.
        error_code: Short stable code such as `http_500` or `timeout`.
        error_detail: What the endpoint said, shortened; secrets removed.
        served_model: Model name that the endpoint reported.
        images: What was sent of the question's media, in order.
    """

    status: ResponseStatus
    text: str = ""
    reasoning: str = ""
    turns: tuple[Turn, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    trace: str = ""
    artifacts: tuple[str, ...] = ()
    usage: Usage = Usage()
    latency_s: float = 0.0
    attempts: int = 0
    cached: bool = False
    error_class: ErrorClass | None = None
    error_code: str = ""
    error_detail: str = ""
    served_model: str = ""
    images: tuple[SentImage, ...] = ()


class Completion(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one leaf call that succeeded."""

    status: ResponseStatus
    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    served_model: str = ""


class CallError(Exception):
    """A leaf call failed.

    Attributes:
        error_class: `retryable` errors are tried again by the context.
        code: Short stable code.
        detail: What the endpoint said, shortened; never holds a secret.
        retry_after_s: The delay that the endpoint asked for.
        throttled: The endpoint said that it is asked too fast: the concurrency goes down.
        attempts: Sends so far, once the context has given up.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        code: str,
        detail: str = "",
        *,
        retry_after_s: float | None = None,
        throttled: bool = False,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.error_class: ErrorClass = error_class
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.throttled = throttled
        self.attempts = 0


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is pinned about a model in a run.

    Attributes:
        spec: The spec string.
        name: Name shown.
        revision: Exact revision where it is known (hash of weights or of an answer file).
        endpoint: Base URL without credentials.
        api_key_env: Name of the environment variable that holds the key; never the key.
        parameters: Sampling parameters sent with each request.
        images: Limits of the images that it takes; None: it takes none.
    """

    spec: str
    name: str
    revision: str = ""
    endpoint: str = ""
    api_key_env: str = ""
    parameters: dict[str, object] = {}
    images: ImageLimits | None = None

    @property
    def label(self) -> str:
        """Kind and name: what boards show. A spec may give away a path of this machine."""
        return f"{self.spec.partition(':')[0]}:{self.name}"


class Context(Protocol):
    """One question as it is asked, and the meter for every leaf call that answering it takes."""

    @property
    def prompt(self) -> str:
        """The whole text to ask: this variant's option order, with the instruction."""

    @property
    def variant(self) -> int:
        """Index of the variant."""

    @property
    def row(self) -> int:
        """Row in the official file, from 1; 0 for other items."""

    @property
    def media(self) -> tuple[Media, ...]:
        """Media of the question, in order."""

    @property
    def tools(self) -> Sequence[Tool]:
        """Tools of the question's environment; mostly none."""

    @property
    def form(self) -> AnswerForm:
        """The form of answer that is asked for."""

    @property
    def clock(self) -> Clock:
        """Of the item; whoever asks a person stops it meanwhile."""

    def reads(self, text: str) -> bool:
        """Whether an answer can be read in that form. It says nothing of whether the answer is right."""

    async def images(self) -> tuple[PreparedImage, ...]:
        """The media as images within the model's limits, in order; pages of a document follow one another.

        Volumes are left out: they are no pictures.

        Raises:
            MediaMissing: They can't be shown. A model leaves this error to whoever asked it.
        """

    def file(self, medium: Media) -> Path | None:
        """The file of one of these media; None where it is missing. May be called from a worker."""

    def keep(self, content: bytes, suffix: str) -> str:
        """Keep a file with the run, durably, by its content. May be called from a worker.

        Args:
            content: Of the file.
            suffix: End of its name, for example `.nii.gz`.

        Returns:
            Its reference, for `Response.artifacts`.
        """

    async def call(
        self,
        request: bytes,
        send: Callable[[bytes], Awaitable[Completion]],
        *,
        output_limit: int = 0,
        image_tokens: int = 0,
    ) -> tuple[Completion, int, bool]:
        """Send a leaf call within limits, cache and budget, with retries.

        Args:
            request: Canonical request, in which images stand by their hash; the cache's key covers it.
            send: Sends it once; raises `CallError`.
            output_limit: Most tokens that the answer may take, for the budget.
            image_tokens: Most tokens that the images may take, for the budget.

        Returns:
            The completion, the number of sends (0 when cached), whether it came from the cache.

        Raises:
            CallError: It failed for good.
        """


class Model(Protocol):
    """A system under test."""

    @property
    def identity(self) -> Identity:
        """What is pinned about it."""

    @property
    def most_in_flight(self) -> int | None:
        """Most calls that it can answer at a time, where that is known."""

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """Say before the start what can't be answered.

        Args:
            plan: (question, variant, row in the official file or 0) of every call; read only by models that need it.

        Raises:
            InputError: All that can't be answered.
        """

    async def open(self) -> None:
        """Take what answering needs (connections, processes)."""

    async def close(self) -> None:
        """Give it back."""

    async def answer(self, question: Question, context: Context) -> Response:
        """Answer one question.

        Raises:
            CallError: A leaf call failed for good.
        """
