"""`agcrc sampling`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def options() -> None:
    """Where patches are drawn."""


@app.command()
def plot(
    case: Annotated[Path, typer.Option(help="A prepared case: RUN/prepared/NAME.")],
    out: Annotated[Path, typer.Option(help="Picture to write.")],
    patch: Annotated[int, typer.Option(min=8, help="Side of a patch in voxels.")] = 32,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Draw where patches fall: uniform, a third on lesions, weighted, guided by anatomy.

    \b
    Example:
      agcrc sampling plot --case run/prepared/phantom_1000 --out sampling.png
    """
    import numpy as np

    from agcrc.sampling import SamplingCase
    from agcrc.sampling.plot import plot_sampling
    from agcrc.volumes.cases import open_case

    found = open_case(case)
    known = SamplingCase(
        found.name,
        found.grid.spacing,
        np.asarray(found.lesion) > 0,
        np.asarray(found.ooi),
        np.asarray(found.distance_mm, dtype=np.float32),
    )
    plot_sampling(out, known, (patch, patch, patch), seed)
    say(str(out))
