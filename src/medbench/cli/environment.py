"""`medbench environment`: worlds with tools that agents work in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import print_json, print_written
from medbench.text import say

app = typer.Typer(
    help="""Worlds with tools that agents work in.

    \b
    Examples:
      medbench environment items --out world
      medbench run --items world/items.jsonl --catalog world/datasets --model openai:NAME --base-url URL --out run
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
_Items = Annotated[Path, typer.Option(help="Bank folder or item JSONL.")]
_Left = Annotated[Path, typer.Option(help="Folder for answers.jsonl and the states that are left; made if absent.")]
_Variant = Annotated[int, typer.Option(min=0, help="Which try of the item this is, from 0.")]
_Catalog = Annotated[Path | None, typer.Option(help="Folder of own dataset definitions (TOML).")]


@app.command("list")
def list_command(as_json: _Json = False) -> None:
    """Name the environments that are installed.

    \b
    Example:
      medbench environment list
    """
    from medbench.agents.registry import BUILT_IN, environment_names

    found = [{"name": name, "built_in": name in BUILT_IN} for name in environment_names()]
    if as_json:
        print_json({"environments": found})
        return
    for each in found:
        print(each["name"])


@app.command()
def items(
    out: Annotated[Path, typer.Option(help="Folder for the items, their data and their datasets; made if absent.")],
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    as_json: _Json = False,
) -> None:
    """Write synthetic items of the built-in environments: records, hospital databases, consultations.

    \b
    Examples:
      medbench environment items --out world
      medbench run --items world/items.jsonl --catalog world/datasets --model openai:NAME --base-url URL --out run
    """
    from medbench.items.synthetic.write import write_items

    print_written(write_items(out, seed), as_json)


@app.command()
def serve(
    items: _Items,
    item: Annotated[str, typer.Option(help="The item: DATASET/ID.")],
    out: _Left,
    variant: _Variant = 0,
    catalog: _Catalog = None,
) -> None:
    """Serve the environment of one item to an agent over MCP (stdin and stdout), and keep the state that it leaves.

    The agent's own configuration starts this command; `medbench environment pending` names the items that are left,
    and `medbench run --model answers:OUT/answers.jsonl` grades.

    \b
    Examples:
      medbench environment serve --items bank --item MedAgentBench/task1_1 --out left
      medbench environment serve --items env/items.jsonl --catalog env/datasets --item SyntheticEHR/find-01 --out left
      medbench run --items env/items.jsonl --catalog env/datasets --model answers:left/answers.jsonl --out run
    """
    from medbench.items.source import open_source
    from medbench.runs.serving import ANSWERS_FILE, serve_item

    if not serve_item(open_source(items, catalog_folder=catalog), item, out, variant):
        print(say("cli.left_early", uid=item, path=out / ANSWERS_FILE), file=sys.stderr)


@app.command("pending")
def pending_command(
    items: _Items,
    out: Annotated[Path, typer.Option(help="Folder that `medbench environment serve` writes to.")],
    dataset: Annotated[list[str] | None, typer.Option(help="Only this dataset, repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N items.")] = None,
    variant: _Variant = 0,
    catalog: _Catalog = None,
    as_json: _Json = False,
) -> None:
    """Name the items with an environment that were not served yet, one a line, so that a shell can go over them.

    With the same --dataset and --limit, `medbench run --model answers:OUT/answers.jsonl` grades them.

    \b
    Examples:
      medbench environment pending --items bank --dataset MedAgentBench --out left
      medbench environment pending --items bank --dataset MedAgentBench --out left | xargs -I {} python agent.py {}
    """
    from medbench.items.source import open_source
    from medbench.runs.config import Selection
    from medbench.runs.serving import pending

    selection = Selection(datasets=tuple(dataset or ()), limit=limit)
    left, served = pending(open_source(items, catalog_folder=catalog), selection, out, variant)
    if as_json:
        print_json({"pending": left, "served": served})
        return
    for uid in left:
        print(uid)
    print(say("cli.pending", left=len(left), served=served), file=sys.stderr)
