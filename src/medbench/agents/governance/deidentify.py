"""De-identification: what names a person is replaced before a text leaves this machine, and put back in the answer.

A name without any cue is not found, and nothing is looked for in pictures: this lowers the risk, it does not make a
record anonymous. What is looked for: `medbench.agents.governance.identifiers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from medbench.agents.governance.identifiers import identifiers
from medbench.items.model import Question, Turn
from medbench.models.chat import ChatReply, Message, TalkingModel
from medbench.models.context_of import ContextOf
from medbench.models.http import LOOPBACK
from medbench.models.model import Completion, Context, Identity, Response, ToolCall
from medbench.models.tools import ToolSpec

_PLACEHOLDER = re.compile(r"\[[A-Z]+_[0-9]+\]")


class Pseudonyms:
    """Identifiers and what stands for them, the same within a conversation: `[NAME_1]`, `[ID_1]` and so on.

    Kinds: NAME, ID, RECORD, PHONE, EMAIL, ADDRESS, BORN.
    """

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._identifiers: dict[str, str] = {}
        self._lengths: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}
        self._taken: set[str] = set()

    def find(self, text: str) -> None:
        """Learn the identifiers of a text."""
        self._taken.update(_PLACEHOLDER.findall(text))
        for kind, found in identifiers(text):
            if found not in self._placeholders:
                placeholder = self._new(kind)
                self._placeholders[found], self._identifiers[placeholder] = placeholder, found
                known = self._lengths.setdefault(found[0], [])
                if len(found) not in known:
                    known.append(len(found))
                    known.sort(reverse=True)

    def hide(self, text: str) -> str:
        """The text with a placeholder for every identifier known or in it."""
        self.find(text)
        return self._replaced(text)

    def restore(self, text: str) -> str:
        """The text with the identifiers again."""
        return _PLACEHOLDER.sub(lambda match: self._identifiers.get(match[0], match[0]), text)

    def _replaced(self, text: str) -> str:
        pieces: list[str] = []
        done = 0
        for place, sign in enumerate(text):
            if place >= done and sign in self._lengths and (found := self._known_at(text, place)):
                pieces += (text[done:place], self._placeholders[found])
                done = place + len(found)
        return "".join((*pieces, text[done:]))

    def _known_at(self, text: str, place: int) -> str:
        """The longest known identifier there, since a name may be part of an address; empty: there is none.

        One of letters that are set in words, or of digits, is no part of a longer word, and a single Chinese sign, as a
        family name in a record, no part of a Chinese one.
        """
        if place and _is_inside_word(text, place):
            return ""
        for length in self._lengths[text[place]]:
            found = text[place : place + length]
            if length == 1 and _is_beside_chinese(text, place):
                continue
            if found in self._placeholders and not _is_inside_word(text, place + length):
                return found
        return ""

    def _new(self, kind: str) -> str:
        while True:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            placeholder = f"[{kind}_{self._counts[kind]}]"
            if placeholder not in self._taken:
                return placeholder


class Deidentified:
    """A model to which no identifier is sent, unless it runs on this machine.

    Placeholders are made anew from the whole conversation at each turn, in the order of its messages, so that they stay
    the same from turn to turn without anything being kept. Pictures pass as they are.

    Args:
        model: It is asked.
        local_hosts: Hosts that count as this machine; a hospital names its own servers here.
    """

    def __init__(self, model: TalkingModel, local_hosts: frozenset[str] = LOOPBACK) -> None:
        self._model = model
        self._is_local = is_local(model.identity, local_hosts)

    @property
    def identity(self) -> Identity:
        """What is pinned about the model."""
        return self._model.identity

    @property
    def most_in_flight(self) -> int | None:
        """Calls that it can answer at a time."""
        return self._model.most_in_flight

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """What it can't answer."""
        self._model.check(plan)

    async def open(self) -> None:
        """Open it."""
        await self._model.open()

    async def close(self) -> None:
        """Close it."""
        await self._model.close()

    async def answer(self, question: Question, context: Context) -> Response:
        """Answer one question; see `medbench.models.model.Model`. The response has the identifiers again."""
        if self._is_local:
            return await self._model.answer(question, context)
        pseudonyms = Pseudonyms()
        for text in (*(turn.content for turn in question.turns), context.prompt):
            pseudonyms.find(text)
        hidden = msgspec.structs.replace(
            question,
            text=pseudonyms.hide(question.text),
            options=tuple(map(pseudonyms.hide, question.options)),
            turns=tuple(Turn(turn.role, pseudonyms.hide(turn.content)) for turn in question.turns),
            meta={},
        )
        response = await self._model.answer(hidden, ContextOf(context, pseudonyms.hide(context.prompt)))
        return msgspec.structs.replace(
            response, text=pseudonyms.restore(response.text), reasoning=pseudonyms.restore(response.reasoning)
        )

    async def chat(
        self,
        messages: Sequence[Message],
        context: Context,
        *,
        tools: Sequence[ToolSpec] = (),
        parameters: Mapping[str, object] = {},
    ) -> ChatReply:
        """One turn; see `medbench.models.chat.ChatModel`. The reply has the identifiers again."""
        if self._is_local:
            return await self._model.chat(messages, context, tools=tools, parameters=parameters)
        pseudonyms = Pseudonyms()
        for message in messages:
            pseudonyms.find(message.content)
            for call in message.tool_calls:
                pseudonyms.find(call.arguments)
        hidden = [_changed(message, pseudonyms.hide) for message in messages]
        reply = await self._model.chat(hidden, context, tools=tools, parameters=parameters)
        return msgspec.structs.replace(reply, completion=_restored(reply.completion, pseudonyms))


def is_local(identity: Identity, local_hosts: frozenset[str] = LOOPBACK) -> bool:
    """Whether a model's texts stay on this machine, or on hosts that count as such."""
    if not identity.endpoint:
        return identity.spec.startswith("local:")
    return (urlsplit(identity.endpoint).hostname or "") in local_hosts


def _changed(message: Message, hide: Callable[[str], str]) -> Message:
    calls = tuple(ToolCall(call.name, hide(call.arguments), call.id) for call in message.tool_calls)
    return msgspec.structs.replace(message, content=hide(message.content), tool_calls=calls)


def _restored(completion: Completion, pseudonyms: Pseudonyms) -> Completion:
    calls = tuple(ToolCall(call.name, pseudonyms.restore(call.arguments), call.id) for call in completion.tool_calls)
    text, reasoning = pseudonyms.restore(completion.text), pseudonyms.restore(completion.reasoning)
    return msgspec.structs.replace(completion, text=text, reasoning=reasoning, tool_calls=calls)


def _is_inside_word(text: str, place: int) -> bool:
    """Whether a place has a letter of words with letters, or a digit, on either side."""
    return place < len(text) and _is_of_word(text[place - 1]) and _is_of_word(text[place])


def _is_of_word(sign: str) -> bool:
    # What stands behind these, Chinese and full-width signs among it, is set without spaces.
    return sign < "\u2e80" and (sign.isalnum() or "\u0300" <= sign <= "\u036f")


def _is_beside_chinese(text: str, place: int) -> bool:
    """Whether the sign before or behind that at a place is Chinese."""
    return any("\u3400" <= sign <= "\u9fff" for sign in (text[max(0, place - 1) : place], text[place + 1 : place + 2]))
