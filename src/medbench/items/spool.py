"""Questions that were validated once, kept on disk for the passes that follow."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator

import msgspec
import zstandard

from medbench.items.model import Question

BLOCK = 512
_LENGTH = struct.Struct("<I")


class Spool:
    """A temporary file of compressed blocks of questions; the system deletes it with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="medbench-")  # noqa: SIM115 - lives as long as the spool
        self._waiting: list[Question] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Question]).decode
        self._compress = zstandard.ZstdCompressor(level=1).compress

    def clear(self) -> None:
        """Forget everything."""
        self._file.seek(0)
        self._file.truncate()
        self._waiting = []

    def add(self, question: Question) -> None:
        """Keep a question."""
        self._waiting.append(question)
        if len(self._waiting) == BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what waits; call it before reading."""
        if self._waiting:
            block = self._compress(self._encode(self._waiting))
            self._file.write(_LENGTH.pack(len(block)) + block)
            self._waiting = []
        self._file.flush()

    def __iter__(self) -> Iterator[Question]:
        """All questions in order; several readers may be under way at once."""
        decompress = zstandard.ZstdDecompressor().decompress
        descriptor, position = self._file.fileno(), 0
        while head := os.pread(descriptor, _LENGTH.size, position):
            (length,) = _LENGTH.unpack(head)
            yield from self._decode(decompress(os.pread(descriptor, length, position + _LENGTH.size)))
            position += _LENGTH.size + length
