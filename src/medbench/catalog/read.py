"""Reading dataset files: TOML to typed data, every failure a Problem with its file and field."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from medbench.catalog.model import Dataset
from medbench.errors import InputError, Problem
from medbench.text import say

_TOML_LINE = re.compile(r"at line (\d+)")
# msgspec ends its message with the place, "... - at `$.parts[0]`", and names a missing or unknown field before it.
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_FIELD = re.compile(r"(?:missing required|contains unknown) field `([^`]*)`")


def read_folder(folder: Path) -> tuple[list[tuple[Path, Dataset]], list[Problem]]:
    """Read every `*.toml` of a folder as a dataset, in the order of their names.

    Returns:
        The datasets that could be read, each with its file, and the problems of the others.

    Raises:
        InputError: There is no such folder, or no dataset file in it.
    """
    if not folder.is_dir():
        raise InputError(
            Problem(message=say("catalog.not_a_folder"), advice=say("catalog.not_a_folder_advice"), file=str(folder))
        )
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise InputError(
            Problem(message=say("catalog.no_files"), advice=say("catalog.not_a_folder_advice"), file=str(folder))
        )
    datasets: list[tuple[Path, Dataset]] = []
    problems: list[Problem] = []
    for file in files:
        read = _read_dataset(file)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            datasets.append((file, read))
    return datasets, problems


def _read_dataset(file: Path) -> Dataset | Problem:
    name = str(file)
    try:
        # A byte order mark, as some editors write it, is not part of the text.
        table: dict[str, Any] = tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        return Problem(message=say("catalog.unreadable", reason=error.strerror or error), file=name)
    except UnicodeDecodeError:
        return Problem(message=say("catalog.not_utf8"), advice=say("catalog.not_utf8_advice"), file=name)
    except tomllib.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        return Problem(
            message=say("catalog.bad_toml", reason=error), file=name, line=int(line[1]) if line is not None else None
        )
    try:
        return msgspec.convert(table, Dataset)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        member = _FIELD.search(str(error))
        path = [found[1] for found in (place, member) if found is not None and found[1]]
        return Problem(
            message=say("catalog.bad_value", reason=_PLACE.sub("", str(error))),
            advice=say("catalog.bad_value_advice"),
            file=name,
            field=".".join(path) or None,
        )
