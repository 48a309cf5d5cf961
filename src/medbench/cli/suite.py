"""`medbench suite`: several models over the same items, then a release and its board."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import print_json, show_progress
from medbench.errors import InputError, WorkError
from medbench.text import current_language, harmless, say


def suite(
    file: Annotated[Path, typer.Argument(help="Suite file (YAML): items, models, judges.")],
    out: Annotated[Path, typer.Option(help="Folder of the suite; made if absent.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Run several models over the same items with the same judges, rank them, and freeze a release with a board page.

    Safe to interrupt: the same command goes on. Runs that are complete are not asked again.

    \b
    Example:
      medbench suite suite.yaml --out suite

    \b
    suite.yaml:
      items: items.jsonl
      models:
        - {name: base, model: "openai:qwen3-8b", base_url: "https://host/v1", api_key_env: KEY}
        - {name: large, model: "openai:qwen3-32b", base_url: "https://host/v1", api_key_env: KEY}
      judges: [judge.toml]
    """
    from medbench.board.release import freeze
    from medbench.runs.suite import RUNS_FOLDER, run_suite

    with show_progress() as watch:
        outcomes = run_suite(file, out, on_run=_tell, watch=watch)
    stopped = {name: outcome.reason for name, outcome in outcomes.items() if outcome.stopped}
    if stopped:
        for name, reason in stopped.items():
            print(f"{say('cli.error')} {harmless(name)}: {harmless(reason)}", file=sys.stderr)
        raise typer.Exit(1)
    try:
        release, path = freeze(out, {name: out / RUNS_FOLDER / name for name in outcomes})
    except InputError as error:
        raise WorkError(say("cli.suite_not_ranked", reason=error, runs=out / RUNS_FOLDER)) from error
    board = None
    if util.find_spec("vl_convert"):
        from medbench.board.report.board import write_board

        board = write_board(out, release, current_language())
    if as_json:
        print_json({"release": release, "file": str(path), "board": str(board) if board else None})
    else:
        print(say("cli.suite_done", id=release.id, models=len(outcomes), board=board or path))


def _tell(name: str) -> None:
    print(harmless(say("cli.suite_run", name=name)), file=sys.stderr, flush=True)
