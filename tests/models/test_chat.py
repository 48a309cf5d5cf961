"""A conversation with tools, as an OpenAI-compatible endpoint receives it."""

from __future__ import annotations

import asyncio
import json
import urllib.request

from medbench.engine.limits import Limits
from medbench.engine.meter import Meter
from medbench.engine.progress import Progress
from medbench.models.chat import ChatModel, ChatReply, Message
from medbench.models.model import ToolCall
from medbench.models.openai import OpenAIModel
from medbench.models.tools import ToolSpec
from medbench.runs.judges import JudgeContext
from support.endpoint import running_endpoint

WEIGHT = ToolSpec("weight", "Body weight of a patient.", {"type": "object", "properties": {"id": {"type": "string"}}})


def test_turns_calls_and_tools_arrive_as_the_api_has_them():
    async def talk(url: str) -> ChatReply:
        model = OpenAIModel("m", url, parameters={"max_tokens": 64})
        assert isinstance(model, ChatModel)
        await model.open()
        try:
            context = JudgeContext("", 0, Meter(Limits(concurrency=1), Progress(total=1)))
            said = [
                Message("system", "Be brief."),
                Message("user", "How heavy is P1?"),
                Message("assistant", tool_calls=(ToolCall("weight", '{"id": "P1"}', "call_7"),)),
                Message("tool", "61 kg", tool_call_id="call_7"),
            ]
            return await model.chat(said, context, tools=[WEIGHT], parameters={"temperature": None, "seed": 3})
        finally:
            await model.close()

    with running_endpoint(faults=({"fault": "tool_calls"},)) as endpoint:
        reply = asyncio.run(talk(endpoint.url))
        with urllib.request.urlopen(endpoint.url.removesuffix("/v1") + "/_counts") as counts:
            sent = json.load(counts)["last_request"]
    assert sent == {
        "model": "m",
        "max_tokens": 64,
        "seed": 3,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How heavy is P1?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "call_7",
                        "type": "function",
                        "function": {"name": "weight", "arguments": '{"id": "P1"}'},
                    }
                ],
            },
            {"role": "tool", "content": "61 kg", "tool_call_id": "call_7"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weight",
                    "description": "Body weight of a patient.",
                    "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
                },
            }
        ],
    }
    assert (reply.attempts, reply.cached) == (1, False)
    assert reply.completion.tool_calls[0].id == "call_1"
