"""The catalogue that comes with the package: MedBench v4's datasets and the Chinese catalogue of departments."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.catalog.model import Admission, Bilingual, Dataset, Dimension, Specialty


@cache
def load_catalog() -> Catalog:
    """The catalogue in the package's data files, read once per process."""
    index = _table("dimensions.toml")
    datasets = [msgspec.convert(_table("datasets", f"{name}.toml"), Dataset) for name in index["order"]]
    return Catalog(datasets, msgspec.convert(index["dimensions"], list[Dimension]), _specialties())


@cache
def load_admission() -> Admission:
    """What agreement with people a judge has to reach."""
    return msgspec.convert(_table("admission.toml"), Admission)


def _specialties() -> list[Specialty]:
    table = _table("specialties.toml")
    subset = frozenset(table["subset_primaries"])
    titles = msgspec.convert(table["titles"], dict[str, Bilingual])
    # A primary department is in the subset with all its secondary ones.
    return [
        Specialty(code=code, title=title, in_subset=code.partition(".")[0] in subset) for code, title in titles.items()
    ]


def _table(*path: str) -> dict[str, Any]:
    return tomllib.loads(files("medbench.catalog").joinpath("data", *path).read_text("utf-8"))
