"""`agcrc items`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import Json, print_json, progress, say


def items(
    data: Annotated[Path, typer.Option(help="Dataset folder; its test cases become items.")],
    out: Annotated[
        Path | None, typer.Option(help="Item file to write, in or above the dataset folder; DATA/items.jsonl.")
    ] = None,
    slices: Annotated[bool, typer.Option("--slices", help="Also slices on which to find lesions by boxes.")] = False,
    as_json: Json = False,
) -> None:
    """Write the test cases as items for medbench, to compare several segmenters on one board.

    \b
    Examples:
      agcrc items --data data --slices
      medbench run --items data/items.jsonl --catalog data/catalog --model agcrc:run --out bench/run
    """
    from agcrc.items import write_items

    with progress("items") as advance:
        written = write_items(data, out or data / "items.jsonl", slices=slices, progress=advance)
    if as_json:
        print_json(
            {
                "items": str(written.items),
                "catalog": str(written.catalog),
                "volumes": written.volumes,
                "slices": written.slices,
            }
        )
    else:
        say(f"{written.volumes} volumes and {written.slices} slices in {written.items}; --catalog {written.catalog}")
