"""Reading keys. Only `medbench.scoring` imports this module; an import contract holds everybody else off."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec

from medbench.errors import InputError
from medbench.items.bank import KEY_MEDIA, KEYS_FILE, connect_existing, media_place
from medbench.items.jsonl import JsonlReader
from medbench.items.media import FolderMedia, NoMedia
from medbench.items.model import Key, Media
from medbench.items.report import Report, problem
from medbench.items.rows import ItemReader
from medbench.items.source import catalog_with, open_reader, source_kind
from medbench.store.sqlite import database_errors


class KeySource(Protocol):
    """Keys in the order of the questions of the same source."""

    @property
    def salted(self) -> bool:
        """Whether the fingerprint is salted: a bank's is, a bare file's is not."""

    def keys(self) -> Iterator[Key]:
        """One key for every question, those without gold included; can be read once."""

    def fingerprint(self) -> str:
        """Hex digest over all keys: salted with a bank's own salt, unsalted SHA-256 for a bare file.

        Reads the rest of the keys where `keys` has not been read to its end.
        """

    def file(self, medium: Media) -> Path | None:
        """The file of a key's medium; None where it is missing."""


def open_keys(path: Path, *, catalog_folder: Path | None = None) -> KeySource:
    """Open the keys of what `open_source` opens.

    Raises:
        InputError: There are none. A wrong item is told when it is reached: `open_source` finds it first.
    """
    kind = source_kind(path)
    if kind == "bank":
        salt, keys = _bank_keys(path / KEYS_FILE)

        def find(medium: Media) -> Path | None:
            place = media_place(path / KEY_MEDIA, medium.sha256)
            return place if place.is_file() else None

        digest = hashlib.blake2b(key=salt, digest_size=32)
        return _Keys(keys, digest, lambda key: key.salted_hash(salt).encode(), find, salted=True)
    catalog = catalog_with(catalog_folder)
    # A question's media are no part of its key, and hashing them again would cost more than everything else.
    files = FolderMedia(path.parent)
    reader = (
        JsonlReader(path, catalog, NoMedia(), checked=True, key_media=files)
        if kind == "jsonl"
        else open_reader(path, kind, catalog)
    )
    encode = msgspec.json.Encoder(order="deterministic").encode
    return _Keys(_file_keys(reader), hashlib.sha256(), encode, files.path, salted=False)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Keys:
    """Keys read once, hashed as they pass."""

    def __init__(
        self,
        keys: Iterator[Key],
        digest: _Digest,
        line: Callable[[Key], bytes],
        find: Callable[[Media], Path | None],
        *,
        salted: bool,
    ) -> None:
        self.salted = salted
        self._find = find
        self._digest = digest
        self._line = line
        self._keys = self._read(keys)

    def keys(self) -> Iterator[Key]:
        return self._keys

    def fingerprint(self) -> str:
        for _ in self._keys:
            pass
        return self._digest.hexdigest()

    def file(self, medium: Media) -> Path | None:
        return self._find(medium)

    def _read(self, keys: Iterator[Key]) -> Iterator[Key]:
        for key in keys:
            self._digest.update(self._line(key) + b"\n")
            yield key


def _bank_keys(path: Path) -> tuple[bytes, Iterator[Key]]:
    """The salt of a bank and its keys."""
    if not path.is_file():
        raise InputError(problem("no_keys", file=path))
    with database_errors(path), closing(connect_existing(path)) as connection:
        (salt,) = connection.execute("SELECT value FROM salt").fetchone()

    def keys() -> Iterator[Key]:
        decode = msgspec.json.Decoder(Key).decode
        with database_errors(path), closing(connect_existing(path)) as connection:
            for (json,) in connection.execute("SELECT json FROM key ORDER BY ordinal"):
                yield decode(json)

    return salt, keys()


def _file_keys(reader: ItemReader) -> Iterator[Key]:
    report = Report()
    for item in reader.items(report):
        yield item.key
    report.raise_errors()
