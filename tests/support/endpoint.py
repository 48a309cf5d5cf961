"""An OpenAI-compatible endpoint with a set latency and planned faults, in a process of its own.

Run it, `python tests/support/endpoint.py --port 0 --latency-ms 50 --plan plan.json`, or use `running_endpoint()` in a
test. It prints one JSON line `{"port": N}` when it listens. Beside /v1/chat/completions and /v1/models it answers:

    GET  /_counts   requests, by_prompt {sha256 of the last user message: n}, in_flight, max_in_flight, connections,
                    headers (names only), last_request (its JSON), distinct_prompts
    GET  /_totals   the same without by_prompt, which is long after many requests
    GET  /_pieces   with --record-pieces: of each request what its last user message was made of, in order: a list of
                    ["text", the text] or [media type, sha256 of the image]
    POST /_plan     replaces the plan of faults; its ordinals and tries begin anew
    POST /_reset    zero counts; the plan begins anew

It speaks HTTP/1.1 straight on an asyncio protocol, several times as fast as a web framework, so that a benchmark
measures the client. Request bodies need a Content-Length; requests on one connection are answered in their order.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, `support` is not importable by itself

from support.faults import Fault, Plan, PlanState
from support.replies import (
    MODEL,
    Answers,
    ChatRequest,
    Completion,
    Script,
    error_body,
    head,
    http,
    prompt_digest,
    response,
)

_HUGE_PIECE = 1 << 16
_SLOW_PIECES = 10
_decode_request = msgspec.json.Decoder(ChatRequest).decode


class Service:
    """What all connections share: the answers, the plan and the counts."""

    def __init__(self, answers: Answers, plan: Plan, latency_s: float, *, record_pieces: bool = False) -> None:
        self.answers = answers
        self.record_pieces = record_pieces
        self.latency_s = latency_s
        self.state = PlanState(plan)
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Zero counts and begin the plan anew; requests in flight stay counted as such."""
        self.state = PlanState(self.state.plan)
        self.requests = 0
        self.max_in_flight = self.in_flight
        self.connections = 0
        self.by_prompt: dict[bytes, int] = {}
        self.headers: set[bytes] = set()
        self.last_request = b"null"
        self.pieces: list[list[tuple[str, str]]] = []

    def totals(self) -> dict[str, object]:
        """All counts but those by prompt."""
        return {
            "requests": self.requests,
            "distinct_prompts": len(self.by_prompt),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "headers": sorted(name.decode("latin-1") for name in self.headers),
            "last_request": msgspec.Raw(self.last_request),
        }

    def counts(self) -> dict[str, object]:
        """All counts."""
        return {**self.totals(), "by_prompt": {digest.hex(): count for digest, count in self.by_prompt.items()}}


class Connection(asyncio.Protocol):
    """One client connection; one request at a time."""

    transport: asyncio.Transport

    def __init__(self, service: Service) -> None:
        self.service = service
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.answering = False
        self.misbehaviour: asyncio.Task[None] | None = None
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.service.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable.set()
        if self.misbehaviour is not None:
            self.misbehaviour.cancel()
        if self.answering:
            self.done()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not self.answering:
            self.take_request()

    def take_request(self) -> None:
        """Take a whole request off the buffer, if one is there, and answer it."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self.buffer[:end].split(b"\r\n")
        method, path, _ = lines[0].split(b" ", 2)
        chat = method == b"POST" and path.endswith(b"/chat/completions")
        length = 0
        names = set[bytes]()
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name = name.lower()
            names.add(name)
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                self.transport.write(http(411, error_body("Send a Content-Length.", "length_required")))
                self.transport.close()
                return
        stop = end + 4 + length
        if len(self.buffer) < stop:
            return
        body, self.buffer = self.buffer[end + 4 : stop], self.buffer[stop:]
        if chat:
            self.service.headers |= names
            self.answer(body)
        else:
            self.transport.write(self.control(method, path, body))
            if self.buffer:
                self.take_request()

    def answer(self, body: bytes) -> None:
        """Answer a chat completion: right or with its fault, after the latency."""
        service = self.service
        self.answering = True
        service.requests += 1
        service.in_flight += 1
        service.max_in_flight = max(service.max_in_flight, service.in_flight)
        try:
            request = _decode_request(body)
        except msgspec.MsgspecError as error:
            self.finish(http(400, error_body(f"This is no chat completion request: {error}", "invalid_request_error")))
            return
        service.last_request = body
        if service.record_pieces:
            service.pieces.append(request.pieces())
        prompt = request.prompt()
        digest = prompt_digest(prompt)
        service.by_prompt[digest] = service.by_prompt.get(digest, 0) + 1
        fault = service.state.choose(prompt, digest, service.in_flight)
        calls: list[dict[str, object]] = []
        if (planned := service.answers.planned(request)) is not None:
            text, calls = planned[0].text, planned[0].tool_calls(planned[1])
        else:
            text = service.answers.answer(prompt, digest, request.model)
        completion = Completion(digest, request.model, prompt, text, service.answers.reasoning, calls)
        if fault is not None and fault.fault in {"hang", "reset", "reset_mid_body", "huge_body", "slow_body"}:
            self.misbehaviour = self.loop.create_task(self.misbehave(completion, fault))
        elif service.latency_s:
            self.loop.call_later(service.latency_s, self.finish, response(completion, fault))
        else:
            self.finish(response(completion, fault))

    def finish(self, reply: bytes) -> None:
        """Write a reply and take the next request."""
        if not self.answering:
            return  # the client left while the latency passed
        self.done()
        self.transport.write(reply)
        if self.buffer:
            self.take_request()

    def done(self) -> None:
        self.answering = False
        self.misbehaviour = None
        self.service.in_flight -= 1

    async def misbehave(self, completion: Completion, fault: Fault) -> None:
        """Faults that take time or break the connection."""
        if fault.fault == "hang":
            return  # connection_lost counts it out of flight
        await asyncio.sleep(self.service.latency_s)
        body = completion.body()
        if fault.fault == "reset":
            self.reset()
        elif fault.fault == "reset_mid_body":
            self.transport.write(http(200, body)[: -(len(body) // 2)])
            await asyncio.sleep(0.02)  # else the reset overtakes what is to arrive before it
            self.reset()
        elif fault.fault == "slow_body":
            reply = http(200, body)
            step = len(body) // _SLOW_PIECES + 1
            start = len(reply) - len(body)
            self.transport.write(reply[:start])
            for position in range(start, len(reply), step):
                await asyncio.sleep(fault.duration_ms / 1000 / _SLOW_PIECES)
                self.transport.write(reply[position : position + step])
            self.finish(b"")
        else:
            await self.write_huge(completion, int(fault.megabytes * 1e6))

    async def write_huge(self, completion: Completion, size: int) -> None:
        """A completion whose text has `size` bytes, in chunks, no faster than the client reads."""
        mark = "\N{OBJECT REPLACEMENT CHARACTER}"
        before, after = msgspec.structs.replace(completion, text=mark).body().split(mark.encode())
        self.transport.write(head(200, "Transfer-Encoding: chunked\r\n"))
        self.transport.write(_chunk(before))
        piece = _chunk(b"a" * _HUGE_PIECE)
        for _ in range(size // _HUGE_PIECE):
            await self.writable.wait()
            self.transport.write(piece)
        if size % _HUGE_PIECE:
            self.transport.write(_chunk(b"a" * (size % _HUGE_PIECE)))
        self.finish(_chunk(after) + b"0\r\n\r\n")

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def control(self, method: bytes, path: bytes, body: bytes) -> bytes:
        """Answer everything but chat completions."""
        service = self.service
        if path.endswith(b"/models") and method == b"GET":
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}
            return http(200, msgspec.json.encode({"object": "list", "data": [model]}))
        if path == b"/_counts" and method == b"GET":
            return http(200, msgspec.json.encode(service.counts()))
        if path == b"/_totals" and method == b"GET":
            return http(200, msgspec.json.encode(service.totals()))
        if path == b"/_pieces" and method == b"GET":
            return http(200, msgspec.json.encode(service.pieces))
        if path == b"/_reset" and method == b"POST":
            service.clear()
            return http(200, b"{}")
        if path == b"/_plan" and method == b"POST":
            try:
                plan = msgspec.json.decode(body, type=Plan)
            except msgspec.MsgspecError as error:
                return http(400, error_body(f"This is no plan: {error}", "invalid_plan"))
            service.state = PlanState(plan)
            return http(200, b"{}")
        return http(404, error_body("There is no such path.", "not_found"))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Endpoint:
    """A running endpoint as a test sees it.

    Attributes:
        url: Base URL, with /v1.
        root: Without it.
        pid: Of its process.
    """

    def __init__(self, port: int, pid: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"
        self.pid = pid

    def counts(self) -> dict[str, Any]:
        """What it has counted since the last reset."""
        return cast("dict[str, Any]", self._ask("/_counts", None))

    def totals(self) -> dict[str, Any]:
        """The same without `by_prompt`."""
        return cast("dict[str, Any]", self._ask("/_totals", None))

    def pieces(self) -> list[list[tuple[str, str]]]:
        """Of each request what its last user message was made of: ("text", text) or (media type, SHA-256)."""
        sent = cast("list[list[list[str]]]", self._ask("/_pieces", None))
        return [[(kind, content) for kind, content in pieces] for pieces in sent]

    def plan(self, *faults: Mapping[str, object], seed: int = 0) -> None:
        """Replace the plan; each fault is a `support.faults.Fault` as a dictionary."""
        self._ask("/_plan", {"faults": faults, "seed": seed})

    def reset(self) -> None:
        """Zero its counts; the plan begins anew."""
        self._ask("/_reset", {})

    def _ask(self, path: str, body: object) -> object:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.root + path, data=data), timeout=30) as reply:
            return json.load(reply)


@contextlib.contextmanager
def running_endpoint(
    *,
    latency_ms: float = 0.0,
    faults: tuple[Mapping[str, object], ...] = (),
    seed: int = 0,
    echo: bool = False,
    text: str = "",
    by_prompt: dict[str, str] | None = None,
    by_model: dict[str, str] | None = None,
    scripts: Sequence[Mapping[str, object]] = (),
    reasoning: str = "",
    record_pieces: bool = False,
) -> Iterator[Endpoint]:
    """Run an endpoint on 127.0.0.1 in a process of its own until the block ends.

    Args:
        latency_ms: Time from a request to its answer.
        faults: Rules, each a `support.faults.Fault` as a dictionary.
        seed: Of the faults' probabilities.
        echo: Answer the prompt itself.
        text: Answer always this.
        by_prompt: Prompt -> answer; other prompts get `text` or a letter by their hash.
        by_model: Name of the model asked -> answer to every prompt; other models answer as if it were not given.
        scripts: Conversations with tools, each a `support.replies.Script` as a dictionary.
        reasoning: `reasoning_content` of each answer.
        record_pieces: Keep what each request was made of.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--stop-with-stdin", "--latency-ms", str(latency_ms)]
    hashes = {prompt_digest(prompt).hex(): answer for prompt, answer in (by_prompt or {}).items()}
    if echo:
        command.append("--echo")
    if record_pieces:
        command.append("--record-pieces")
    if text:
        command.append(f"--text={text}")
    if reasoning:
        command.append(f"--reasoning={reasoning}")
    if scripts:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(scripts, file)
        command += ["--scripts", file.name]
    if by_model:
        command.append(f"--by-model={json.dumps(by_model)}")
    # Its stdin closes when this process dies, however it dies, and the endpoint with it.
    process = subprocess.Popen(
        [*command, "--map", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(hashes).encode() + b"\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], 30)[0] or not (line := process.stdout.readline()):
            raise RuntimeError("the endpoint did not start; its message is above")
        endpoint = Endpoint(json.loads(line)["port"], process.pid)
        if faults:
            endpoint.plan(*faults, seed=seed)
        yield endpoint
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


async def serve(service: Service, port: int, *, stop_with_stdin: bool) -> None:
    """Listen until the process ends, or until stdin closes."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def watch_stdin() -> None:
        if not os.read(0, 1024):
            stopped.set()

    if stop_with_stdin:
        loop.add_reader(0, watch_stdin)
    # The backlog takes a client that opens all its connections at once.
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one, printed as JSON")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--plan", type=Path, help='JSON: {"seed": 0, "faults": [{"fault": "hang", "ordinals": [3]}]}')
    parser.add_argument("--echo", action="store_true", help="answer the prompt itself")
    parser.add_argument("--text", default="", help="answer always this")
    parser.add_argument("--map", help="JSON file of sha256 of a prompt -> answer; -: one line of it on stdin")
    parser.add_argument("--scripts", type=Path, help="JSON: conversations with tools")
    parser.add_argument("--by-model", default="{}", help="JSON: name of a model -> its answer to every prompt")
    parser.add_argument("--reasoning", default="", help="reasoning_content of each answer")
    parser.add_argument("--record-pieces", action="store_true", help="keep what each request was made of")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when stdin closes")
    options = parser.parse_args()
    plan = msgspec.json.decode(options.plan.read_bytes(), type=Plan) if options.plan else Plan()
    mapped = b"{}"
    if options.map:
        mapped = sys.stdin.buffer.readline() if options.map == "-" else Path(options.map).read_bytes()
    by_prompt = msgspec.json.decode(mapped, type=dict[str, str])
    answers = Answers(
        echo=options.echo,
        by_prompt=by_prompt,
        text=options.text,
        reasoning=options.reasoning,
        by_model=msgspec.json.decode(options.by_model, type=dict[str, str]),
        scripts=msgspec.json.decode(options.scripts.read_bytes(), type=list[Script]) if options.scripts else [],
    )
    service = Service(answers, plan, options.latency_ms / 1000, record_pieces=options.record_pieces)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(service, options.port, stop_with_stdin=options.stop_with_stdin))


if __name__ == "__main__":
    main()
