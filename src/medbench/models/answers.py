"""`answers:PATH`: answers that were given elsewhere, from the official package or an answer file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from medbench.errors import InputError, Problem
from medbench.items.model import Question
from medbench.items.tree import Tree, open_tree
from medbench.models.model import Context, Identity, Response
from medbench.text import say

EXAMPLES = 5
BATCH = 5_000


class _Other(msgspec.Struct):
    id: str | int


class _PackageRow(msgspec.Struct):
    answer: str
    other: _Other


class _AnswerRow(msgspec.Struct, forbid_unknown_fields=True):
    dataset: str
    id: str | int
    answer: str
    part: str = ""
    variant: int = 0


class AnswersModel:
    """Looks answers up on disk; nothing is kept in memory.

    An answer file holds one JSON object a line: dataset, id, answer, and part and variant where they apply. An official
    package holds `<Dataset>.jsonl` with question, answer and other (id, source); its rows stand for the rows of the
    release in order, since shuffled rows can be identical and ids repeat.
    """

    def __init__(self, path: Path) -> None:
        """Read the answers into a temporary index.

        Raises:
            InputError: Every line that is no answer.
        """
        self._path = path
        self._index = sqlite3.connect("", isolation_level=None)  # a private file that SQLite deletes by itself
        self._index.execute("CREATE TABLE answer (place TEXT PRIMARY KEY, id TEXT, text TEXT) WITHOUT ROWID")
        self._digest = hashlib.sha256()
        self._by_row = path.is_dir() or path.suffix.lower() == ".zip"
        self._problems: list[Problem] = []
        try:
            if self._by_row:
                self._read_package(open_tree(path))
            else:
                self._read_file()
        except OSError as error:
            raise InputError(
                Problem(message=say("models.answers_unreadable", error=error.strerror or error), file=str(path))
            ) from error
        if self._problems:
            raise InputError(*self._problems)
        self._identity = Identity(
            spec=f"answers:{path.resolve()}", name=path.name, revision=f"sha256:{self._digest.hexdigest()}"
        )

    @property
    def identity(self) -> Identity:
        """What is pinned: the path and a hash over all answers."""
        return self._identity

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """Every call needs an answer; of an official package also the id has to be the one of the release.

        Raises:
            InputError: Answers are missing or stand in the wrong rows.
        """
        missing = 0
        examples: list[str] = []
        wrong: list[Problem] = []
        for question, variant, row in plan:
            place = self._place(question, variant, row)
            found = self._index.execute("SELECT id FROM answer WHERE place = ?", (place,)).fetchone()
            if found is None:
                missing += 1
                examples += [place] if len(examples) < EXAMPLES else []
            elif self._by_row and found[0] != question.id and len(wrong) < 100:
                message = say("models.answers_wrong_id", found=found[0], wanted=question.id)
                wrong.append(Problem(message=message, file=f"{question.meta.get('file', '')}", line=row, field="id"))
        if missing:
            message = say("models.answers_missing", n=missing, examples=", ".join(examples))
            wrong.append(Problem(message=message, file=str(self._path)))
        if wrong:
            raise InputError(*wrong)

    async def open(self) -> None:
        """Nothing to take."""

    async def close(self) -> None:
        """Nothing to give back: the index goes with the process."""

    async def answer(self, question: Question, context: Context) -> Response:
        """Look the answer up."""
        place = self._place(question, context.variant, context.row)
        found = self._index.execute("SELECT text FROM answer WHERE place = ?", (place,)).fetchone()
        if found is None:
            return Response(status="failed", error_class="submitter", error_code="no_answer")
        return Response(status="ok", text=found[0])

    def _place(self, question: Question, variant: int, row: int) -> str:
        return f"{question.meta.get('file', '')}#{row}" if self._by_row else f"{question.uid}#{variant}"

    def _read_package(self, tree: Tree) -> None:
        def rows() -> Iterator[tuple[str, str, str]]:
            for member in (name for name in tree.files if name.lower().endswith(".jsonl")):
                name = member.rsplit("/", 1)[-1]
                with tree.open(member) as file:
                    for number, line in enumerate(file, start=1):
                        if not line.strip():
                            continue
                        row = self._decode(line, _PackageRow, name, number)
                        if isinstance(row, _PackageRow):
                            yield f"{name}#{number}", str(row.other.id), row.answer

        self._store(rows())

    def _read_file(self) -> None:
        def rows() -> Iterator[tuple[str, str, str]]:
            with self._path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if not line.strip():
                        continue
                    row = self._decode(line, _AnswerRow, str(self._path), number)
                    if isinstance(row, _AnswerRow):
                        uid = f"{row.dataset}/{row.part}/{row.id}" if row.part else f"{row.dataset}/{row.id}"
                        yield f"{uid}#{row.variant}", str(row.id), row.answer

        self._store(rows())

    def _decode(self, line: bytes, form: type[msgspec.Struct], file: str, number: int) -> msgspec.Struct | None:
        try:
            return msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=form)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._problems.append(
                Problem(
                    message=say("models.answers_line", error=error),
                    advice=say("models.answers_line_advice"),
                    file=file,
                    line=number,
                )
            )
            return None

    def _store(self, rows: Iterable[tuple[str, str, str]]) -> None:
        self._index.execute("BEGIN")
        for place, identifier, text in rows:
            self._digest.update(msgspec.json.encode((place, identifier, text)))
            cursor = self._index.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?)", (place, identifier, text))
            if not cursor.rowcount:
                self._problems.append(Problem(message=say("models.answers_twice", place=place), file=str(self._path)))
        self._index.execute("COMMIT")
