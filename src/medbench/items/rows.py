"""A row of item JSONL (DESIGN.md, "File contracts") becomes a Question and a Key, or a list of problems."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from medbench.catalog import load_catalog
from medbench.catalog.catalog import Catalog
from medbench.catalog.model import ChoiceForm, Dataset, LabelForm, MaskForm, Part
from medbench.errors import Problem, Severity
from medbench.items.answers import AnswerError, read_answer
from medbench.items.media import MediaFiles
from medbench.items.model import Basis, ItemLanguage, Key, KeyPoint, Media, Probe, Question, RubricCriterion, Turn
from medbench.items.report import Report, problem
from medbench.text import say

LONGEST_ROW = 4 * 1024 * 1024
"""Bytes; the longest official question has 33,000 characters."""
MOST_OPTIONS = 26
LONGEST_ID = 200
MOST_STATEMENTS = 500
"""Key points of an item, and criteria: a judge has to look at each."""

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_BAD_ID = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class ItemRow(msgspec.Struct, forbid_unknown_fields=True):
    """A row as people write it. Only id, dataset and question are required."""

    id: str | int
    dataset: str
    question: str
    part: str = ""
    options: list[str] | None = None
    answer: object = None
    language: ItemLanguage | None = None
    specialty: str | None = None
    basis: list[Basis] | None = None
    key_points: list[KeyPoint] | None = None
    rubric: str | None = None
    criteria: list[RubricCriterion] | None = None
    turns: list[Turn] | None = None
    media: list[str] | None = None
    source: str | None = None
    family: str | None = None
    probe: Probe | None = None
    meta: dict[str, object] | None = None


FIELD_TYPES = {field.name: field.type for field in msgspec.structs.fields(ItemRow)}
_REQUIRED = ("id", "dataset", "question")


class Place(NamedTuple):
    """Where a row stands."""

    file: str
    line: int


class Item(NamedTuple):
    """An item as a reader yields it.

    Attributes:
        question: All that may be asked.
        key: The rest.
        place: Where its (first) row stands.
        row: The row itself, as bytes of JSON or as a value, for setting it aside.
    """

    question: Question
    key: Key
    place: Place
    row: object


class ItemReader(Protocol):
    """A format of items: reads a source from its start, as often as asked."""

    @property
    def media(self) -> MediaFiles:
        """Where the source's media are."""

    def items(self, report: Report) -> Iterator[Item]:
        """Yield the usable items in a stable order; everything else goes to the report."""


class RowError(Exception):
    """A row that can't be used.

    Attributes:
        problems: Why.
        row: The JSON value where it could be read, else its text.
    """

    def __init__(self, problems: list[Problem], row: object) -> None:
        super().__init__(len(problems))
        self.problems = problems
        self.row = row


class _RepeatedKeyError(ValueError):
    """A JSON object has a key twice."""


class RowReader:
    """Reads rows of one source.

    Args:
        catalog: The datasets there are.
        media: Where the media are.
        warn: Called with warnings; a row with warnings alone is used.
        checked: The rows were read before, so that their JSON is known to be strict.
        key_media: Where the answers are that are files; None: with the media.
    """

    def __init__(
        self,
        catalog: Catalog,
        media: MediaFiles,
        warn: Callable[[Problem], None],
        *,
        checked: bool = False,
        key_media: MediaFiles | None = None,
    ) -> None:
        self._checked = checked
        self._catalog = catalog
        self._media = media
        self._key_media = key_media or media
        self._warn = warn
        self._decode = msgspec.json.Decoder(ItemRow).decode
        self._parts: dict[tuple[str, str], Part] = {}
        self._hints: dict[str, str] = {}
        self._specialties = {name for one in catalog.specialties for name in (one.code, one.title.zh)}

    def read_line(self, line: bytes, place: Place) -> tuple[Question, Key]:
        """Read a line of item JSONL.

        Raises:
            RowError: It can't be used.
        """
        try:
            row = self._decode(line)
            if not self._checked:
                strict_json(line.decode())
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise self._diagnose(line, place) from None
        return self.read(row, place)

    def read_object(self, value: dict[str, object], place: Place) -> tuple[Question, Key]:
        """Read a row that comes from elsewhere (a table).

        Raises:
            RowError: It can't be used.
        """
        try:
            row = msgspec.convert(value, ItemRow)
        except msgspec.ValidationError:
            raise RowError(self._field_problems(value, place), value) from None
        return self.read(row, place)

    def read(self, row: ItemRow, place: Place) -> tuple[Question, Key]:
        """Check a row against the catalog and split it.

        Raises:
            RowError: It can't be used.
        """
        problems: list[Problem] = []

        def complain(code: str, field: str, severity: Severity = "error", /, **values: object) -> None:
            found = problem(code, file=place.file, line=place.line, field=field, severity=severity, **values)
            problems.append(found) if severity == "error" else self._warn(found)

        identifier = str(row.id)
        if not identifier.strip() or len(identifier) > LONGEST_ID or _BAD_ID.search(identifier):
            complain("bad_id", "id", most=LONGEST_ID)
        if not row.question.strip():
            complain("no_question", "question")
        part = self._part(row, place, complain)
        options = tuple(row.options or ())
        answer, rest = None, ""
        if part is not None:
            self._check_options(options, part, complain)
            if not problems:
                try:
                    answer, rest = read_answer(row.answer, part.answer, options)
                except AnswerError as fault:
                    complain(fault.code, "answer", **fault.values)
        truth: tuple[Media, ...] = ()
        if part is not None and isinstance(part.answer, MaskForm) and isinstance(answer, str):
            truth = (self._key_media.find(answer),)
            if truth[0].missing:
                complain("answer_file_missing", "answer", reason=truth[0].missing)
        for point in row.key_points or ():
            if not point.text.strip() or not point.weight > 0:
                complain("bad_key_point", "key_points")
        for index, criterion in enumerate(row.criteria or ()):
            if not criterion.text.strip() or not criterion.points:
                complain("bad_criterion", f"criteria[{index}]")
        if row.criteria and all(criterion.points <= 0 for criterion in row.criteria):
            complain("no_positive_points", "criteria")
        for name, statements in (("key_points", row.key_points), ("criteria", row.criteria)):
            if len(statements or ()) > MOST_STATEMENTS:
                complain("too_many_statements", name, most=MOST_STATEMENTS)
        for index, turn in enumerate(row.turns or ()):
            if turn.role == "tool" or not turn.content.strip():
                complain("bad_turn", f"turns[{index}]")
        if row.specialty and row.specialty not in self._specialties:
            near = get_close_matches(row.specialty, self._specialties, n=1, cutoff=0.5)
            complain("unknown_specialty", "specialty", "warning", name=row.specialty, near=_near(near))
        media = tuple(self._media.find(name) for name in row.media or ())
        for medium in media:
            if medium.missing:
                complain(f"media_{medium.missing}", "media", "warning", name=medium.path)
        if problems:
            raise RowError(problems, msgspec.to_builtins(row))
        question = Question(
            id=identifier,
            dataset=row.dataset,
            text=row.question,
            part=row.part,
            options=options,
            language=row.language or ("zh" if _CHINESE.search(row.question) else "en"),
            specialty=row.specialty or "",
            basis=tuple(row.basis or ()),
            media=media,
            source=row.source or "",
            family=row.family or "",
            probe=row.probe,
            turns=tuple(row.turns or ()),
            meta=row.meta or {},
        )
        rubric = "\n".join(text for text in (row.rubric or "", rest) if text)
        return question, Key(
            uid=question.uid,
            answer=answer,
            key_points=tuple(row.key_points or ()),
            rubric=rubric,
            criteria=tuple(row.criteria or ()),
            media=truth,
        )

    def _part(self, row: ItemRow, place: Place, complain: Callable[..., None]) -> Part | None:
        part = self._parts.get((row.dataset, row.part))
        if part is None:
            dataset = self._catalog.datasets.get(row.dataset)
            if dataset is None:
                if row.dataset not in self._hints:
                    self._hints[row.dataset] = self._hint(row.dataset, Path(place.file).parent / "datasets")
                complain("unknown_dataset", "dataset", name=row.dataset, hints=self._hints[row.dataset])
                return None
            part = _find_part(dataset, row.part)
            if part is None:
                names = ", ".join(one.name or '""' for one in dataset.parts)
                complain("unknown_part", "part", dataset=dataset.name, name=row.part, parts=names)
                return None
            self._parts[row.dataset, row.part] = part
        return part

    def _hint(self, name: str, beside: Path) -> str:
        """What may help where a dataset is not known."""
        near = get_close_matches(name, self._catalog.datasets, n=3, cutoff=0.5)
        closest = [say("items.closest_datasets", near=", ".join(near))] if near else []
        if any(beside.glob("*.toml")) and self._catalog.version == load_catalog().version:
            return " ".join([*closest, say("items.datasets_beside", folder=beside)])
        return " ".join([*closest, say("items.dataset_of_ones_own")])

    @staticmethod
    def _check_options(options: tuple[str, ...], part: Part, complain: Callable[..., None]) -> None:
        form = part.answer
        if isinstance(form, ChoiceForm):
            if not 2 <= len(options) <= MOST_OPTIONS:
                complain("option_count", "options", count=len(options), most=MOST_OPTIONS)
        elif isinstance(form, LabelForm):
            if not options and not form.labels:
                complain("no_labels", "options")
            elif options and form.labels:
                complain("options_unused", "options")
        elif options:
            complain("options_unused", "options")
        texts = [option.strip() for option in options]
        if not all(texts):
            complain("option_empty", "options")
        elif len(set(texts)) < len(texts):
            complain("option_twice", "options", "warning")

    def _diagnose(self, line: bytes, place: Place) -> RowError:
        """Say everything that is wrong with a line that the fast way refused."""

        def one(code: str, row: object, field: str | None = None, /, **values: object) -> RowError:
            return RowError(
                [problem(code, file=place.file, line=place.line, field=field, severity="error", **values)], row
            )

        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            return one("not_utf8", line.decode(errors="replace"), position=error.start + 1)
        try:
            value = strict_json(text)
        except _RepeatedKeyError as error:
            return one("key_twice", text, str(error))
        except (ValueError, RecursionError):
            return one("not_json", text)
        if not isinstance(value, dict):
            return one("not_object", value)
        problems = self._field_problems(value, place)
        return RowError(problems, value) if problems else one("not_json", text)

    @staticmethod
    def _field_problems(value: dict[str, object], place: Place) -> list[Problem]:
        problems = [
            problem("missing_field", file=place.file, line=place.line, field=name)
            for name in _REQUIRED
            if name not in value
        ]
        for name, content in value.items():
            if name not in FIELD_TYPES:
                near = get_close_matches(name, FIELD_TYPES, n=1)
                problems.append(
                    problem("unknown_field", file=place.file, line=place.line, field=name[:100], near=_near(near))
                )
                continue
            try:
                msgspec.convert(content, FIELD_TYPES[name])
            except msgspec.ValidationError as error:
                # msgspec tells types and names of fields, never contents.
                problems.append(
                    problem("wrong_type", file=place.file, line=place.line, field=name, error=str(error).rstrip("."))
                )
        return problems


def strict_json(text: str) -> object:
    """Parse JSON; keys that occur twice, NaN and Infinity are refused.

    Raises:
        ValueError: It is not strict JSON.
        RecursionError: It is nested too deeply.
    """
    return _DECODER.decode(text)


def plain_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """A JSON value with plain texts that every file can hold: half of a surrogate pair becomes a question mark.

    Raises:
        ValueError: It is no JSON value.
        RecursionError: It is nested too deeply.
    """
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1)[:100])
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _find_part(dataset: Dataset, name: str) -> Part | None:
    return next((part for part in dataset.parts if part.name == name), None)


def _near(names: list[str]) -> str:
    return ", ".join(names) if names else "–"
