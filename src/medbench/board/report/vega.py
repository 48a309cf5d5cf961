"""Vega-Lite to SVG in a process of its own.

vl-convert starts a JavaScript engine: half a second in which it holds the interpreter's lock. Another process does so
while a model is asked. This file is both ends: `Renderer` starts it as a script, which imports nothing of medbench.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from functools import cache
from importlib import util
from typing import Any


class Renderer:
    """A process that draws; it starts the engine at once and ends with its parent."""

    def __init__(self) -> None:
        # -P: the folder of this file is no place to import from.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        atexit.register(self.close)

    def draw(self, spec: dict[str, Any]) -> str:
        """Draw a spec.

        Raises:
            RuntimeError: The spec is wrong, or the process ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(spec) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the drawing process ended with status {self._process.wait()}")
        reply: dict[str, str] = json.loads(answer)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["svg"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@cache
def renderer() -> Renderer | None:
    """The process of this program, started by the first call; None without vl-convert."""
    return Renderer() if util.find_spec("vl_convert") else None


def serve() -> None:
    """Draw each line of stdin, a spec as JSON, until it ends; answer each with a line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if hasattr(os, "nice"):
        os.nice(10)  # whoever asks a model meanwhile goes first

    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": [{}]}, "mark": "point"}, allowed_base_urls=[])
    for line in sys.stdin:
        try:
            reply = {"svg": vl_convert.vegalite_to_svg(json.loads(line), allowed_base_urls=[])}
        except ValueError as error:
            reply = {"error": str(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
