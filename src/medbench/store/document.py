"""Files that people write, held against types: all that is wrong with one is told at once, with line and field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from medbench.errors import Problem
from medbench.text import say

S = TypeVar("S", bound=msgspec.Struct)
_LAST_STEP = re.compile(r"(?:(?:^|\.)[^.\[]*|\[\d+\])$")


class Document:
    """A file as plain values: mappings, lists, texts, numbers.

    Attributes:
        file: As the user named it.
        content: Its bytes.
        problems: What was found wrong with it so far.

    Args:
        file: As the user named it.
        content: Its bytes.
        value: What it says.
        lines: Place such as `models[0].name` -> line, from 1; empty where lines are not known.
        problems: What is known to be wrong with it.
    """

    def __init__(
        self, file: str, content: bytes, value: object, lines: Mapping[str, int] = {}, *problems: Problem
    ) -> None:
        self.file = file
        self.content = content
        self.problems = list(problems)
        self._value = value
        self._lines = lines

    def read(self, kind: type[S]) -> S:
        """The document as a struct, which knows all its fields.

        What can't be used of it is among `problems`, and at its default in what is returned, or None where it has none:
        there further problems can be looked for, but nothing more be done with it.
        """
        return self._struct(kind, self._value, "")

    def texts(self) -> Iterator[str]:
        """What it says as it is read, without escapes and comments: `name: value` of each name, and what lists hold."""
        yield from _texts(self._value)

    def problem(self, key: str, place: str, **values: Any) -> None:  # noqa: ANN401 - fills a message
        """Report something wrong at a place.

        Args:
            key: Of the message.
            place: Field, such as `models[0].name`; empty: the whole.
            values: Fill the message.
        """
        self.problems.append(self.located(Problem(message=say(key, **values)), place))

    def located(self, problem: Problem, place: str) -> Problem:
        """A problem as one at a place of this file."""
        above = place
        while above and above not in self._lines:
            above = _LAST_STEP.sub("", above)
        return msgspec.structs.replace(problem, file=self.file, line=self._lines.get(above), field=place or None)

    def of_option(self, problem: Problem, place: str) -> Problem:
        """A problem with what `medbench run` takes as options, and this file says under a place; empty: the whole.

        There `--base-url` is called `base_url`. A problem of another file stays one.
        """
        field = (problem.field or "model").removeprefix("--").replace("-", "_")
        return problem if problem.file else self.located(problem, below(place, field))

    def is_wrong(self, place: str) -> bool:
        """Whether there is a problem at a place, or below it."""
        inner = (f"{place}.", f"{place}[")
        return any(each.field == place or str(each.field).startswith(inner) for each in self.problems)

    def _struct(self, kind: type[S], value: object, place: str) -> S:
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        made: dict[str, object] = {name: None for name, field in fields.items() if field.required}
        if not isinstance(value, dict):
            self.problem("store.no_mapping", place)
            return kind(**made)
        for name in value:
            if name not in fields:
                self.problem("store.unknown_field", below(place, name), known=", ".join(fields))
        for name, field in fields.items():
            if name in value:
                found = self._converted(field.type, value[name], below(place, name))
                if found is not msgspec.UNSET:
                    made[name] = found
            elif field.required:
                self.problem("store.missing_field", below(place, name))
        return kind(**made)

    def _converted(self, kind: Any, value: object, place: str) -> object:  # noqa: ANN401 - any type
        """A value as its type; UNSET where that can't be, which is reported. What lists hold wrong is left out."""
        options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
        if value is None and type(None) in options:
            return None
        options = tuple(option for option in options if option is not type(None))
        for option in options:
            inner = get_args(option)
            match get_origin(option), value:
                case None, _ if _is_struct(option) and (isinstance(value, dict) or len(options) == 1):
                    return self._struct(option, value, place)
                case other, list() if other is tuple and inner[-1] is ...:
                    read = (self._converted(inner[0], each, f"{place}[{at}]") for at, each in enumerate(value))
                    return tuple(each for each in read if each is not msgspec.UNSET)
                case other, dict() if other is dict:
                    return self._mapping(inner[0], inner[1], value, place)
                case other, _ if other is Literal and value not in inner:
                    self.problem("store.not_allowed", place, value=value, allowed=", ".join(map(str, inner)))
                    return msgspec.UNSET
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.problem("store.bad_value", place, reason=error)
            return msgspec.UNSET

    def _mapping(self, names: Any, kind: Any, value: dict[str, object], place: str) -> object:  # noqa: ANN401 - types
        known = get_args(names)
        made = {}
        for name, each in value.items():
            if known and name not in known:
                self.problem("store.unknown_field", below(place, name), known=", ".join(known))
            elif (found := self._converted(kind, each, below(place, name))) is not msgspec.UNSET:
                made[name] = found
        return made


def below(place: str, name: str) -> str:
    """The place of a name within a mapping at a place."""
    return f"{place}.{name}" if place else name


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            first, *rest = (*_texts(inner), "")
            yield f"{name}: {first}"
            yield from filter(None, rest)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    else:
        yield str(value)


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
