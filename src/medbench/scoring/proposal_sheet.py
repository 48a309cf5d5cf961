"""The sheet in which a person edits proposed key points, and the items that come of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from medbench.errors import InputError, Problem, WorkError
from medbench.items.jsonl import JsonlReader
from medbench.items.media import NoMedia
from medbench.items.model import KeyPoint
from medbench.items.report import Report
from medbench.items.source import ItemSource
from medbench.scoring.extract.normalise import nfkc, plain_number
from medbench.scoring.judging.sheet import Formula, add_row, read_rows
from medbench.scoring.proposals import KINDS, Candidate, Kind, Proposal, candidates
from medbench.store.files import write_atomically
from medbench.text import say

HEADER = ("id", "code", "question", "reference", "text", "kind", "weight", "quote", "proposed by", "review", "comment")
WIDTHS = (16, 14, 50, 50, 50, 10, 8, 40, 18, 10, 30)
PAGE = "key points"
"""Name of the page that a person edits."""
DECISIONS = ("keep", "drop")
META = "key_points"
MOST_SHOWN = 20


class Row(NamedTuple):
    """A row that a person has decided on or not.

    Attributes:
        line: In the sheet.
        uid: Of the item.
        code: Of the question and reference answer that it was proposed for.
        text: As edited.
        kind: As edited.
        weight: As edited.
        proposed_by: The model; empty where a person added the row.
        decision: `keep`, `drop` or, for a row that nobody has looked at, empty.
    """

    line: int
    uid: str
    code: str
    text: str
    kind: str
    weight: object
    proposed_by: str
    decision: str


class Reviewed(msgspec.Struct, frozen=True):
    """What became of a reviewed sheet.

    Attributes:
        items: Written.
        with_points: Items that got the key points that a person kept.
        points: Key points kept.
        dropped: Key points dropped.
        unreviewed: Items with a row that nobody has decided on; they get no key points.
        none_kept: Items of which nothing was kept.
    """

    items: int
    with_points: int
    points: int
    dropped: int
    unreviewed: int
    none_kept: int


def write_proposals(path: Path, proposed: Iterable[tuple[Candidate, Proposal]], model: str) -> None:
    """Write the sheet: a row per point with an empty `review`; an item that got none has a row to be filled in.

    Raises:
        WorkError: The file can't be written.
    """
    from openpyxl import Workbook
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    page = book.active
    assert page is not None
    page.title = PAGE
    add_row(page, HEADER)
    for candidate, proposal in proposed:
        about = (candidate.question.uid, candidate.code, candidate.question.text, candidate.reference)
        left_out = ", ".join(f"{fault} × {count}" for fault, count in proposal.left_out.items())
        comment = say("propose.left_out", listed=left_out) if left_out else ""
        if proposal.status == "failed":
            comment = f"{say('propose.failed', reason=proposal.reason)} {comment}".rstrip()
            add_row(page, (*about, "", "", "", "", "", "", comment))
        for number, point in enumerate(proposal.points):
            cells = (point.text, point.kind, f"{point.weight:g}", point.quote, model, "")
            add_row(page, (*about, *cells, comment if number == 0 else ""))
    for column, choices in (("F", KINDS), ("J", DECISIONS)):
        valid = DataValidation(type="list", formula1=f'"{",".join(choices)}"')
        page.add_data_validation(valid)
        valid.add(f"{column}2:{column}{page.max_row + 1000}")
    for place, width in enumerate(WIDTHS):
        page.column_dimensions["ABCDEFGHIJK"[place]].width = width
    page.freeze_panes = "C2"
    how = book.create_sheet("how to")
    for line in say("propose.how_to", model=model).splitlines():
        add_row(how, (line,))
    how.column_dimensions["A"].width = 120
    try:
        book.save(path)
    except OSError as error:
        raise WorkError(say("store.unwritable", path=path, error=error.strerror or error)) from error


def apply_sheet(sheet: Path, source: ItemSource, catalog_folder: Path | None, reviewer: str, out: Path) -> Reviewed:
    """Write the items of a file with the key points that a person kept; `meta` tells who proposed and who reviewed.

    Args:
        sheet: The edited sheet.
        source: Item JSONL that the points were proposed for.
        catalog_folder: Folder of own dataset definitions.
        reviewer: Who decided.
        out: Item JSONL to write.

    Raises:
        InputError: The sheet is wrong, was drawn from other questions or reference answers (all at once), or keeps
            nothing.
        WorkError: The file can't be written.
    """
    rows = list(_rows(sheet))
    open_items = {each.question.uid: each for each in candidates(source, catalog_folder) if isinstance(each, Candidate)}
    problems = [problem for row in rows for problem in _problems(row, open_items, sheet)]
    by_item: dict[str, list[Row]] = {}
    seen: set[tuple[str, str]] = set()
    for row in rows:
        by_item.setdefault(row.uid, []).append(row)
        if row.decision == "keep" and row.text:
            if (row.uid, row.text) in seen:
                problems.append(Problem(message=say("propose.twice"), file=str(sheet), line=row.line, field="text"))
            seen.add((row.uid, row.text))
    if problems:
        more = len(problems) - MOST_SHOWN
        raise InputError(*problems[:MOST_SHOWN], *([say("scoring.ratings_more", count=more)] if more > 0 else []))
    kept: dict[str, list[Row]] = {}
    counts: Counter[str] = Counter()
    for uid, several in by_item.items():
        chosen = [row for row in several if row.decision == "keep"]
        counts["dropped"] += sum(row.decision == "drop" for row in several)
        if not all(row.decision for row in several):
            counts["unreviewed"] += 1
        elif chosen:
            kept[uid] = chosen
        else:
            counts["none_kept"] += 1
    if not kept:
        message = say("propose.nothing_kept", unreviewed=counts["unreviewed"], none_kept=counts["none_kept"])
        raise InputError(Problem(message=message, file=str(sheet)))
    lines = list(_lines(source, kept, reviewer))
    write_atomically(out, b"".join(lines))
    return Reviewed(
        items=len(lines),
        with_points=len(kept),
        points=sum(map(len, kept.values())),
        dropped=counts["dropped"],
        unreviewed=counts["unreviewed"],
        none_kept=counts["none_kept"],
    )


def _rows(sheet: Path) -> Iterator[Row]:
    """The rows of a sheet, by the names of its columns.

    Raises:
        InputError: Columns are missing, or a decision is none.
    """
    cells = read_rows(sheet, PAGE)
    head = [_text(cell).lower() for cell in cells[0]] if cells else []
    missing = [name for name in ("id", "code", "text", "kind", "weight", "review") if name not in head]
    if missing:
        raise InputError(Problem(message=say("propose.columns", names=", ".join(missing)), file=str(sheet), line=1))
    for line, row in enumerate(cells[1:], start=2):
        cell = dict(zip(head, row, strict=False))
        if not any(_text(cell[name]) for name in ("id", "text", "review")):
            continue
        yield Row(
            line,
            _text(cell["id"]),
            _text(cell["code"]),
            " ".join(_text(cell["text"]).split()),
            _text(cell["kind"]).lower(),
            cell["weight"],
            _text(cell.get("proposed by")),
            _text(cell["review"]).lower(),
        )


def _problems(row: Row, open_items: Mapping[str, Candidate], sheet: Path) -> Iterator[Problem]:
    def wrong(message: str, field: str) -> Problem:
        return Problem(message=message, file=str(sheet), line=row.line, field=field)

    item = open_items.get(row.uid)
    if item is None:
        yield wrong(say("propose.no_item", uid=row.uid or "–"), "id")
    elif item.code != row.code:
        yield wrong(say("propose.other_reference", uid=row.uid), "code")
    if row.decision not in ("", *DECISIONS):
        yield wrong(say("propose.decision", text=repr(row.decision)), "review")
    if row.decision == "keep":
        if not row.text:
            yield wrong(say("propose.no_text"), "text")
        if row.kind not in KINDS:
            yield wrong(say("propose.kind", text=repr(row.kind)), "kind")
        if _weight(row.weight) is None:
            yield wrong(say("propose.weight", text=repr(_text(row.weight))), "weight")


def _lines(source: ItemSource, kept: Mapping[str, list[Row]], reviewer: str) -> Iterator[bytes]:
    """The rows of the item file, those with key points rewritten."""
    reader = JsonlReader(source.path, source.catalog, NoMedia(), checked=True)
    for item in reader.items(Report()):
        line = item.row
        assert isinstance(line, bytes)
        rows = kept.get(item.question.uid)
        if rows:
            row: dict[str, Any] = json.loads(line)
            points = [KeyPoint(each.text, _weight(each.weight) or 1.0, _kind(each.kind)) for each in rows]
            row["key_points"] = msgspec.to_builtins(points)
            proposers = sorted({each.proposed_by for each in rows if each.proposed_by})
            row["meta"] = {**(row.get("meta") or {}), META: {"proposed_by": proposers, "reviewed_by": reviewer}}
            line = json.dumps(row, ensure_ascii=False).encode()
        yield line.rstrip() + b"\n"


def _kind(text: str) -> Kind:
    return next(kind for kind in KINDS if kind == text)


def _weight(value: object) -> float | None:
    try:
        weight = plain_number(nfkc(_text(value)))
    except ValueError:
        return None
    return weight if 0.0 < weight < float("inf") else None


def _text(cell: object) -> str:
    return "" if cell is None or isinstance(cell, Formula) else str(cell).strip()
