"""An endpoint that wants to harm its client."""

from __future__ import annotations

import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pyarrow.parquet as pq
import pytest

from medbench.models.model import CallError
from medbench.models.openai import OpenAIModel
from support.command import medbench, medbench_json, write_items
from support.endpoint import running_endpoint

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\x08\u202e"


def test_what_an_endpoint_says_can_not_steer_the_terminal(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 4)
    with running_endpoint(faults=({"fault": "http", "status": 401, "code": ESCAPES + "refused"},)) as endpoint:
        stopped = medbench(
            *("run", "--items", items, "--model", f"openai:m{ESCAPES}", "--base-url", endpoint.url),
            *("--out", tmp_path / "run"),
        )
    assert stopped.returncode == 1
    status = medbench("status", tmp_path / "run")
    for said in (stopped.stdout, stopped.stderr, status.stdout, status.stderr):
        assert not set(said) & set("\x1b\x07\x9b\x08\u202e")
    assert "refused" in stopped.stderr
    assert "refused" in status.stdout


def test_answers_stay_data(tmp_path):
    text = f"<script>document.title='x'</script>{{{{7*7}}}} {{0.__class__}} %s '; DROP TABLE result;-- {ESCAPES}"
    items = write_items(tmp_path / "items.jsonl", 6)
    with running_endpoint(text=text, reasoning=text) as endpoint:
        done = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--orders", "first"),
            *("--out", tmp_path / "run"),
        )
    assert done["responses"] == 6
    rows = pq.read_table(tmp_path / "run" / "responses").to_pylist()
    assert {row["text"] for row in rows} == {text}
    assert "<script" not in (tmp_path / "run" / "report.html").read_text("utf-8")


@pytest.fixture
def serve():
    """Answers every POST with the same status, headers and body."""
    servers = []

    def start(body: bytes, status: int = 200, **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(url: str):
    async def once():
        model = OpenAIModel("m", url, timeout_s=5)
        await model.open()
        try:
            return await model.send(b"{}")
        finally:
            await model.close()

    return asyncio.run(once())


NESTED = b'{"choices":[{"message":{"content":"A"}}],"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b'{"choices":[{"message":{"content":"\\ud800"}}]}',
        b'{"choices":[{"message":{"content":NaN}}]}',
        b'{"choices":{"0":1}}',
        b'{"choices":[{"message":{"content":"A"}}],"usage":{"prompt_tokens":1e999}}',
        pytest.param(NESTED, id="nested"),
    ],
)
def test_replies_that_are_no_completion_are_errors_of_the_call(serve, body):
    with pytest.raises(CallError):
        ask(serve(body))


def test_a_nested_error_body_is_an_error_of_the_call(serve):
    with pytest.raises(CallError):
        ask(serve(b'{"error":{"x":' + b"[" * 200_000, 400))


def test_redirects_are_not_followed(serve):
    elsewhere = serve(json.dumps({"choices": [{"message": {"content": "A"}}]}).encode())
    with pytest.raises(CallError) as refused:
        ask(serve(b"", 307, Location=f"{elsewhere}/chat/completions"))
    assert refused.value.code == "http_307"
