"""Files that are whole or absent, and locks that die with their process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from medbench.errors import InputError, WorkError
from medbench.text import say


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


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the operating system lets go when the process ends, however it ends.

    Raises:
        InputError: Another process holds it, or the folder can't be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(say("store.in_use", path=folder)) from error
    except OSError as error:
        raise InputError(say("store.unwritable", path=folder, error=error.strerror or error)) from error
    try:
        yield
    finally:
        lock.release()
