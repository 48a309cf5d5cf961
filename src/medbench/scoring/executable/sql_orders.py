"""What the process that runs SQL is asked, and what it answers."""

from __future__ import annotations

import msgspec

from medbench.scoring.executable.schema_prose import Schema


class Order(msgspec.Struct, frozen=True):
    """An answer to run.

    Attributes:
        schema: The tables of its question.
        answer: With SQL in it.
        reference: A right answer; empty: there is none.
        question: Whose dates and quoted words become values too.
        seconds: Until the process ends itself.
    """

    schema: Schema
    answer: str
    reference: str
    question: str
    seconds: float


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it.

    Attributes:
        code: Empty where nothing is wrong.
        detail: What SQLite or the parser said.
        wrong: The answer is wrong; else a code says why it was not run, or not to the end.
        dialect: In which it was read.
        sqlite: As it was run.
        columns: Of the result.
        rows: Their number.
        sample: The first of them.
        steps: Instructions that it took, in tens of thousands.
        seed: Of the rows that it was run on.
        compared: A reference was run on the same rows.
    """

    code: str = ""
    detail: str = ""
    wrong: bool = False
    dialect: str = ""
    sqlite: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 0
    sample: tuple[tuple[str, ...], ...] = ()
    steps: int = 0
    seed: int = 0
    compared: bool = False
