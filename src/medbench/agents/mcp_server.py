"""An environment over MCP on stdin and stdout, for agents that are not ours (extra `agents`)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from medbench import __version__
from medbench.agents.checked import result_of
from medbench.agents.session import Session
from medbench.models.model import ToolCall

TASK = "task"
"""Name of the prompt that holds the question."""
_ID = re.compile(r'"id"\s*:\s*(\d{1,15}|"[^"\\\x00-\x1f]{0,100}")\s*[,}]')


async def serve(session: Session, prompt: str, keep: Callable[[bytes], None]) -> None:
    """Serve one item until the client leaves.

    The question is the server's `instructions` and its prompt `task`. Tools are those that any model gets, behind the
    same checks; calls that come at a time are carried out one after the other. Once the task is over, every call is
    refused. A message that can't be read (half a surrogate pair, deep nesting, endless digits) gets a JSON-RPC error;
    the SDK alone would say nothing, and the client would wait.

    Args:
        session: Open for the item.
        prompt: The whole text to ask.
        keep: Keeps the state, durably; called after each call of a tool, before its result is told.

    Raises:
        EnvironmentFailed: The state can't be told.
    """
    import anyio
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import MCPError
    from mcp.shared.message import SessionMessage

    turn = asyncio.Lock()

    async def list_tools(*_: Any) -> types.ListToolsResult:  # noqa: ANN401 - context and cursor, not used
        specs = [tool.spec for tool in session.tools]
        return types.ListToolsResult(
            tools=[
                types.Tool(name=spec.name, description=spec.description, input_schema=spec.parameters) for spec in specs
            ]
        )

    async def call_tool(_: object, asked: types.CallToolRequestParams) -> types.CallToolResult:
        async with turn:
            if session.over():
                result = '{"error": "over"}'
            else:
                call = ToolCall(asked.name, msgspec.json.encode(asked.arguments or {}).decode())
                result = await result_of(call, session.tools)
                keep(session.snapshot())
        return types.CallToolResult(content=[types.TextContent(text=result)])

    async def list_prompts(*_: Any) -> types.ListPromptsResult:  # noqa: ANN401
        return types.ListPromptsResult(prompts=[types.Prompt(name=TASK)])

    async def get_prompt(_: object, asked: types.GetPromptRequestParams) -> types.GetPromptResult:
        if asked.name != TASK:
            raise MCPError(types.INVALID_PARAMS, f"there is no prompt of this name; there is: {TASK}")
        message = types.PromptMessage(role="user", content=types.TextContent(text=prompt))
        return types.GetPromptResult(messages=[message])

    async def pass_on(reading: Any, read: Any, writing: Any) -> None:  # noqa: ANN401 - streams of the SDK
        async with read:
            async for message in reading:
                if isinstance(message, Exception):
                    fault = types.ErrorData(code=types.PARSE_ERROR, message="the message can't be read")
                    refusal = types.JSONRPCError(jsonrpc="2.0", id=_id_in(message), error=fault)
                    await writing.send(SessionMessage(refusal))
                else:
                    await read.send(message)

    server = Server(
        "medbench",
        version=__version__,
        instructions=prompt,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )
    try:
        async with stdio_server() as (reading, writing), anyio.create_task_group() as tasks:
            read, readable = anyio.create_memory_object_stream[Any]()
            tasks.start_soon(pass_on, reading, read, writing)
            await server.run(readable, writing, server.create_initialization_options())
    except* BrokenPipeError:
        pass  # the client left without waiting for an answer


def _id_in(error: Exception) -> int | str | None:
    """The id of a message that can't be read; None where it has none, or that is not plain.

    Of a request that is JSON it is known. Else it is told by the only `"id"` in the line.
    """
    from pydantic import ValidationError

    faults = error.errors(include_url=False) if isinstance(error, ValidationError) else []
    for fault in faults:
        message = fault["input"]
        # A request lacks what a response has: that fault shows the whole message, others only what is wrong in it.
        if fault["type"] == "missing" and len(fault["loc"]) == 2 and isinstance(message, dict) and "method" in message:
            given = message.get("id")
            return given if isinstance(given, int | str) and not isinstance(given, bool) else None
    line = faults[0]["input"] if faults else ""
    found = _ID.findall(line) if isinstance(line, str) else []
    return json.loads(found[0]) if len(found) == 1 else None
