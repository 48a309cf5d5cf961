"""YAML that people write, read strictly: a limited size, no aliases, no name twice; with the line of every place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from medbench.errors import InputError, Problem
from medbench.store.document import Document, below
from medbench.text import say

LONGEST = 256 * 1024
"""Bytes of a file."""


def read_yaml(path: Path) -> Document:
    """Read a file.

    Returns:
        The document; names that stand twice are among its problems.

    Raises:
        InputError: It can't be read, or is no such YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise InputError(Problem(message=say("store.too_long", most=LONGEST), file=str(path)))
        node = yaml.compose(content.decode("utf-8-sig"), Loader=_Loader)
        places = _Places()
        value = {} if node is None else places.read(node, "")
    except OSError as error:
        message = say("store.unreadable", reason=error.strerror or error)
        raise InputError(Problem(message=message, file=str(path))) from error
    except (UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        message = say("store.unreadable", reason=" ".join(str(error).split()))
        raise InputError(Problem(message=message, file=str(path), line=mark.line + 1 if mark else None)) from error
    document = Document(str(path), content, value, places.lines)
    for place in places.twice:
        document.problem("store.twice", place)
    return document


class _Loader(yaml.SafeLoader):
    """Without aliases, by which a small file can become an endless one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, say("store.alias"), mark)
        return super().compose_node(parent, index)


class _Places:
    """Takes the values out of nodes, and notes where they stand.

    Attributes:
        lines: Place -> line, from 1.
        twice: Places whose name stands twice.
    """

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.twice: list[str] = []

    def read(self, node: yaml.Node, place: str) -> Any:  # noqa: ANN401 - whatever the user wrote
        """The value of a node."""
        self.lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, inner in node.value:
                name = str(key.value)
                where = below(place, name)
                if name in found:
                    self.twice.append(where)
                found[name] = self.read(inner, where)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self.read(inner, f"{place}[{index}]") for index, inner in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, LookupError, AttributeError) as error:  # `2024-13-45`, `!!int abc`
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error
