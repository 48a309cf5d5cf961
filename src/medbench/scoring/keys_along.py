"""Keys read beside a plan, once and in its order."""

from __future__ import annotations

from pathlib import Path

from medbench.items.keys import open_keys
from medbench.items.model import Key


class KeysAlong:
    """The key of each question, asked for in the order of the items."""

    def __init__(self, items: Path, catalog_folder: Path | None) -> None:
        self._keys = open_keys(items, catalog_folder=catalog_folder).keys()
        self._key = next(self._keys, None)

    def of(self, uid: str) -> Key | None:
        """The key of a question, as often as it is asked for before the next one; None behind the last key."""
        while self._key is not None and self._key.uid != uid:
            self._key = next(self._keys, None)
        return self._key
