"""An environment over MCP on stdin and stdout, for agents that are not ours (extra `agents`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from medbench import __version__
from medbench.agents.checked import result_of
from medbench.agents.session import Session
from medbench.models.model import ToolCall

TASK = "task"
"""Name of the prompt that holds the question."""


async def serve(session: Session, prompt: str, keep: Callable[[bytes], None]) -> None:
    """Serve one item until the client leaves.

    The question is the server's `instructions` and its prompt `task`. Tools are those that any model gets, behind the
    same checks; calls that come at a time are carried out one after the other. Once the task is over, every call is
    refused.

    Args:
        session: Open for the item.
        prompt: The whole text to ask.
        keep: Keeps the state, durably; called after each call of a tool, before its result is told.

    Raises:
        EnvironmentFailed: The state can't be told.
    """
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

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

    async def get_prompt(*_: Any) -> types.GetPromptResult:  # noqa: ANN401
        message = types.PromptMessage(role="user", content=types.TextContent(text=prompt))
        return types.GetPromptResult(messages=[message])

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
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    except* BrokenPipeError:
        pass  # the client left without waiting for an answer
