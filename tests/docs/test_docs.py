"""The reference says what the program does: commands, options, columns and datasets are compared with the real ones.

Run as a script, `python tests/docs/test_docs.py`, it writes the generated parts of `cli.md` and `catalog.md` again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from medbench.catalog import load_catalog
from medbench.catalog.check import describe_form
from medbench.catalog.model import TRACKS, Part

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLI_PAGE, CATALOG_PAGE, FILES_PAGE = (DOCS / "reference" / f"{name}.md" for name in ("cli", "catalog", "files"))
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
HELP_OPTIONS = {"-h", "--help"}


def commands() -> Iterator[tuple[str, Any, Any]]:
    """(path, command, context) of the program and all its commands."""
    from medbench.cli.main import app

    def walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
        context = command.context_class(command, info_name=name, parent=parent)
        yield context.command_path, command, context
        for child, found in getattr(command, "commands", {}).items():
            yield from walk(found, child, context)

    yield from walk(typer.main.get_command(app), "medbench", None)


def cli_reference() -> str:
    """Every command with its description, examples and options, from the help texts that the program shows."""
    blocks = []
    for path, command, context in commands():
        if getattr(command, "commands", None) and path != "medbench":
            continue  # a group holds nothing but its commands
        description, _, example = (command.help or "").partition("\b\n")
        blocks.append(f"## `{path}`\n\n{' '.join(description.split())}")
        if example:
            lines = [line.strip() for line in example.strip().splitlines()[1:]]
            blocks.append("```\n" + "\n".join(lines) + "\n```")
        rows = [record for parameter in command.params if (record := parameter.get_help_record(context))]
        rows = [(names, text) for names, text in rows if not HELP_OPTIONS & set(names.split(", "))]
        if rows:
            table = "\n".join(f"| `{plain(names)}` | {cell(text)} |" for names, text in rows)
            blocks.append(f"| Option or argument | Meaning |\n|---|---|\n{table}")
    return "\n\n".join(blocks)


def catalog_reference() -> str:
    """The datasets by track and dimension, and the departments, as tables."""
    catalog = load_catalog()
    blocks = []
    for track in TRACKS:
        datasets = [dataset for dataset in catalog.datasets.values() if dataset.track == track]
        if not datasets:
            continue
        dimensions = {dimension.id: dimension for dimension in catalog.dimensions(track)}
        blocks.append(f"## Track `{track}`: {len(datasets)} datasets in {len(dimensions)} dimensions")
        rows = [
            f"| {dataset.name} | {dataset.title.en} · {dataset.title.zh} | {dataset.dimension} "
            f"| {per_part(dataset.parts, lambda part: describe_form(part.answer))} "
            f"| {per_part(dataset.parts, lambda part: ', '.join(part.metrics))} "
            f"| {sum(part.official.items for part in dataset.parts if part.official)} |"
            for dataset in datasets
        ]
        named = [
            f"- `{dimension.id}`: {dimension.title.en} · {dimension.title.zh}"
            + (" (named by us)" if dimension.named_by_us else "")
            for dimension in dimensions.values()
        ]
        blocks.append("\n".join(named))
        header = "| Dataset | Title | Dimension | Answer | Metrics | Official items |\n|---|---|---|---|---|---|"
        blocks.append("\n".join([header, *rows]))
    return "\n\n".join(blocks)


def per_part(parts: tuple[Part, ...], say: Any) -> str:
    """One text where all parts agree, else one for each part."""
    texts = [say(part) for part in parts]
    return texts[0] if len(set(texts)) == 1 else "; ".join(f"{p.name}: {t}" for p, t in zip(parts, texts, strict=True))


def plain(names: str) -> str:
    """An option and its value in words; a `|` in code would end the cell on one site and show its escape on another."""
    return cell(names.replace("|", " or ").replace("list[str]", "str").replace(" range>", ">"))


def cell(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def generated(page: Path) -> str:
    """What stands between the marks of a page."""
    return page.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip()


def section(page: Path, heading: str) -> str:
    """A page's text from a heading to the next one."""
    found = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,6}} |\Z)", page.read_text("utf-8"), re.M | re.S)
    assert found, f"{page.name} has no heading {heading!r}"
    return found[2]


def test_every_command_and_option_is_in_the_reference() -> None:
    page = CLI_PAGE.read_text("utf-8")
    for path, command, _ in commands():
        if getattr(command, "commands", None) and path != "medbench":
            continue
        text = section(CLI_PAGE, f"`{path}`")
        for parameter in command.params:
            if HELP_OPTIONS & set(parameter.opts):
                continue
            helped = cell(parameter.help or "")
            assert helped, f"{path}: {parameter.name} has no help"
            assert helped in text, f"{path}: {parameter.name}: run python tests/docs/test_docs.py"
            if parameter.opts[0].startswith("-"):
                assert f"`{parameter.opts[0]}" in text
    assert page.count("\n## `medbench") == sum(
        not getattr(command, "commands", None) or path == "medbench" for path, command, _ in commands()
    ), "the page names a command that is not there: run python tests/docs/test_docs.py"


def test_the_tables_of_datasets_are_current() -> None:
    assert generated(CATALOG_PAGE) == catalog_reference(), "run python tests/docs/test_docs.py"


def test_the_numbers_of_the_catalog_are_those_of_the_page() -> None:
    catalog = load_catalog()
    page = CATALOG_PAGE.read_text("utf-8")
    primary = [specialty for specialty in catalog.specialties if specialty.primary]
    subset = [specialty for specialty in catalog.specialties if specialty.in_subset]
    inside = sum(specialty.primary for specialty in subset)
    assert f"{len(primary)} primary and {len(catalog.specialties) - len(primary)} secondary" in page
    assert f"{inside} primary and {len(subset) - inside} secondary" in page
    assert f"{len(catalog.datasets)} datasets" in page


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of one answered item."""
    from medbench.items.source import open_source
    from medbench.models.answers import AnswersModel
    from medbench.runs.config import Selection
    from medbench.runs.execute import start_run
    from medbench.runs.settings import Settings

    folder = tmp_path_factory.mktemp("docs")
    items, answers = folder / "items.jsonl", folder / "answers.jsonl"
    items.write_text('{"id": "1", "dataset": "MedExam", "question": "?", "options": ["a", "b"], "answer": "B"}\n')
    answers.write_text('{"dataset": "MedExam", "id": "1", "answer": "B"}\n')
    selection = Selection(orders="first")
    start_run(folder / "run", open_source(items), AnswersModel(answers), selection, Settings(), disclosure="local")
    return folder / "run"


@pytest.mark.parametrize("table", ["responses", "scores"])
def test_the_columns_of_a_run_are_those_of_the_page(run_dir: Path, table: str) -> None:
    import pyarrow.parquet as pq

    documented = re.findall(r"^\| `(\w+)` \| (\w+) \|", section(FILES_PAGE, f"`{table}/*.parquet`"), re.M)
    assert documented == [(field.name, str(field.type)) for field in pq.read_schema(next((run_dir / table).iterdir()))]


@pytest.mark.parametrize("name", ["run.json", "figures.json"])
def test_the_fields_of_a_runs_json_are_those_of_the_page(run_dir: Path, name: str) -> None:
    import msgspec

    documented = re.findall(r"^\| `(\w+)` \|", section(FILES_PAGE, f"`{name}`"), re.M)
    assert sorted(documented) == sorted(msgspec.json.decode((run_dir / name).read_bytes()))


def test_the_fields_of_an_item_are_those_of_the_page() -> None:
    from medbench.items.rows import FIELD_TYPES

    assert re.findall(r"^\| `(\w+)` \|", section(FILES_PAGE, "Item JSONL"), re.M) == list(FIELD_TYPES)


def test_relative_links_of_the_readme_lead_somewhere() -> None:
    readme = DOCS.parent / "README.md"
    links = re.findall(r"\]\((?!https?:)([^)#]+)", readme.read_text("utf-8"))
    assert links
    assert [link for link in links if not (readme.parent / link).exists()] == []


def main() -> None:
    """Write the generated parts of the pages again."""
    for page, text in ((CLI_PAGE, cli_reference()), (CATALOG_PAGE, catalog_reference())):
        before, _, rest = page.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
        print(f"{os.path.relpath(page)}: {len(text):,} characters", file=sys.stderr)


if __name__ == "__main__":
    main()
