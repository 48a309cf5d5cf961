"""An OpenAI-compatible endpoint that answers by a function, in a thread of this process."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[dict[str, Any]], str | dict[str, Any]]
"""Body of a request -> text of the answer, or the whole message."""


@contextlib.contextmanager
def scripted_endpoint(script: Script) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve until the block ends; yields the base URL and the list of requests as they come."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(body)
            said = script(body)
            message = {"content": said} if isinstance(said, str) else said
            usage = {"prompt_tokens": len(json.dumps(body)) // 4, "completion_tokens": 9}
            choice = {"message": {"role": "assistant", **message}, "finish_reason": "stop"}
            content = json.dumps({"choices": [choice], "usage": usage, "model": "scripted"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
