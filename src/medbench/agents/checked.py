"""Tools as a model gets them: whatever a tool does, an answer of limited length comes back in limited time."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Mapping, Sequence

import msgspec

from medbench.agents.limits import LimitReached
from medbench.engine.budget import BudgetReached
from medbench.errors import WorkError
from medbench.items.rows import strict_json
from medbench.models.model import CallError, ToolCall
from medbench.models.schema import schema_faults
from medbench.models.tools import Tool, ToolError, ToolSpec

TOOL_SECONDS = 60.0
"""Whole time of one call."""
LONGEST_RESULT = 20_000
"""Characters of a result; what is longer is cut and says so."""
LONGEST_ARGUMENTS = 200_000
"""Characters of the arguments as JSON."""
DEEPEST_ARGUMENTS = 64
"""Levels of lists and objects within each other."""
_CODE = re.compile("[a-z0-9_]{1,40}")


class CheckedTool:
    """A tool behind checks of its arguments, its time, its result and its mistakes.

    Args:
        tool: The tool itself, of whatever origin.
        troubles: Told `tool_timeout` or `tool_failed` where the tool itself is at fault.
        seconds: Whole time of one call. A tool must not block the event loop: only what waits can be ended.
        longest: Characters of a result, or of what it says of its failure.
    """

    def __init__(
        self, tool: Tool, troubles: list[str], *, seconds: float = TOOL_SECONDS, longest: int = LONGEST_RESULT
    ) -> None:
        self.spec: ToolSpec = tool.spec
        self._tool = tool
        self._troubles = troubles
        self._seconds = seconds
        self._longest = longest

    async def call(self, arguments: Mapping[str, object]) -> str:
        """Do it; see `medbench.models.tools.Tool`.

        Raises:
            ToolError: `bad_arguments`, `timeout`, `tool_failed`, or what the tool itself says.
            CallError, LimitReached, BudgetReached, WorkError: As a tool that asks a model or keeps a file raises them.
        """
        try:
            return await self._do(arguments)
        except (ToolError, CallError, LimitReached, BudgetReached, WorkError):
            raise  # no fault of the tool's
        except Exception as error:  # a tool may raise whatever it likes; the item goes on
            raise self._failed(error) from error

    async def _do(self, arguments: Mapping[str, object]) -> str:
        _require_plain(arguments)
        if faults := schema_faults(arguments, self.spec.parameters):
            raise ToolError("bad_arguments", shortened("; ".join(faults)))
        task = asyncio.ensure_future(self._called(arguments))
        task.add_done_callback(_read)
        try:
            # Not wait_for, which waits for a tool that does not let itself be cancelled.
            await asyncio.wait((task,), timeout=self._seconds)
        finally:
            task.cancel()
        if not task.done():
            self._troubles.append("tool_timeout")
            raise ToolError("timeout", f"no result within {self._seconds:g} s")
        try:
            result = task.result()
        except Exception:
            raise
        except BaseException as error:
            # Also CancelledError: nobody cancelled us, so the tool did so to itself.
            raise self._failed(error) from error
        if not isinstance(result, str):
            raise TypeError("the result is no text")
        return shortened(result, self._longest)

    async def _called(self, arguments: Mapping[str, object]) -> str:
        """The tool's own call, in a task of its own."""
        try:
            return await self._tool.call(arguments)
        except ToolError as error:
            code = error.code if _CODE.fullmatch(error.code) else "tool_error"
            raise ToolError(code, shortened(error.detail, self._longest)) from error
        except (
            SystemExit,
            KeyboardInterrupt,
        ) as error:  # a task hands them to the event loop, which ends the whole run
            raise_ctrl_c(error)
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> ToolError:
        self._troubles.append("tool_failed")
        return ToolError("tool_failed", shortened(type(error).__name__, 80))


async def result_of(call: ToolCall, tools: Sequence[Tool]) -> str:
    """What a model is told about a call that it asked for: the result, or `{"error": …, "detail": …}` as JSON.

    Args:
        call: As the model wrote it.
        tools: What it may use.
    """
    try:
        tool = next((tool for tool in tools if tool.spec.name == call.name), None)
        if tool is None:
            raise ToolError("unknown_tool", f"there are: {', '.join(tool.spec.name for tool in tools)}")
        return await tool.call(arguments_of(call.arguments))
    except ToolError as error:
        return msgspec.json.encode({"error": error.code, "detail": error.detail}).decode()


def shortened(text: str, longest: int = LONGEST_RESULT) -> str:
    """A text that a model may be told: so many characters at most, with a word where it was cut."""
    note = "" if len(text) <= longest else f"\n[cut; {len(text)} characters in all]"
    # Half of a surrogate pair can't be sent.
    return text[: longest - len(note)].encode("utf-8", "replace").decode() + note


def raise_ctrl_c(error: BaseException) -> None:
    """Raise what comes of Ctrl-C again; a `KeyboardInterrupt` that a third party raised by itself is its own failure.

    A run has Ctrl-C handled by its event loop, and no exception comes of it. Only the second one, which ends the run at
    once, finds Python's own handler.
    """
    if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        raise error


def _read(task: asyncio.Future[str]) -> None:
    """Look at how a call ended: asyncio complains of errors that nobody looked at."""
    if not task.cancelled():
        task.exception()


def arguments_of(text: str) -> dict[str, object]:
    """The arguments that a model wrote.

    Raises:
        ToolError: They are no JSON object, or one that can't be kept.
    """
    if len(text) > LONGEST_ARGUMENTS:
        raise ToolError("bad_arguments", f"longer than {LONGEST_ARGUMENTS} characters")
    try:
        value = strict_json(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ToolError("bad_arguments", f"not JSON: {shortened(str(error))}") from error
    if not isinstance(value, dict):
        raise ToolError("bad_arguments", "not a JSON object")
    _require_plain(value)
    return value


def _require_plain(arguments: Mapping[str, object]) -> None:
    """Refuse what can't be written and read again: it could stand in no trace, trail or snapshot."""
    if _is_deeper(arguments, DEEPEST_ARGUMENTS):
        raise ToolError("bad_arguments", f"more than {DEEPEST_ARGUMENTS} levels of nesting")
    try:
        msgspec.json.decode(msgspec.json.encode(arguments))
    except (UnicodeEncodeError, OverflowError, msgspec.DecodeError) as error:
        raise ToolError("bad_arguments", "text that is not Unicode or a number that is too large") from error


def _is_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects are nested in more than so many levels."""
    if not isinstance(value, Mapping | list):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return not levels or any(_is_deeper(each, levels - 1) for each in inner)
