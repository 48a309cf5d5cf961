"""One training writes into a run's folder at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agcrc.errors import InputError, Problem


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made where it is missing; the system lets go of it however the process ends.

    Raises:
        InputError: Another process trains in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = Problem("another process trains in this folder.", "Wait for it, or end it.", str(folder))
            raise InputError(problem) from error
        yield
