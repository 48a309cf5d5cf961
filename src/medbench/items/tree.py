"""The files of an untrusted folder or zip archive, read within limits (specs/platform.md, section 6).

The size of a zip's directory is bounded before it is parsed, members are refused by name, kind, size and ratio before
anything is unpacked, and nothing is ever written under a name that the archive chose.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

from medbench.errors import InputError, Problem
from medbench.items.media import bad_name, normal_name
from medbench.items.report import problem

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_FILES = 20_000
LARGEST_FILE = 1024**3
LARGEST_TOTAL = 8 * 1024**3
LARGEST_RATIO = 200
RATIO_MATTERS_FROM = 1024**2
"""Bytes unpacked: a short file of repeated text may well shrink by more."""
LARGEST_DIRECTORY = 4 * 1024**2
"""Bytes of a zip's directory, of which a member takes 46 and its name: 20,000 members with names of 160 bytes."""


class Tree(Protocol):
    """Files by their path relative to the root, with `/`, in Unicode's composed form."""

    @property
    def name(self) -> str:
        """The folder or archive, as the user named it."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all regular files, sorted."""

    def open(self, path: str) -> BinaryIO:
        """Open one of `files`.

        Raises:
            OSError: It can't be read.
        """

    def local(self, path: str) -> Path:
        """One of `files` as a file on this machine."""


def open_tree(path: Path) -> Tree:
    """Open a folder or a zip archive.

    Raises:
        InputError: It is neither, or the archive is damaged, hostile or too large.
    """
    return FolderTree(path) if path.is_dir() else ZipTree(path)


class FolderTree:
    """A folder. Symbolic links are not followed; files that links bring in from elsewhere do not exist here."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name = str(root)
        found: dict[str, Path] = {}
        for folder, names, files in os.walk(root):
            names.sort()
            for file in files:
                path = Path(folder, file)
                if path.is_symlink() or not path.is_file():
                    continue
                found[normal_name(path.relative_to(root).as_posix())] = path
                if len(found) > MOST_FILES:
                    raise InputError(problem("too_many_files", file=root, most=MOST_FILES))
        self._found = found
        self.files = tuple(sorted(found))

    def open(self, path: str) -> BinaryIO:
        """See `Tree`."""
        return self._found[path].open("rb")

    def local(self, path: str) -> Path:
        """See `Tree`."""
        return self._found[path]


class ZipTree:
    """A zip archive. Members are unpacked one by one, when a file on this machine is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self._local: dict[str, Path] = {}
        with _zip_errors(path):
            self._archive = zipfile.ZipFile(cast(BinaryIO, _MeasuredFile(path)))
            members = self._archive.infolist()
        if len(members) > MOST_FILES:
            raise InputError(problem("too_many_files", file=path, most=MOST_FILES))
        problems = list(_hostile_members(path, members))
        if problems:
            raise InputError(*problems)
        self._members = {normal_name(_member_name(member)): member for member in members if not member.is_dir()}
        self.files = tuple(sorted(self._members))

    def open(self, path: str) -> BinaryIO:
        """See `Tree`."""
        with _damage_as_os_error():
            return io.BufferedReader(_Member(self._archive.open(self._members[path])))

    def local(self, path: str) -> Path:
        """See `Tree`."""
        known = self._local.get(path)
        if known is None:
            if self._unpacked is None:
                self._unpacked = tempfile.TemporaryDirectory(prefix="medbench-")
            known = Path(self._unpacked.name, f"{len(self._local)}{_plain_suffix(path)}")
            with _zip_errors(self._path), self.open(path) as stream, known.open("wb") as file:
                shutil.copyfileobj(stream, file)
            self._local[path] = known
        return known


def _plain_suffix(path: str) -> str:
    suffix = PurePosixPath(path).suffix
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 8 else ""


def _hostile_members(path: Path, members: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    total = 0
    names: set[str] = set()
    for member in members:
        name = _member_name(member)
        shown = name[:120].encode("unicode_escape", "replace").decode() if not name.isprintable() else name[:120]
        kind = stat.S_IFMT(member.external_attr >> 16)
        # `ZipInfo` cuts a name at NUL and keeps the whole one apart: a name with two readings is refused.
        if member.filename != member.orig_filename or bad_name(name.rstrip("/")):
            yield problem("zip_bad_name", file=path, field=shown)
        elif name in names:
            yield problem("zip_twice", file=path, field=shown)
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield problem("zip_not_a_file", file=path, field=shown)
        elif member.flag_bits & 0x1:
            yield problem("zip_encrypted", file=path, field=shown)
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield problem("zip_method", file=path, field=shown)
        elif PurePosixPath(name).suffix.lower() in (".zip", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"):
            yield problem("zip_nested", file=path, field=shown)
        elif member.file_size > LARGEST_FILE:
            yield problem("zip_file_too_large", file=path, field=shown, most=LARGEST_FILE // 1024**2)
        elif member.file_size > max(RATIO_MATTERS_FROM, LARGEST_RATIO * member.compress_size):
            yield problem("zip_ratio", file=path, field=shown, most=LARGEST_RATIO)
        total += member.file_size
        names.add(name)
    if total > LARGEST_TOTAL:
        yield problem("zip_total", file=path, most=LARGEST_TOTAL // 1024**2)


def _member_name(member: zipfile.ZipInfo) -> str:
    """The name as its maker meant it: tools on Chinese systems write UTF-8 or GBK without the UTF-8 flag."""
    if member.flag_bits & 0x800 or member.filename.isascii():
        return member.filename
    raw = member.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


class _Member(io.RawIOBase):
    """A member's content; damage is an OSError, as with any other file that can't be read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        with _damage_as_os_error():
            content = self._stream.read(len(view))
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def _damage_as_os_error() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise OSError(str(error)) from error


class _MeasuredFile(io.FileIO):
    """A zip file that does not hand out its directory in one piece larger than it may be.

    `zipfile` reads as many bytes of directory as the end record names, whatever number of members that record claims;
    so this one read is what has to be bounded.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_DIRECTORY:
            raise InputError(problem("too_many_files", file=str(self.name), most=MOST_FILES))
        return super().read(size) or b""


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, struct.error, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(problem("not_a_zip", file=path)) from error
    except OSError as error:
        raise InputError(problem("unreadable", file=path, error=error.strerror or error)) from error
