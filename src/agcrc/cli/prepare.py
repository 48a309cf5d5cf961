"""`agcrc prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import Json, print_json, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def options() -> None:
    """Bring data sets of others into a dataset folder."""


@app.command()
def msd10(
    source: Annotated[Path, typer.Option(help="Task10_Colon as it is published.")],
    masks: Annotated[Path, typer.Option(help="TotalSegmentator masks: NAME.nii.gz, or NAME/segmentations/*.nii.gz.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    copy: Annotated[bool, typer.Option("--copy", help="Copy the images instead of linking them.")] = False,
    as_json: Json = False,
) -> None:
    """The Medical Segmentation Decathlon's colon task, with organ masks beside it.

    \b
    Example:
      agcrc prepare msd10 --source Task10_Colon --masks totalsegmentator --out data
    """
    from agcrc.volumes.msd10 import prepare_msd10

    dataset = prepare_msd10(source, masks, out, link=not copy)
    counts = {"data": str(dataset.folder), "training": len(dataset.training), "test": len(dataset.test)}
    if as_json:
        print_json(counts)
    else:
        say(f"{counts['training']} training and {counts['test']} test cases in {out}")
