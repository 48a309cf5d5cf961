"""Datasets that are none of MedBench's: known where items of their format are read or made."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import msgspec

from medbench.catalog.model import Dataset


def imported_dataset(name: str) -> Dataset:
    """The definition that items of a format belong to, unless a catalog folder or the bank defines it itself."""
    source = files("medbench.catalog").joinpath("data", "imported", f"{name}.toml")
    return msgspec.convert(tomllib.loads(source.read_text("utf-8")), Dataset)
