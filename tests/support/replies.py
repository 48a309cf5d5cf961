"""The bytes of an answer: completions and errors as OpenAI-compatible endpoints write them."""

from __future__ import annotations

import hashlib
import math
import time
from base64 import b64decode
from email.utils import formatdate
from http import HTTPStatus

import msgspec

from support.faults import Fault

LETTERS = "ABCDE"
MODEL = "bench"
_CREATED = 1_700_000_000  # fixed, so that the same request gives the same bytes
_ERROR_CODES = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "service_unavailable",
}


class ImageUrl(msgspec.Struct):
    """Address of an image; its data, where it is a `data:` URL."""

    url: str = ""


class Part(msgspec.Struct):
    """A piece of a message's content: text or an image."""

    type: str = ""
    text: str = ""
    image_url: ImageUrl | None = None


class Message(msgspec.Struct):
    """A message of the request."""

    role: str
    content: str | list[Part] | None = None

    def plain(self) -> str:
        """Its text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatRequest(msgspec.Struct):
    """As much of a request as the endpoint reads."""

    messages: list[Message]
    model: str = MODEL

    def prompt(self) -> str:
        """Text of the last user message; empty where there is none."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.plain()
        return ""

    def pieces(self) -> list[tuple[str, str]]:
        """What the last user message is made of, in order: (`text`, the text) or (media type, SHA-256 of the data)."""
        content = next(message.content for message in reversed(self.messages) if message.role == "user")
        if not isinstance(content, list):
            return [("text", content or "")]
        pieces = []
        for part in content:
            if part.image_url is None:
                pieces.append((part.type, part.text))
                continue
            kind, _, data = part.image_url.url.removeprefix("data:").partition(";base64,")
            pieces.append((kind, hashlib.sha256(b64decode(data, validate=True)).hexdigest()))
        return pieces


class PlannedTurn(msgspec.Struct, frozen=True):
    """A turn of a scripted conversation.

    Attributes:
        text: What is said.
        calls: Tool calls asked for: name, and arguments as JSON or as the text to send in its place.
    """

    text: str = ""
    calls: list[tuple[str, dict[str, object] | str]] = []

    def tool_calls(self, turn: int) -> list[dict[str, object]]:
        """As the API has them."""
        return [
            {
                "id": f"call_{turn}_{place}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else msgspec.json.encode(given).decode(),
                },
            }
            for place, (name, given) in enumerate(self.calls)
        ]


class Script(msgspec.Struct, frozen=True):
    """What is said turn by turn in conversations that begin with a text; beyond its end the last turn again.

    Attributes:
        begins: A piece of the first message of the user.
        turns: At least one.
    """

    begins: str
    turns: list[PlannedTurn]


class Answers(msgspec.Struct, frozen=True):
    """How the text of an answer is made; the first that fits: `by_model`, `echo`, `by_prompt`, `text`, else a letter.

    Attributes:
        by_model: Name of the model asked -> text.
        echo: The prompt itself.
        by_prompt: SHA-256 (hex) of the prompt -> text.
        text: Always this.
        reasoning: Put into `reasoning_content`.
        scripts: Conversations with tools; the first that fits, before everything else.
    """

    echo: bool = False
    by_prompt: dict[str, str] = {}
    text: str = ""
    reasoning: str = ""
    by_model: dict[str, str] = {}
    scripts: list[Script] = []

    def planned(self, request: ChatRequest) -> tuple[PlannedTurn, int] | None:
        """The scripted turn that a request comes to, with its place; None where no script fits."""
        first = next((message.plain() for message in request.messages if message.role == "user"), "")
        turn = sum(message.role == "assistant" for message in request.messages)
        for script in self.scripts:
            if script.begins in first:
                return script.turns[min(turn, len(script.turns) - 1)], turn
        return None

    def answer(self, prompt: str, digest: bytes, model: str) -> str:
        """Text for a prompt; the same prompt to the same model always gets the same text."""
        if model in self.by_model:
            return self.by_model[model]
        if self.echo:
            return prompt
        if self.by_prompt and (mapped := self.by_prompt.get(digest.hex())) is not None:
            return mapped
        return self.text or LETTERS[digest[0] % len(LETTERS)]


def prompt_digest(prompt: str) -> bytes:
    """SHA-256 of a prompt."""
    return hashlib.sha256(prompt.encode()).digest()


def http(status: int, body: bytes, *, content_type: str = "application/json", headers: str = "") -> bytes:
    """A whole HTTP/1.1 response. `headers`: further lines, each with its line end."""
    return head(status, f"Content-Length: {len(body)}\r\n{headers}", content_type=content_type) + body


def head(status: int, headers: str, *, content_type: str = "application/json") -> bytes:
    """Status line and headers."""
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n{headers}\r\n".encode()


class Completion(msgspec.Struct, frozen=True):
    """What a completion says; `body` writes it.

    Attributes:
        digest: SHA-256 of the prompt.
        model: As asked for.
        prompt: The prompt.
        text: The answer.
        reasoning: Put into `reasoning_content` unless empty.
        tool_calls: As the API has them.
    """

    digest: bytes
    model: str
    prompt: str
    text: str
    reasoning: str = ""
    tool_calls: list[dict[str, object]] = []

    def body(self, fault: Fault | None = None) -> bytes:
        """JSON of the completion, with the fault where it lies in the fields."""
        name = fault.fault if fault else ""
        message: dict[str, object] = {"role": "assistant", "content": self.text}
        finish = "stop"
        if self.tool_calls:
            message["tool_calls"], finish = self.tool_calls, "tool_calls"
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if name == "null_content":
            message["content"] = None
        elif name == "finish_length":
            message["content"], finish = self.text[: len(self.text) // 2], "length"
        elif name == "finish_content_filter":
            message["content"], finish = "", "content_filter"
        elif name == "prose":
            message["content"] = "On the whole I find this answer quite good."
        elif name == "tool_calls":
            function = {"name": "look_up", "arguments": '{"term":"pneumonia"}'}
            message["content"], finish = None, "tool_calls"
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        choices = [] if name == "empty_choices" else [{"index": 0, "message": message, "finish_reason": finish}]
        completion: dict[str, object] = {
            "id": "chatcmpl-" + self.digest[:12].hex(),
            "object": "chat.completion",
            "created": _CREATED,
            "model": self.model,
            "choices": choices,
        }
        if name != "no_usage":
            # Characters stand for tokens: deterministic, and a test can compute them.
            asked, told = len(self.prompt), len(self.text) + len(self.reasoning)
            completion["usage"] = {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}
        return msgspec.json.encode(completion)


def response(completion: Completion, fault: Fault | None) -> bytes:
    """The whole HTTP response for all faults that one piece of bytes can show."""
    name = fault.fault if fault else ""
    if fault is not None and name == "http":
        return http_error(fault)
    if name == "html":
        return http(200, b"<!doctype html><title>Sign in</title><p>Sign in to go on.", content_type="text/html")
    if name == "invalid_json":
        return http(200, b"upstream connect error or disconnect/reset before headers")
    body = completion.body(fault)
    if name == "truncated_json":
        body = body[: len(body) // 2]
    return http(200, body)


def http_error(fault: Fault) -> bytes:
    """An error response with its Retry-After header."""
    headers = ""
    if fault.retry_after_s is not None:
        if fault.retry_after_form == "date":
            value = formatdate(math.ceil(time.time() + fault.retry_after_s), usegmt=True)
        else:
            value = f"{fault.retry_after_s:g}"
        headers = f"Retry-After: {value}\r\n"
    code = fault.code or _ERROR_CODES.get(fault.status, "error")
    return http(fault.status, error_body(f"The endpoint was told to answer {fault.status}.", code), headers=headers)


def error_body(message: str, code: str) -> bytes:
    """An error as OpenAI writes it."""
    return msgspec.json.encode({"error": {"message": message, "type": code, "param": None, "code": code}})
