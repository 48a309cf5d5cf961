"""JSONL of other formats whose rows become items one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from medbench.catalog.catalog import Catalog
from medbench.errors import Problem
from medbench.items.jsonl import json_objects
from medbench.items.media import MediaFiles, NoMedia
from medbench.items.report import Report
from medbench.items.rows import Item, Place, RowError, RowReader


class ConvertedReader:
    """Reads a JSONL file of another format.

    Args:
        path: The file.
        catalog: The datasets there are.
        fields_of: A row in the fields of an item; raises `RowError` where it can't be one.
        renamed: A problem of an item as one of the row.
    """

    def __init__(
        self,
        path: Path,
        catalog: Catalog,
        fields_of: Callable[[dict[str, object], Place], dict[str, object]],
        renamed: Callable[[Problem], Problem] = lambda found: found,
    ) -> None:
        self._path = path
        self._catalog = catalog
        self._fields_of = fields_of
        self._renamed = renamed
        self.media: MediaFiles = NoMedia()

    def items(self, report: Report) -> Iterator[Item]:
        """See `ItemReader`.

        Raises:
            InputError: The file can't be opened.
        """
        reader = RowReader(self._catalog, self.media, report.add)
        for line, row in json_objects(self._path):
            place = Place(str(self._path), line)
            if isinstance(row, Problem):
                report.reject(place.file, line, [row], None)
                continue
            try:
                question, key = reader.read_object(self._fields_of(row, place), place)
            except RowError as error:
                report.reject(place.file, line, [self._renamed(found) for found in error.problems], row)
                continue
            yield Item(question, key, place, row)
