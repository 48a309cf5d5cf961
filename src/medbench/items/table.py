r"""CSV, or JSONL of any shape, with a mapping that says which column is which field of an item.

A mapping is a TOML file (docs/how-to/mappings has one to copy):

    [dataset]            the definition of one's own dataset, as in `--catalog`; leave out for one of the catalog
    [fields]             item field = "column"; `options` and `media` may be a list of columns, `meta` is one
    [options]            split = '\n' and strip = '^[A-Z][. ]': options out of one column, without their letters
    [constants]          item field = the same value in every row
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from string import ascii_uppercase
from typing import Literal

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.catalog.model import Dataset
from medbench.errors import InputError, Problem
from medbench.items.jsonl import json_objects
from medbench.items.media import MediaFiles
from medbench.items.report import Report, problem
from medbench.items.rows import FIELD_TYPES, LONGEST_ROW, Item, Place, RowError, RowReader

_LISTS = ("options", "media", "meta")
_ESCAPED_BYTE = re.compile(r"[\udc80-\udcff]")


class SplitRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How options stand in one column.

    Attributes:
        split: Text between two options.
        strip: Regular expression removed from the start of each, mostly its letter; letters must run from A.
    """

    split: str
    strip: str = ""


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which column is which field.

    Attributes:
        fields: Item field -> column, or columns.
        options: How to split the column of options.
        constants: Item field -> value in every row.
        dataset: Definition of one's own dataset.
    """

    fields: dict[str, str | list[str]]
    options: SplitRule | None = None
    constants: dict[str, str] = {}
    dataset: Dataset | None = None


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        InputError: With everything that is wrong.
    """
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text("utf-8-sig")), Mapping)
    except OSError as error:
        raise InputError(problem("unreadable", file=path, error=error.strerror or error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InputError(problem("bad_mapping", file=path, error=str(error))) from error
    problems: list[Problem] = []
    for table, names in (("fields", mapping.fields), ("constants", mapping.constants)):
        for name in names:
            if name not in FIELD_TYPES:
                near = ", ".join(get_close_matches(name, FIELD_TYPES, n=1)) or "–"
                problems.append(problem("unknown_field", file=path, field=f"{table}.{name}", near=near))
    for name, column in mapping.fields.items():
        if isinstance(column, list) and name not in _LISTS:
            problems.append(problem("mapping_list", file=path, field=f"fields.{name}", lists=", ".join(_LISTS)))
    if "question" not in mapping.fields:
        problems.append(problem("mapping_question", file=path, field="fields.question"))
    if not (mapping.dataset or "dataset" in mapping.constants or "dataset" in mapping.fields):
        problems.append(problem("mapping_dataset", file=path, field="dataset"))
    if mapping.options:
        try:
            re.compile(mapping.options.strip)
        except re.error as error:
            problems.append(problem("bad_mapping", file=path, field="options.strip", error=str(error)))
        if not mapping.options.split:
            problems.append(problem("bad_mapping", file=path, field="options.split", error='""'))
    if problems:
        raise InputError(*problems)
    return mapping


class TableReader:
    """Reads a table through a mapping.

    Args:
        path: The file.
        kind: How it is written.
        mapping: Which column is which field.
        catalog: The datasets there are, the mapping's own included.
        media: Where its media are.
    """

    def __init__(
        self, path: Path, kind: Literal["csv", "jsonl"], mapping: Mapping, catalog: Catalog, media: MediaFiles
    ) -> None:
        self._path = path
        self._kind = kind
        self._mapping = mapping
        self._catalog = catalog
        self._strip = re.compile(mapping.options.strip) if mapping.options else None
        self.media = media

    def items(self, report: Report) -> Iterator[Item]:
        """See `ItemReader`.

        Raises:
            InputError: The file can't be opened, or has no such columns.
        """
        reader = RowReader(self._catalog, self.media, report.add)
        file = str(self._path)
        rows = self._csv_rows() if self._kind == "csv" else json_objects(self._path)
        for number, (line, row) in enumerate(rows, start=1):
            place = Place(file, line)
            if isinstance(row, Problem):
                report.reject(file, line, [row], None)
                continue
            missing = [column for column in self._columns() if column not in row]
            if missing:
                found = [problem("missing_column", file=file, line=line, field=column) for column in missing]
                report.reject(file, line, found, row)
                continue
            try:
                question, key = reader.read_object(self._item(row, number, place), place)
            except RowError as error:
                report.reject(file, line, error.problems, row)
                continue
            yield Item(question, key, place, row)

    def _columns(self) -> Iterator[str]:
        for column in self._mapping.fields.values():
            if isinstance(column, str):
                yield column
            else:
                yield from column

    def _item(self, row: dict[str, object], number: int, place: Place) -> dict[str, object]:
        """The row in the fields of an item.

        Raises:
            RowError: The letters before its options are not A, B, C …
        """
        item: dict[str, object] = {"id": number, **self._mapping.constants}
        if self._mapping.dataset:
            item.setdefault("dataset", self._mapping.dataset.name)
        for name, column in self._mapping.fields.items():
            if name == "meta":
                columns = [column] if isinstance(column, str) else column
                item["meta"] = {one: row[one] for one in columns if row[one] is not None}
            elif isinstance(column, list):
                item[name] = [row[one] for one in column if row[one] not in (None, "")]
            else:
                value = row[column]
                if value is None or value == "":
                    continue
                if name == "options" and isinstance(value, str):
                    value = self._split(value)
                    if value is None:
                        found = problem("option_letters", file=place.file, line=place.line, field=column)
                        raise RowError([found], row)
                elif name == "media" and isinstance(value, str):
                    value = [value]
                item[name] = value
        return item

    def _split(self, text: str) -> list[str] | None:
        """Options out of one text; none if their letters do not run from A: an answer would mean another option."""
        if self._mapping.options is None or self._strip is None:
            return [text]
        options = []
        parts = (part.strip() for part in text.split(self._mapping.options.split))
        for letter, part in zip(ascii_uppercase, (part for part in parts if part), strict=False):
            mark = self._strip.match(part)
            letters = re.findall(r"[A-Z]", mark[0].upper()) if mark else []
            if letters and letters != [letter]:
                return None
            options.append(part[mark.end() :].strip() if mark else part)
        return options

    def _csv_rows(self) -> Iterator[tuple[int, dict[str, object] | Problem]]:
        csv.field_size_limit(LONGEST_ROW)
        delimiter = "\t" if self._path.suffix.lower() == ".tsv" else ","
        try:
            with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                reader = csv.reader(file, delimiter=delimiter, strict=True)
                header = next(reader, [])
                absent = [column for column in self._columns() if column not in header]
                if absent:
                    raise InputError(
                        *(
                            problem("no_column", file=self._path, line=1, field=column, columns=", ".join(header))
                            for column in absent
                        )
                    )
                for cells in reader:
                    if not any(cells):
                        continue
                    line = reader.line_num
                    if len(cells) != len(header):
                        yield (
                            line,
                            problem("cell_count", file=self._path, line=line, cells=len(cells), columns=len(header)),
                        )
                    elif any(_ESCAPED_BYTE.search(cell) for cell in cells):
                        yield line, problem("not_utf8_row", file=self._path, line=line)
                    else:
                        yield line, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise InputError(problem("bad_csv", file=self._path, line=reader.line_num, error=str(error))) from error
        except OSError as error:
            raise InputError(problem("unreadable", file=self._path, error=error.strerror or error)) from error
