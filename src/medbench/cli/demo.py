"""`medbench demo`: the bundled model on the bundled items."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import show_progress


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run and its report.html.")] = Path("demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Evaluate the bundled 135M model on the bundled illustrative items; report.html in the folder.

    The items were written for this project and not reviewed by clinicians; the model is weak. It shows the way, not a
    ranking. Run again, it goes on where it stopped.

    \b
    Example:
      medbench demo --out demo
    """
    from importlib.resources import as_file, files

    from medbench.cli.run import finish, with_renderer
    from medbench.items.source import open_source
    from medbench.models.local import LocalModel
    from medbench.runs.config import RUN_FILE, Selection
    from medbench.runs.execute import resume_run, start_run
    from medbench.runs.settings import Settings

    with as_file(files("medbench.demo").joinpath("items.jsonl")) as items, show_progress() as shown:
        watch = with_renderer(shown)
        if (out / RUN_FILE).exists():
            outcome = resume_run(out, items=items, watch=watch)
        else:
            model = LocalModel("smollm2")
            source = open_source(items)
            outcome = start_run(out, source, model, Selection(), Settings(), disclosure="local", watch=watch)
    finish(out, outcome, as_json)
