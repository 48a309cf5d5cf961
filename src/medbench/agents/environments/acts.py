"""A tool as a function: what most tools of an environment are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from medbench.models.tools import ToolSpec


class Act:
    """A tool of an environment that does its work at once.

    Args:
        spec: What a model is told of it.
        do: Does it, with the arguments as they passed the schema; raises `ToolError`.
    """

    def __init__(self, spec: ToolSpec, do: Callable[[Mapping[str, Any]], object]) -> None:
        self.spec = spec
        self._do = do

    async def call(self, arguments: Mapping[str, object]) -> str:
        """Do it; what is no text is told as JSON."""
        return told(self._do(arguments))


def told(value: object) -> str:
    """A result as a model is told it."""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def spec(name: str, description: str, properties: dict[str, object], *, optional: tuple[str, ...] = ()) -> ToolSpec:
    """What a model is told of a tool; no other arguments are allowed.

    Args:
        name: Of the tool.
        description: What it does.
        properties: Argument -> its JSON Schema.
        optional: Arguments that may be left out.
    """
    required = [name for name in properties if name not in optional]
    return ToolSpec(
        name,
        description,
        {"type": "object", "properties": properties, "required": required, "additionalProperties": False},
    )
