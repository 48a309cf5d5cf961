"""Files that appear together, the one they are about last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agcrc.errors import WorkError


@contextmanager
def appearing_together(out: Path) -> Iterator[Path]:
    """A folder to make files in; at the end all of them move beside `out`, the one of its name last.

    Raises:
        WorkError: They can't be written; `out` does not appear then.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            yield Path(folder)
            for path in sorted(Path(folder).iterdir(), key=lambda each: (each.name == out.name, each.name)):
                path.replace(out.parent / path.name)
    except OSError as error:
        raise WorkError(f"{out}: can't be written: {error.strerror or error}") from error
