"""`answers:PATH`: answers that were given elsewhere, from the official package or an answer file."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from medbench.errors import InputError, Problem
from medbench.items.jsonl import lines_of
from medbench.items.media import FolderMedia
from medbench.items.model import Question
from medbench.items.official import official_rows
from medbench.items.tree import Tree, open_tree
from medbench.models.model import CallError, Context, Identity, Response
from medbench.text import say

EXAMPLES = 5

Plan = Iterable[tuple[Question, int, int]]


class _Other(msgspec.Struct):
    id: str | int


class _PackageRow(msgspec.Struct):
    question: str
    answer: str
    other: _Other


class AnswerRow(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A line of an answer file.

    Attributes:
        dataset: Of the item.
        id: Of the item.
        answer: As the model wrote it.
        part: Of the item.
        variant: Way of asking.
        files: Paths, from the answer file's folder, of an answer that is a file or of the state of an environment.
    """

    dataset: str
    id: str | int
    answer: str
    part: str = ""
    variant: int = 0
    files: list[str] = []

    @property
    def place(self) -> str:
        """Which call it answers: the item's uid, `#`, the variant."""
        uid = f"{self.dataset}/{self.part}/{self.id}" if self.part else f"{self.dataset}/{self.id}"
        return f"{uid}#{self.variant}"


_Row = TypeVar("_Row", _PackageRow, AnswerRow)
_Entry = tuple[str, bytes, str, str]
"""Place, origin of a package's row, text, names of files as JSON."""
_SUFFIX = re.compile(r"(?:\.[a-z0-9]{1,8}){1,2}$")


class AnswersModel:
    """Looks answers up on disk; nothing is kept in memory.

    An answer file holds one JSON object a line (`AnswerRow`). An official package holds `<Dataset>.jsonl` with
    question, answer and other (id, source); its rows stand for the rows of the release in order, since shuffled rows
    can be identical and ids repeat. It holds one answer per row, so that it can answer no second epoch.
    """

    def __init__(self, path: Path) -> None:
        """Read the answers into a temporary index.

        Raises:
            InputError: They can't be read at all. Lines that are no answers are told by `check`, with everything else.
        """
        self._path = path
        self._index = sqlite3.connect("", isolation_level=None)  # a private file that SQLite deletes by itself
        self._index.execute(
            "CREATE TABLE answer (place TEXT PRIMARY KEY, origin BLOB, text TEXT, files TEXT) WITHOUT ROWID"
        )
        self._digest = hashlib.sha256()
        self._by_row = path.is_dir() or path.suffix.lower() == ".zip"
        self._rows_of: dict[str, int] = {}
        self._problems: list[Problem] = []
        self._media = FolderMedia(path.parent)
        try:
            self._store(self._package_rows(open_tree(path)) if self._by_row else self._file_rows())
        except OSError as error:
            raise InputError(
                Problem(message=say("models.answers_unreadable", error=error.strerror or error), file=str(path))
            ) from error
        self._identity = Identity(
            spec=f"answers:{path.resolve()}", name=path.name, revision=f"sha256:{self._digest.hexdigest()}"
        )

    @property
    def identity(self) -> Identity:
        """What is pinned: the path and a hash over everything that was read."""
        return self._identity

    @property
    def most_in_flight(self) -> int | None:
        """No limit."""
        return None

    def check(self, plan: Plan) -> None:
        """Every call needs an answer, and every row of an official package has to be the row of the release.

        Raises:
            InputError: With everything that is wrong with the answers.
        """
        problems = [*self._problems, *(self._check_rows(plan) if self._by_row else self._check_places(plan))]
        if problems:
            raise InputError(*problems)

    async def open(self) -> None:
        """Nothing to take."""

    async def close(self) -> None:
        """Nothing to give back: the index goes with the process."""

    async def answer(self, question: Question, context: Context) -> Response:
        """Look the answer up."""
        found = self._found(self._place(question, context.variant, context.row))
        if found is None:
            return Response(status="failed", error_class="submitter", error_code="no_answer")
        names = msgspec.json.decode(found[2], type=list[str])
        artifacts = [await asyncio.to_thread(self._keep, name, context) for name in names]
        return Response(status="ok", text=found[1], artifacts=tuple(artifacts))

    def _keep(self, name: str, context: Context) -> str:
        """Keep a file of an answer with the run.

        Raises:
            CallError: It is no longer what it was.
        """
        path = self._media.path(self._media.find(name))
        content = path.read_bytes() if path is not None and path.exists() else b""
        if hashlib.sha256(content).hexdigest() != self._media.find(name).sha256:
            raise CallError("ours", "answer_file_changed", name[:200])
        return context.keep(content, _SUFFIX.findall(name)[0])

    def _place(self, question: Question, variant: int, row: int) -> str:
        return f"{question.meta.get('file', '')}#{row}" if self._by_row else f"{question.uid}#{variant}"

    def _found(self, place: str) -> tuple[bytes, str, str] | None:
        found: tuple[bytes, str, str] | None = self._index.execute(
            "SELECT origin, text, files FROM answer WHERE place = ?", (place,)
        ).fetchone()
        return found

    def _check_places(self, plan: Plan) -> Iterator[Problem]:
        missing = 0
        examples: list[str] = []
        for question, variant, row in plan:
            if self._found(place := self._place(question, variant, row)) is None:
                missing += 1
                examples += [place] if len(examples) < EXAMPLES else []
        if missing:
            message = say("models.answers_missing", n=missing, examples=", ".join(examples))
            yield Problem(message=message, file=str(self._path))

    def _check_rows(self, plan: Plan) -> Iterator[Problem]:
        """Problems of an official package, one of a kind per file: one row too few shifts all that follow."""
        asked: dict[str, dict[int, bytes]] = {}
        for question, _, row in plan:
            content = dict(official_rows(question)).get(row) if row else None
            if content is None:
                yield Problem(message=say("models.answers_not_official"), file=str(self._path))
                return
            rows = asked.setdefault(str(question.meta["file"]), {})
            if row in rows:
                yield Problem(message=say("models.answers_one_epoch"), field="--epochs")
                return
            rows[row] = _origin(question.id, str(content["question"]))
        for file, rows in asked.items():
            if file not in self._rows_of:
                yield Problem(message=say("models.answers_no_file", name=file), file=str(self._path))
                continue
            count = self._rows_of[file]
            missing = [row for row in rows if row > count]
            if missing:
                message = say("models.answers_rows_missing", n=len(missing), found=count)
                yield Problem(message=message, file=file, line=missing[0])
            # Lines that could not be read are none of these: they were told already.
            present = {row: found[0] for row in range(1, count + 1) if (found := self._found(f"{file}#{row}"))}
            wrong = [row for row, origin in rows.items() if present.get(row, origin) != origin]
            if wrong:
                yield Problem(message=say("models.answers_wrong_row", n=len(wrong)), file=file, line=wrong[0])
            expected = frozenset(rows.values())
            twice = [row for row, origin in present.items() if row not in rows and origin in expected]
            if twice:
                yield Problem(message=say("models.answers_row_twice"), file=file, line=twice[0])

    def _package_rows(self, tree: Tree) -> Iterator[_Entry]:
        for member in (name for name in tree.files if name.lower().endswith(".jsonl")):
            name = member.rsplit("/", 1)[-1]
            if name in self._rows_of:
                self._problems.append(Problem(message=say("models.answers_file_twice", name=name), file=member))
                continue
            count = 0
            with tree.open(member) as file:
                for number, line in lines_of(file):
                    count += 1
                    row = self._decode(line, _PackageRow, name, number)
                    if row is not None:
                        yield f"{name}#{count}", _origin(str(row.other.id), row.question), row.answer, "[]"
            self._rows_of[name] = count

    def _file_rows(self) -> Iterator[_Entry]:
        with self._path.open("rb") as file:
            for number, line in lines_of(file):
                row = self._decode(line, AnswerRow, str(self._path), number)
                if row is not None:
                    yield row.place, b"", row.answer, self._files(row.files, number)

    def _files(self, names: list[str], number: int) -> str:
        """Names of the files of an answer; their content is part of the revision."""
        for name in names:
            medium = self._media.find(name)
            fault = medium.missing or ("" if _SUFFIX.search(name) else "bad_name")
            if fault:
                message = say("models.answers_file_missing", name=name, reason=fault)
                self._problems.append(Problem(message=message, file=str(self._path), line=number))
            self._digest.update(medium.sha256.encode())
        return msgspec.json.encode(names).decode()

    def _decode(self, line: bytes | None, form: type[_Row], file: str, number: int) -> _Row | None:
        try:
            if line is None:
                raise msgspec.DecodeError(say("models.answers_long_line"))
            return msgspec.json.decode(line, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._digest.update(line or b"")
            self._problems.append(
                Problem(
                    message=say("models.answers_line", error=error),
                    advice=say("models.answers_line_advice"),
                    file=file,
                    line=number,
                )
            )
            return None

    def _store(self, rows: Iterable[_Entry]) -> None:
        self._index.execute("BEGIN")
        for entry in rows:
            self._digest.update(msgspec.json.encode(entry[:3]))
            cursor = self._index.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?)", entry)
            if not cursor.rowcount:
                self._problems.append(
                    Problem(message=say("models.answers_twice", place=entry[0]), file=str(self._path))
                )
        self._index.execute("COMMIT")


def _origin(identifier: str, question: str) -> bytes:
    """Tells the rows of a release from one another, but for shuffled rows that are identical."""
    return hashlib.blake2b(f"{identifier}\0{question}".encode(), digest_size=16).digest()
