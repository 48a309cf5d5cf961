"""What a run is: pins that never change, and settings that may change with each session."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from medbench import __version__
from medbench.agents.limits import ItemLimits
from medbench.errors import InputError
from medbench.models.model import Identity
from medbench.store.files import write_json
from medbench.text import say

RUN_FILE = "run.json"
Orders = Literal["rotate", "first", "all"]
Disclosure = Literal["local", "hidden"]
MediaControl = Literal["none", "removed", "swapped"]


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which items of the source are asked.

    Attributes:
        track: Only this track; None: all.
        datasets: Only these datasets; empty: all.
        limit: Only the first N items.
        sample: Only N items, drawn with the seed.
        seed: Of the sample, and of `swapped`.
        orders: Option orders of items in datasets with circular evaluation, where the item brings none.
        media_control: `removed` asks the same without pictures, `swapped` with those of another item of the dataset;
            both leave out what has none. What was selected before stays the same.
        epochs: How often each item is asked, in all its orders each time.
    """

    track: str | None = None
    datasets: tuple[str, ...] = ()
    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    orders: Orders = "rotate"
    media_control: MediaControl = "none"
    epochs: Annotated[int, msgspec.Meta(ge=1)] = 1


class Pins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that decides what a run asks. Stored as `run.json`; its hash is the run's identity.

    Attributes:
        format: Version of this file.
        items: Path of the items, absolute.
        catalog_folder: Folder of own dataset definitions given on the command line; empty: none.
        items_fingerprint: SHA-256 over the public hashes of the questions, in order.
        catalog_version: Version of the catalog.
        code_version: Version of medbench.
        python: Version of Python.
        model: The system under test.
        selection: Which items are asked.
        disclosure: `local`, or `hidden` where right and wrong per item stay with the scorer.
        n_items: Items asked.
        n_calls: Calls planned: items in all their option orders and epochs.
        created: UTC, ISO 8601.
        item_limits: Of each item in an environment.
    """

    items: str
    items_fingerprint: str
    catalog_version: str
    model: Identity
    selection: Selection
    disclosure: Disclosure
    n_items: int
    n_calls: int
    created: str
    catalog_folder: str = ""
    item_limits: ItemLimits = ItemLimits()
    format: int = 1
    code_version: str = __version__
    python: str = platform.python_version()

    @property
    def short(self) -> str:
        """The first digits of its identity: what ratings name its answers by."""
        return self.config_hash()[:8]

    @property
    def own_catalog(self) -> Path | None:
        """Folder of own dataset definitions; None where there is none."""
        return Path(self.catalog_folder) if self.catalog_folder else None

    def config_hash(self) -> str:
        """SHA-256 (hex) over everything but the time and place of the run."""
        pinned = msgspec.structs.replace(self, created="", items="", catalog_folder="", python="")
        return hashlib.sha256(msgspec.json.encode(pinned, order="deterministic")).hexdigest()


def write_pins(run_dir: Path, pins: Pins) -> None:
    """Write `run.json`."""
    write_json(run_dir / RUN_FILE, pins)


def read_pins(run_dir: Path) -> Pins:
    """Read `run.json`.

    Raises:
        InputError: The folder holds no run, or one that this version can't read.
    """
    path = run_dir / RUN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pins)
    except OSError as error:
        raise InputError(say("runs.no_run", path=run_dir)) from error
    except msgspec.DecodeError as error:
        raise InputError(say("runs.bad_run_file", path=path, error=error)) from error
