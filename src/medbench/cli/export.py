"""`medbench export`: packages for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medbench.cli.output import print_json
from medbench.text import say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Write packages for elsewhere."""


@app.command()
def submission(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run over the official release.")],
    out: Annotated[Path, typer.Option(help="The zip to write.")],
    track: Annotated[Literal["llm", "multimodal", "agent"] | None, typer.Option(help="Only this track.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the official answer-upload package: the rows of the release with the answers filled in.

    Of a run with several epochs it holds the answers of the first.

    \b
    Example:
      medbench export submission run --track llm --out answers.zip
    """
    from medbench.runs.submission import export_submission

    package = export_submission(run_dir, out, track)
    if as_json:
        print_json(package)
    else:
        print(say("cli.exported", path=package.path, rows=package.rows, files=len(package.files), empty=package.empty))
        if package.rows < package.published:
            print(say("cli.exported_part", rows=package.rows, published=package.published))
        if package.epochs > 1:
            print(say("cli.exported_first_epoch", epochs=package.epochs))
