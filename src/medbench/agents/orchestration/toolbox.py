"""The agent's hands: calls read, held against the guard, and what came of them noted and shortened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from medbench.agents.checked import LONGEST_ARGUMENTS, TOOL_SECONDS, CheckedTool, arguments_of, shortened
from medbench.agents.orchestration.events import ToolUsed
from medbench.agents.orchestration.oversight import Oversight
from medbench.agents.orchestration.spending import Spending
from medbench.items.model import Question
from medbench.models.model import Context, ToolCall
from medbench.models.tools import Tool, ToolError, ToolSpec

LONGEST_RESULT = 4000
"""Characters of a result that the model is shown; what lies beyond is cut, and the model is told."""


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


@runtime_checkable
class Hinting(Protocol):
    """A tool that knows by itself when it is wanted: small models do not think of it."""

    def hint(self, question: str) -> str:
        """How to call it for a task, in lines for the model; empty where nothing of the task says so."""


class Toolbox:
    """The tools of one item.

    Args:
        tools: Later ones of the same name are hidden by earlier ones.
        oversight: Sees every call and every result.
        spending: Takes the events.
    """

    def __init__(self, tools: Sequence[Tool], oversight: Oversight, spending: Spending) -> None:
        self._tools = {tool.spec.name: _checked(tool) for tool in reversed(tools)}
        self._oversight = oversight
        self._spending = spending
        self.used: list[ToolUsed] = []

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is told."""
        return [tool.spec for tool in reversed(self._tools.values())]

    async def use(self, call: ToolCall) -> str:
        """Do what the model asks; what can't be done comes back as text that says why."""
        began = self._spending.seconds
        try:
            result, error = await self._do(call), ""
        except ToolError as failure:
            result, error = f"ERROR {failure}", failure.code
        event = ToolUsed(
            tool=call.name,
            arguments=call.arguments,
            result=result,
            error=error,
            seconds=round(self._spending.seconds - began, 4),
        )
        self._spending.note(event)
        self.used.append(event)
        return result

    async def _do(self, call: ToolCall) -> str:
        tool, arguments = self._read(call)
        await self._oversight.before(call.name, arguments)
        status, result = "unfinished", ""
        failure: ToolError | None = None
        try:
            result = await tool.call(arguments)
            status = "ok"
        except ToolError as error:
            failure, status, result = error, error.code, error.detail
        finally:
            self._oversight.called(call.name, arguments, status, result)
        # What a tool says of its failure comes from outside as its results do.
        seen = self._oversight.after(call.name, arguments, shortened(result, LONGEST_RESULT))
        if failure is not None:
            raise ToolError(failure.code, seen) from failure
        return seen

    def _read(self, call: ToolCall) -> tuple[CheckedTool, dict[str, object]]:
        """The tool and the arguments that are meant. A call of which these can't be told stands in the trail as well.

        Raises:
            ToolError: `unknown_tool`, `bad_arguments`.
        """
        arguments: dict[str, object] = {"unread": call.arguments[:LONGEST_ARGUMENTS]}
        try:
            tool = self._tools.get(call.name)
            if tool is None:
                known = ", ".join(self._tools)
                raise ToolError("unknown_tool", f"There is no tool {call.name[:80]}; there are {known}.")
            arguments = arguments_of(call.arguments)
        except ToolError as error:
            self._oversight.called(call.name[:80], arguments, error.code, error.detail)
            raise
        return tool, arguments


def _checked(tool: Tool) -> CheckedTool:
    """The tool behind its checks; an environment's has them already."""
    if isinstance(tool, CheckedTool):
        return tool
    return CheckedTool(tool, [], seconds=getattr(tool, "timeout_s", TOOL_SECONDS), longest=LONGEST_RESULT)
