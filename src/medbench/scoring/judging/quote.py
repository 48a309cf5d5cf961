"""Text under judgement inside a prompt: fenced by a mark that it can't know, so that it stays data."""

from __future__ import annotations

import hashlib
import unicodedata

LONGEST = 24_000
"""Characters of an answer that a judge sees; what is longer is cut in the middle."""
_KEPT_CONTROLS = "\n\t"


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

    def quote(self, name: str, text: str) -> str:
        """The text between its opening and closing mark."""
        return f"<{name}-{self.mark}>\n{text}\n</{name}-{self.mark}>"

    def outside(self, reply: str) -> str:
        """A judge's reply without what it quotes between marks of this fence."""
        kept, start = [], 0
        while (opening := reply.find(f"-{self.mark}>", start)) >= 0:
            closing = reply.find(f"-{self.mark}>", opening + 1)
            kept.append(reply[start:opening])
            if closing < 0:
                return "".join(kept)
            start = closing + len(self.mark) + 2
        return "".join([*kept, reply[start:]])


def shown(text: str) -> tuple[str, bool]:
    """What a judge sees of an answer: without characters that no reader sees, and not endless.

    Zero-width, bidirectional and control characters hide words from people and join or reorder them for models.

    Returns:
        The text, and whether it was cut.
    """
    if not text.isprintable():
        text = "".join(
            sign if sign in _KEPT_CONTROLS or unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Cn"} else ""
            for sign in text
        )
    text = text.strip()
    if len(text) <= LONGEST:
        return text, False
    half = LONGEST // 2
    return f"{text[:half]}\n[…]\n{text[-half:]}", True
