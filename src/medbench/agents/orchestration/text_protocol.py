"""Tools for models without tool calls: the model writes one JSON object, read as tolerantly as is safe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medbench.items.rows import plain_json
from medbench.models.model import ToolCall
from medbench.models.tools import ToolSpec

NAMES = ("tool", "name", "function")
ARGUMENTS = ("arguments", "parameters", "args", "input")
LONGEST = 32_768
_decoder = json.JSONDecoder()


def objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects of a reply, the last one first; fences, prose and what is cut around them do not matter."""
    text = text[-LONGEST:]
    found: list[dict[str, Any]] = []
    place = text.find("{")
    while place >= 0:
        try:
            value, end = _decoder.raw_decode(text, place)
            value = plain_json(value)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            if isinstance(value, dict):
                found.append(value)
        place = text.find("{", end)
    yield from reversed(found)


def asked_call(text: str, known: Sequence[str]) -> ToolCall | None:
    """The tool call that a reply writes, the last one; None where it writes none of a known tool.

    Also understood are `{"name": …}` and `{"function": {"name": …, "arguments": …}}` as other systems write them,
    arguments as a JSON string, and arguments beside the name.
    """
    for value in objects(text):
        inner = next((value[key] for key in NAMES if key in value), None)
        if isinstance(inner, Mapping):
            value, inner = dict(inner), inner.get("name")
        if inner not in known:
            continue
        arguments = next((value[key] for key in ARGUMENTS if key in value), None)
        if arguments is None:
            arguments = {key: each for key, each in value.items() if key not in NAMES}
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return ToolCall(name=str(inner), arguments=written)
    return None


def tries_a_call(text: str) -> bool:
    """Whether a reply without a readable call was meant to be one."""
    return "{" in text and any(f'"{key}"' in text for key in NAMES)


def described(tools: Sequence[ToolSpec]) -> str:
    """The tools as the model is told of them, one block each."""
    return "\n".join(
        f"- {tool.name}: {tool.description}\n  arguments: {json.dumps(_short(tool.parameters), ensure_ascii=False)}"
        for tool in tools
    )


def _short(schema: Mapping[str, object]) -> object:
    """A schema as a small model reads it: name -> description or type."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {
        name: each.get("description") or each.get("enum") or each.get("type") if isinstance(each, Mapping) else ""
        for name, each in properties.items()
    }
