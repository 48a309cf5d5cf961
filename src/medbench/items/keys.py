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
        """One key for every question, those without gold included."""

    def fingerprint(self) -> str:
        """Hex digest over all keys: salted with a bank's own salt, unsalted SHA-256 for a bare file."""


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
    return _FileKeys(JsonlReader(path, catalog, NoMedia()) if kind == "jsonl" else open_reader(path, kind, catalog))


class _BankKeys:
    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(problem("no_keys", file=path))
        self._path = path

    def keys(self) -> Iterator[Key]:
        decode = msgspec.json.Decoder(Key).decode
        with database_errors(self._path), closing(connect_existing(self._path)) as connection:
            for (json,) in connection.execute("SELECT json FROM key ORDER BY ordinal"):
                yield decode(json)

    def fingerprint(self) -> str:
        with database_errors(self._path), closing(connect_existing(self._path)) as connection:
            (salt,) = connection.execute("SELECT value FROM salt").fetchone()
        return _digest((key.salted_hash(salt) for key in self.keys()), salt)


class _FileKeys:
    def __init__(self, reader: ItemReader) -> None:
        self._reader = reader

    def keys(self) -> Iterator[Key]:
        report = Report()
        for item in self._reader.items(report):
            yield item.key
        report.raise_errors()

    def fingerprint(self) -> str:
        encode = msgspec.json.Encoder(order="deterministic").encode
        digest = hashlib.sha256()
        for key in self.keys():
            digest.update(encode(key) + b"\n")
        return digest.hexdigest()


def _digest(hashes: Iterator[str], salt: bytes) -> str:
    digest = hashlib.blake2b(key=salt, digest_size=32)
    for one in hashes:
        digest.update(one.encode() + b"\n")
    return digest.hexdigest()
