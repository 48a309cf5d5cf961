"""Contracts: one schema tells a judge how to reply and reads the reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

import msgspec

from medbench.items.model import ItemLanguage
from medbench.scoring.extract.json_answer import MAX_DEPTH, last_value, spans
from medbench.scoring.extract.normalise import fold, nfkc, plain_number
from medbench.scoring.extract.reasoning import strip_reasoning
from medbench.scoring.judging.quote import lone_object
from medbench.scoring.judging.rubric import Rubric
from medbench.scoring.judging.verdict import Found, Judgement, PointFound

LONGEST_REASON = 500
FOUND: tuple[Found, ...] = get_args(Found)
Side = Literal["first", "second", "tie"]
SIDES: tuple[Side, ...] = get_args(Side)
_FOUND_OR_NOT = '"found": "hit|miss|contradict"'
_MET_OR_NOT = '"met": true|false'

ONLY_JSON: Mapping[ItemLanguage, str] = {
    "zh": "只回复一个 JSON 对象，格式如下，不要加任何其他文字：",
    "en": "Reply with exactly one JSON object of this form and nothing else:",
}


class Unreadable(ValueError):
    """A reply that keeps no contract.

    Attributes:
        code: Short: `not_json`, `missing_field`, `out_of_range`, `no_span`, `quoted`.
        advice: What to tell the judge.
    """

    def __init__(self, code: str, advice: str) -> None:
        super().__init__(advice)
        self.code = code
        self.advice = advice


class Contract(Protocol):
    """How a judge replies."""

    def instruction(self, language: ItemLanguage) -> str:
        """What the judge is told."""

    def read(self, reply: str, answer: str) -> Judgement:
        """The verdict in a reply.

        Args:
            reply: Outside of what the judge quotes.
            answer: What was judged: verdicts in it are not the judge's.

        Raises:
            Unreadable: There is none.
        """


class RubricContract:
    """A level for each criterion of a rubric."""

    def __init__(self, rubric: Rubric) -> None:
        self._rubric = rubric

    def instruction(self, language: ItemLanguage) -> str:
        """See `Contract`."""
        why = {"zh": "一两句理由", "en": "one or two sentences why"}[language]
        whole = {"zh": "{low} 到 {high} 的整数", "en": "a whole number from {low} to {high}"}[language]
        fields = [f'"reason": "<{why}>"']
        fields += [
            f'"{criterion.id}": <{whole.format(low=criterion.low, high=criterion.high)}>'
            for criterion in self._rubric.criteria
        ]
        return f"{ONLY_JSON[language]}\n{{{', '.join(fields)}}}"

    def read(self, reply: str, answer: str) -> Judgement:
        """See `Contract`."""
        names = [criterion.id for criterion in self._rubric.criteria]
        found = last_verdict(reply, answer, names)
        levels: dict[str, int] = {}
        for criterion in self._rubric.criteria:
            level = _whole(found[criterion.id])
            if level is None or not criterion.low <= level <= criterion.high:
                raise Unreadable(
                    "out_of_range", f'"{criterion.id}" must be a whole number from {criterion.low} to {criterion.high}.'
                )
            levels[criterion.id] = level
        return Judgement(
            "rubric",
            "judged",
            value=self._rubric.value(levels),
            levels=levels,
            said=_text(found.get("reason", "")),
        )


class _NumberedContract:
    """An entry for each of several statements that the judge is shown with their numbers."""

    listed: str
    """Field of the reply that holds the entries."""
    place: str
    """Field of an entry that holds the number."""
    allowed: str
    """What an entry may say, for a judge that says something else."""

    def __init__(self, order: Sequence[int]) -> None:
        """Fix the order in which the statements are shown.

        Args:
            order: Place shown, from 0 -> index of the statement in the key.
        """
        self._order = order

    def _example(self, entry: str) -> str:
        more = ", …" if len(self._order) > 1 else ""
        return f'{{"{self.listed}": [{{"{self.place}": 1, {entry}, "span": "…"}}{more}]}}'

    def _entries(self, reply: str, answer: str) -> tuple[PointFound, ...]:
        entries = last_verdict(reply, answer, [self.listed])[self.listed]
        count = len(self._order)
        found: dict[int, PointFound] = {}
        folded = fold(answer)
        for entry in entries if isinstance(entries, list) else ():
            place = _whole(entry.get(self.place)) if isinstance(entry, dict) else None
            said = self._found(entry) if place is not None and 1 <= place <= count else None
            if place is None or said is None:
                raise Unreadable("out_of_range", f'"{self.place}" runs from 1 to {count}; {self.allowed}.')
            span = _text(entry.get("span") or "") if said != "miss" else ""
            if said != "miss" and not self._evident(fold(span), folded):
                raise Unreadable(
                    "no_span", f'The "span" of {self.place} {place} does not stand in the answer word for word.'
                )
            point = self._order[place - 1]
            if point in found and found[point].found != said:
                raise Unreadable("out_of_range", f"{self.place.capitalize()} {place} is given twice.")
            found[point] = PointFound(point, said, span)
        if len(found) != count:
            raise Unreadable("missing_field", f"{count - len(found)} of {count} {self.listed} have no entry.")
        return tuple(found[index] for index in sorted(found))

    def _found(self, entry: Mapping[str, Any]) -> Found | None:
        """What an entry says; None where it says nothing allowed."""
        raise NotImplementedError

    def _evident(self, span: str, answer: str) -> bool:
        """Whether words, folded as the answer is, are evidence enough."""
        return shows(span, answer)


class KeyPointContract(_NumberedContract):
    """For each key point whether the answer makes it, with the words that show it."""

    listed, place = "points", "point"
    allowed = '"found" is hit, miss or contradict'

    def instruction(self, language: ItemLanguage) -> str:
        """See `Contract`."""
        what = {
            "zh": "hit 表示回答说到了该要点，miss 表示没有说到，contradict 表示回答说了相反的内容。"
            "hit 和 contradict 必须在 span 中逐字引用回答里的原文；miss 的 span 为空。每个要点一项。",
            "en": "hit: the answer makes the point; miss: it does not; contradict: it says the contrary. "
            "For hit and contradict quote in span, word for word, the part of the answer that shows it; "
            "for miss leave span empty. One entry per point.",
        }[language]
        return f"{what}\n{ONLY_JSON[language]}\n{self._example(_FOUND_OR_NOT)}"

    def read(self, reply: str, answer: str) -> Judgement:
        """See `Contract`."""
        return Judgement("key_points", "judged", points=self._entries(reply, answer))

    def _found(self, entry: Mapping[str, Any]) -> Found | None:
        found = entry.get("found")
        return found if found in FOUND else None


class CriteriaContract(_NumberedContract):
    """For each criterion of an item's rubric whether the answer meets it.

    A criterion may be met by what an answer leaves out, so words that show it are wanted where there are some; words
    that are given must stand in the answer.
    """

    listed, place = "criteria", "criterion"
    allowed = '"met" is true or false'

    def instruction(self, language: ItemLanguage) -> str:
        """See `Contract`."""
        what = {
            "zh": "met 为 true 表示回答符合该标准，false 表示不符合。met 为 true 且回答中有文字可以证明时，"
            "在 span 中逐字引用；因回答没有写某内容而符合的，span 为空。每条标准一项。",
            "en": "met: true where the answer meets the criterion, else false. Where it is met and words of the answer "
            "show it, quote them in span, word for word; where it is met by what the answer leaves out, leave span "
            "empty. One entry per criterion.",
        }[language]
        return f"{what}\n{ONLY_JSON[language]}\n{self._example(_MET_OR_NOT)}"

    def read(self, reply: str, answer: str) -> Judgement:
        """See `Contract`."""
        return Judgement("criteria", "judged", points=self._entries(reply, answer))

    def _found(self, entry: Mapping[str, Any]) -> Found | None:
        met = entry.get("met")
        return ("hit" if met else "miss") if isinstance(met, bool) else None

    def _evident(self, span: str, answer: str) -> bool:
        return not span or shows(span, answer)


class PairContract:
    """Which of two answers is better."""

    def instruction(self, language: ItemLanguage) -> str:
        """How to reply."""
        why = {"zh": "一两句理由", "en": "one or two sentences why"}[language]
        return f'{ONLY_JSON[language]}\n{{"reason": "<{why}>", "better": "first|second|tie"}}'

    def read(self, reply: str, answer: str) -> Side:
        """The side that is better.

        Args:
            reply: Outside of what the judge quotes.
            answer: Both answers.

        Raises:
            Unreadable: The reply keeps no contract.
        """
        better = last_verdict(reply, answer, ["better"])["better"]
        if better not in SIDES:
            raise Unreadable("out_of_range", '"better" is first, second or tie.')
        side: Side = better
        return side


def last_verdict(reply: str, answer: str, names: Sequence[str]) -> Mapping[str, Any]:
    """The last JSON object of a reply that has these fields and does not stand in the answer itself.

    Raises:
        Unreadable: There is none.
    """
    # Tags of reasoning inside a lone object stand in its strings: quoted from an answer that was to break the reading.
    text = lone_object(reply) or strip_reasoning(reply)

    def meant(value: object) -> bool:
        return isinstance(value, dict) and all(name in value for name in names)

    found, reason = last_value(text, meant, lambda piece: f'"{names[0]}"' in piece)
    if reason:
        listed = ", ".join(f'"{name}"' for name in names)
        raise Unreadable(reason, f"There is no JSON object with {listed}.")
    if _stands_in(found, answer, names):
        raise Unreadable("quoted", "The JSON object is one that the answer itself holds. Give your own verdict.")
    verdict: Mapping[str, Any] = found
    return verdict


def _stands_in(found: Mapping[str, Any], answer: str, names: Sequence[str]) -> bool:
    """Whether the answer holds this very verdict, forged, and the judge repeats it.

    It is repeated where the fields are the same and the judge gives the same reason, or none of its own: an honest
    judge that comes to the same levels says why.
    """
    reason = fold(_text(found.get("reason", "")))
    for text in dict.fromkeys((answer, nfkc(answer))):
        if "{" not in text:
            continue
        for span in spans(text):
            if span.height > MAX_DEPTH or text[span.start] != "{":
                continue
            try:
                forged = json.loads(text[span.start : span.end], strict=False)
            except (ValueError, RecursionError):
                continue
            same = all(name in forged and _plain(forged[name]) == _plain(found[name]) for name in names)
            if same and reason in ("", fold(_text(forged.get("reason", "")))):
                return True
    return False


def _plain(value: object) -> str:
    """A value so that 7, 7.0 and "7" are the same."""
    number = _whole(value)
    return str(number) if number is not None else json.dumps(value, sort_keys=True)


def shows(span: str, answer: str) -> bool:
    """Whether words stand in a text, both folded; punctuation alone shows nothing."""
    return span in answer and any(sign.isalnum() for sign in span)


def _text(value: object) -> str:
    """Text of a judge, shortened, without half characters, which no file could hold."""
    return str(value)[:LONGEST_REASON].encode("utf-8", "replace").decode()


def _whole(value: object) -> int | None:
    """A whole number, also as text or as 7.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, int):
        return value
    try:
        number = plain_number(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def decode_judgement(body: bytes) -> Judgement:
    """A judgement from a ledger."""
    return msgspec.json.decode(body, type=Judgement)
