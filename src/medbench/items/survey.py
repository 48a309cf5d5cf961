"""One pass over a source that validates, counts and fingerprints it, in bounded memory."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.errors import InputError
from medbench.items.media import missing_names
from medbench.items.model import Question
from medbench.items.report import ImportSummary, MediaSummary, Rejected, Report, problem
from medbench.items.rows import Item, ItemReader
from medbench.items.spool import Spool
from medbench.streams import in_blocks

_MASK = 2**64 - 1


class Fingerprint:
    """SHA-256 over the public hashes of questions in order, each in hex with a line end."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, public_hash: str) -> None:
        """Take in the next question's hash."""
        self._digest.update(public_hash.encode() + b"\n")

    def add_canonical(self, json: bytes) -> None:
        """Take in the next question by its canonical JSON."""
        self.add(hashlib.sha256(json).hexdigest())

    def hex(self) -> str:
        """The fingerprint so far."""
        return self._digest.hexdigest()


class Selection(msgspec.Struct, frozen=True):
    """The items of a source that are used: those without errors, each id once.

    Attributes:
        reader: The source.
        repeated: Hashes of ids that occur more than once.
        count: Number of items.
        rows: Rows to ask.
        fingerprint: Over the public hashes in order.
        report: What the pass found.
    """

    reader: ItemReader
    repeated: frozenset[int]
    count: int
    rows: int
    fingerprint: str
    report: Report

    def items(self) -> Iterator[Item]:
        """Read them again.

        Raises:
            InputError: The source changed so that an item is no longer usable.
        """
        report = Report()
        yield from _unique(self.reader.items(report), self.repeated, report)
        if report.skipped != self.report.skipped:
            report.raise_errors()


class Counts:
    """What a summary tells about items, gathered as they pass."""

    def __init__(self) -> None:
        self.items: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.variants = 0
        self.with_gold = 0
        self.found: set[str] = set()
        self.missing: dict[str, None] = {}

    def add(self, item: Item) -> None:
        """Count one."""
        question, key = item.question, item.key
        self.items[question.dataset] += 1
        self.rows[question.dataset] += rows_of(question)
        if len(question.variants) > 1:
            self.variants += len(question.variants)
        if key.answer is not None or key.key_points or key.rubric or key.criteria:
            self.with_gold += 1
        if question.media:
            self.found.update(medium.sha256 for medium in question.media if medium.sha256)
            self.missing.update(dict.fromkeys(missing_names(iter(question.media))))


def rows_of(question: Question) -> int:
    """Rows that an item brings: one for each of its own variants, else one."""
    return max(1, len(question.variants))


def survey(
    reader: ItemReader,
    on_rejected: Callable[[Rejected], None] | None = None,
    *,
    restart: Callable[[], None] | None = None,
    spool: Spool | None = None,
) -> tuple[Selection, Counts]:
    """Read a whole source once (twice if an id repeats).

    Args:
        reader: The source.
        on_rejected: Called with every row left out.
        restart: Called before each pass: what `on_rejected` wrote before is void.
        spool: Keeps the questions for later passes.
    """
    repeated: frozenset[int] = frozenset()
    while True:
        if restart:
            restart()
        if spool:
            spool.clear()
        report, counts, fingerprint = Report(on_rejected), Counts(), Fingerprint()
        # 8 bytes an id, sorted at the end: a set of strings would take twenty times as much.
        hashes = array("Q")
        for item in in_blocks(_unique(reader.items(report), repeated, report)):
            hashes.append(hash(item.question.uid) & _MASK)
            fingerprint.add(item.question.public_hash())
            counts.add(item)
            if spool:
                spool.add(item.question)
        found = _repeated(hashes) - repeated
        if not found:
            break
        repeated = repeated | found
    if spool:
        spool.flush()
    count = len(hashes)
    if not count and not report.errors:
        report.add(problem("no_items"))
    selection = Selection(reader, repeated, count, sum(counts.rows.values()), fingerprint.hex(), report)
    return selection, counts


def summarise(selection: Selection, counts: Counts, catalog: Catalog, into: Path | None) -> ImportSummary:
    """Put a survey into the form that people and scripts read."""
    by_dataset = {
        name: {"items": counts.items[name], "rows": counts.rows[name]}
        for name in catalog.datasets
        if counts.items[name]
    }
    by_track: dict[str, dict[str, int]] = {}
    for name, numbers in by_dataset.items():
        track = by_track.setdefault(catalog.datasets[name].track, {"datasets": 0, "items": 0, "rows": 0})
        track["datasets"] += 1
        track["items"] += numbers["items"]
        track["rows"] += numbers["rows"]
    return ImportSummary(
        datasets=len(by_dataset),
        items=selection.count,
        rows=selection.rows,
        variants=counts.variants,
        by_track=by_track,
        by_dataset=by_dataset,
        media=MediaSummary(len(counts.found), tuple(counts.missing)),
        keys=counts.with_gold,
        problems=tuple(selection.report.all()),
        skipped=selection.report.skipped,
        into=str(into) if into else None,
        fingerprint=selection.fingerprint,
    )


class RejectedFile:
    """Rows set aside as JSONL. They hold answers, so only their owner may read them.

    Args:
        path: The file; replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise InputError(problem("unwritable", file=path, error=error.strerror or error)) from error
        self._file = os.fdopen(descriptor, "wb")

    def restart(self) -> None:
        """Forget what was written."""
        self._file.seek(0)
        self._file.truncate()

    def write(self, rejected: Rejected) -> None:
        """Set a row aside."""
        self._file.write(msgspec.json.encode(rejected) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _unique(items: Iterator[Item], repeated: frozenset[int], report: Report) -> Iterator[Item]:
    """Leave out the second and later items with an id; only ids whose hash repeats need to be remembered."""
    seen: dict[str, int] = {}
    for item in items:
        uid = item.question.uid
        if repeated and hash(uid) & _MASK in repeated:
            if uid in seen:
                file, line = item.place
                found = problem("id_twice", file=file, line=line, field="id", uid=uid, first=seen[uid])
                report.reject(file, line, [found], _value(item.row))
                continue
            seen[uid] = item.place.line
        yield item


def _value(row: object) -> object:
    return msgspec.json.decode(row) if isinstance(row, bytes) else row


def _repeated(hashes: array[int]) -> frozenset[int]:
    import numpy as np

    ordered = np.sort(np.frombuffer(hashes, dtype=np.uint64)) if hashes else np.empty(0, dtype=np.uint64)
    return frozenset(int(value) for value in ordered[1:][ordered[1:] == ordered[:-1]])
