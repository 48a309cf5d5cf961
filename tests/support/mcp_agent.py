"""An agent of somebody else: starts an MCP server, makes the calls that stdin names and prints what it saw."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main() -> None:
    plan = json.load(sys.stdin)
    command, *arguments = plan["command"]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        prompt = (await client.get_prompt("task")).messages[0].content.text
        results = [(await client.call_tool(name, given)).content[0].text for name, given in plan["calls"]]
    print(json.dumps({"tools": tools, "prompt": prompt, "results": results}))


asyncio.run(main())
