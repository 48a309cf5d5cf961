"""Writing a dataset definition as the TOML file that the catalog reads."""

from __future__ import annotations

import hashlib
import json
import re

import msgspec

from medbench.catalog.model import Dataset

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dataset_toml(dataset: Dataset) -> str:
    """A dataset as TOML; `Catalog.with_datasets` reads the same dataset back."""
    fields = msgspec.to_builtins(dataset)
    return "".join(f"{key} = {_value(value)}\n" for key, value in fields.items())


def dataset_file_name(name: str) -> str:
    """A file name for a dataset that no name can lead out of its folder and no two names share."""
    plain = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:40]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.toml"


def _value(value: object) -> str:
    if isinstance(value, dict):
        members = ((key, member) for key, member in value.items() if member is not None)
        return "{ " + ", ".join(f"{_key(key)} = {_value(member)}" for key, member in members) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(member) for member in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)
