"""Blind rating sheets: answers drawn for people to rate in a spreadsheet, and their ratings read back."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.errors import InputError, Problem, WorkError
from medbench.items.model import ItemLanguage
from medbench.scoring.extract.normalise import nfkc, plain_number
from medbench.scoring.judging.quote import shown
from medbench.scoring.judging.rubric import load_rubric
from medbench.text import say

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

LONGEST_CELL = 32_000
"""A cell holds 32,767 characters."""
CRITERION = "llm_judge"
"""What is rated: the metric by whose rubric judges rate."""
SCALE = (0, 10)
"""Of every rubric that has one criterion only, as ours do."""
STRATA = 3
"""Of the judge's value: low, middle and high answers are drawn alike often."""
HEADER = ("id", "rubric", "question", "reference", "answer", "score", "comment")
WIDTHS = (14, 16, 60, 40, 80, 8, 30)
SCORE_COLUMN = "F"
PAGE = "ratings"
"""Name of the page that people fill in."""


class Drawn(msgspec.Struct, frozen=True):
    """An answer for people to rate.

    Attributes:
        item: The item.
        response: Which answer to it.
        dataset: Its stratum, with the judge's value.
        rubric: By which it is rated.
        language: Of the question.
        question: As asked.
        reference: Reference answer; empty where there is none.
        answer: What is rated.
        value: The judge's, in [0, 1]; never shown.
    """

    item: str
    response: str
    dataset: str
    rubric: str
    language: ItemLanguage
    question: str
    reference: str
    answer: str
    value: float

    @property
    def code(self) -> str:
        """What the sheet shows in place of item and response."""
        return code_of(self.item, self.response)


class Given(NamedTuple):
    """A score that a person gave, and the row of the sheet that it stands in."""

    score: int
    line: int


class Formula(NamedTuple):
    """A formula whose result the workbook does not hold, as where no spreadsheet program has saved it."""

    text: str


def code_of(item: str, response: str) -> str:
    """A name of an answer that tells nothing of it: 12 hexadecimal digits."""
    return hashlib.sha256(f"{item}\0{response}".encode()).hexdigest()[:12]


def strata_of(values: Sequence[float] | NDArray[np.float64], codes: Sequence[int]) -> NDArray[np.int64]:
    """Stratum of each answer of a dataset: 0, 1 or 2, the low, middle and high third of the judge's values.

    Args:
        values: The judge's, shape (n,).
        codes: Of the answers, shape (n,): like values are parted by them, which is by chance.
    """
    order = np.lexsort((np.asarray(codes), np.asarray(values)))
    places = np.empty(order.size, dtype=np.int64)
    bounds = [part * order.size // STRATA for part in range(1, STRATA)]
    places[order] = np.searchsorted(bounds, np.arange(order.size), side="right")
    return places


def draw(answers: Iterable[Drawn], size: int, seed: int) -> list[Drawn]:
    """A stratified sample: datasets alike often, and in each the low, middle and high thirds of the judge's values.

    Args:
        answers: All that were judged.
        size: How many, at most.
        seed: The same seed draws the same.
    """
    by_dataset: dict[str, list[Drawn]] = defaultdict(list)
    for answer in answers:
        by_dataset[answer.dataset].append(answer)
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    strata = []
    for name in sorted(by_dataset):
        several = sorted(by_dataset[name], key=lambda each: each.code)
        places = strata_of([each.value for each in several], [int(each.code, 16) for each in several])
        for part in range(STRATA):
            third = [each for each, place in zip(several, places, strict=True) if place == part]
            chance.shuffle(third)
            strata.append(third)
    chosen: list[Drawn] = []
    while len(chosen) < size and any(strata):
        for stratum in strata:
            if stratum and len(chosen) < size:
                chosen.append(stratum.pop())
    chance.shuffle(chosen)  # the order must not tell the stratum
    return chosen


def write_sheet(path: Path, drawn: Sequence[Drawn]) -> None:
    """Write the sheet: one row per answer with an empty score, and the anchors of the levels on a second page.

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
    for each in drawn:
        add_row(page, (each.code, each.rubric, each.question, each.reference, each.answer, "", ""))
    low, high = SCALE
    whole = DataValidation(type="whole", operator="between", formula1=str(low), formula2=str(high))
    page.add_data_validation(whole)
    whole.add(f"{SCORE_COLUMN}2:{SCORE_COLUMN}{len(drawn) + 1}")
    for column, width in zip("ABCDEFG", WIDTHS, strict=True):
        page.column_dimensions[column].width = width
    page.freeze_panes = "B2"
    levels = book.create_sheet("levels")
    add_row(levels, ("rubric", "score", "anchor"))
    for name, language in dict.fromkeys((each.rubric, each.language) for each in drawn):
        for level in load_rubric(name).criteria[0].levels:
            add_row(levels, (name, str(level.score), getattr(level.anchor, language)))
    levels.column_dimensions["C"].width = 120
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        book.save(path)
    except OSError as error:
        raise WorkError(say("store.unwritable", path=path, error=error.strerror or error)) from error


def read_sheet(path: Path) -> tuple[dict[str, Given], list[Problem]]:
    """Code -> what was given, of the rows that were rated, and all that is wrong with the others.

    Raises:
        InputError: It can't be read, or lacks the columns.
    """
    rows = read_rows(path, PAGE)
    head = [str(cell or "").strip().lower() for cell in rows[0]] if rows else []
    if "id" not in head or "score" not in head:
        raise InputError(Problem(message=say("scoring.sheet_columns"), file=str(path), line=1))
    place, scored = head.index("id"), head.index("score")
    found: dict[str, Given] = {}
    problems: list[Problem] = []

    def complain(line: int, name: str, **values: Any) -> None:  # noqa: ANN401 - fills a message
        problems.append(Problem(message=say(f"scoring.{name}", **values), file=str(path), line=line))

    for number, row in enumerate(rows[1:], start=2):
        code, score = row[place], row[scored]
        if score is None or not str(score).strip():
            continue
        level = _level(score)
        if isinstance(score, Formula):
            complain(number, "sheet_formula", formula=score.text)
        elif level is None:
            complain(number, "sheet_score", score=score, low=SCALE[0], high=SCALE[1])
        if code is None or isinstance(code, Formula) or not str(code).strip():
            complain(number, "sheet_no_id")
        elif (name := str(code).strip()) in found:
            complain(number, "sheet_twice", code=name, row=found[name].line)
        elif level is not None:
            found[name] = Given(level, number)
    if not found and not problems:
        problems.append(Problem(message=say("scoring.sheet_unrated"), file=str(path)))
    return found, problems


def _level(score: object) -> int | None:
    """The whole number that a cell says; None where it says none of the scale."""
    try:
        value = plain_number(nfkc(str(score)))
    except ValueError:
        return None
    return int(value) if value.is_integer() and SCALE[0] <= value <= SCALE[1] else None


def read_rows(path: Path, page: str) -> list[tuple[object, ...]]:
    """The rows of a page of a workbook, of its first where none has that name; values in place of formulas.

    A formula whose value is not stored is a `Formula`.

    Raises:
        InputError: It can't be read.
    """
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    def rows(values: bool) -> list[tuple[object, ...]]:
        with closing(load_workbook(path, read_only=True, data_only=values)) as book:
            return list(book[page if page in book.sheetnames else book.sheetnames[0]].iter_rows(values_only=True))

    try:
        pairs = list(zip(rows(values=True), rows(values=False), strict=True))
    except (OSError, BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise InputError(Problem(message=say("scoring.sheet_unreadable", reason=error), file=str(path))) from error
    width = max((len(row) for pair in pairs for row in pair), default=0)
    return [
        tuple(
            Formula(str(getattr(formula, "text", formula))) if value is None and formula is not None else value
            for value, formula, _ in zip_longest(*pair, range(width))
        )
        for pair in pairs
    ]


def add_row(page: Worksheet, values: Sequence[str]) -> None:
    """A row of text: what begins like a formula stays text."""
    from openpyxl.styles import Alignment

    page.append(["" for _ in values])
    for column, value in enumerate(values, start=1):
        cell: Cell = page.cell(page.max_row, column)  # type: ignore[assignment]
        text, _ = shown(value)
        cell.value = text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} […]"
        cell.data_type = "s"
        cell.alignment = Alignment(wrap_text=True, vertical="top")
