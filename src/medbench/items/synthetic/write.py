"""Writing items that come with the program as a folder that a run can ask."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from medbench.items.datasets import dataset_toml
from medbench.items.imported import imported_dataset
from medbench.items.synthetic import consultations, hospitals, records
from medbench.store.files import made, write_atomically

ITEMS_FILE = "items.jsonl"
DATASETS_FOLDER = "datasets"


class Made(NamedTuple):
    """What a maker gives.

    Attributes:
        dataset: Name of the dataset.
        items: Rows of item JSONL.
        files: Name -> content of the data files that they name.
    """

    dataset: str
    items: list[dict[str, Any]]
    files: dict[str, bytes]


class Written(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        items: The item file.
        catalog: Folder of the definitions of its datasets, for `--catalog`.
        counts: Dataset -> items.
    """

    items: str
    catalog: str
    counts: dict[str, int]


def write_items(folder: Path, seed: int = 0) -> Written:
    """Write items of all environments with their data; the same seed gives the same bytes.

    Args:
        folder: Made if absent; what it holds of an earlier writing is replaced.
        seed: Of everything that is drawn.

    Raises:
        InputError: The folder can't be made.
        WorkError: It can't be written.
    """
    return write_made(folder, _all(seed))


def write_made(folder: Path, datasets: Iterable[Made]) -> Written:
    """Write items with their data and the definitions of their datasets; each is marked as illustrative.

    Args:
        folder: Made if absent; what it holds of an earlier writing is replaced.
        datasets: Each with its items.

    Raises:
        InputError: The folder can't be made.
        WorkError: It can't be written.
    """
    made(folder / DATASETS_FOLDER, "--out")
    counts: dict[str, int] = {}
    rows: list[bytes] = []
    for dataset, items, files in datasets:
        counts[dataset] = len(items)
        rows += [_row(dataset, item) for item in items]
        for name, content in files.items():
            write_atomically(folder / name, content)
        definition = dataset_toml(imported_dataset(dataset))
        write_atomically(folder / DATASETS_FOLDER / f"{dataset}.toml", definition.encode())
    path = folder / ITEMS_FILE
    write_atomically(path, b"".join(rows))
    return Written(str(path), str(folder / DATASETS_FOLDER), counts)


def _all(seed: int) -> Iterator[Made]:
    makers: dict[str, Callable[[random.Random], tuple[list[dict[str, Any]], dict[str, bytes]]]] = {
        "SyntheticEHR": records.make,
        "SyntheticSQL": hospitals.make,
        "SyntheticConsultation": consultations.make,
    }
    for dataset, make in makers.items():
        # Of each dataset its own: one that changes does not change the others.
        items, files = make(random.Random(f"{seed}/{dataset}"))  # noqa: S311 - a sample, not a secret
        yield Made(dataset, items, files)


def _row(dataset: str, item: dict[str, Any]) -> bytes:
    meta = {**item.pop("meta"), "illustrative": True}
    row = {"dataset": dataset, "source": "medbench, synthetic", **item, "meta": meta}
    return msgspec.json.encode(row) + b"\n"
