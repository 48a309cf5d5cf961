"""`medbench items propose-keypoints` and `import-keypoints`: a model proposes, a person decides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import print_json, show_progress
from medbench.text import harmless, say

_Items = Annotated[Path, typer.Argument(help="Item file (JSONL).")]
_Catalog = Annotated[Path | None, typer.Option(help="Folder with one's own dataset definitions (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def propose_keypoints(
    items: _Items,
    model: Annotated[str, typer.Option(help="A model as in `medbench run --model`, or a judge file (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder for keypoints.xlsx; the same command goes on there.")],
    base_url: Annotated[
        str | None, typer.Option(help="Address of the model's endpoint, where no file says it.")
    ] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds its API key.")] = None,
    catalog: _Catalog = None,
    as_json: _Json = False,
) -> None:
    """Let a model propose key points from reference answers, on a sheet for a person to edit.

    For items that are scored by key points, have a reference answer and no key points. A point whose quote does not
    stand in the reference answer is left out. The sheet is no item file: what nobody has reviewed is never scored with.

    \b
    Example:
      medbench items propose-keypoints items.jsonl --model openai:qwen3-32b --base-url https://host/v1 --out proposed
    """
    from medbench.runs.judges import read_judge
    from medbench.runs.propose import propose_key_points

    asked = read_judge(model, base_url=base_url, api_key_env=api_key_env)
    with show_progress() as watch:
        outcome = propose_key_points(items, catalog, asked, out, watch=watch)
    if as_json:
        print_json(outcome)
        return
    proposed = outcome.by_status.get("proposed", 0)
    lines = [say("propose.done", sheet=outcome.sheet, points=outcome.points, proposed=proposed, items=outcome.items)]
    for name, counts in (
        ("failed_items", outcome.by_reason),
        ("left_out_points", outcome.left_out),
        ("passed_over", outcome.passed_over),
    ):
        if counts:
            lines.append(say(f"propose.{name}", listed=", ".join(f"{key} × {n}" for key, n in counts.items())))
    for line in lines:
        print(harmless(line))


def import_keypoints(
    sheet: Annotated[Path, typer.Argument(help="The edited keypoints.xlsx.")],
    items: Annotated[Path, typer.Option(help="Item file (JSONL) that the key points were proposed for.")],
    reviewer: Annotated[str, typer.Option(help="Who decided; a pseudonym will do. Stands in the items' meta.")],
    out: Annotated[Path, typer.Option(help="Item file to write (JSONL).")],
    catalog: _Catalog = None,
    as_json: _Json = False,
) -> None:
    """Write items with the key points that a person kept on the sheet.

    An item gets key points only where each of its rows says `keep` or `drop`; all others stay as they are and are
    counted.

    \b
    Example:
      medbench items import-keypoints proposed/keypoints.xlsx --items items.jsonl --reviewer dr-a --out reviewed.jsonl
    """
    from medbench.runs.propose import import_key_points

    outcome = import_key_points(sheet, items, catalog, reviewer, out)
    if as_json:
        print_json(outcome)
        return
    print(
        say(
            "propose.imported",
            path=out,
            with_points=outcome.with_points,
            points=outcome.points,
            dropped=outcome.dropped,
            items=outcome.items,
        )
    )
    if outcome.unreviewed or outcome.none_kept:
        print(say("propose.not_imported", unreviewed=outcome.unreviewed, none_kept=outcome.none_kept))
