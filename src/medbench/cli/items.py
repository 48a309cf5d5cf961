"""`medbench items`: import and validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medbench.cli.keypoints import import_keypoints, propose_keypoints
from medbench.cli.output import print_json
from medbench.items.importing import ImportOutcome, ImportRequest, ItemFormat, import_items
from medbench.text import say

app = typer.Typer(help="Import and validate items. 导入与校验题目。", no_args_is_help=True, rich_markup_mode=None)

SHOWN_WARNINGS = 20

_PathArgument = Annotated[Path, typer.Argument(help="Item file, or folder or zip of the official release.")]
_Format = Annotated[
    ItemFormat | None, typer.Option("--format", help="How the source is written; default: by its name.")
]
_Mapping = Annotated[
    Path | None, typer.Option(help="Mapping (TOML) of columns to fields: for CSV, and for JSONL of another shape.")
]
_Catalog = Annotated[Path | None, typer.Option(help="Folder with one's own dataset definitions (TOML).")]
_Skip = Annotated[Path | None, typer.Option(help="Set bad rows aside in this JSONL file and go on.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
_Disclosure = Annotated[
    Literal["local", "hidden"] | None,
    typer.Option(help="Of a new bank. local: you own the keys; hidden: right and wrong per item stay with the scorer."),
]


@app.command("import")
def import_command(
    path: _PathArgument,
    format_: _Format = None,
    mapping: _Mapping = None,
    into: Annotated[Path | None, typer.Option(help="Bank (folder) to store in; without it nothing is stored.")] = None,
    catalog: _Catalog = None,
    skip_invalid: _Skip = None,
    disclosure: _Disclosure = None,
    as_json: _Json = False,
) -> None:
    """Import items into a bank, all or none.

    \b
    Examples:
      medbench items import medbench_v4_release --format medbench-v4 --into bank
      medbench items import items.jsonl --into bank --disclosure hidden
      medbench items import conversations.jsonl --format healthbench --into bank
      medbench items import medagentbench --format medagentbench --into bank
      medbench items import agentclinic_medqa.jsonl --format agentclinic --into bank
      medbench items import val.jsonl --mapping cmexam.toml --into bank --skip-invalid rejected.jsonl
    """
    outcome = import_items(
        ImportRequest(
            path=path,
            format=format_,
            mapping=mapping,
            into=into,
            catalog_folder=catalog,
            skip_invalid=skip_invalid,
            disclosure=disclosure,
        )
    )
    _show(outcome, as_json=as_json, validating=False, skip_invalid=skip_invalid)


@app.command("validate")
def validate_command(
    path: _PathArgument,
    format_: _Format = None,
    mapping: _Mapping = None,
    catalog: _Catalog = None,
    skip_invalid: _Skip = None,
    as_json: _Json = False,
) -> None:
    """Check items and print every problem with its place and advice; nothing is stored.

    \b
    Examples:
      medbench items validate items.jsonl
      medbench items validate exam.csv --format csv --mapping exam.toml --json
    """
    outcome = import_items(
        ImportRequest(path=path, format=format_, mapping=mapping, catalog_folder=catalog, skip_invalid=skip_invalid)
    )
    _show(outcome, as_json=as_json, validating=True, skip_invalid=skip_invalid)


app.command()(propose_keypoints)
app.command()(import_keypoints)


def _show(outcome: ImportOutcome, *, as_json: bool, validating: bool, skip_invalid: Path | None) -> None:
    """Print the summary, then refuse if there was an error."""
    summary, report = outcome
    if as_json:
        print_json(summary)
        report.raise_errors()
        return
    # What a refusal lists itself is not printed twice.
    notes = [problem for problem in summary.problems if problem.severity == "warning" or not report.errors]
    shown = notes if validating else notes[:SHOWN_WARNINGS]
    for problem in shown:
        typer.echo(str(problem), err=True)
    if len(shown) < len(notes):
        typer.echo(say("items.summary_more_warnings", count=len(notes) - len(shown)), err=True)
    report.raise_errors()
    _print_table(outcome)
    counts = {"items": summary.items, "rows": summary.rows, "datasets": summary.datasets}
    if summary.into is not None:
        typer.echo(say("items.summary_stored", language=None, into=summary.into, **counts))
    else:
        typer.echo(say("items.summary_valid" if validating else "items.summary_not_stored", language=None, **counts))
    typer.echo(say("items.summary_keys" if summary.keys else "items.summary_no_keys", keys=summary.keys))
    if summary.media.found or summary.media.missing:
        typer.echo(say("items.summary_media", found=summary.media.found, missing=len(summary.media.missing)))
    if summary.skipped:
        typer.echo(say("items.summary_skipped", skipped=summary.skipped, file=skip_invalid))
    typer.echo(say("items.summary_fingerprint", fingerprint=summary.fingerprint))


def _print_table(outcome: ImportOutcome) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(say("items.column_dataset"))
    for name in ("items", "rows"):
        table.add_column(say(f"items.column_{name}"), justify="right")
    for dataset, numbers in outcome.summary.by_dataset.items():
        table.add_row(Text(dataset), str(numbers["items"]), str(numbers["rows"]))
    for track, numbers in outcome.summary.by_track.items():
        table.add_row(Text(f"= {track}"), str(numbers["items"]), str(numbers["rows"]))
    Console(highlight=False).print(table)
