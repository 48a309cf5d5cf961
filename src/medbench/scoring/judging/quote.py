"""Text under judgement inside a prompt: fenced by a mark that it can't know, so that it stays data."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata

LONGEST = 24_000
"""Characters of an answer that a judge sees; what is longer is cut in the middle."""
_KEPT_CONTROLS = "\n\t"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters and marks that Unicode calls default ignorable: fillers, joiners and variation selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


class Fence:
    """Quotes texts with a mark that is derived from all of them.

    The mark is a hash of what it encloses: the same texts give the same prompt, which a cache and a resumed run need,
    and none of them can hold its own mark, since it would have to hold a hash of itself.
    """

    def __init__(self, *texts: str, salt: str = "") -> None:
        digest = hashlib.sha256(salt.encode())
        for text in texts:
            digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
        self.mark = digest.hexdigest()[:16]
        self._mark = re.compile(rf"<\s*(/?)[^<>\s]{{0,40}}-{self.mark}\s*>")

    def quote(self, name: str, text: str) -> str:
        """The text between its opening and closing mark."""
        return f"<{name}-{self.mark}>\n{text}\n</{name}-{self.mark}>"

    def outside(self, reply: str) -> str:
        """A judge's reply without what it quotes between marks of this fence.

        Quotes may nest. One that is never closed hides all that follows, a closing mark without its opening one all
        that stands before. In a reply that is one JSON object marks can only stand inside its strings.
        """
        whole = lone_object(reply)
        if whole is not None:
            return whole
        kept: list[str] = []
        start = depth = 0
        for mark in self._mark.finditer(reply):
            if not depth:
                kept.append(reply[start : mark.start()])
            if not mark[1]:
                depth += 1
            elif depth:
                depth -= 1
            else:
                kept.clear()
            start = mark.end()
        return "".join(kept if depth else [*kept, reply[start:]])


def lone_object(reply: str) -> str | None:
    """The JSON object that a reply consists of, apart from white space and a code fence; None where there is more."""
    text = reply.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].removeprefix("json").strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return text


def shown(text: str) -> tuple[str, bool]:
    """What a judge sees of an answer: without characters that no reader sees, and not endless.

    Zero-width, bidirectional and control characters, blank letters and variation selectors hide words from people and
    join, reorder or smuggle them for models.

    Returns:
        The text, and whether it was cut.
    """
    if not text.isprintable():
        text = "".join(
            sign if sign in _KEPT_CONTROLS or unicodedata.category(sign) not in _HIDDEN else "" for sign in text
        )
    if not text.isascii():
        text = _BLANK.sub("", text)
    text = text.strip()
    if len(text) <= LONGEST:
        return text, False
    half = LONGEST // 2
    return f"{text[:half]}\n[…]\n{text[-half:]}", True
