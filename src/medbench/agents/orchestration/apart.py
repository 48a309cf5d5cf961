"""Tools of others in threads of their own: one that blocks holds up nobody but itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress

from medbench.agents.checked import TOOL_SECONDS
from medbench.agents.orchestration.toolbox import Hinting, OfQuestion
from medbench.models.tools import Tool, ToolError


class Apart:
    """A tool that is called in an event loop and a thread of its own, begun by its first call.

    Args:
        tool: Knows nothing of the question, whose context belongs to the loop of the run.
    """

    def __init__(self, tool: Tool) -> None:
        self.spec = tool.spec
        self.timeout_s: float = getattr(tool, "timeout_s", TOOL_SECONDS)
        self._tool = tool
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, arguments: Mapping[str, object]) -> str:
        """Call it; see `medbench.models.tools.Tool`."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            # Nobody can end a thread that hangs, and the program must not wait for it.
            threading.Thread(target=_run, args=(self._loop,), name=f"tool {self.spec.name}", daemon=True).start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._called(arguments), self._loop))

    def hint(self, question: str) -> str:
        """How to call it for a task, if it says so."""
        return self._tool.hint(question) if isinstance(self._tool, Hinting) else ""

    def close(self) -> None:
        """End its thread, unless it hangs."""
        if self._loop is not None:
            with suppress(RuntimeError):  # its tool has stopped it, and it is closed
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    async def _called(self, arguments: Mapping[str, object]) -> str:
        try:
            return await self._tool.call(arguments)
        except (SystemExit, KeyboardInterrupt) as error:  # would end the thread and leave its caller waiting
            raise ToolError("tool_failed", type(error).__name__) from error


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run it until it is stopped; then end its tasks and close it."""
    with asyncio.Runner(loop_factory=lambda: loop):
        loop.run_forever()


def apart(tool: Tool) -> Tool:
    """The tool in a thread of its own, or itself where it works on the question at hand."""
    return tool if isinstance(tool, OfQuestion) else Apart(tool)
