"""The official MedBench v4 release: a folder or zip with a JSONL file per dataset (or part), and images.

Rows are `{"question", "answer", "other": {"id", "source"}}`, multimodal ones with `"img_path"` (a string or a list).
Rows of a circular file that share an id are variants of one item, in file order. Every item is asked verbatim.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import NamedTuple

import msgspec

from medbench.catalog.catalog import Catalog
from medbench.catalog.model import AnswerForm, ChoiceForm, Dataset, FieldsForm, LabelForm, OfficialFile, Part
from medbench.errors import InputError, Problem
from medbench.items.answers import Answer, AnswerError, read_answer
from medbench.items.jsonl import lines_of
from medbench.items.media import MediaFiles, bad_name, examine, normal_name
from medbench.items.model import Key, Media, Question, Variant
from medbench.items.options import order_of, parse_fields, parse_labels, parse_options
from medbench.items.report import Report, problem
from medbench.items.rows import LONGEST_ROW, Item, Place, strict_json
from medbench.items.tree import Tree


class OfficialRow(msgspec.Struct, forbid_unknown_fields=True):
    """A row as the release has it."""

    question: str
    other: dict[str, object]
    answer: object = ""
    img_path: str | list[str] | None = None


class _Row(NamedTuple):
    number: int
    line: int
    content: OfficialRow
    value: object


class _File(NamedTuple):
    path: str
    dataset: Dataset
    part: Part
    official: OfficialFile


class OfficialReader:
    """Reads the release.

    Args:
        tree: Its files.
        catalog: Says which file holds which part of which dataset.
    """

    def __init__(self, tree: Tree, catalog: Catalog) -> None:
        self._tree = tree
        self._catalog = catalog
        self._media = TreeMedia(tree)

    @property
    def media(self) -> MediaFiles:
        """See `ItemReader`."""
        return self._media

    def items(self, report: Report) -> Iterator[Item]:
        """See `ItemReader`. Datasets come in the catalog's order, items in that of their file."""
        for file in self._files(report):
            yield from self._file_items(file, report)

    def _files(self, report: Report) -> list[_File]:
        by_name: dict[str, list[str]] = {}
        for path in self._tree.files:
            parts = PurePosixPath(path).parts
            if parts[0] != "__MACOSX" and not parts[-1].startswith("."):
                by_name.setdefault(parts[-1], []).append(path)
        found: list[_File] = []
        absent: list[tuple[str, str]] = []
        known: set[str] = set()
        for dataset in self._catalog.datasets.values():
            for part in dataset.parts:
                official = part.official
                if official is None:
                    continue
                known.add(official.name)
                paths = by_name.get(official.name, [])
                if len(paths) > 1:
                    report.add(
                        problem("official_twice", file=self._tree.name, name=official.name, places=", ".join(paths))
                    )
                elif paths:
                    found.append(_File(paths[0], dataset, part, official))
                else:
                    absent.append((dataset.track, official.name))
        if not found:
            report.add(problem("not_official", file=self._tree.name))
        # A folder with one track is whole; a track with a file missing is worth a word.
        tracks = {file.dataset.track for file in found}
        for track, name in absent:
            if track in tracks:
                report.add(problem("official_absent", file=self._tree.name, severity="warning", name=name, track=track))
        for name, paths in by_name.items():
            if name.endswith(".jsonl") and name not in known:
                report.add(problem("official_unknown", file=paths[0], severity="warning"))
        return found

    def _file_items(self, file: _File, report: Report) -> Iterator[Item]:
        groups: dict[str, list[_Row]] = {}
        rows = 0
        for row in self._rows(file, report):
            rows += 1
            identifier = str(row.content.other["id"])
            group = groups.setdefault(identifier, [])
            if group and file.official.variants == 1:
                found = problem(
                    "id_twice", file=file.path, line=row.line, field="other.id", uid=identifier, first=group[0].line
                )
                report.reject(file.path, row.line, [found], row.value)
            else:
                group.append(row)
        if rows != file.official.rows:
            report.add(
                problem("official_rows", file=file.path, severity="warning", rows=rows, expected=file.official.rows)
            )
        for identifier, group in groups.items():
            try:
                question, answer, rest = self._item(file, identifier, group, report)
            except _ItemError as faults:
                for row in group:
                    report.reject(file.path, row.line, faults.of(row), row.value)
                continue
            key = Key(uid=question.uid, answer=answer, rubric=rest)
            yield Item(question, key, Place(file.path, group[0].line), group[0].value)

    def _rows(self, file: _File, report: Report) -> Iterator[_Row]:
        number = 0
        try:
            with self._tree.open(file.path) as stream:
                for line_number, line in lines_of(stream):
                    number += 1
                    try:
                        content, value = _read_row(line)
                    except _BadRowError as error:
                        found = problem(
                            error.code, file=file.path, line=line_number, field=error.field, most=LONGEST_ROW
                        )
                        report.reject(file.path, line_number, [found], error.row)
                        continue
                    yield _Row(number, line_number, content, value)
        except OSError as error:
            raise InputError(problem("unreadable", file=file.path, error=error.strerror or error)) from error

    def _item(self, file: _File, identifier: str, group: list[_Row], report: Report) -> tuple[Question, Answer, str]:
        """One item from its rows.

        Raises:
            _ItemError: With the problems of each row.
        """
        faults = _ItemError(file.path)
        first = group[0].content
        form = file.part.answer
        for row in group[1:]:
            if (row.content.other, row.content.img_path) != (first.other, first.img_path):
                faults.add(row, "official_differs", "other", first=group[0].line)
        text = first.question
        options: tuple[str, ...] = ()
        fields: tuple[str, ...] = ()
        variants = [Variant(prompt=row.content.question, row=row.number) for row in group]
        if isinstance(form, ChoiceForm):
            start, options, variants = _choice(group, faults)
            if file.official.variants > 1:
                # Shuffled rows have the stem in common; any other question is its whole prompt.
                text = first.question[:start].rstrip()
        elif isinstance(form, LabelForm) and form.question_pattern:
            options = parse_labels(first.question, form.question_pattern)
            if not options:
                faults.add(group[0], "official_labels", "question")
        elif isinstance(form, FieldsForm) and not form.fields:
            fields = parse_fields(first.question)
            if not fields:
                faults.add(group[0], "official_fields", "question")
        faults.raise_any()
        answer, rest = _answer(group, variants, form, options, faults)
        faults.raise_any()
        if len(group) != file.official.variants:
            report.add(
                problem(
                    "official_variants",
                    file=file.path,
                    line=group[0].line,
                    severity="warning",
                    uid=identifier,
                    rows=len(group),
                    expected=file.official.variants,
                )
            )
        question = Question(
            id=identifier,
            dataset=file.dataset.name,
            text=text,
            part=file.part.name,
            options=options,
            media=self._found_media(file, group[0], report),
            source=str(first.other.get("source", "")),
            variants=tuple(variants),
            fields=fields,
            meta=_meta(file, first),
        )
        return question, answer, rest

    def _found_media(self, file: _File, row: _Row, report: Report) -> tuple[Media, ...]:
        names = row.content.img_path
        media = tuple(
            self._media.find_from(file.path, name) for name in ([names] if isinstance(names, str) else names or ())
        )
        for medium in media:
            if medium.missing:
                report.add(
                    problem(
                        f"media_{medium.missing}",
                        file=file.path,
                        line=row.line,
                        field="img_path",
                        severity="warning",
                        name=medium.path,
                    )
                )
        return media


class TreeMedia:
    """Media of the release: named relative to the folder `images` beside the folder of the files, or near it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files = frozenset(tree.files)
        self._places: dict[str, str] = {}
        self._known: dict[tuple[str, str], Media] = {}

    def find(self, name: str) -> Media:
        """See `MediaFiles`."""
        return self.find_from("", name)

    def find_from(self, file: str, name: str) -> Media:
        """The medium that a row of a file names."""
        if reason := bad_name(name):
            return Media(path=name, missing=reason)
        for folder in PurePosixPath(file).parents:
            for candidate in (folder / "images" / name, folder / name):
                path = normal_name(candidate.as_posix())
                if path in self._files:
                    return self._examine(name, path)
        return Media(path=name, missing="absent")

    def path(self, medium: Media) -> Path | None:
        """See `MediaFiles`."""
        place = self._places.get(medium.sha256)
        return None if place is None else self._tree.local(place)

    def _examine(self, name: str, path: str) -> Media:
        known = self._known.get((name, path))
        if known is None:
            try:
                with self._tree.open(path) as stream:
                    known = examine(name, stream)
            except (OSError, ValueError, InputError):
                known = Media(path=name, missing="unreadable")
            self._known[name, path] = known
            if known.sha256:
                self._places.setdefault(known.sha256, path)
        return known


def official_rows(question: Question) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows of the official files that an item was made from, verbatim and without an answer.

    Yields:
        Row number in the file `question.meta["file"]`, from 1, and the row as the release has it, its keys in order.
    """
    for variant in question.variants:
        row: dict[str, object] = {"question": variant.prompt, "answer": ""}
        if "img_path" in question.meta:
            row["img_path"] = question.meta["img_path"]
        row["other"] = question.meta["other"]
        yield variant.row, row


class _BadRowError(Exception):
    def __init__(self, code: str, row: object, field: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.row = row
        self.field = field


class _ItemError(Exception):
    """Problems of the rows of one item, by row."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self._file = file
        self._problems: dict[int, list[Problem]] = {}

    def add(self, row: _Row, code: str, field: str, /, **values: object) -> None:
        found = problem(code, file=self._file, line=row.line, field=field, severity="error", **values)
        self._problems.setdefault(row.number, []).append(found)

    def of(self, row: _Row) -> list[Problem]:
        return self._problems.get(row.number, [])

    def raise_any(self) -> None:
        if self._problems:
            raise self


def _read_row(line: bytes | None) -> tuple[OfficialRow, object]:
    if line is None:
        raise _BadRowError("row_too_long", None)
    try:
        value = strict_json(line.decode())
        msgspec.json.encode(value)
    except UnicodeError:
        raise _BadRowError("not_utf8_row", line.decode(errors="replace")) from None
    except (ValueError, RecursionError):
        raise _BadRowError("not_json", line.decode(errors="replace")) from None
    try:
        row = msgspec.convert(value, OfficialRow)
    except msgspec.ValidationError:
        raise _BadRowError("official_row", value) from None
    identifier = row.other.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, int | str) or not str(identifier).strip():
        raise _BadRowError("official_id", value, "other.id")
    if not row.question.strip():
        raise _BadRowError("no_question", value, "question")
    return row, value


def _choice(group: list[_Row], faults: _ItemError) -> tuple[int, tuple[str, ...], list[Variant]]:
    """Where the options of the first row start, the options, and the variants with their orders."""
    first = parse_options(group[0].content.question)
    if first is None:
        faults.add(group[0], "official_options", "question")
        return 0, (), []
    variants = []
    as_they_stand = tuple(range(len(first.options)))
    for row in group:
        found = parse_options(row.content.question)
        order = None if found is None else order_of(found.options, first.options)
        if order is None:
            name = "official_options" if found is None else "official_other_options"
            faults.add(row, name, "question", first=group[0].line)
            continue
        prompt = row.content.question
        variants.append(Variant(order=() if order == as_they_stand else order, prompt=prompt, row=row.number))
    return first.start, first.options, variants


def _answer(
    group: list[_Row], variants: list[Variant], form: AnswerForm, options: tuple[str, ...], faults: _ItemError
) -> tuple[Answer, str]:
    """The item's gold; none in the public release. Letters of a shuffled row are those of its own order."""
    answers: list[tuple[Answer, str]] = []
    for row, variant in zip(group, variants, strict=True):
        try:
            answer, rest = read_answer(row.content.answer, form, options)
        except AnswerError as error:
            faults.add(row, error.code, "answer", **error.values)
            continue
        if isinstance(form, ChoiceForm) and isinstance(answer, list) and variant.order:
            answer = sorted(ascii_uppercase[variant.order[ascii_uppercase.index(letter)]] for letter in answer)
        answers.append((answer, rest))
        if answers[0] != answers[-1]:
            faults.add(row, "official_other_answer", "answer", first=group[0].line)
    return answers[0] if answers else (None, "")


def _meta(file: _File, row: OfficialRow) -> dict[str, object]:
    meta: dict[str, object] = {"file": file.official.name, "other": row.other}
    if row.img_path is not None:
        meta["img_path"] = row.img_path
    return meta
