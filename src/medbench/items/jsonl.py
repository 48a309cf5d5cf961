"""Item JSONL: one file for people, a JSON object per line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.errors import InputError, Problem
from medbench.items.media import MediaFiles
from medbench.items.report import Report, problem
from medbench.items.rows import LONGEST_ROW, Item, Place, RowError, RowReader, strict_json
from medbench.streams import in_blocks

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonlReader:
    """Reads item JSONL.

    Args:
        path: The file.
        catalog: The datasets there are.
        media: Where its media are.
        checked: A survey has read the file before; JSON need not be parsed twice to find keys that stand twice.
    """

    def __init__(self, path: Path, catalog: Catalog, media: MediaFiles, *, checked: bool = False) -> None:
        self._path = path
        self._checked = checked
        self._catalog = catalog
        self.media = media

    def items(self, report: Report) -> Iterator[Item]:
        """See `ItemReader`.

        Raises:
            InputError: The file can't be opened.
        """
        rows = RowReader(self._catalog, self.media, report.add, checked=self._checked)
        file = str(self._path)
        for number, line in in_blocks(read_lines(self._path)):
            place = Place(file, number)
            if line is None:
                report.reject(file, number, [problem("row_too_long", file=file, line=number, most=LONGEST_ROW)], None)
                continue
            try:
                question, key = rows.read_line(line, place)
            except RowError as error:
                report.reject(file, number, error.problems, error.row)
                continue
            yield Item(question, key, place, line)


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, object] | Problem]]:
    """The JSON objects of a JSONL file of any shape, with their line numbers; a problem where a line is none.

    Raises:
        InputError: The file can't be read.
    """
    for line, text in read_lines(path):
        if text is None:
            yield line, problem("row_too_long", file=path, line=line, most=LONGEST_ROW)
            continue
        try:
            value = strict_json(text.decode())
            msgspec.json.encode(value)
        except UnicodeError:
            yield line, problem("not_utf8_row", file=path, line=line)
            continue
        except (ValueError, RecursionError):
            yield line, problem("not_json", file=path, line=line)
            continue
        yield line, value if isinstance(value, dict) else problem("not_object", file=path, line=line)


def read_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a text file that are not blank, with their numbers from 1.

    A byte order mark is dropped. A line longer than `LONGEST_ROW` comes as None, without ever being held in memory.

    Raises:
        InputError: The file can't be read.
    """
    try:
        with path.open("rb") as stream:
            yield from lines_of(stream)
    except OSError as error:
        raise InputError(problem("unreadable", file=path, error=error.strerror or error)) from error


def lines_of(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """As `read_lines`, for an open file.

    Raises:
        OSError: It can't be read.
    """
    number = 0
    while line := stream.readline(LONGEST_ROW + 1):
        number += 1
        if len(line) > LONGEST_ROW and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST_ROW)) and not rest.endswith(b"\n"):
                pass
            yield number, None
            continue
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.strip():
            yield number, line
