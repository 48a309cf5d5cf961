"""Reading keys. Only `medbench.scoring` imports this module; an import contract holds everybody else off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec

from medbench.errors import InputError
from medbench.items.bank import KEYS_FILE, connect_existing
from medbench.items.jsonl import JsonlReader
from medbench.items.media import NoMedia
from medbench.items.model import Key
from medbench.items.report import Report, problem
from medbench.items.rows import ItemReader
from medbench.items.source import catalog_with, open_reader, source_kind
from medbench.store.sqlite import database_errors


class KeySource(Protocol):
    """Keys in the order of the questions of the same source."""

    def keys(self) -> Iterator[Key]:
        """One key for every question, those without gold included; can be read once."""

    def fingerprint(self) -> str:
        """Hex digest over all keys: salted with a bank's own salt, unsalted SHA-256 for a bare file.

        Reads the rest of the keys where `keys` has not been read to its end.
        """


def open_keys(path: Path, *, catalog_folder: Path | None = None) -> KeySource:
    """Open the keys of what `open_source` opens.

    Raises:
        InputError: There are none. A wrong item is told when it is reached: `open_source` finds it first.
    """
    kind = source_kind(path)
    if kind == "bank":
        return _BankKeys(path / KEYS_FILE)
    catalog = catalog_with(catalog_folder)
    # Media are no part of a key, and hashing them again would cost more than everything else.
    return _FileKeys(JsonlReader(path, catalog, NoMedia(), checked=True) if kind == "jsonl" else open_reader(path, kind, catalog))


class _BankKeys:
    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(problem("no_keys", file=path))
        self._path = path
        with database_errors(path), closing(connect_existing(path)) as connection:
            (self._salt,) = connection.execute("SELECT value FROM salt").fetchone()
        self._digest = hashlib.blake2b(key=self._salt, digest_size=32)
        self._keys = self._read()

    def keys(self) -> Iterator[Key]:
        return self._keys

    def fingerprint(self) -> str:
        for _ in self._keys:
            pass
        return self._digest.hexdigest()

    def _read(self) -> Iterator[Key]:
        decode = msgspec.json.Decoder(Key).decode
        with database_errors(self._path), closing(connect_existing(self._path)) as connection:
            for (json,) in connection.execute("SELECT json FROM key ORDER BY ordinal"):
                key = decode(json)
                self._digest.update(key.salted_hash(self._salt).encode() + b"\n")
                yield key


class _FileKeys:
    def __init__(self, reader: ItemReader) -> None:
        self._reader = reader
        self._digest = hashlib.sha256()
        self._keys = self._read()

    def keys(self) -> Iterator[Key]:
        return self._keys

    def fingerprint(self) -> str:
        for _ in self._keys:
            pass
        return self._digest.hexdigest()

    def _read(self) -> Iterator[Key]:
        encode = msgspec.json.Encoder(order="deterministic").encode
        report = Report()
        for item in self._reader.items(report):
            self._digest.update(encode(item.key) + b"\n")
            yield item.key
        report.raise_errors()
