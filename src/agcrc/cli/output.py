"""What every command shares: JSON on stdout, progress on stderr, errors with their exit codes."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from agcrc.errors import InputError

PLAIN_INTERVAL_S = 10.0
Advance = Callable[[int, int], None]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is a GPU.")]


def harmless(text: object) -> str:
    """A message without what could steer the terminal: it may quote a file's name."""
    return "".join(
        sign if sign in "\n\t" or unicodedata.category(sign) not in {"Cc", "Cf", "Cs"} else "\N{REPLACEMENT CHARACTER}"
        for sign in str(text)
    )


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def say(text: str) -> None:
    """Tell a person something on stderr."""
    print(harmless(text), file=sys.stderr, flush=True)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar on a terminal, a line every ten seconds elsewhere; called with (done, of)."""
    if sys.stderr.isatty():
        yield from _live(what)
    else:
        yield _plain(what)


def _live(what: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task: Any = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _plain(what: str) -> Advance:
    last = time.monotonic()

    def advance(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_INTERVAL_S:
            last = time.monotonic()
            say(f"{what} {done}/{of}")

    return advance


def device_named(name: str) -> str:
    """The device to compute on.

    Raises:
        InputError: There is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu" or (name.startswith("cuda") and torch.cuda.is_available()):
        return name
    raise InputError(f"--device {name}: not here. Use cpu, cuda or auto.")
