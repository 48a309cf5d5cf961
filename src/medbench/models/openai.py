"""`openai:NAME`: any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import msgspec

from medbench.errors import InputError, Problem
from medbench.items.model import Question
from medbench.models.chat import ChatReply, Message
from medbench.models.images import ImageLimits, MediaMissing, PreparedImage, RequestBody, most_tokens
from medbench.models.model import CallError, Completion, Context, ErrorClass, Identity, Response, ToolCall, Usage
from medbench.models.tools import ToolSpec
from medbench.text import say

DEFAULTS: Mapping[str, object] = {"temperature": 0, "max_tokens": 4096}

if TYPE_CHECKING:
    from medbench.models.http import HttpClient, Reply

MAX_DETAIL = 300
TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
THROTTLED = frozenset({429, 529})
FOR_GOOD = frozenset({"bad_certificate", "body_too_large"})


class _ToolFunction(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    id: str = ""
    function: _ToolFunction = msgspec.field(default_factory=_ToolFunction)


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


class _ErrorBody(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None
    type: str | None = None


class _ErrorReply(msgspec.Struct):
    error: _ErrorBody


_ENCODED = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")
_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_error = msgspec.json.Decoder(_ErrorReply).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class Secret:
    """An API key. It is read when a header is made, and shows as stars everywhere else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """The key itself, for the Authorization header only."""
        return self._value

    def redact(self, text: str) -> str:
        """The text without the key, should an endpoint echo it."""
        return text.replace(self._value, "***") if self._value else text


class OpenAIModel:
    """A model behind an OpenAI-compatible endpoint."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        parameters: Mapping[str, object] = {},
        api_key_env: str | None = None,
        timeout_s: float = 600.0,
        spec: str | None = None,
        revision: str = "",
        images: ImageLimits | None = None,
    ) -> None:
        """Check the endpoint's address and find the key.

        Args:
            name: Model name that the endpoint knows.
            base_url: For example `https://host/v1`; `/chat/completions` is appended.
            parameters: Sent with each request, over `DEFAULTS`; None removes one.
            api_key_env: Name of the environment variable that holds the key.
            timeout_s: Whole time of one send.
            spec: Spec string to pin; `openai:NAME` by default.
            revision: Exact revision of the weights, where it is known.
            images: Limits of the images that it takes; None: it takes none.

        Raises:
            InputError: The address or the key can't be used.
        """
        self._address = _address(base_url)
        self._key: Secret | None = None
        if api_key_env:
            value = os.environ.get(api_key_env, "")
            if not value:
                raise InputError(Problem(message=say("models.no_api_key", name=api_key_env), field="--api-key-env"))
            if not re.fullmatch(r"[\x21-\x7e]+", value):
                raise InputError(Problem(message=say("models.bad_api_key", name=api_key_env), field="--api-key-env"))
            self._key = Secret(value)
        self._parameters = {name: value for name, value in {**DEFAULTS, **parameters}.items() if value is not None}
        self._timeout_s = timeout_s
        limit = self._parameters.get("max_tokens")
        self._output_limit = limit if isinstance(limit, int) else 0
        self._identity = Identity(
            spec=spec or f"openai:{name}",
            name=name,
            revision=revision,
            endpoint=base_url,
            api_key_env=api_key_env or "",
            parameters=self._parameters,
            images=images,
        )
        self._client: HttpClient | None = None

    @property
    def identity(self) -> Identity:
        """What is pinned about the model."""
        return self._identity

    @property
    def most_in_flight(self) -> int | None:
        """The endpoint's own limit is not known; it is found by trying."""
        return None

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """Nothing is known before the model is asked."""

    async def open(self) -> None:
        """Make the client."""
        from medbench.models.http import HttpClient

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        url = f"{self._identity.endpoint.rstrip('/')}/chat/completions"
        self._client = HttpClient(self._address.scheme, self._address.hostname or "", url, headers, self._timeout_s)

    async def close(self) -> None:
        """Close its connections."""
        if self._client:
            self._client.close()

    async def answer(self, question: Question, context: Context) -> Response:
        """Ask the prompt as the user's message, behind the turns before it and the images of the question.

        Images come first, so that what an answer has to look like stands next to where it begins, and variants of an
        item share their beginning. In the request that is cached and budgeted they stand by their hash.

        Raises:
            CallError: The call failed for good.
            MediaMissing: The question's media can't be shown.
        """
        images: tuple[PreparedImage, ...] = ()
        content: object = context.prompt
        if question.media:
            if self._identity.images is None:
                raise MediaMissing("media_text_only", self._identity.name)
            images = await context.images()
            if not images:
                raise MediaMissing("media_volume", ", ".join(medium.path for medium in question.media))
            content = [
                *map(_image, images),
                {"type": "text", "text": context.prompt},
            ]
        request = _encode(
            {
                "model": self._identity.name,
                "messages": [*question.turns, {"role": "user", "content": content}],
                **self._parameters,
            }
        )
        started = time.perf_counter()
        completion, attempts, cached = await context.call(
            request,
            partial(self.send, images=images),
            output_limit=self._output_limit,
            image_tokens=most_tokens(images),
        )
        return Response(
            status=completion.status,
            text=completion.text,
            reasoning=completion.reasoning,
            tool_calls=completion.tool_calls,
            usage=completion.usage,
            latency_s=round(time.perf_counter() - started, 4),
            attempts=attempts,
            cached=cached,
            served_model=completion.served_model,
            images=tuple(image.sent for image in images),
        )

    async def chat(
        self,
        messages: Sequence[Message],
        context: Context,
        *,
        tools: Sequence[ToolSpec] = (),
        parameters: Mapping[str, object] = {},
    ) -> ChatReply:
        """One turn of a conversation; see `medbench.models.chat.ChatModel`."""
        given = {name: value for name, value in {**self._parameters, **parameters}.items() if value is not None}
        body: dict[str, object] = {"model": self._identity.name, "messages": [*map(_message, messages)], **given}
        if tools:
            body["tools"] = [{"type": "function", "function": tool} for tool in tools]
        images = tuple(image for message in messages for image in message.images)
        limit = given.get("max_tokens")
        completion, attempts, cached = await context.call(
            _encode(body),
            partial(self.send, images=images),
            output_limit=limit if isinstance(limit, int) else 0,
            image_tokens=most_tokens(images),
        )
        return ChatReply(completion, attempts, cached)

    async def send(self, request: bytes, *, images: Sequence[PreparedImage] = ()) -> Completion:
        """Send one request once, with the data of the images that it names.

        Raises:
            CallError: Whatever went wrong, by class.
            MediaMissing: A file of the images changed since they were prepared.
        """
        from medbench.models.http import TransportError

        assert self._client is not None
        body = RequestBody(request, images) if images else None
        try:
            reply = await self._client.post(body or request)
        except TransportError as error:
            if body and body.changed:
                raise MediaMissing("media_changed", "; ".join(image.sent.path for image in images)) from error
            error_class: ErrorClass = "submitter" if error.code in FOR_GOOD else "retryable"
            raise CallError(error_class, error.code, self._detail(error.detail)) from error
        if reply.status != 200:
            return self._refused(reply)
        if "json" not in reply.content_type:
            raise CallError("retryable", "wrong_content_type", reply.content_type[:80])
        return self._completion(reply.body)

    def _completion(self, body: bytes) -> Completion:
        try:
            reply = _decode_reply(body)
        except msgspec.ValidationError as error:
            raise CallError("retryable", "wrong_shape", self._detail(str(error))) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CallError("retryable", "invalid_json", self._detail(str(error))) from error
        if not reply.choices:
            raise CallError("retryable", "empty_choices")
        choice = reply.choices[0]
        message = choice.message
        calls = tuple(
            ToolCall(name=call.function.name, arguments=call.function.arguments, id=call.id)
            for call in message.tool_calls or ()
        )
        reason = choice.finish_reason
        if message.content is None and not calls and reason not in {"length", "content_filter"}:
            raise CallError("retryable", "no_content")
        usage = reply.usage
        if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
            counted = Usage(estimated=True)
        else:
            counted = Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
        return Completion(
            status="truncated" if reason == "length" else "blocked" if reason == "content_filter" else "ok",
            text=message.content or "",
            reasoning=message.reasoning_content or message.reasoning or "",
            tool_calls=calls,
            usage=counted,
            served_model=reply.model or "",
        )

    def _refused(self, reply: Reply) -> Completion:
        status, body = reply.status, reply.body
        code, detail = "", body[:MAX_DETAIL].decode("utf-8", "replace")
        try:
            error = _decode_error(body).error
            code, detail = str(error.code or error.type or ""), error.message or ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the body is then shown as it is
        if status == 400 and "content_filter" in code:
            return Completion(status="blocked", text="")
        error_class: ErrorClass = "retryable" if status in TRANSIENT and code != "insufficient_quota" else "submitter"
        raise CallError(
            error_class,
            f"http_{status}",
            self._detail(f"{code} {detail}".strip()),
            retry_after_s=retry_after_s(reply.retry_after),
            throttled=status in THROTTLED,
        )

    def _detail(self, text: str) -> str:
        text = self._key.redact(text) if self._key else text
        # An endpoint that quotes the request quotes the images in it.
        return _ENCODED.sub("…", text[: 10 * MAX_DETAIL])[:MAX_DETAIL]


def _message(message: Message) -> dict[str, object]:
    """A message as the API takes it."""
    content: object = message.content
    if message.images:
        content = [*map(_image, message.images), {"type": "text", "text": message.content}]
    body: dict[str, object] = {"role": message.role, "content": content}
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    return body


def _image(image: PreparedImage) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": image.reference}}


def _address(base_url: str) -> SplitResult:
    """The parts of an endpoint's address.

    Raises:
        InputError: It is no address of HTTP, or holds what may be a secret.
    """
    try:
        address = urlsplit(base_url)
        usable = address.scheme in {"http", "https"} and bool(address.hostname) and (address.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not base_url.isprintable() or " " in base_url:
        raise InputError(Problem(message=say("models.bad_url", url=base_url), field="--base-url"))
    if "@" in address.netloc or address.query or address.fragment:
        raise InputError(Problem(message=say("models.secret_in_url"), field="--base-url"))
    return address


def retry_after_s(value: str | None, *, now: float | None = None) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or an HTTP date); None when absent or unreadable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds < 1e6 else None
