"""The agent's hands: calls read, held against their schema and the guard, timed and shortened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from medbench.agents.orchestration.events import ToolUsed
from medbench.agents.orchestration.oversight import Oversight
from medbench.agents.orchestration.schema import faults
from medbench.agents.orchestration.spending import Spending
from medbench.engine.budget import BudgetReached
from medbench.errors import InputError, WorkError
from medbench.items.model import Question
from medbench.models.model import CallError, Context, ToolCall
from medbench.models.tools import Tool, ToolError, ToolSpec

LONGEST_RESULT = 4000
"""Characters of a result that the model is shown; what lies beyond is cut, and the model is told."""
TIMEOUT_S = 60.0


class MakesTool(Protocol):
    """What stands under a name in the entry-point group `medbench.tools`.

    A tool that may need more than a minute says so by an attribute `timeout_s`.
    """

    def __call__(self, settings: Mapping[str, object]) -> Tool:
        """Make the tool.

        Args:
            settings: From the agent's file.

        Raises:
            InputError: They can't be used.
        """


@runtime_checkable
class OfQuestion(Protocol):
    """A tool that works on the files of the question at hand."""

    def bound(self, question: Question, context: Context) -> Tool | None:
        """The tool for one question; None where the question has nothing for it."""


class Toolbox:
    """The tools of one item.

    Args:
        tools: Later ones of the same name are hidden by earlier ones.
        oversight: Sees every call and every result.
        spending: Takes the events.
    """

    def __init__(self, tools: Sequence[Tool], oversight: Oversight, spending: Spending) -> None:
        self._tools = {tool.spec.name: tool for tool in reversed(tools)}
        self._oversight = oversight
        self._spending = spending
        self.used: list[ToolUsed] = []

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is told."""
        return [tool.spec for tool in reversed(self._tools.values())]

    async def use(self, call: ToolCall) -> str:
        """Do what the model asks; what can't be done comes back as text that says why."""
        began = time.perf_counter()
        try:
            result, error = await self._do(call), ""
        except ToolError as failure:
            result, error = f"ERROR {failure}", failure.code
        except (CallError, BudgetReached, InputError, WorkError):
            raise  # of a tool that itself asks a model or writes a file: not the tool's own fault
        except Exception as failure:  # noqa: BLE001 - a tool of anybody: its fault is not the end of the item
            result, error = f"ERROR tool_failed: {type(failure).__name__}", "tool_failed"
        event = ToolUsed(
            tool=call.name,
            arguments=call.arguments,
            result=result,
            error=error,
            seconds=round(time.perf_counter() - began, 4),
        )
        self._spending.note(event)
        self.used.append(event)
        return result

    async def _do(self, call: ToolCall) -> str:
        tool = self._tools.get(call.name)
        if tool is None:
            raise ToolError("unknown_tool", f"There is no tool {call.name[:80]}; there are {', '.join(self._tools)}.")
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except (msgspec.DecodeError, RecursionError) as error:
            raise ToolError("bad_arguments", f"The arguments are no JSON: {error}") from error
        if found := faults({"type": "object", **tool.spec.parameters}, arguments):
            raise ToolError("bad_arguments", "; ".join(found))
        await self._oversight.before(call.name, arguments)
        status, result = "ok", ""
        try:
            result = await self._timed(tool, arguments)
        except ToolError as error:
            status = error.code
            raise
        except Exception:
            status = "tool_failed"
            raise
        finally:
            self._oversight.called(call.name, arguments, status, result)
        if len(result) > LONGEST_RESULT:
            result = f"{result[:LONGEST_RESULT]}\n[cut: {len(result)} characters in all]"
        return self._oversight.after(call.name, arguments, result)

    async def _timed(self, tool: Tool, arguments: Mapping[str, object]) -> str:
        timeout_s = getattr(tool, "timeout_s", TIMEOUT_S)
        try:
            return await asyncio.wait_for(tool.call(arguments), timeout_s)
        except TimeoutError as error:
            raise ToolError("timeout", f"It took more than {timeout_s:g} s.") from error
