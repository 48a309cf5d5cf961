"""`medbench agent`: the reference agent's file, and what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import print_json
from medbench.text import current_language, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def init(
    out: Annotated[Path, typer.Option(help="File to write (YAML).")] = Path("agent.yaml"),
    as_json: Json = False,
) -> None:
    """Write the agent's default file, commented, to be changed and run with `--model agent:FILE`.

    \b
    Example:
      medbench agent init --out agent.yaml
      medbench run --items items.jsonl --model agent:agent.yaml --out run
    """
    from importlib.resources import files

    from medbench.errors import InputError, Problem
    from medbench.store.files import write_atomically

    if out.exists():
        raise InputError(Problem(message=say("agent_file.init_exists", path=out), field="--out"))
    write_atomically(out, files("medbench.agents.orchestration").joinpath("agent.yaml").read_bytes())
    print_json({"file": str(out)}) if as_json else print(say("agent_file.init_done", path=out))


@app.command()
def trace(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run of the agent.")],
    out: Annotated[Path | None, typer.Option(help="Page to write; traces.html in the run's folder by default.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most answers shown.")] = 100,
    as_json: Json = False,
) -> None:
    """Write what the agent did as one HTML page in Chinese and English that loads nothing from anywhere.

    \b
    Example:
      medbench agent trace run
    """
    from medbench.board.report.traces import write_traces

    page = write_traces(run_dir, current_language(), limit=limit, out=out)
    print_json(page) if as_json else print(
        say("traces.trace_done", path=page.path, shown=page.shown, traces=page.traces)
    )
