"""Pictures and documents that belong to questions: finding, checking, hashing."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, Protocol

from medbench.items.model import Media

LARGEST_MEDIUM = 512 * 1024 * 1024
"""Bytes; what a page, a slice or a document stays far below."""
# Reasons are codes, not sentences: they are part of a question, and its hash must not depend on the reader's language.
Reason = Literal["bad_name", "outside", "absent", "unreadable", "empty", "other_kind", "too_large"]
CHUNK = 1024 * 1024
VOLUMES = (".nii", ".nii.gz")
"""How the names of volumes end, which only imaging models take."""

_SIGNATURES: dict[str, tuple[tuple[int, bytes], ...]] = {
    "png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "jpg": ((0, b"\xff\xd8\xff"),),
    "gif": ((0, b"GIF8"),),
    "bmp": ((0, b"BM"),),
    "tiff": ((0, b"II*\x00"), (0, b"MM\x00*")),
    "webp": ((8, b"WEBP"),),
    "pdf": ((0, b"%PDF"),),
    "dcm": ((128, b"DICM"),),
}
# Cameras and converters often leave a JPEG in a `.png`; any known kind will do, but text or noise will not.
_CHECKED_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pdf"})


class MediaFiles(Protocol):
    """Where a source's media are."""

    def find(self, name: str) -> Media:
        """The medium of that name, with its hash, or with the reason why it is missing. Never raises for a bad file."""

    def path(self, medium: Media) -> Path | None:
        """The file of a medium found before; none when it is missing."""


def bad_name(name: str) -> Reason | Literal[""]:
    """Why a name can't be a path inside a folder, as a reason code; empty when it can.

    Names come from untrusted files: absolute paths, `..`, drive letters, back slashes and control characters are
    refused.
    """
    if not name or any(ord(character) < 32 for character in name):
        return "bad_name"
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or ":" in path.parts[0] or ".." in path.parts or len(name) > 1000:
        return "outside"
    return ""


def kind_of(head: bytes) -> str:
    """What a file is by its first 256 bytes, whatever its name says: `png`, `jpg`, …, `dcm`; empty: nothing known."""
    for kind, signatures in _SIGNATURES.items():
        if any(head[start : start + len(bytes_)] == bytes_ for start, bytes_ in signatures):
            return kind
    return ""


def examine(name: str, stream: BinaryIO) -> Media:
    """Hash a file and look at its first bytes.

    Raises:
        OSError: It can't be read.
    """
    digest, size, head = hashlib.sha256(), 0, b""
    while chunk := stream.read(CHUNK):
        head = head or chunk[:256]
        size += len(chunk)
        if size > LARGEST_MEDIUM:
            return Media(path=name, missing="too_large")
        digest.update(chunk)
    if not size:
        return Media(path=name, missing="empty")
    if PurePosixPath(name).suffix.lower() in _CHECKED_SUFFIXES and not kind_of(head):
        return Media(path=name, missing="other_kind")
    return Media(path=name, sha256=digest.hexdigest(), size=size)


class FolderMedia:
    """Media that item files name relative to a folder.

    Args:
        root: The folder; nothing outside it is read, symbolic links included.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._known: dict[str, Media] = {}

    def find(self, name: str) -> Media:
        """See `MediaFiles`."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._examine(name)
        return known

    def path(self, medium: Media) -> Path | None:
        """See `MediaFiles`."""
        return self._root / medium.path if medium.sha256 else None

    def _examine(self, name: str) -> Media:
        if reason := bad_name(name):
            return Media(path=name, missing=reason)
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root):
                return Media(path=name, missing="outside")
            if not path.is_file():
                return Media(path=name, missing="absent")
            with path.open("rb") as stream:
                return examine(name, stream)
        except (OSError, ValueError):
            return Media(path=name, missing="unreadable")


def pictures(media: Sequence[Media]) -> tuple[Media, ...]:
    """The media that can be shown to somebody who sees: all but volumes and data."""
    return tuple(medium for medium in media if not medium.is_data and not medium.path.lower().endswith(VOLUMES))


class NoMedia:
    """Names media without looking at them; for reading keys, which have none."""

    def find(self, name: str) -> Media:
        """See `MediaFiles`."""
        return Media(path=name)

    def path(self, medium: Media) -> Path | None:
        """See `MediaFiles`."""
        return None


def normal_name(name: str) -> str:
    """The name in Unicode's composed form: archives made on macOS hold the decomposed one."""
    return unicodedata.normalize("NFC", name)


def missing_names(media: Iterator[Media]) -> tuple[str, ...]:
    """Names of media that are missing, each once, in order."""
    return tuple(dict.fromkeys(medium.path for medium in media if medium.missing))
