"""Arguments held against a tool's JSON Schema before the tool sees them."""

from __future__ import annotations

from collections.abc import Mapping

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def faults(schema: Mapping[str, object], value: object, place: str = "arguments") -> list[str]:
    """What is wrong with a value: type, required, properties that are not allowed, enum, items. All of it at once.

    The keywords that tools of agents use; others are left to the tool.
    """
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if names and not any(_is(value, str(name)) for name in names):
        return [f"{place} must be of type {' or '.join(map(str, names))}"]
    found = []
    options = schema.get("enum")
    if isinstance(options, list) and value not in options:
        found.append(f"{place} must be one of {', '.join(map(str, options))}")
    if isinstance(value, dict):
        found += _members(schema, value, place)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        for index, each in enumerate(value):
            found += faults(items, each, f"{place}[{index}]")
    return found


def _members(schema: Mapping[str, object], value: Mapping[str, object], place: str) -> list[str]:
    required, properties = schema.get("required"), schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    found = (
        [f"{place}.{name} is missing" for name in required if name not in value] if isinstance(required, list) else []
    )
    for name, each in value.items():
        if isinstance(inner := known.get(name), Mapping):
            found += faults(inner, each, f"{place}.{name}")
        elif schema.get("additionalProperties") is False:
            found.append(f"{place}.{name} is not known; known: {', '.join(map(str, known))}")
    return found


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, (object,)))
