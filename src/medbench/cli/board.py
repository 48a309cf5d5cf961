"""`medbench board`: aggregate scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medbench.catalog import load_catalog
from medbench.cli.output import print_json
from medbench.text import current_language, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Aggregate scores."""


@app.command()
def aggregate(
    scores: Annotated[Path, typer.Argument(help='JSON object of dataset scores: {"MedExam": 83.3, …}.')],
    track: Annotated[Literal["llm", "multimodal", "agent"], typer.Option(help="The track whose datasets are meant.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Dataset scores -> dimensions and overall, as MedBench aggregates them.

    A missing dataset makes its dimension and the overall score incomplete, never a mean of the rest.

    \b
    Example:
      medbench board aggregate scores.json --track llm --json
    """
    from medbench.board.aggregate import aggregate as compute
    from medbench.board.aggregate import read_scores

    catalog = load_catalog()
    result = compute(read_scores(scores, track, catalog), track, catalog)
    if as_json:
        print_json(result)
        return
    from rich.console import Console
    from rich.table import Table

    titles = {dimension.id: getattr(dimension.title, current_language()) for dimension in catalog.dimensions(track)}
    table = Table(say("board.dimension"), say("board.score"), box=None)
    for name, value in result.dimensions.items():
        table.add_row(titles[name], "–" if value is None else f"{value:.1f}")
    table.add_row(say("board.overall"), "–" if result.overall is None else f"{result.overall:.1f}")
    console = Console()
    console.print(table)
    if result.incomplete:
        console.print(say("board.incomplete", names=", ".join(result.incomplete)), markup=False)
