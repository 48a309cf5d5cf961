"""Columnar files, written in bounded memory and put in place whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import WorkError
from medbench.text import say

ROWS_PER_BATCH = 4096
ROWS_PER_FILE = 262_144


def write_rows(folder: Path, schema: Any, rows: Iterable[Sequence[object]], metadata: Mapping[str, str]) -> int:  # noqa: ANN401 - pyarrow has no types
    """Write rows as `part-00000.parquet`, … into a folder that replaces an older one only when complete.

    Args:
        folder: The folder to replace.
        schema: A `pyarrow.Schema`.
        rows: Tuples in the order of the schema's fields.
        metadata: Put into each file.

    Returns:
        Number of rows written.

    Raises:
        WorkError: The files can't be written; the older folder is untouched.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = schema.with_metadata({key.encode(): value.encode() for key, value in metadata.items()})
    temporary = folder.with_name(f".{folder.name}.new")
    written = 0
    writer: Any = None
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for batch in _batches(rows):
            if writer is None or written % ROWS_PER_FILE == 0:
                if writer is not None:
                    writer.close()
                part = temporary / f"part-{written // ROWS_PER_FILE:05d}.parquet"
                writer = pq.ParquetWriter(part, schema, compression="zstd")
            columns = [
                pa.array(column, type=field.type)
                for column, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=ROWS_PER_BATCH)
            written += len(batch)
        if writer is None:
            writer = pq.ParquetWriter(temporary / "part-00000.parquet", schema, compression="zstd")
        writer.close()
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        temporary.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise WorkError(say("store.unwritable", path=folder, error=error.strerror or error)) from error
    return written


def read_batches(folder: Path, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Yield `pyarrow.RecordBatch`es of at most `ROWS_PER_BATCH` rows, in the order written."""
    import pyarrow.parquet as pq

    for part in sorted(folder.glob("part-*.parquet")):
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(batch_size=ROWS_PER_BATCH, columns=columns)


def _batches(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    batch: list[Sequence[object]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
