"""Files that are whole or absent, and locks that die with their process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from medbench.errors import InputError, Problem, WorkError
from medbench.text import say

LOCK_FILE = ".lock"
LOCK_PATIENCE_S = 0.5


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises:
        WorkError: The file can't be written (disk full, no permission); the old one is untouched.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise WorkError(say("store.unwritable", path=path, error=error.strerror or error)) from error


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON; see `write_atomically`."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def made(folder: Path, field: str) -> Path:
    """The folder that a user named, made if absent.

    Args:
        folder: The folder.
        field: Option that named it, for the error.

    Raises:
        InputError: It can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = say("store.unwritable", path=folder, error=error.strerror or error)
        raise InputError(Problem(message=message, field=field)) from error
    return folder


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder now; asking takes the lock for a moment, for which `exclusive` waits."""
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # a folder that can't be written is held by nobody who would write there


@contextmanager
def exclusive(folder: Path, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
    """Hold the folder for this process; the operating system lets go when the process ends, however it ends.

    Args:
        folder: The folder.
        patience_s: Seconds to wait for another process.

    Raises:
        InputError: Another process holds it, or the folder can't be written.
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=patience_s, poll_interval=0.02)
    except Timeout as error:
        raise InputError(say("store.in_use", path=folder)) from error
    except OSError as error:
        raise InputError(say("store.unwritable", path=folder, error=error.strerror or error)) from error
    try:
        yield
    finally:
        lock.release()
