"""A cache of responses: the same request to the same model is paid once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zstandard

from medbench.models.model import Completion, Identity
from medbench.store.sqlite import database_errors, open_database

MIGRATIONS = ("CREATE TABLE response (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",)


class ResponseCache:
    """Completions by request, in a SQLite file; values are zstd-compressed JSON, never pickles."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path = path
        self._scope = msgspec.json.encode(
            [identity.name, identity.revision, identity.endpoint, identity.parameters], order="deterministic"
        )
        with database_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = open_database(path, migrations=MIGRATIONS)
        self._pack = zstandard.ZstdCompressor()
        self._unpack = zstandard.ZstdDecompressor()

    def key(self, request: bytes, variant: int, attachments: Sequence[str]) -> bytes:
        """SHA-256 over request, model identity and revision, variant and the digests of attachments.

        By its variant each epoch of an item has an answer of its own, also where the request is the same.
        """
        digest = hashlib.sha256(self._scope)
        digest.update(b"\0%d\0" % variant)
        digest.update("\0".join(attachments).encode())
        digest.update(request)
        return digest.digest()

    def get(self, key: bytes) -> Completion | None:
        """The completion, if it is here."""
        with database_errors(self.path):
            row = self._connection.execute("SELECT value FROM response WHERE key = ?", (key,)).fetchone()
        return msgspec.json.decode(self._unpack.decompress(row[0]), type=Completion) if row else None

    def put(self, key: bytes, completion: Completion) -> None:
        """Keep a completion."""
        value = self._pack.compress(msgspec.json.encode(completion))
        with database_errors(self.path):
            self._connection.execute("INSERT OR REPLACE INTO response VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
