"""`medbench catalog`: what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from medbench.catalog import TRACKS, Dataset, FieldsForm, Track, default_instruction, load_catalog
from medbench.catalog.check import describe_form
from medbench.text import current_language, say

if TYPE_CHECKING:
    from rich.text import Text

    from medbench.catalog import Bilingual, Catalog, Part

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is measured: datasets, their answer forms and metrics, and clinical specialties.",
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


@app.command("datasets")
def datasets(
    track: Annotated[Track | None, typer.Option("--track", help="Only the datasets of this track.")] = None,
    as_json: _Json = False,
) -> None:
    """List the datasets by track and dimension.

    \b
    Examples:
      medbench catalog datasets
      medbench catalog datasets --track agent --json
    """
    catalog = load_catalog()
    chosen = [dataset for dataset in catalog.datasets.values() if track in (None, dataset.track)]
    if as_json:
        _print_json({"datasets": chosen, "n": len(chosen), "catalog_version": catalog.version})
    else:
        _print_datasets(catalog, chosen)


@app.command("specialties")
def specialties(
    subset: Annotated[bool, typer.Option("--subset", help="Only our subset of 24 primary and 91 secondary.")] = False,
    as_json: _Json = False,
) -> None:
    """List the clinical departments of the Chinese catalogue (34 primary, 122 secondary).

    The 24/91 subset is this project's construction: MedBench's own list is unpublished.

    \b
    Examples:
      medbench catalog specialties
      medbench catalog specialties --subset --json
    """
    catalog = load_catalog()
    chosen = [specialty for specialty in catalog.specialties if specialty.in_subset or not subset]
    primary = sum(specialty.primary for specialty in chosen)
    secondary = len(chosen) - primary
    if as_json:
        _print_json(
            {
                "specialties": chosen,
                "n": len(chosen),
                "primary": primary,
                "secondary": secondary,
                "catalog_version": catalog.version,
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(caption=say("catalog.specialties_caption", primary=primary, secondary=secondary))
    for header in ("code", "department", "subset"):
        table.add_column(say(f"catalog.{header}"), overflow="fold")
    for specialty in chosen:
        indent = "" if specialty.primary else "  "
        style = "bold" if specialty.primary else ""
        name = _plain(f"{indent}{specialty.title.zh} · {specialty.title.en}", style)
        table.add_row(_plain(specialty.code, style), name, "✓" if specialty.in_subset else "")
    Console().print(table)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset, as published.")],
    as_json: _Json = False,
) -> None:
    """Show a dataset: what it asks, how it is answered and how it is scored.

    \b
    Examples:
      medbench catalog show MedExam
      medbench catalog show MedRxCheck --json
    """
    catalog = load_catalog()
    dataset = catalog.dataset(name)
    if as_json:
        dimension = next(each for each in catalog.dimensions(dataset.track) if each.id == dataset.dimension)
        _print_json({"dataset": dataset, "dimension": dimension, "catalog_version": catalog.version})
    else:
        _print_dataset(catalog, dataset)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _plain(text: str, style: str = "") -> Text:
    """Text as it stands: names and descriptions from dataset files are never read as markup."""
    from rich.text import Text

    return Text(text, style=style)


def _say(text: Bilingual) -> str:
    return text.zh if current_language() == "zh" else text.en


def _items(dataset: Dataset) -> int:
    return sum(part.official.items for part in dataset.parts if part.official is not None)


def _metrics(dataset: Dataset) -> str:
    return "\n".join(dict.fromkeys(metric for part in dataset.parts for metric in part.metrics))


def _print_datasets(catalog: Catalog, chosen: list[Dataset]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not chosen:
        console.print(say("catalog.no_datasets"))
        return
    for track in TRACKS:
        of_track = [dataset for dataset in chosen if dataset.track == track]
        if not of_track:
            continue
        table = Table(title=say(f"catalog.track_{track}"), title_justify="left")
        table.add_column(say("catalog.dataset"), no_wrap=True)
        # Chinese has no spaces to break at: fold instead of cutting off.
        table.add_column(say("catalog.title"), overflow="fold")
        table.add_column(say("catalog.metrics"), no_wrap=True)
        table.add_column(say("catalog.items"), justify="right")
        for dimension in catalog.dimensions(track):
            table.add_row("", _plain(_say(dimension.title), "bold"))
            for dataset in of_track:
                if dataset.dimension == dimension.id:
                    cells = (dataset.name, _say(dataset.title), _metrics(dataset), str(_items(dataset)))
                    table.add_row(*map(_plain, cells))
            table.add_section()
        console.print(table)
    console.print(_plain(say("catalog.datasets_caption", count=len(chosen), version=catalog.version)))


def _print_dataset(catalog: Catalog, dataset: Dataset) -> None:
    from rich.console import Console
    from rich.table import Table

    dimension = next(each for each in catalog.dimensions(dataset.track) if each.id == dataset.dimension)
    by_us = f" ({say('catalog.named_by_us')})" if dimension.named_by_us else ""
    rows = [
        ("dataset", dataset.name),
        ("title", f"{dataset.title.zh} · {dataset.title.en}"),
        ("track", say(f"catalog.track_{dataset.track}")),
        ("dimension", _say(dimension.title) + by_us),
        ("description", _say(dataset.description)),
        ("source", dataset.source),
    ]
    console = Console()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(say(f"catalog.{key}"), _plain(value))
    for part in dataset.parts:
        heading = say("catalog.part", name=part.name) if part.name else say("catalog.only_part")
        table.add_row("")
        table.add_row(_plain(heading), "")
        for key, value in _part_rows(part):
            table.add_row(_plain(f"  {say(f'catalog.{key}')}"), _plain(value))
    console.print(table)


def _part_rows(part: Part) -> list[tuple[str, str]]:
    rows = [("answer", describe_form(part.answer)), ("metrics", ", ".join(part.metrics))]
    labels: tuple[str, ...] = getattr(part.answer, "labels", ())
    none_label: str | None = getattr(part.answer, "none_label", None)
    if labels:
        rows.append(("labels", "、".join((*labels, none_label) if none_label is not None else labels)))
    if isinstance(part.answer, FieldsForm) and part.answer.fields:
        rows.append(("fields", "、".join(part.answer.fields)))
    if part.check is not None:
        rows.append(("check", part.check))
    if part.official is not None:
        official = part.official
        counts = say("catalog.official_counts", name=official.name, items=official.items, rows=official.rows)
        rows.append(("official", counts))
    instruction = default_instruction(part, current_language())
    if instruction:
        rows.append(("instruction", instruction))
    return rows
