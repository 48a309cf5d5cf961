"""Arguments of a tool held against its JSON Schema: as much of it as descriptions of functions use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
MOST_FAULTS = 10
LONGEST_MATCHED = 10_000
"""Characters of a text that is held against a `pattern`; a longer one does not match."""


def schema_faults(value: object, schema: Mapping[str, Any]) -> list[str]:
    """All that is wrong with a value, each as `place: what`, in English as the keywords are; at most ten.

    Looks at `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `minItems`, `maxItems`,
    `minLength`, `maxLength`, `pattern`, `minimum` and `maximum`; other keywords allow everything, as do patterns that
    RE2 can't match in linear time: with back references or with looks ahead and behind.

    Args:
        value: JSON.
        schema: JSON Schema, of whoever made the tool.
    """
    return [fault for fault, _ in zip(_faults(value, schema, "$"), range(MOST_FAULTS), strict=False)]


def _faults(value: object, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{place}: not of type {' or '.join(kinds)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{place}: not {schema['const']!r}"
    if isinstance(value, dict):
        yield from _object_faults(value, schema, place)
    elif isinstance(value, list):
        yield from _bounds(len(value), schema, "minItems", "maxItems", f"{place}: number of elements")
        for index, element in enumerate(value):
            yield from _faults(element, schema.get("items", {}), f"{place}[{index}]")
    elif isinstance(value, str):
        yield from _bounds(len(value), schema, "minLength", "maxLength", f"{place}: length")
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield f"{place}: does not match {schema['pattern']}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(value, schema, "minimum", "maximum", f"{place}: value")


def _object_faults(value: dict[str, object], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}.{name}: missing"
    for name, content in value.items():
        if name in properties:
            yield from _faults(content, properties[name], f"{place}.{name}")
        elif others is False:
            yield f"{place}.{name[:100]}: unknown"
        elif isinstance(others, dict):
            yield from _faults(content, others, f"{place}.{name[:100]}")


def _matches(pattern: str, text: str) -> bool:
    """Whether a pattern of somebody else is found in a text; Python's own matching may take years (`^(a+)+$`).

    Raises:
        re.error: It is no pattern.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    re.compile(pattern)
    if len(text) > LONGEST_MATCHED:
        return False
    try:
        return bool(pc.match_substring_regex(pa.scalar(text), pattern).as_py())
    except pa.ArrowInvalid:
        return True


def _is(value: object, kind: str) -> bool:
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, ())) and (kind == "boolean" or not isinstance(value, bool))


def _bounds(size: float, schema: Mapping[str, Any], least: str, most: str, what: str) -> Iterator[str]:
    if least in schema and size < schema[least]:
        yield f"{what} below {schema[least]}"
    if most in schema and size > schema[most]:
        yield f"{what} above {schema[most]}"
