"""HealthBench's JSONL (arXiv 2505.08775): conversations with criteria that earn or cost points.

A row: `{"prompt_id", "prompt": [{"role", "content"}], "rubrics": [{"criterion", "points", "tags"}], "example_tags",
"ideal_completions_data"}`. The user's last message becomes the question and what stands before it its turns, the
rubrics the criteria, the example tags `tags` in `meta`, an ideal completion the reference answer, which the criteria
are judged without. `meta` may stand beside them; fields of other names are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.errors import Problem
from medbench.items.converted import ConvertedReader
from medbench.items.report import problem
from medbench.items.rows import Place, RowError

HEALTHBENCH = "HealthBench"
"""Name of the dataset."""

_FIELDS = {"criteria": "rubrics", "turns": "prompt", "question": "prompt", "id": "prompt_id", "answer": "prompt_id"}
"""Field of an item -> field of the row, for problems."""


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str


class _Rubric(msgspec.Struct, frozen=True):
    criterion: str
    points: float
    tags: list[str] = []


class _Ideal(msgspec.Struct, frozen=True):
    ideal_completion: str | None = None


def healthbench_reader(path: Path, catalog: Catalog) -> ConvertedReader:
    """Reads a file of this format.

    Args:
        path: The file.
        catalog: The datasets there are, HealthBench among them.
    """
    return ConvertedReader(path, catalog, _item, _renamed)


def _item(row: dict[str, object], place: Place) -> dict[str, object]:
    """The row in the fields of an item.

    Raises:
        RowError: Fields are missing or of a wrong type, or the last message is not the user's.
    """
    problems: list[Problem] = []

    def read(value: object, kind: Any, field: str) -> Any:  # noqa: ANN401 - of the kind, or None with a problem
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            # msgspec tells types and names of fields, never contents.
            found = problem("healthbench_field", file=place.file, line=place.line, field=field, error=str(error))
            problems.append(found)
            return None

    def read_list(name: str, kind: Any) -> list[Any]:  # noqa: ANN401
        values = read(row.get(name), Annotated[list[object], msgspec.Meta(min_length=1)], name)
        return [read(value, kind, f"{name}[{index}]") for index, value in enumerate(values or ())]

    messages = read_list("prompt", _Message)
    rubrics = read_list("rubrics", _Rubric)
    identifier = read(row.get("prompt_id"), str, "prompt_id")
    tags = read(row.get("example_tags"), list[str] | None, "example_tags")
    meta = read(row.get("meta"), dict[str, object] | None, "meta")
    ideal = read(row.get("ideal_completions_data"), _Ideal | None, "ideal_completions_data")
    if messages and messages[-1] is not None and messages[-1].role != "user":
        problems.append(
            problem("last_not_user", file=place.file, line=place.line, field=f"prompt[{len(messages) - 1}]")
        )
    if problems:
        raise RowError(problems, row)
    return {
        "id": identifier,
        "dataset": HEALTHBENCH,
        "question": messages[-1].content,
        "turns": [msgspec.to_builtins(message) for message in messages[:-1]],
        "criteria": [{"text": each.criterion, "points": each.points, "tags": each.tags} for each in rubrics],
        "answer": ideal.ideal_completion if ideal else None,
        "meta": {**(meta or {}), **({"tags": tags} if tags else {})},
    }


def _renamed(found: Problem) -> Problem:
    """A problem of an item under the name that its field has in the row."""
    name, bracket, rest = (found.field or "").partition("[")
    return msgspec.structs.replace(found, field=_FIELDS.get(name, name) + bracket + rest)
