"""A bank of items: a folder with questions and keys in two files that only their owner may read.

    bank.json           format version, disclosure, version of medbench that made it
    questions.sqlite    questions by ordinal and uid
    keys.sqlite         keys by the same ordinals; only `medbench.items.keys` reads them
    media/ab/abcd…      media by SHA-256
    key_media/ab/abcd…  answers that are files; as secret as the keys
    datasets/*.toml     definitions of the datasets that the built-in catalog does not have

An import is all or nothing, also under `kill -9`: a new bank is made beside its place and renamed; an addition is one
transaction over both files, which SQLite makes atomic with its rollback journal (not with WAL).
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from medbench import __version__
from medbench.catalog.catalog import Catalog
from medbench.catalog.load import load_catalog
from medbench.catalog.model import Dataset
from medbench.errors import InputError, Problem, WorkError
from medbench.items.datasets import dataset_file_name, dataset_toml
from medbench.items.model import Media, Question
from medbench.items.report import problem
from medbench.items.survey import Fingerprint, Selection, rows_of
from medbench.store.files import write_atomically
from medbench.store.sqlite import BUSY_TIMEOUT_S, database_errors, transaction
from medbench.text import say

Disclosure = Literal["local", "hidden"]
FORMAT = 1
SALT_BYTES = 32

_MARK = "bank.json"
_QUESTIONS = "questions.sqlite"
KEYS_FILE = "keys.sqlite"
_MEDIA = "media"
KEY_MEDIA = "key_media"
_SCHEMA = """
CREATE TABLE main.question (
    ordinal INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, rows INTEGER NOT NULL, json BLOB NOT NULL
);
CREATE TABLE keys.key (ordinal INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, json BLOB NOT NULL);
CREATE TABLE keys.salt (value BLOB NOT NULL);
"""
_encode = msgspec.json.Encoder(order="deterministic").encode


class BankMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `bank.json` says.

    Attributes:
        format: Version of the layout.
        disclosure: Who may see right and wrong per item.
        created_by: Version of medbench.
    """

    format: int
    disclosure: Disclosure
    created_by: str


def is_bank(path: Path) -> bool:
    """Whether a folder is a bank."""
    return (path / _MARK).is_file()


class Bank:
    """Questions of a bank; an `ItemSource`.

    Args:
        path: Its folder.

    Raises:
        InputError: It is damaged or from a newer version.
    """

    kind: Literal["bank"] = "bank"

    def __init__(self, path: Path) -> None:
        self.path = path
        mark = _read_mark(path)
        self.disclosure: Disclosure = mark.disclosure
        self.catalog = bank_catalog(path)
        fingerprint = Fingerprint()
        self.count = self.rows = 0
        with _reading(path / _QUESTIONS) as connection:
            for rows, json in connection.execute("SELECT rows, json FROM question ORDER BY ordinal"):
                self.count += 1
                self.rows += rows
                # The stored bytes are the canonical JSON, so their hash is the public hash.
                fingerprint.add_canonical(json)
        self.fingerprint = fingerprint.hex()

    def questions(self) -> Iterator[Question]:
        """All questions in their order."""
        decode = msgspec.json.Decoder(Question).decode
        with _reading(self.path / _QUESTIONS) as connection:
            for (json,) in connection.execute("SELECT json FROM question ORDER BY ordinal"):
                yield decode(json)

    def media_path(self, media: Media) -> Path | None:
        """The file of a medium in the store."""
        path = media_place(self.path / _MEDIA, media.sha256) if media.sha256 else None
        return path if path is not None and path.is_file() else None


def import_into(bank: Path, selection: Selection, catalog: Catalog, disclosure: Disclosure | None) -> int:
    """Add items to a bank, all or none; items that are there already with the same content are passed over.

    Args:
        bank: The folder; made if it is not there.
        selection: The items.
        catalog: Their datasets; those that the built-in catalog does not have are kept with the bank.
        disclosure: For a new bank (default `local`); an existing bank's can't be changed here.

    Returns:
        Number of items added.

    Raises:
        InputError: An item is there with other content, or the folder is something else.
        WorkError: The files can't be written.
    """
    if is_bank(bank):
        mark = _read_mark(bank)
        if disclosure is not None and disclosure != mark.disclosure:
            raise InputError(problem("other_disclosure", file=bank, disclosure=mark.disclosure))
        return _add(bank, selection, catalog)
    if bank.exists() and (not bank.is_dir() or any(bank.iterdir())):
        raise InputError(problem("not_a_bank", file=bank))
    mark = BankMark(FORMAT, disclosure or "local", __version__)
    try:
        bank.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{bank.name}.", dir=bank.parent, ignore_cleanup_errors=True
        ) as folder:
            new = Path(folder, "bank")
            new.mkdir(mode=0o700)
            _create(new)
            added = _add(new, selection, catalog)
            write_atomically(new / _MARK, msgspec.json.encode(mark) + b"\n")
            new.rename(bank)
    except OSError as error:
        raise WorkError(say("store.unwritable", path=bank, error=error.strerror or error)) from error
    return added


def _create(bank: Path) -> None:
    for name in (_QUESTIONS, KEYS_FILE):
        os.close(os.open(bank / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _writing(bank) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO keys.salt VALUES (?)", (secrets.token_bytes(SALT_BYTES),))


def _add(bank: Path, selection: Selection, catalog: Catalog) -> int:
    own: dict[str, Dataset] = {}
    with _writing(bank) as connection, transaction(connection):
        added = _insert(connection, bank, selection, catalog, own)
        # Definitions and media are there before the commit: without items that use them they change nothing.
        _keep_datasets(bank, own.values(), connection)
    return added


def _insert(
    connection: sqlite3.Connection, bank: Path, selection: Selection, catalog: Catalog, own: dict[str, Dataset]
) -> int:
    built_in = load_catalog().datasets
    (ordinal,) = connection.execute("SELECT coalesce(max(ordinal), 0) FROM main.question").fetchone()
    before: int = ordinal
    changed: list[Problem] = []
    fingerprint = Fingerprint()
    for question, key, place, _ in selection.items():
        json, key_json = _encode(question), _encode(key)
        fingerprint.add_canonical(json)
        present = connection.execute(
            "SELECT ordinal, json = ? FROM main.question WHERE uid = ?", (json, question.uid)
        ).fetchone()
        if present is not None:
            # SQLite compares the keys: none leaves its file.
            (same_key,) = connection.execute(
                "SELECT count(*) FROM keys.key WHERE ordinal = ? AND json = ?", (present[0], key_json)
            ).fetchone()
            if not (present[1] and same_key):
                name = "question_changed" if not present[1] else "key_changed"
                changed.append(problem(name, file=place.file, line=place.line, field="id", uid=question.uid))
            continue
        ordinal += 1
        connection.execute(
            "INSERT INTO main.question VALUES (?, ?, ?, ?)", (ordinal, question.uid, rows_of(question), json)
        )
        connection.execute("INSERT INTO keys.key VALUES (?, ?, ?)", (ordinal, question.uid, key_json))
        if question.dataset not in built_in:
            own[question.dataset] = catalog.datasets[question.dataset]
        for medium in question.media:
            _keep_medium(bank / _MEDIA, medium, selection)
        for medium in key.media:
            _keep_medium(bank / KEY_MEDIA, medium, selection)
    if changed:
        raise InputError(*changed)
    if fingerprint.hex() != selection.fingerprint:
        raise InputError(problem("source_changed"))
    return int(ordinal) - before


def _keep_medium(folder: Path, medium: Media, selection: Selection) -> None:
    place = media_place(folder, medium.sha256) if medium.sha256 else None
    if place is None or place.exists():
        return
    origin = selection.reader.media.path(medium)
    if origin is None:
        raise InputError(problem("source_changed"))
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as copy:
        try:
            with origin.open("rb") as stream:
                shutil.copyfileobj(stream, copy)
            Path(copy.name).replace(place)
        except BaseException:
            Path(copy.name).unlink(missing_ok=True)
            raise


def _keep_datasets(bank: Path, datasets: Iterable[Dataset], connection: sqlite3.Connection) -> None:
    folder = bank / "datasets"
    for dataset in datasets:
        path = folder / dataset_file_name(dataset.name)
        content = dataset_toml(dataset).encode()
        if path.exists():
            if path.read_bytes() == content:
                continue
            pattern = f"{dataset.name}/"
            (used,) = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM main.question WHERE substr(uid, 1, ?) = ?)", (len(pattern), pattern)
            ).fetchone()
            if used:
                raise InputError(problem("dataset_changed", file=path, name=dataset.name))
        folder.mkdir(exist_ok=True)
        write_atomically(path, content)


def media_place(folder: Path, sha256: str) -> Path:
    """Where a folder of media keeps a file."""
    return folder / sha256[:2] / sha256


def bank_catalog(bank: Path | None) -> Catalog:
    """The built-in datasets and, for a bank, its own.

    Raises:
        InputError: A definition in the bank is wrong.
    """
    folder = bank / "datasets" if bank is not None and is_bank(bank) else None
    return load_catalog().with_datasets(folder) if folder is not None and folder.is_dir() else load_catalog()


def _read_mark(bank: Path) -> BankMark:
    try:
        mark = msgspec.json.decode((bank / _MARK).read_bytes(), type=BankMark)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(problem("bank_damaged", file=bank / _MARK)) from error
    if mark.format != FORMAT:
        raise InputError(say("store.newer", path=bank, version=mark.format))
    if not (bank / _QUESTIONS).is_file():
        raise InputError(problem("bank_damaged", file=bank / _QUESTIONS))
    return mark


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with database_errors(path), closing(connect_existing(path)) as connection:
        yield connection


@contextmanager
def _writing(bank: Path) -> Iterator[sqlite3.Connection]:
    with database_errors(bank), closing(connect_existing(bank / _QUESTIONS)) as connection:
        connection.execute("ATTACH ? AS keys", (str(bank / KEYS_FILE),))
        yield connection


def connect_existing(path: Path) -> sqlite3.Connection:
    """Open a file of a bank. Read-write where permissions allow, so that what a killed import left is rolled back."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
