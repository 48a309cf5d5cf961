"""Tools: what an agent may do beside talking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model is told of it.

    Attributes:
        name: Letters, digits, `_` and `-`, at most 64: what OpenAI's API and MCP both take.
        description: What it does and when to use it.
        parameters: JSON Schema of its arguments, an object.
    """

    name: str
    description: str
    parameters: dict[str, object]


class ToolError(Exception):
    """A tool could not do what was asked; the agent is told why and may try again.

    Attributes:
        code: Short stable code, such as `bad_arguments`, `not_found`, `timeout`, `too_long`.
        detail: What to do about it, for the agent to read.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Tool(Protocol):
    """One tool. Its result is untrusted text wherever it comes from outside."""

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""

    async def call(self, arguments: Mapping[str, object]) -> str:
        """Do it.

        Args:
            arguments: As the model gave them, an object; not yet held against the schema.

        Returns:
            What the model is told, as text; JSON where it is data.

        Raises:
            ToolError: It can't be done.
        """
