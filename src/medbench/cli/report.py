"""`medbench report`: write the report of a run again, or print its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medbench.cli.output import print_json
from medbench.text import current_language, say


def report(
    run_dir: Annotated[Path, typer.Argument(help="Folder of the run.")],
    output: Annotated[
        Literal["html", "json"], typer.Option("--format", help="html: report.html in the folder; json: on stdout.")
    ] = "html",
    price_input: Annotated[float, typer.Option(min=0.0, help="Price per million input tokens, for the cost.")] = 0.0,
    price_output: Annotated[float, typer.Option(min=0.0, help="Price per million output tokens.")] = 0.0,
    control: Annotated[
        list[Path] | None,
        typer.Option(help="Run of the same model with --media-control, repeatable: shows what the pictures add."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write the report of a scored run: one HTML file in Chinese and English that loads nothing from anywhere.

    \b
    Examples:
      medbench report run
      medbench report run --control run-removed --control run-swapped
      medbench report run --json
    """
    from medbench.board.summary import load_summary

    summary = load_summary(run_dir)
    if as_json or output == "json":
        print_json(summary)
        return
    from medbench.board.report.render import write_report
    from medbench.engine.budget import Price

    price = Price(input=price_input, output=price_output)
    path = write_report(run_dir, summary, current_language(), price=price, controls=control or [])
    print(say("report.written", path=path))
