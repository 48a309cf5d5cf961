"""`consultation`: a patient who tells what is asked for and nothing else, findings of examinations, results of tests.

For cases as AgentClinic has them (arXiv 2405.07960). Its patient is a language model; this one is rules, so that the
same questions always get the same replies and the patient can't be talked into naming the diagnosis, which is not in
the item at all.

A case stands in the question's `meta` under `case`, see `Case`. A topic is a path with `/` between its parts, such as
`Symptoms/Primary_Symptom`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from medbench.agents.environment import Entry, State
from medbench.agents.environments.acts import Act, spec
from medbench.errors import InputError
from medbench.items.model import ItemLanguage, Question
from medbench.models.model import Context
from medbench.text import say

CASE = "case"
MOST_FACTS = 3
"""Told in one reply: a question that asks for everything gets no more."""
LONGEST_QUESTION = 400

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")
_WORD = re.compile(r"[a-z]{3,}|[\u4e00-\u9fff]+")
_TOPICS: Mapping[str, tuple[str, ...]] = {
    "demographics": ("how old", "your age", "gender", "年龄", "多大", "性别", "几岁"),
    "primary": (
        "what brings",
        "main problem",
        "chief",
        "complaint",
        "wrong",
        "how can i help",
        "哪里不舒服",
        "主要",
        "怎么了",
        "来看什么",
    ),
    "social": (
        "smok",
        "alcohol",
        "drink",
        "drug use",
        "job",
        "work",
        "occupation",
        "live",
        "tobacco",
        "travel",
        "sexual",
        "吸烟",
        "抽烟",
        "饮酒",
        "喝酒",
        "职业",
        "工作",
        "居住",
        "旅行",
    ),
    "past": (
        "past medical",
        "medical history",
        "previous",
        "before",
        "surger",
        "chronic",
        "operation",
        "既往",
        "以前",
        "病史",
        "手术",
        "慢性",
    ),
    "medication": ("medication", "medicine", "drugs", "taking", "prescri", "用药", "吃药", "服药", "药物"),
    "family": ("family", "parents", "mother", "father", "sibling", "家族", "父母", "家里人", "家人"),
    "allerg": ("allerg", "过敏"),
    "history": (
        "when did",
        "how long",
        "start",
        "begin",
        "since",
        "duration",
        "worse",
        "better",
        "什么时候",
        "多久",
        "开始",
        "加重",
        "缓解",
    ),
}
"""Part of a topic's path -> what asks for it."""
_ALIASES: Mapping[str, str] = {
    "主诉": "primary",
    "既往史": "past",
    "个人史": "social",
    "家族史": "family",
    "用药史": "medication",
    "过敏史": "allerg",
    "现病史": "history",
    "基本信息": "demographics",
    "drug_history": "medication",
}
_COMMON = frozenset(
    """
    the and you your have has had are was were any with for that this does did can could would will what when where
    which how who why there been about from into over feel feeling felt tell please other also they them their
    patient reports denies noticed experience experienced experiencing symptoms symptom problem problems history
    normal day days week weeks month months year years time some more most like not out now ever recently since
    """.split()  # noqa: SIM905 - a list of words reads best as one text
)
_COMMON_ZH = frozenset("您有没的了吗是什么么样觉得不请问患者出现伴无否")


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case, without its diagnosis.

    Attributes:
        objective: What the doctor is to do.
        patient: Topic -> what the patient knows.
        examination: Place -> finding.
        tests: Test -> result.
    """

    objective: str
    patient: dict[str, str]
    examination: dict[str, str] = {}
    tests: dict[str, str] = {}


class Consultation:
    """A patient, examinations and tests; ends with a diagnosis.

    Args:
        question: Holds the case.
        context: Of the question; not used.

    Raises:
        InputError: There is no case, or none that can be read.
    """

    def __init__(self, question: Question, context: Context) -> None:
        try:
            self._case = msgspec.convert(question.meta.get(CASE), Case)
        except msgspec.ValidationError as error:
            raise InputError(say("agents.bad_data", uid=question.uid, reason=error)) from error
        self._language: ItemLanguage = question.language
        self._facts = [
            (topic, sentence.strip())
            for topic, text in self._case.patient.items()
            for sentence in _SENTENCE.split(text)
            if sentence.strip()
        ]
        self._entries: list[Entry] = []
        self._diagnosis: str | None = None
        text = {"type": "string", "minLength": 1, "maxLength": LONGEST_QUESTION}
        self.tools = (
            Act(
                spec("ask_patient", "Ask the patient one question, in the patient's language.", {"question": text}),
                lambda given: self._note("ask", given["question"], self._reply(given["question"])),
            ),
            Act(
                spec("examine", "Examine the patient: what, such as vital signs or abdomen.", {"what": text}),
                lambda given: self._note("examine", given["what"], self._finding(given["what"])),
            ),
            Act(
                spec("order_test", "Order a laboratory test, imaging or another test, by its name.", {"test": text}),
                lambda given: self._note("test", given["test"], self._result(given["test"])),
            ),
            Act(
                spec(
                    "diagnose", "Give the one most likely diagnosis, its name only. Ends the task.", {"diagnosis": text}
                ),
                self._diagnose,
            ),
        )

    @property
    def over(self) -> bool:
        """The diagnosis is given."""
        return self._diagnosis is not None

    def snapshot(self) -> bytes:
        """What was asked, examined and ordered, and the diagnosis."""
        answer = None if self._diagnosis is None else (self._diagnosis,)
        return State(environment="consultation", entries=tuple(self._entries), answer=answer).snapshot()

    async def close(self) -> None:
        """It holds nothing."""

    def _note(self, kind: Literal["ask", "examine", "test"], text: str, found: list[str]) -> str:
        self._entries.append(Entry(kind, {"text": text, "found": len(found)}))
        if found:
            return "\n".join(found)
        return say(f"agents.nothing_{kind}", language=self._language)

    def _reply(self, question: str) -> list[str]:
        """What the patient tells: by the topic that the question names, else by words that it shares with a fact."""
        asked = question.casefold()
        topics = {topic for topic, words in _TOPICS.items() if any(word in asked for word in words)}
        words = _words(asked)
        ranked = sorted(
            (
                (len(words & _words(text.casefold())), _topic(topic) in topics, place)
                for place, (topic, text) in enumerate(self._facts)
            ),
            key=lambda found: (-found[0], not found[1], found[2]),
        )
        return [self._facts[place][1] for shared, named, place in ranked if shared or named][:MOST_FACTS]

    def _finding(self, what: str) -> list[str]:
        return _named(self._case.examination, what)

    def _result(self, test: str) -> list[str]:
        return _named(self._case.tests, test)

    def _diagnose(self, arguments: Mapping[str, str]) -> str:
        self._diagnosis = arguments["diagnosis"]
        return "done"


def _topic(path: str) -> str:
    """Which of the topics a path belongs to; empty: none."""
    folded = path.casefold()
    for name, topic in _ALIASES.items():
        if name in folded:
            return topic
    return next((topic for topic in _TOPICS if topic in folded), "")


def _named(entries: Mapping[str, str], wanted: str) -> list[str]:
    """Entries whose name shares a word with what is wanted, those that share most first; at most five."""
    words = _words(wanted.casefold())
    ranked = sorted(
        ((len(words & _words(name.casefold())), place, name) for place, name in enumerate(entries)),
        key=lambda found: (-found[0], found[1]),
    )
    most = ranked[0][0] if ranked else 0
    return [f"{_readable(name)}: {entries[name]}" for shared, _, name in ranked if shared and shared == most][:5]


def _words(text: str) -> set[str]:
    """What a text is about: English words by their first five letters, Chinese by pairs of characters."""
    found: set[str] = set()
    for piece in _WORD.findall(text.replace("_", " ")):
        if piece[0] > "\u3000":
            found.update(_pairs(piece))
        elif piece not in _COMMON:
            found.add(piece.rstrip("s")[:5])
    return found


def _pairs(piece: str) -> Iterable[str]:
    pairs = (piece[place : place + 2] for place in range(len(piece) - 1))
    return (pair for pair in pairs if not _COMMON_ZH & set(pair))


def _readable(name: str) -> str:
    return name.replace("_", " ").replace("/", ", ")
