"""A judge that gives each answer the level written in it, moved as the test asks; OpenAI-compatible."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

MERIT = re.compile(r"merit (\d+)")
"""How an answer tells what it is worth."""


def merit_of(text: str) -> int:
    """The level written in a text; the last one counts, as a prompt quotes the answer last."""
    return int(MERIT.findall(text)[-1])


@contextmanager
def reading_judge(level: Callable[[int], int]) -> Iterator[str]:
    """Serve a judge on loopback.

    Args:
        level: From what is written in an answer to the level that the judge gives.

    Yields:
        Its base URL.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            merit = merit_of(asked["messages"][-1]["content"])
            verdict = json.dumps({"reason": "as written", "overall": level(merit)})
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": verdict}}
            body = json.dumps({"id": "1", "object": "chat.completion", "model": "judge", "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
