"""Calls in an answer, and the check of answers that are calls against described APIs."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from medbench.items.model import Key, Question
from medbench.items.rows import plain_json
from medbench.models.model import Response
from medbench.scoring.executable.api_description import Api, read_apis
from medbench.scoring.executable.api_validation import Written, findings_of
from medbench.scoring.executable.model import ExecutableCheck, Finding
from medbench.scoring.judging.plan import answer_of

MOST_CALLS = 200
LONGEST_ANSWER = 100_000
"""Characters; a longer answer is not read."""
MOST_SCANNED = 10_000_000
"""Characters that attempts at JSON may read in vain, all together; each begins anew at the next bracket."""
_DEEPEST = 40
_NAME_KEYS = (
    "name",
    "api",
    "api_name",
    "apiname",
    "function",
    "function_name",
    "tool",
    "tool_name",
    "method",
    "action",
    "接口",
    "接口名称",
    "api名称",
)
_ARGUMENT_KEYS = (
    "arguments",
    "args",
    "parameters",
    "params",
    "param",
    "input",
    "inputs",
    "input_parameters",
    "action_input",
    "参数",
    "输入参数",
    "传入参数",
    "调用参数",
)
_OPENERS = {"(": ")", "（": "）", "[": "]", "{": "}"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_LONE_CALL = re.compile(r"^[ \t>*\-\d.、)]*`*([A-Za-z_][A-Za-z0-9_.]*)\s*(?=[(（]\s*[A-Za-z_]\w*\s*[=:：])", re.M)
_BEFORE_RESULT = re.compile(r"返回|输出|响应|结果|output|response|return", re.I)
_NUMBERED = re.compile(r"\s*API\s*(\d{1,3})\s*", re.I)
# What stands directly before a call that takes an earlier one back, and before one that shows how not to do it.
_BEFORE_CALL = (
    r"(?:示例|例子|调用|写法|做法|用法|格式|版本|后|的| example| call| version| form){0,3} ?"
    r"(?:[（(][^（）()]{0,30}[）)])? ?(?:如下|为|是|is)? ?[:：] ?[*`]{0,3} ?"
    r"(?:```\w{0,10} ?)?(?:- |\d{1,2}[.、)] ?)?[`\[ ]*$"
)
_CORRECTED = re.compile(
    r"(?:更正|改正|修正|纠正|(?<![不确])正确|应改为|应为|\bcorrect(?:ed|ion)?|\bfixed|\brevised|\bshould be)"
    + _BEFORE_CALL,
    re.I,
)
_COUNTER_EXAMPLE = re.compile(
    r"(?:错误|反例|反面|不正确|不要这样|\bwrong|\bincorrect|\bbad|\bdon't do this)" + _BEFORE_CALL, re.I
)
_LOOKED_BACK = 80
_JSON = json.JSONDecoder()
_LONGEST_BRACKET = 10_000


class Call(msgspec.Struct, frozen=True):
    """A call that an answer makes.

    Attributes:
        name: As written.
        arguments: None: the API is named, and nothing is said of its arguments.
        place: Where it stands in the answer, in characters.
    """

    name: str
    arguments: dict[str, object] | None
    place: int


def extract_calls(answer: str, apis: Sequence[Api]) -> list[Call]:
    """Calls in an answer, in its order.

    Read are JSON objects (`{"name": …, "arguments": …}`, `{NAME: {…}}`, lists of them, within others), `NAME(a=1)`, and
    a name followed by a JSON object of arguments or by a list of `parameter: value`, in prose or code fences. Where
    there is but one API, an object of its arguments is a call without a name. Where an API is called again
    behind a word such as 更正 or `corrected`, or beside an example of how not to call it, what is meant counts.

    Args:
        answer: Without reasoning.
        apis: That there are. Calls of other names are read from JSON, and where a line begins with one.
    """
    answer = answer[:LONGEST_ANSWER]
    known = _Known(apis)
    found: list[tuple[int, int, Call]] = []  # from, to
    objects: list[tuple[int, int, object]] = []
    for start, end, value in _json_values(answer):
        calls = list(_json_calls(value, known, start))
        if calls:
            found += [(start, end, call) for call in calls]
        else:
            objects.append((start, end, value))
    mentions = list(islice(known.mentions(answer), MOST_CALLS))
    for start, end, name in [*mentions, *islice(_lone_calls(answer, known), MOST_CALLS)]:
        if any(first <= start < last for first, last, _ in found):
            continue
        arguments, stop = _bracketed(answer, end)
        if arguments is not None:
            found.append((start, stop, Call(name, arguments, start)))
    for index, (start, end, name) in enumerate(mentions):
        if any(first <= start < last for first, last, _ in found):
            continue
        following = mentions[index + 1][0] if index + 1 < len(mentions) else len(answer)
        following = min([following, *(first for first, _, _ in found if first > start)])
        said = _said_after(answer, start, end, following, objects, known.parameters(name))
        made = [(start, end, Call(name, given, place)) for place, given in said]
        found += made or [(start, end, Call(name, None, start))]
    if len(apis) == 1 and all(call.arguments is None for *_, call in found):
        unnamed = _unnamed(objects, known, apis[0])
        found += [(start, end, Call(apis[0].name, given, start)) for start, end, given in unnamed]
    found.sort(key=lambda each: each[0])
    return _as_corrected(_without_repeats([call for *_, call in found])[:MOST_CALLS], answer)


def response_calls(response: Response) -> list[Call]:
    """The tool calls of a response, as OpenAI-compatible endpoints return them."""
    calls = []
    for place, call in enumerate(response.tool_calls):
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        calls.append(Call(call.name, arguments if isinstance(arguments, dict) else None, place))
    return calls


class _Known:
    """The APIs that there are, by the ways in which answers write them."""

    def __init__(self, apis: Sequence[Api]) -> None:
        self._apis = {api.name.lower(): api for api in apis}
        longest_first = sorted((api.name for api in apis), key=len, reverse=True)
        names = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._pattern = re.compile(rf"(?<![A-Za-z0-9_.])(?:{names})(?![A-Za-z0-9_])")

    def name(self, written: str) -> str | None:
        """The API that is meant: by its name, by its number in the question, or by the one name in what is written."""
        if api := self._apis.get(written.strip().lower()):
            return api.name
        if (number := _NUMBERED.fullmatch(written)) and 0 < int(number[1]) <= len(self._apis):
            return list(self._apis.values())[int(number[1]) - 1].name
        named = set(self._pattern.findall(written))
        return named.pop() if len(named) == 1 else None

    def mentions(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(from, to, name) of every mention."""
        return ((found.start(), found.end(), found[0]) for found in self._pattern.finditer(text))

    def parameters(self, name: str) -> Mapping[str, Any]:
        """Name -> schema of an API's parameters."""
        properties = self._apis[name.lower()].parameters.get("properties", {})
        assert isinstance(properties, Mapping)
        return properties


def check_calls(question: Question, response: Response, key: Key | None) -> ExecutableCheck:
    """Hold the calls of an answer against the APIs that its question describes.

    Names, required and unknown parameters, types, closed lists of values and date formats are checked; the order, and
    that no call is missing, only where the key's reference answer has calls.
    """
    if response.status not in {"ok", "truncated"}:
        return ExecutableCheck("not_covered", (Finding("no_answer"),))
    described = read_apis(question.text)
    if described.gaps:
        return ExecutableCheck("not_covered", described.gaps, {"apis": [api.name for api in described.apis]})
    calls = response_calls(response) or extract_calls(answer_of(response), described.apis)
    made = [call for call in calls if call.arguments is not None]
    wanted: list[str] = []
    if key is not None and isinstance(key.answer, str):
        wanted = [call.name for call in extract_calls(key.answer, described.apis)]
    evidence: dict[str, object] = {
        "apis": [api.name for api in described.apis],
        "calls": plain_json([{"name": call.name, "arguments": call.arguments} for call in calls]),
    }
    if not made:
        return ExecutableCheck("not_covered", (Finding("no_calls"),), evidence)
    findings = [*validate_calls(made, described.apis), *_order(calls, list(dict.fromkeys(wanted)))]
    findings = [Finding(each.code, plain_json(each.detail)) for each in dict.fromkeys(findings)]
    return ExecutableCheck("failed" if findings else "passed", tuple(findings), evidence)


def validate_calls(calls: Iterable[Call], apis: Iterable[Api]) -> Iterator[Finding]:
    """What is wrong with calls, each against its API."""
    known = {api.name: api for api in apis}
    for call in calls:
        if call.name not in known:
            yield Finding("unknown_api", call.name[:80])
        elif call.arguments is not None:
            yield from findings_of(known[call.name].parameters, call.arguments, call.name)


def _order(calls: Sequence[Call], wanted: Sequence[str]) -> Iterator[Finding]:
    """Each API of the reference is called, and their first calls come in its order."""
    first = list(dict.fromkeys(call.name for call in calls))
    for name in wanted:
        if name not in first:
            yield Finding("missing_call", name)
    ours, theirs = [name for name in first if name in wanted], [name for name in wanted if name in first]
    if ours != theirs:
        yield Finding("wrong_order", " → ".join(ours))


def _without_repeats(calls: list[Call]) -> list[Call]:
    """A call that is named again, in a heading or a summary, is no second call."""
    called = {call.name for call in calls if call.arguments is not None}
    kept: list[Call] = []
    for call in calls:
        if call.arguments is None and (call.name in called or any(each.name == call.name for each in kept)):
            continue
        kept.append(call)
    return kept


def _as_corrected(calls: list[Call], answer: str) -> list[Call]:
    """Calls without those that the answer takes back, or shows as wrong, where it also calls the API as it means to."""
    places = {call.place for call in calls}
    before = {place: " ".join(answer[max(0, place - _LOOKED_BACK) : place].split()) for place in places}
    shown = {place for place, text in before.items() if _COUNTER_EXAMPLE.search(text)}
    right = {call.name for call in calls if call.place not in shown and call.arguments is not None}
    kept = [call for call in calls if call.place not in shown or call.name not in right]
    for place in sorted(place for place in before.keys() - shown if _CORRECTED.search(before[place])):
        again = Counter(call.name for call in kept if call.place >= place and call.arguments is not None)
        for call in [call for call in reversed(kept) if call.place < place and call.arguments is not None]:
            if again[call.name]:
                again[call.name] -= 1
                kept.remove(call)
    return kept


def _json_values(text: str) -> Iterator[tuple[int, int, object]]:
    """(from, to, value) of each JSON object and array in a text, outermost ones only."""
    place = scanned = 0
    while scanned < MOST_SCANNED and (found := re.compile(r"[{\[]").search(text, place)):
        try:
            value, end = _JSON.raw_decode(text, found.start())
        except json.JSONDecodeError as error:
            place = found.end()
            # Of a text without an end the error names the beginning.
            scanned += (len(text) if error.msg.startswith("Unterminated") else error.pos) - found.start()
            continue
        except (ValueError, RecursionError):  # a number that is too long says not where it stands
            place = found.end()
            scanned += len(text) - found.start()
            continue
        yield found.start(), end, value
        place = end


def _json_calls(value: object, known: _Known, place: int, depth: int = 0) -> Iterator[Call]:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for each in value:
            yield from _json_calls(each, known, place, depth + 1)
    if not isinstance(value, dict):
        return
    low = {key.lower().strip(): each for key, each in value.items()}
    written = next((low[key] for key in _NAME_KEYS if isinstance(low.get(key), str)), None)
    if written is not None:
        name = known.name(written)
        given = _given(low)
        if given is None and name is not None:
            given = {key: each for key, each in value.items() if key in known.parameters(name)} or None
        if given is not None or name is not None:
            yield Call(name or written.strip(), given, place)
            return
    for key, each in value.items():
        name = known.name(key)
        if name is not None and isinstance(each, dict):
            inner = _given({key.lower().strip(): one for key, one in each.items()})
            yield Call(name, each if inner is None else inner, place)
        else:
            yield from _json_calls(each, known, place, depth + 1)


def _unnamed(
    objects: Sequence[tuple[int, int, object]], known: _Known, api: Api
) -> Iterator[tuple[int, int, dict[str, object]]]:
    """The first object that holds parameters of the only API."""
    for start, end, value in objects:
        if isinstance(value, dict):
            inner = _given({key.lower().strip(): each for key, each in value.items()})
            given = value if inner is None else inner
            if any(key in known.parameters(api.name) for key in given):
                yield start, end, given
                return


def _given(low: Mapping[str, object]) -> dict[str, object] | None:
    """What an object holds under one of the names for arguments, as JSON or as text of JSON."""
    given = next((low[key] for key in _ARGUMENT_KEYS if key in low), None)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return given if isinstance(given, dict) else None


def _lone_calls(text: str, known: _Known) -> Iterator[tuple[int, int, str]]:
    """Calls of unknown names: only where a line begins with one, so that no word of prose is taken for a call."""
    for found in _LONE_CALL.finditer(text):
        if known.name(found[1]) is None and found[1].rpartition(".")[2] not in ("print", "dict", "datetime", "len"):
            yield found.start(1), found.end(1), found[1]


def _bracketed(text: str, place: int) -> tuple[dict[str, object] | None, int]:
    """Arguments in brackets behind a name, and where they end; None where what is in brackets is something else."""
    start = re.compile(r"[`*\s]*").match(text, place)
    assert start
    opening = text[start.end() : start.end() + 1]
    if opening not in ("(", "（"):
        return None, place
    parts, end = _split(text, start.end() + 1)
    if parts is None:
        return None, place
    if len(parts) == 1 and parts[0].strip().startswith("{"):
        value = _read_value(parts[0])
        return (value, end) if isinstance(value, dict) else (None, place)
    arguments: dict[str, object] = {}
    for part in parts:
        found = re.compile(r"\s*[\"'`]?([A-Za-z_]\w*)[\"'`]?\s*[=:：]\s*(.*)", re.S | re.A).fullmatch(part)
        if found is None:
            return None, place
        arguments[found[1]] = _read_value(found[2])
    # `NAME()` is a call; empty brackets of another kind are not.
    return arguments, end


def _split(text: str, place: int) -> tuple[list[str] | None, int]:
    """Parts of a bracketed list between its commas, and where the bracket closes; None where it does not."""
    closers = [")"]
    quote = ""
    parts: list[str] = []
    start = index = place
    while index < min(len(text), place + _LONGEST_BRACKET):
        character = text[index]
        if quote:
            if character == "\\":
                index += 1
            elif character == quote:
                quote = ""
        elif character in _QUOTES:
            quote = _QUOTES[character]
        elif character in _OPENERS:
            closers.append(_OPENERS[character].replace("）", ")"))
        elif character.replace("）", ")") == closers[-1]:
            closers.pop()
            if not closers:
                last = text[start:index]
                return [*parts, last] if last.strip() or parts else [], index + 1
        elif character in ",，;；" and len(closers) == 1:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    return None, place


def _said_after(
    text: str,
    mention: int,
    start: int,
    end: int,
    objects: Sequence[tuple[int, int, object]],
    parameters: Mapping[str, Any],
) -> list[tuple[int, dict[str, object]]]:
    """Arguments between the mention of a name and the next, and where: JSON objects, or lists of `parameter: value`."""
    made: list[tuple[int, dict[str, object]]] = []
    for first, last, value in objects:
        if not (start <= first and last <= end and isinstance(value, dict) and value):
            continue
        before = text[max(start, text.rfind("\n", 0, text.rfind("\n", 0, first)) + 1) : first]
        line = before.rpartition("\n")[2]
        of_parameter = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line) for name in parameters)
        if of_parameter or _BEFORE_RESULT.search(before):
            continue
        inner = _given({key.lower().strip(): each for key, each in value.items()})
        given = value if inner is None else inner
        if not made or any(name in parameters for name in given):
            made.append((first if made else mention, given))
    return made or [(mention, given) for given in _listed(text[start : min(end, start + _LONGEST_BRACKET)], parameters)]


def _listed(text: str, parameters: Mapping[str, Any]) -> list[dict[str, object]]:
    """Arguments that are listed on lines, in a table or in a row; where one comes again, another call begins."""
    if not parameters:
        return []
    names = "|".join(sorted(map(re.escape, parameters), key=len, reverse=True))
    # A name, its quotes, what stands in brackets behind it, and the sign before its value.
    listed = re.compile(
        rf"(?<![A-Za-z0-9_])({names})[`*\"”]{{0,3}}[ \t]*(?:[(（][^()（）\n]*[)）])?[ \t]*[`*]{{0,3}}[ \t]*"
        r"(?:[=:：|]|为)[ \t]*"
    )
    made: list[dict[str, object]] = [{}]
    found = list(listed.finditer(text))
    stop = 0
    for index, each in enumerate(found):
        if each.start() < stop:
            continue  # within the value of another
        following = found[index + 1].start() if index + 1 < len(found) else len(text)
        written, stop = _value_at(text, each.end(), following)
        if not written:
            continue
        plain = parameters[each[1]].get("type") == "string" and written[0] not in _QUOTES
        if each[1] in made[-1]:
            made.append({})
        made[-1][each[1]] = Written(written) if plain else _read_value(written)
    return made if made[0] else []


def _value_at(text: str, start: int, following: int) -> tuple[str, int]:
    """A value of a list as written, and where it ends: with its bracket or quote, its cell, or before the next name."""
    opening = text[start : start + 1]
    line = text.find("\n", start)
    line = len(text) if line < 0 else line
    if opening and opening in "[{" and (end := _balanced(text, start)):
        return text[start:end], end
    if opening in _QUOTES and (end := text.find(_QUOTES[opening], start + 1, line)) > 0:
        return text[start : end + 1], end + 1
    end = min([line, max(following, start), *(place for sign in "|；" if (place := text.find(sign, start)) >= 0)])
    written = re.sub(r"[（(][^（()）]*[)）]\s*$", "", text[start:end].rstrip('-*` \t"“,，、;。'))
    return written.strip(" \t`*"), end


def _balanced(text: str, start: int) -> int:
    """Where a square or curly bracket closes; 0 where it does not."""
    depth, quote = 0, ""
    for index in range(start, min(len(text), start + _LONGEST_BRACKET)):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = _QUOTES[character]
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if not depth:
                return index + 1
    return 0


def _read_value(written: str) -> object:
    """A value as JSON or a Python literal writes it; else as text whose type can't be told."""
    text = written.strip().strip("`*").strip()
    for attempt in (text, re.sub("[“”]", '"', text).replace("，", ",")):
        try:
            return json.loads(attempt)
        except (ValueError, RecursionError):
            pass
        try:
            value = ast.literal_eval(attempt)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        return _as_json(value)
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    return None if lowered in ("null", "none") else Written(text)


def _as_json(value: object) -> object:
    if isinstance(value, tuple | list | set | frozenset):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _as_json(each) for key, each in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else Written(str(value))
