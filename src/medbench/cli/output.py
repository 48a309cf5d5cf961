"""What every command shares: JSON on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from medbench.engine.progress import Progress, on_screen
from medbench.text import say

if TYPE_CHECKING:
    from medbench.items.synthetic.write import Written

PLAIN_INTERVAL_S = 10.0


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_written(written: Written, as_json: bool) -> None:
    """Print where items that come with the program were written, and how many of each dataset."""
    if as_json:
        print_json(written)
        return
    for dataset, count in written.counts.items():
        print(f"{dataset}  {count}")
    print(say("cli.items_written", items=written.items, catalog=written.catalog))


@contextmanager
def show_progress() -> Iterator[Callable[[Progress], None]]:
    """A live line on a terminal, a plain line every ten seconds elsewhere; always on stderr."""
    if sys.stderr.isatty():
        yield from _live()
    else:
        yield _plain()


def progress_line(progress: Progress) -> str:
    """One line: how much is done, how fast, what it took, what went wrong."""
    rate = progress.rate()
    left = (progress.total - progress.done) / rate if rate > 0 else None
    line = say(
        "cli.progress",
        done=f"{progress.done:,}",
        total=f"{progress.total:,}",
        rate=f"{rate:.1f}",
        eta=_duration(left),
        tokens=f"{progress.input_tokens + progress.output_tokens:,}",
        in_flight=progress.in_flight,
        limit=progress.limit,
    )
    if progress.cost is not None:
        line += say("cli.progress_cost", cost=f"{progress.cost:.2f}")
    troubles = {**progress.by_error}
    for code, count in progress.retries.items():
        troubles[f"{code}↻"] = count
    return line + "".join(f"  {code}×{count}" for code, count in sorted(troubles.items()))


def _plain() -> Callable[[Progress], None]:
    last = time.monotonic()

    def watch(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_INTERVAL_S:
            last = time.monotonic()
            print(progress_line(progress), file=sys.stderr, flush=True)

    return watch


def _live() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(), TextColumn("{task.description}", markup=False), console=Console(stderr=True)) as bar:
        task: Any = bar.add_task("", total=None)

        def watch(progress: Progress) -> None:
            bar.update(task, description=progress_line(progress), completed=progress.done, total=progress.total)

        @contextmanager
        def away() -> Iterator[None]:
            bar.stop()
            try:
                yield
            finally:
                bar.start()

        with on_screen(away):
            yield watch


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
