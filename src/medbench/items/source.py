"""Where items come from: a bank, an item file or the official release, behind one protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from medbench.catalog.catalog import Catalog
from medbench.catalog.load import load_catalog
from medbench.errors import InputError
from medbench.items.bank import Bank, Disclosure, is_bank
from medbench.items.jsonl import JsonlReader
from medbench.items.media import FolderMedia
from medbench.items.model import Media, Question
from medbench.items.official import OfficialReader
from medbench.items.report import problem
from medbench.items.rows import ItemReader
from medbench.items.spool import Spool
from medbench.items.survey import Selection, survey
from medbench.items.tree import open_tree

SourceKind = Literal["bank", "jsonl", "medbench-v4"]


class ItemSource(Protocol):
    """Questions to ask, in a stable order, and never their keys."""

    @property
    def path(self) -> Path:
        """As the user named it."""

    @property
    def kind(self) -> SourceKind:
        """What it is."""

    @property
    def catalog(self) -> Catalog:
        """The built-in datasets and those of the source."""

    @property
    def count(self) -> int:
        """Number of items."""

    @property
    def rows(self) -> int:
        """Rows of the source: an item counts once for each variant that came with it."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the public hashes in order."""

    @property
    def disclosure(self) -> Disclosure:
        """Who may see right and wrong per item."""

    def questions(self) -> Iterator[Question]:
        """All questions, streamed; the same order each time."""

    def media_path(self, media: Media) -> Path | None:
        """The file of a medium; none when it is missing."""


class FileSource:
    """An item file or an official release, validated once when it is opened."""

    def __init__(self, path: Path, kind: SourceKind, catalog: Catalog, selection: Selection, spool: Spool) -> None:
        self.path = path
        self.kind: SourceKind = kind
        self.catalog = catalog
        self.count = selection.count
        self.rows = selection.rows
        self.fingerprint = selection.fingerprint
        self.disclosure: Disclosure = "local"
        self.warnings = tuple(selection.report.all())
        self._media = selection.reader.media
        self._spool = spool

    def questions(self) -> Iterator[Question]:
        """See `ItemSource`; what was read when the source was opened, also if the file has changed since."""
        return iter(self._spool)

    def media_path(self, media: Media) -> Path | None:
        """See `ItemSource`."""
        return self._media.path(media)


def open_source(path: Path, *, catalog_folder: Path | None = None) -> ItemSource:
    """Open a bank folder, an item JSONL file or the official release (folder or zip).

    Args:
        path: Where it is.
        catalog_folder: One's own dataset definitions, for an item file.

    Raises:
        InputError: With everything that is wrong.
    """
    kind = source_kind(path)
    if kind == "bank":
        return Bank(path)
    catalog = catalog_with(catalog_folder)
    spool = Spool()
    selection, _ = survey(open_reader(path, kind, catalog), spool=spool)
    selection.report.raise_errors()
    return FileSource(path, kind, catalog, selection, spool)


def source_kind(path: Path) -> SourceKind:
    """What kind of source a path is.

    Raises:
        InputError: There is nothing, or it can't be a source.
    """
    if not path.exists():
        raise InputError(problem("no_source", file=path))
    if path.is_dir():
        return "bank" if is_bank(path) else "medbench-v4"
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return "medbench-v4"
    if suffix in (".csv", ".tsv", ".toml", ".xlsx", ".parquet"):
        raise InputError(problem("needs_import", file=path))
    return "jsonl"


def open_reader(path: Path, kind: Literal["jsonl", "medbench-v4"], catalog: Catalog) -> ItemReader:
    """A reader of an item file or release.

    Raises:
        InputError: The archive is damaged or hostile.
    """
    if kind == "medbench-v4":
        return OfficialReader(open_tree(path), catalog)
    return JsonlReader(path, catalog, FolderMedia(path.parent))


def catalog_with(folder: Path | None) -> Catalog:
    """The built-in catalog, extended by a folder of dataset definitions.

    Raises:
        InputError: A definition is wrong.
    """
    return load_catalog() if folder is None else load_catalog().with_datasets(folder)
