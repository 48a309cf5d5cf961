"""The guard: texts held against the rules. Deterministic, without a model and without a network."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

import msgspec

from medbench.agents.governance.doses import excesses
from medbench.agents.governance.fold import fold, views, visible
from medbench.agents.governance.policy import (
    ACTIONS,
    SEVERITIES,
    Action,
    Place,
    Policies,
    Rule,
    Severity,
    load_policies,
    strictest,
)
from medbench.agents.governance.recognise import recognised
from medbench.catalog.model import AnswerForm, Bilingual, TextForm
from medbench.text import Language, say

LONGEST = 200_000
"""Characters of a text that are read; of a tool's result the rest is cut off, of any other text it is not looked at."""
LONG, EDGE = 4_000, 1_000
"""Of an input longer than the first, rules on what is asked read as much as the second of its beginning and its end:
between them stands a document, and a hospital's report or a law names what a request must not. Rules that also read
tools' results read all of it."""
_PIECE = re.compile(r"(?<=[。！？!?；;\n])|(?<=\.)(?=\s)")
_CHINESE = re.compile("[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z]{2,}")


class Hit(msgspec.Struct, frozen=True):
    """A rule that recognised something.

    Attributes:
        rule: Its id.
        title: Of the rule, so that whoever reads a record needs no policy file.
        severity: Of the rule.
        action: Of the rule, whatever became of it.
        source: Clause that the rule rests on.
        words: What it was recognised by: the rule's words as they stand in the text, or drug, dose and limit. Nothing
            else of the text.
    """

    rule: str
    title: Bilingual
    severity: Severity
    action: Action
    source: str
    words: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True):
    """What the guard says of a text.

    Attributes:
        place: What was looked at.
        action: The strictest of the hits, but at most `warn` for an input or output of a closed form.
        hits: In the order of the rules.
        text: What goes on. The text itself where it is allowed; a safe alternative where it is refused or a person must
            be asked; of a tool's result what is left of it, between marks; of an open answer with warnings the answer
            and what is to be said beside it.
        original: The text as it came.
        notes: What is to be said beside it, of rules that warn.
        reason: `needs_human` where nobody was there to ask; `human_approved`, `human_refused`; mostly empty.
        by: Who approved or refused it.
    """

    place: Place
    action: Action
    hits: tuple[Hit, ...]
    text: str
    original: str
    notes: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may go on as it is. A tool's result goes on as `text` whatever this says."""
        return self.action in ("allow", "warn")


class Guard:
    """Holds texts against policies.

    A closed answer (letters, labels, JSON, boxes, a file, SQL) is never changed, and a question that wants one is never
    refused: rules warn there, and are logged. An answer in another form would count as none.

    Args:
        policies: The rules; None: those that come with the program.
    """

    def __init__(self, policies: Policies | None = None) -> None:
        self.policies = policies or load_policies()
        self._instead = {rule.id: rule.instead for rule in self.policies.rules}

    def check_input(self, text: str, form: AnswerForm | None = None, language: Language | None = None) -> Decision:
        """A user's message; of an item with the form of answer that it asks for, and its language."""
        return self._decided("input", text, language or language_of(text), closed=_is_closed(form))

    def check_config(self, text: str) -> Decision:
        """An agent's configuration and prompts, as the text of their file; not allowed: the agent must not start."""
        return self._decided("config", text, language_of(text))

    def check_tool(self, name: str, arguments: Mapping[str, object], result: str | None = None) -> Decision:
        """A tool call before it is made (`result` None), or what came back.

        A result is untrusted data. What reads like an instruction to the agent is cut from there to the end of its
        paragraph; what can't be found in one paragraph costs the whole result. The rest stands between marks that no
        text can hold, since they come from a hash of it.
        """
        if result is None:
            call = f"{name} {json.dumps(arguments, ensure_ascii=False, default=str)}"
            return self._decided("call", call, language_of(call))
        result = result[:LONGEST]
        hits = self._hits("result", result)
        left = self._cleaned(result) if hits else visible(result)
        return Decision("result", _action(hits), hits, fenced(name, left), result)

    def check_output(self, text: str, form: AnswerForm | None = None, language: Language | None = None) -> Decision:
        """An answer before it is given; of an item with the form of answer that it asks for, and its language."""
        return self._decided("output", text, language or language_of(text), closed=_is_closed(form))

    def _decided(self, place: Place, text: str, language: Language, *, closed: bool = False) -> Decision:
        hits = self._hits(place, text)
        action = _action(hits)
        if closed:
            action = min(action, "warn", key=ACTIONS.index)
        notes = tuple(dict.fromkeys(self._said(hit, language) for hit in hits if hit.action == "warn"))
        notes = tuple(note for note in notes if note)
        goes_on = text
        if action in ("ask_human", "refuse"):
            worst = max((hit for hit in hits if hit.action == action), key=lambda hit: SEVERITIES.index(hit.severity))
            goes_on = self._said(worst, language)
        elif place == "output" and not closed and notes:
            goes_on = "\n\n".join((text, *(note for note in notes if note not in text)))
        return Decision(place, action, hits, goes_on, text, notes)

    def _said(self, hit: Hit, language: Language) -> str:
        instead = self._instead[hit.rule]
        return getattr(instead, language) if instead else ""

    def _hits(self, place: Place, text: str) -> tuple[Hit, ...]:
        rules = [rule for rule in self.policies.rules if place in rule.where]
        seen = views(text[:LONGEST])
        asked = seen
        if place == "input" and len(text) > LONG:
            asked = views(f"{text[:EDGE]}\n{text[-EDGE:]}")
        found = ((rule, self._words(rule, seen if "result" in rule.where else asked)) for rule in rules)
        return tuple(
            Hit(rule.id, rule.title, rule.severity, rule.action, rule.source, words)
            for rule, words in found
            if words is not None
        )

    def _words(self, rule: Rule, seen: Sequence[str]) -> tuple[str, ...] | None:
        for when in rule.when:
            for view in seen:
                if (words := recognised(view, when)) is not None:
                    return words
        if rule.over_dose:
            return next((excess.words() for view in seen for excess in excesses(view, self.policies.doses)), None)
        return None

    def _cleaned(self, result: str) -> str:
        """A tool's result without instructions; JSON stays JSON."""
        try:
            value = json.loads(result)
            left = json.dumps(self._without(value), ensure_ascii=False)
        except (ValueError, RecursionError):
            left = self._cut(visible(result))
        return _CUT_WHOLE if self._hits("result", left) else left

    def _without(self, value: object) -> object:
        if isinstance(value, str):
            return self._cut(visible(value))
        if isinstance(value, list):
            return [self._without(each) for each in value]
        if isinstance(value, dict):
            return {visible(key): self._without(each) for key, each in value.items()}
        return value

    def _cut(self, text: str) -> str:
        if not self._hits("result", text):
            return text
        return "\n\n".join(self._cut_paragraph(paragraph) for paragraph in text.split("\n\n"))

    def _cut_paragraph(self, paragraph: str) -> str:
        kept: list[str] = []
        for piece in _PIECE.split(paragraph):
            if piece and self._hits("result", piece):
                return "".join([*kept, _CUT])
            kept.append(piece)
        # What only several sentences together say is not in any of them.
        return _CUT if self._hits("result", paragraph) else paragraph


_CUT = "[removed: reads like an instruction / 已移除：疑似指令]"
_CUT_WHOLE = "[result withheld: it reads like an instruction / 结果已扣留：疑似指令]"


def fenced(name: str, text: str) -> str:
    """Untrusted text between marks, with what it is; the marks come from its hash.

    Source: "Defending Against Indirect Prompt Injection Attacks With Spotlighting", arXiv 2403.14720 (delimiting).
    """
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    told = say("agent.fence", language=language_of(text), name=" ".join(fold(name).split())[:64])
    return f"<data-{mark}> {told}\n{text}\n</data-{mark}>"


def language_of(text: str) -> Language:
    """`zh` where a text has more Chinese characters than Latin words, else `en`."""
    text = text[:LONGEST]
    return "zh" if _count(_CHINESE, text) > _count(_LATIN, text) else "en"


def _is_closed(form: AnswerForm | None) -> bool:
    """Whether a changed text would break an answer of this form."""
    return form is not None and not (isinstance(form, TextForm) and form.what != "sql")


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(1 for _ in pattern.finditer(text))


def _action(hits: Sequence[Hit]) -> Action:
    return strictest(hit.action for hit in hits)
