"""Arguments of a call held against the JSON Schema that `api_description` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from medbench.scoring.executable.model import Finding


class Written(str):
    """A value written without quotes or brackets, whose type can't be told."""

    __slots__ = ()


# What an earlier step returns can't be known yet, so it stands in words: "<patient_id>", "API1返回的结果".
_STANDS_IN = re.compile(
    r"^\s*[<{$\[【「（(]|返回|获取|结果|输出|上一步|步骤|API\s*\d|\b(?:result|output|response|from|step)", re.I
)


def findings_of(schema: Mapping[str, Any], arguments: Mapping[str, object], place: str) -> Iterator[Finding]:
    """What is wrong with the arguments of a call.

    Args:
        schema: An object's: types, required and unknown names, enums, patterns, items, `if` and `then`.
        arguments: Of the call.
        place: Name of the API, which leads the names of its parameters in what is found.
    """
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in arguments:
            yield Finding("missing_parameter", f"{place}.{name}")
    for condition in schema.get("allOf", ()):
        ((name, wanted),) = condition["if"]["properties"].items()
        if arguments.get(name) in wanted["enum"]:
            for needed in condition["then"]["required"]:
                if needed not in arguments:
                    yield Finding("missing_parameter", f"{place}.{needed} ({name} = {arguments[name]})")
    for name, value in arguments.items():
        if name in properties:
            yield from _value(properties[name], value, f"{place}.{name}", required=name in schema.get("required", ()))
        elif not schema.get("additionalProperties", True):
            yield Finding("unknown_parameter", f"{place}.{name}")


def _value(schema: Mapping[str, Any], value: object, place: str, *, required: bool) -> Iterator[Finding]:
    if value is None and not required:
        return  # an optional parameter left empty
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(kind, value) for kind in kinds):
        if isinstance(value, str) and (isinstance(value, Written) or _STANDS_IN.search(value)):
            return
        yield Finding("wrong_type", f"{place} ({'/'.join(kinds)})")
        return
    wanted = schema.get("enum")
    if (
        wanted
        and value not in wanted
        and not (isinstance(value, Written) and any(str(each) in value for each in wanted))
    ):
        yield Finding("not_in_enum", f"{place} = {_short(value)}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value) and not _STANDS_IN.search(value):
        yield Finding("wrong_format", f"{place} = {_short(value)}")
    if isinstance(value, list) and "items" in schema:
        for index, each in enumerate(value):
            yield from _value(schema["items"], each, f"{place}[{index}]", required=True)
    if isinstance(value, Mapping) and "properties" in schema:
        yield from findings_of(schema, value, place)


def _is(kind: str, value: object) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, Mapping)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
