"""Files that a system under test made, kept with its run by their content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from medbench.errors import WorkError
from medbench.store.files import write_atomically
from medbench.text import say

ARTIFACTS_FOLDER = "artifacts"
_SUFFIX = re.compile(r"(?:\.[a-z0-9]{1,8}){1,2}")
_REFERENCE = re.compile(rf"([0-9a-f]{{64}}){_SUFFIX.pattern}")


class Artifacts:
    """The files of a run, each under the SHA-256 of its content: the same content is kept once.

    Args:
        folder: Where they are; made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes, suffix: str) -> str:
        """Keep a file, durably, and return its reference `SHA256SUFFIX`.

        Raises:
            WorkError: It can't be written.
            ValueError: The suffix is none such as `.json` or `.nii.gz`.
        """
        if not _SUFFIX.fullmatch(suffix):
            raise ValueError(f"{suffix!r} is no suffix")
        reference = hashlib.sha256(content).hexdigest() + suffix
        path = self._folder / reference
        if not path.exists():
            try:
                self._folder.mkdir(exist_ok=True)
            except OSError as error:
                raise WorkError(say("store.unwritable", path=path, error=error.strerror or error)) from error
            write_atomically(path, content)
        return reference

    def path(self, reference: str) -> Path | None:
        """The file of a reference; None where there is none or its content is another one."""
        named = _REFERENCE.fullmatch(reference)
        if named is None:
            return None
        path = self._folder / reference
        try:
            with path.open("rb") as file:
                return path if hashlib.file_digest(file, "sha256").hexdigest() == named[1] else None
        except OSError:
            return None
