"""APIs described in the words of a question, as JSON Schema.

Covers what MedCallAPI, MedRetAPI and MedPathPlan write: `API1：name（…）`, `输入参数：a (string，必填)：…`, on lines,
in braces, run together without any separator, or as a JSON example `{"a": "string"}`. What is not said is not guessed:
a description that can't be read whole names why.
"""

from __future__ import annotations

import re

import msgspec

from medbench.scoring.executable.model import QUOTED, Finding

_TYPES: dict[str, dict[str, object]] = {
    "string": {"type": "string"},
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "array": {"type": "array"},
    "dict": {"type": "object"},
    "object": {"type": "object"},
    "json": {"type": ["object", "array"]},
}
_REQUIRED = re.compile(r"(?<!非)必填|(?<!非)必选|required", re.I)
_OPTIONAL = re.compile(r"选填|可选|非必填|非必选|optional", re.I)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_HEADER = re.compile(rf"API\s*(?:描述)?\s*\d*\s*[:：]\s*(?P<name>{_NAME})\s*[（(]")
_INPUT = re.compile(r"输入参数\s*[:：]")
_OUTPUT = re.compile(r"输出(?:参数)?\s*[:：]")
_COUNT = re.compile(r"以下\s*(\d+)\s*个\s*API")
_MEMBER = re.compile(
    rf"(?P<lead>^|\n[ \t]*|[ \t]{{2,}}|[-•*]\s*)?(?<![A-Za-z0-9_])(?P<name>{_NAME})\s*"
    r"[（(]\s*(?P<type>[A-Za-z]+(?:\s*[/|]\s*[A-Za-z]+)*)\s*(?:[,，、]\s*(?P<rest>[^()（）]*))?[)）]"
)
_EXAMPLE_MEMBER = re.compile(rf"[\"“](?P<name>{_NAME})[\"”]\s*[:：]\s*[\"“](?P<type>[A-Za-z]+)[\"”]")
_EXAMPLE_NAME = re.compile(rf"[\"“]{_NAME}[\"”]\s*[:：]")
_MEANT = re.compile(r"[\"“'‘]([^\"“”'‘’]+)[\"”'’]\s*[=＝]\s*([^,，、\"“”)）]+)")
_BRACKETS = re.compile(r"[（(]([^（()）]*)[)）]")
_FOR_EXAMPLE = re.compile(r"例如|比如|譬如|如|e\.g\.|等")
_STATED_VALUES = re.compile(r"可选值|可选|枚举值?|取值(?:范围)?")
_BETWEEN_VALUES = re.compile(r"[\s,，、/|或和:：为是]*(?:[\u4e00-\u9fff]{1,8})?[\s,，、/|或和]*")
_FIXED = re.compile(r"固定为\s*[\"“'‘]([^\"“”'‘’]+)[\"”'’]")
_WHEN = re.compile(r"当([\u4e00-\u9fff]+)[为是]((?:\s*[、,或]?\s*[\"“][^\"”]+[\"”])+)(?:等)?时必填")
_FORMAT = re.compile(r"YYYY[-/]MM[-/]DD(?:(T| )?HH:mm:ss(Z)?)?", re.I)
_DAY, _CLOCK = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])", r"(?:[01]\d|2[0-3]):[0-5]\d"
ISO_8601 = rf"^{_DAY}(?:[T ]{_CLOCK}(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]{_CLOCK}|[+-]\d{{4}})?)?$"


class Api(msgspec.Struct, frozen=True):
    """One API.

    Attributes:
        name: As calls write it.
        parameters: JSON Schema (2020-12) of its arguments, an object; `x-meanings` tells what an enum's values mean.
        unstated: Parameters of which it is not said whether they are required.
    """

    name: str
    parameters: dict[str, object]
    unstated: tuple[str, ...] = ()


class Description(msgspec.Struct, frozen=True):
    """The APIs of a question, in its order.

    Attributes:
        apis: Those that could be read.
        gaps: What could not; empty: the description was read whole.
    """

    apis: tuple[Api, ...]
    gaps: tuple[Finding, ...] = ()


def read_apis(question: str) -> Description:
    """Read the APIs that a question describes."""
    headers = list(_HEADER.finditer(question))
    if not headers:
        return Description((), (Finding("no_api"),))
    apis: list[Api] = []
    gaps: list[Finding] = []
    ends = [header.start() for header in headers[1:]] + [len(question)]
    for header, end in zip(headers, ends, strict=True):
        name = header["name"]
        api, found = _api(name, question[header.end() : end])
        if any(each.name == name for each in apis):
            found.append(Finding("described_twice", name))
        gaps += found
        if api is not None:
            apis.append(api)
    said = _COUNT.search(question)
    if said and int(said[1]) != len(headers):
        gaps.append(Finding("api_count", f"{len(headers)} / {said[1]}"))
    return Description(tuple(apis), tuple(gaps))


class _Member(msgspec.Struct):
    """A parameter, or a member of one that is an object."""

    name: str
    schema: dict[str, object]
    required: bool | None
    nested: bool
    text: str = ""
    members: list[_Member] = []


def _api(name: str, block: str) -> tuple[Api | None, list[Finding]]:
    start = _INPUT.search(block)
    if start is None:
        return None, [Finding("no_parameters", name)]
    section = block[start.end() :]
    gaps: list[Finding] = []
    if end := _OUTPUT.search(section):
        section = section[: end.start()]
    else:
        # Where no output is described the parameters are on one line, and what follows is the task.
        section, _, rest = section.lstrip("\n").partition("\n")
        if _members(name, rest, []):
            gaps.append(Finding("parameters_not_read", name))
    members = _members(name, section, gaps)
    if not members and not gaps:
        gaps.append(Finding("no_parameters", name))
    tops: list[_Member] = []
    for member in members:
        if not member.nested:
            tops.append(member)
        elif tops and {"object", "array"} & {tops[-1].schema.get("type")}:
            tops[-1].members.append(member)
        else:
            gaps.append(Finding("required_not_said", f"{name}.{member.name}"))
    for member in tops:
        for each in [member, *member.members]:
            _describe(each, tops)
        if member.members:
            inner = _object(member.members, closed=False)
            member.schema |= inner if member.schema["type"] == "object" else {"items": inner}
    names = [member.name for member in tops]
    gaps += [Finding("described_twice", f"{name}.{each}") for each in dict.fromkeys(names) if names.count(each) > 1]
    unstated = tuple(member.name for member in tops if member.required is None)
    return Api(name, _object(tops, closed=True), unstated), gaps


def _members(api: str, section: str, gaps: list[Finding]) -> list[_Member]:
    examples = list(_EXAMPLE_MEMBER.finditer(section))
    if examples and section.strip().startswith("{"):
        found: list[_Member] = []
        for each in examples:
            kind = each["type"].lower()
            if kind in _TYPES:
                found.append(_Member(each["name"], dict(_TYPES[kind]), None, nested=False))
            else:
                gaps.append(Finding("unknown_type", f"{api}.{each['name']} ({kind})"))
        if len(examples) < len(_EXAMPLE_NAME.findall(section)):
            gaps.append(Finding("parameters_not_read", api))
        return found
    members: list[_Member] = []
    texts: list[int] = []
    for each in _MEMBER.finditer(section):
        kinds = [kind.strip().lower() for kind in re.split(r"[/|]", each["type"])]
        rest = each["rest"] or ""
        flagged = bool(_REQUIRED.search(rest) or _OPTIONAL.search(rest))
        if not all(kind in _TYPES for kind in kinds):
            if flagged:  # else it is a word with something in brackets
                gaps.append(Finding("unknown_type", f"{api}.{each['name']} ({each['type']})"))
            continue
        if members:
            members[-1].text = section[texts[-1] : each.start()]
        required = None if not flagged else not _OPTIONAL.search(rest)
        # Members of an object are set off by white space or a dash, or have no word on whether they are required.
        lead = each["lead"] or ""
        set_off = bool(members) and ("-" in lead or "•" in lead or ("\n" not in lead and len(lead) > 1))
        members.append(_Member(each["name"], _union(kinds), required, nested=set_off or not flagged, members=[]))
        texts.append(each.end())
    if members:
        members[-1].text = section[texts[-1] :]
    return members


def _union(kinds: list[str]) -> dict[str, object]:
    if len(kinds) == 1:
        return dict(_TYPES[kinds[0]])
    types = [_TYPES[kind]["type"] for kind in kinds]
    return {"type": [each for one in types for each in (one if isinstance(one, list) else [one])]}


def _object(members: list[_Member], *, closed: bool) -> dict[str, object]:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {member.name: {k: v for k, v in member.schema.items() if k != "x-when"} for member in members},
        "required": [member.name for member in members if member.required],
    }
    if closed:
        schema["additionalProperties"] = False
    conditions = [
        {
            "if": {"properties": {name: {"enum": values}}, "required": [name]},
            "then": {"required": [member.name]},
        }
        for member in members
        if isinstance(when := member.schema.get("x-when"), tuple)
        for name, values in (when,)
    ]
    return schema | ({"allOf": conditions} if conditions else {})


def _describe(member: _Member, tops: list[_Member]) -> None:
    """Put what the text of a member states into its schema: values, formats, when it is required."""
    target = member.schema
    if target["type"] == "array":
        target = {}
    kind = member.schema["type"]
    if kind in ("string", "array"):
        values, meanings = _values(member.text)
        if values:
            target["enum"] = values
            if meanings:
                target["x-meanings"] = meanings
        pattern = _pattern(member.text)
        if pattern and not values:
            target["pattern"] = pattern
    if kind == "array" and target:
        member.schema["items"] = {"type": "string"} | target
    if when := _WHEN.search(member.text):
        # The condition names another parameter by the words that its own text begins with.
        for other in tops:
            if other.text.lstrip(":： ").startswith(when[1]):
                member.schema["x-when"] = (other.name, QUOTED.findall(when[2]))


def _values(text: str) -> tuple[list[str], dict[str, str]]:
    """The closed list of values that a text states, and what they mean; examples are no closed list."""
    if fixed := _FIXED.search(text):
        return [fixed[1]], {}
    for bracket in _BRACKETS.finditer(text):
        inside = bracket[1]
        first = QUOTED.search(inside)
        if first is None or _FOR_EXAMPLE.search(inside[: first.start()]) or inside.rstrip().endswith("等"):
            continue
        meant = dict(_MEANT.findall(inside))
        quoted = QUOTED.findall(inside)
        if len(meant) == len(quoted) > 1:
            return quoted, {value: meaning.strip() for value, meaning in meant.items()}
        if len(quoted) > 1:
            rest = QUOTED.split(inside)[::2]
            plain = [_STATED_VALUES.sub("", rest[0]), *rest[1:]]
            if all(_BETWEEN_VALUES.fullmatch(each) for each in plain):
                return quoted, {}
    if stated := re.search(r"可选值[为是:：]?\s*", text):
        sentence = re.split(r"[。；;]", text[stated.end() :])[0]
        pairs = re.findall(r"[\"“'‘]([^\"“”'‘’]+)[\"”'’]\s*[（(]([^（()）]*)[)）]", sentence)
        if len(pairs) > 1:
            return [value for value, _ in pairs], dict(pairs)
    return [], {}


def _pattern(text: str) -> str:
    """Regular expression of the date format that a text states; empty where it states none."""
    if re.search(r"ISO\s*8601", text):
        return ISO_8601
    if found := _FORMAT.search(text):
        separator, zone = found[1], found[2]
        if "HH" not in found[0].upper():
            return f"^{_DAY}$"
        return rf"^{_DAY}{re.escape(separator or '')}{_CLOCK}:[0-5]\d{'Z' if zone else ''}$"
    return ""
