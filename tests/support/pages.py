"""What the how-to pages tell their readers to write, taken from the pages themselves."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def block(page: str, language: str, holding: str) -> str:
    """The one block of code of a page, in a language, that holds some words."""
    text = (HOW_TO / page).read_text("utf-8")
    (found,) = [each for each in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if holding in each]
    return found


def install(site: Path, page: str, group: str) -> None:
    """Put the package that a page walks through into a folder, as pip would: its module and its registration."""
    project = tomllib.loads(block(page, "toml", group))["project"]
    points = project["entry-points"][group]
    (target,) = points.values()
    module, _, name = target.partition(":")
    folder = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    (site / f"{module}.py").write_text(block(page, "python", name), "utf-8")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{key} = {value}" for key, value in points.items()]
    (folder / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
