"""A trail of records in which a change shows: JSON lines, each with the hash of the one before it.

A record is canonical JSON (sorted keys) with `seq` from 1, `at_us` (integer microseconds since 1970, UTC), `prev_hash`
and `hash`, the SHA-256 of the record without `hash`. A changed, moved, missing or added line breaks the chain at that
line. Lines missing at the end break no chain, nor does a trail that was written anew from there on: whoever needs to
see that keeps the last hash elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from medbench.errors import WorkError
from medbench.text import say

START = "0" * 64
OWN = frozenset({"seq", "at_us", "prev_hash", "hash"})


class Checked(msgspec.Struct, frozen=True):
    """What a check of a trail found.

    Attributes:
        records: Records that hold, from the first on.
        head: Hash of the last of them.
        bad_line: The first line that does not hold, from 1; 0: all hold.
        fault: `not_json`, `not_whole` (a write that was cut off), `hash`, `prev_hash` or `seq`; empty: none.
    """

    records: tuple[dict[str, object], ...]
    head: str
    bad_line: int
    fault: str


def _now_us() -> int:
    return time.time_ns() // 1000


class Chain:
    """Makes the lines of a trail in memory.

    Args:
        head: Hash of the last record so far.
        seq: Its number; 0: there is none.
        now_us: The clock.
    """

    def __init__(self, head: str = START, seq: int = 0, now_us: Callable[[], int] = _now_us) -> None:
        self.head = head
        self.seq = seq
        self._now_us = now_us

    def line(self, record: Mapping[str, object]) -> bytes:
        """The next line, with its end; the chain goes on from it.

        Raises:
            ValueError: The record has a field that is the chain's own.
        """
        if OWN & record.keys():
            raise ValueError(f"a record has no fields {sorted(OWN)}")
        body = {**record, "seq": self.seq + 1, "at_us": self._now_us(), "prev_hash": self.head}
        digest = _hash(body)
        self.head, self.seq = digest, self.seq + 1
        return _canonical({**body, "hash": digest}) + b"\n"


class AuditFile:
    """A trail in a file: a record is on the disk when `append` returns.

    Not to be opened by two processes at a time; see `medbench.store.files.exclusive`.

    Args:
        path: Of the file; made if absent. A last line that was cut off is taken away: it was never acknowledged.

    Raises:
        WorkError: The file can't be written, or its chain is broken: nothing is added to a trail that does not hold.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        checked = check_trail(content)
        if checked.bad_line and checked.fault != "not_whole":
            raise WorkError(say("store.broken_trail", path=path, line=checked.bad_line))
        self._chain = Chain(checked.head, len(checked.records))
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(self._descriptor, content.rfind(b"\n") + 1)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, record: Mapping[str, object]) -> None:
        """Write a record durably.

        Raises:
            WorkError: It can't be written.
        """
        try:
            line = self._chain.line(record)
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _unwritable(self, error: OSError) -> WorkError:
        return WorkError(say("store.unwritable", path=self._path, error=error.strerror or error))


def check_trail(content: bytes) -> Checked:
    """Follow the chain from the first line to the last that holds."""
    head = START
    records: list[dict[str, object]] = []
    for place, line in enumerate(_lines(content), start=1):
        record, fault = _record(line, head, place)
        if fault:
            return Checked(tuple(records), head, place, fault)
        head = str(record["hash"])
        records.append(record)
    return Checked(tuple(records), head, 0, "")


def _record(line: bytes, head: str, place: int) -> tuple[dict[str, object], str]:
    if not line.endswith(b"\n"):
        return {}, "not_whole"
    try:
        record = msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}, "not_json"
    body = {name: value for name, value in record.items() if name != "hash"}
    # Of two spellings of a record only the canonical one holds: a doubled key would else hide behind the last.
    if record.get("hash") != _hash(body) or _canonical(record) + b"\n" != line:
        return {}, "hash"
    if record.get("prev_hash") != head:
        return {}, "prev_hash"
    return record, "" if record.get("seq") == place else "seq"


def _lines(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


def _canonical(value: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _hash(body: Mapping[str, object]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()
