"""`ehr`: a record store that is searched and written by functions as MedAgentBench describes them (arXiv 2501.14654).

Data files of an item, in order: records (JSONL, one FHIR resource a line) and functions (JSON, a list of
`{"name": "GET {api_base}/Patient", "description", "parameters"}`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from medbench.agents.environment import Entry, State, data_of
from medbench.agents.environments.acts import Act, spec
from medbench.errors import InputError
from medbench.items.model import Question
from medbench.models.model import Context
from medbench.models.tools import ToolError, ToolSpec
from medbench.text import say

MOST_FOUND = 50
LONGEST_FOUND = 18_000
"""Characters of the resources that one search returns; the rest is counted."""
_NAME = re.compile(r"(GET|POST) (?:\{api_base\})?/?([A-Z][A-Za-z]{1,40})")
_DATE = re.compile(r"(eq|ge|gt|le|lt)?(\d{4}.*)")

Resource = dict[str, Any]


class _Function(msgspec.Struct, frozen=True):
    name: str
    parameters: dict[str, Any]
    description: str = ""


class Function(NamedTuple):
    """A function of the store: what it does with which kind of resource, and what a model is told of it."""

    method: Literal["GET", "POST"]
    kind: str
    spec: ToolSpec


class RecordStore:
    """Records that are searched; what is written is kept apart, and found by later searches.

    Args:
        question: Its data files are records and functions.
        context: Of the question.

    Raises:
        InputError: A data file can't be read.
        MediaMissing: One is missing.
    """

    def __init__(self, question: Question, context: Context) -> None:
        files = data_of(question, context)
        try:
            records, functions = files
            self._records = _read_records(records)
            self._functions = _read_functions(functions)
        except (ValueError, msgspec.DecodeError) as error:
            raise InputError(say("agents.bad_data", uid=question.uid, reason=error)) from error
        self._entries: list[Entry] = []
        self._answer: tuple[Any, ...] | None = None
        self.tools = (
            *(Act(function.spec, self._doing(function)) for function in self._functions),
            Act(FINISH, self._finish),
        )

    @property
    def over(self) -> bool:
        """The answer is given."""
        return self._answer is not None

    def snapshot(self) -> bytes:
        """What was written, and the answer."""
        return State(environment="ehr", entries=tuple(self._entries), answer=self._answer).snapshot()

    async def close(self) -> None:
        """It holds nothing."""

    def _doing(self, function: Function) -> Callable[[Mapping[str, Any]], object]:
        if function.method == "GET":
            return lambda arguments: self._search(function, arguments)
        return lambda arguments: self._create(function.kind, arguments)

    def _search(self, function: Function, arguments: Mapping[str, Any]) -> object:
        known = dict[str, object](function.spec.parameters.get("properties", {}))  # type: ignore[call-overload]
        unknown = [name for name in arguments if name not in known]
        if unknown:
            raise ToolError("bad_arguments", f"unknown: {', '.join(unknown)[:200]}; there are: {', '.join(known)}")
        if "date" in arguments and not _DATE.fullmatch(str(arguments["date"]).strip()):
            raise ToolError("bad_arguments", "a date is YYYY-MM-DD or longer, with eq, ge, gt, le or lt before it")
        written = [entry.content for entry in self._entries]
        stored = (record for record in (*self._records, *written) if record.get("resourceType") == function.kind)
        found = [
            record for record in stored if all(_fits(record, name, str(value)) for name, value in arguments.items())
        ]
        shown: list[Resource] = []
        length = 0
        for record in found[:MOST_FOUND]:
            length += len(msgspec.json.encode(record))
            if shown and length > LONGEST_FOUND:
                break
            shown.append({"resource": record})
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": shown}
        if len(shown) < len(found):
            bundle["left_out"] = len(found) - len(shown)
        return bundle

    def _create(self, kind: str, arguments: Mapping[str, Any]) -> object:
        if arguments.get("resourceType") != kind:
            raise ToolError("bad_arguments", f"resourceType is not {kind}")
        self._entries.append(Entry(kind, dict(arguments)))
        return {"resourceType": kind, "id": f"new-{len(self._entries)}", "outcome": "created"}

    def _finish(self, arguments: Mapping[str, Any]) -> str:
        self._answer = tuple(arguments["answer"])
        return "done"


FINISH = spec(
    "finish",
    "End the task, when everything asked for is done. Give the answers to what was asked, one element each; an empty "
    "list where nothing was asked.",
    {"answer": {"type": "array", "items": {"type": ["string", "number"]}, "maxItems": 50}},
)


@lru_cache(maxsize=4)
def _read_records(content: bytes) -> Sequence[Resource]:
    """The records, read once for all items that share them; nobody changes them."""
    records = [msgspec.json.decode(line, type=dict[str, Any]) for line in content.splitlines() if line.strip()]
    if not all(isinstance(record.get("resourceType"), str) for record in records):
        raise ValueError("a record without resourceType")
    return records


def _read_functions(content: bytes) -> list[Function]:
    functions: list[Function] = []
    names: dict[str, int] = {}
    for function in msgspec.json.decode(content, type=list[_Function]):
        parts = _NAME.fullmatch(function.name)
        if parts is None:
            raise ValueError(f"no function: {function.name[:80]}")
        method: Literal["GET", "POST"] = "GET" if parts[1] == "GET" else "POST"
        name = f"{method.lower()}_{parts[2].lower()}"
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name += f"_{names[name]}"
        functions.append(Function(method, parts[2], ToolSpec(name, function.description, function.parameters)))
    return functions


def _fits(record: Resource, name: str, value: str) -> bool:
    """Whether a resource is one that a search parameter asks for."""
    wanted = value.strip().casefold()
    if name == "date":
        return any(_in_time(str(record[field]), value.strip()) for field in _DATES if field in record)
    if name == "patient":
        subjects = (str(each.get("reference", "")).rpartition("/")[2] for each in _parts(record.get("subject")))
        return wanted.rpartition("/")[2] in map(str.casefold, subjects)
    if name in ("identifier", "code", "category"):
        return wanted.rpartition("|")[2] in map(str.casefold, _texts(record.get(name)))
    if name in ("gender", "legal-sex"):
        return str(record.get("gender", "")).casefold() == wanted
    if name == "birthdate":
        return str(record.get("birthDate", "")) == value.strip()
    if name in ("family", "given"):
        return wanted in map(str.casefold, _texts([each.get(name) for each in _parts(record.get("name"))]))
    if name == "name":
        whole = " ".join(
            _texts([[each.get("given"), each.get("family")] for each in _parts(record.get("name"))])
        ).casefold()
        return all(word in whole for word in wanted.split())
    if name == "telecom":
        return wanted in map(str.casefold, _texts(record.get("telecom")))
    if name.startswith("address"):
        field = {"address-city": "city", "address-postalcode": "postalCode", "address-state": "state"}.get(name)
        places = _parts(record.get("address"))
        return wanted in " ".join(_texts([place.get(field) if field else place for place in places])).casefold()
    return str(record.get(name, "")).casefold() == wanted


_DATES = ("effectiveDateTime", "performedDateTime", "authoredOn", "occurrenceDateTime", "recordedDate")


def _in_time(stamp: str, wanted: str) -> bool:
    """FHIR's date search, by comparing ISO 8601 to the precision asked for."""
    parts = _DATE.fullmatch(wanted)
    assert parts is not None  # looked at before the search
    bound = parts[2]
    cut = stamp[: len(bound)]
    return {
        "ge": cut >= bound,
        "gt": cut > bound,
        "le": cut <= bound,
        "lt": cut < bound,
    }.get(parts[1] or "eq", cut == bound)


def _parts(value: object) -> list[Resource]:
    """The objects of a list, or the only one: a model may write a field in any shape, which is then not found."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _texts(value: object) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member)
