"""Hierarchical notes: a text that does not fit is read in parts, noted with quotations, and merged until the notes fit.

The prompt's beginning (what the task is) and its end (the question, the form of the answer) stay as they are; only what
lies between is noted. A quotation that does not stand in what was read is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from medbench.agents.orchestration.events import Noted, Skipped
from medbench.agents.orchestration.guidelines import split_long
from medbench.agents.orchestration.prompts import Prompts
from medbench.agents.orchestration.spending import BudgetSpent, Spending
from medbench.items.model import ItemLanguage

HEAD, TAIL = 600, 900
"""Most characters of the prompt's beginning and end that are kept; a quarter of the longest prompt at most."""
SHARE = 0.6
"""Of the longest prompt: what a part, or the notes, may take."""
_MOST_LEVELS = 4
_QUOTE = re.compile(r"[\"“”「]([^\"“”「」]{2,400})[\"“”」]")
_NOTHING = frozenset({"无", "none", "没有", "no"})

Ask = Callable[[str, str], Awaitable[str]]
"""(step, prompt) -> what the backbone wrote."""


def parted(prompt: str, longest: int) -> tuple[str, str, str]:
    """The beginning, the middle and the end of a prompt, cut at line or sentence ends."""
    head_most, tail_most = min(HEAD, longest // 4), min(TAIL, longest // 4)
    head = split_long(prompt[: head_most + 1], head_most)[0] if len(prompt) > head_most else prompt
    rest = prompt[len(head) :]
    window = rest[-tail_most:]
    found = [place for mark in ("\n", "。") if (place := window.find(mark)) >= 0]
    begun = min(found) + 1 if found and min(found) < len(window) // 2 else 0
    tail = window[begun:]
    return head, rest[: len(rest) - len(tail)], tail


async def with_notes(
    prompt: str, longest: int, language: ItemLanguage, prompts: Prompts, ask: Ask, spending: Spending
) -> str:
    """The prompt with notes in place of its middle, at most about `longest` characters.

    Args:
        prompt: Longer than that.
        longest: Most characters that the backbone is sent at a time.
        language: Of the prompts.
        prompts: The templates.
        ask: Asks the backbone.
        spending: Takes the events.

    Raises:
        CallError: A call failed for good.
    """
    head, middle, tail = parted(prompt, longest)
    task = f"{head[:200]} … {tail[-300:]}"
    room = int(longest * SHARE)
    texts, name, joined = split_long(middle, room), "note", ""
    for level in range(1, _MOST_LEVELS + 1):
        notes = []
        for part, text in enumerate(texts, start=1):
            asked = prompts.say(
                name,
                language,
                **{"task": task, "text": text} | ({"part": part, "parts": len(texts)} if level == 1 else {}),
            )
            try:
                written = await ask("notes", asked)
            except BudgetSpent:
                spending.note(Skipped(step="notes", why=f"budget:{part - 1}/{len(texts)}"))
                break
            kept, quotes, unfound = checked(written, middle)
            notes += [kept] if kept else []
            spending.note(
                Noted(level=level, part=part, parts=len(texts), text=kept, quotes=tuple(quotes), unfound=tuple(unfound))
            )
        joined = "\n".join(notes) or joined
        if len(joined) <= room or len(notes) < 2:
            break
        texts, name = split_long(joined, room), "merge"
    return prompts.say("from_notes", language, head=head, notes=joined[:room], tail=tail)


def checked(written: str, source: str) -> tuple[str, list[str], list[str]]:
    """Notes with only those quotations that stand in the source, whatever its white space.

    Returns:
        The notes, the quotations found, and those not found.
    """
    if written.strip().strip(".。").lower() in _NOTHING:
        return "", [], []
    folded = _folded(source)
    found: list[str] = []
    unfound: list[str] = []

    def hold(match: re.Match[str]) -> str:
        quote = match[1].strip()
        if _folded(quote) in folded:
            found.append(quote)
            return match[0]
        unfound.append(quote)
        return ""

    lines = [_QUOTE.sub(hold, line).strip().rstrip("|").strip() for line in written.splitlines()]
    return "\n".join(line for line in lines if line), found, unfound


def _folded(text: str) -> str:
    return "".join(text.split())
