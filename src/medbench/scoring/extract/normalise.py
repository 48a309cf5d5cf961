"""Text in one shape: NFKC without its worst cases, and foldings under which two spellings are the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

VERDICT_WINDOW = 32 * 1024
"""Characters of an answer, counted from its end, in which a verdict is looked for; what stands before is ignored."""

_CHUNK = 1024
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_BESIDE_CHINESE = re.compile(r" (?:(?<=[^\x00-\x7f] )|(?=[^\x00-\x7f]))")
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_BRACKETS = str.maketrans("【〔〖［｛〈《「『】〕〗］｝〉》」』", "(((((((((" + ")))))))))")


def nfkc(text: str) -> str:
    """Unicode NFKC of `text`, without characters that have no width.

    The full-width punctuation that nearly every Chinese answer holds is replaced directly, which is several times
    faster than the general algorithm. The rest is normalised in chunks: canonical ordering is quadratic in the length
    of a run of combining marks, and an answer may be nothing but such a run.
    """
    if text.isascii():
        return text
    text = text.replace("，", ",").replace("：", ":").replace("（", "(").replace("）", ")").replace("；", ";")
    if not unicodedata.is_normalized("NFKC", text):
        if len(text) <= _CHUNK:
            text = unicodedata.normalize("NFKC", text)
        else:
            pieces = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
            text = "".join([unicodedata.normalize("NFKC", piece) for piece in pieces])
    # A line end is not printable either, but most texts with one hold nothing else of the kind.
    return text if text.replace("\n", "").isprintable() else _INVISIBLE.sub("", text)


def fold(text: str) -> str:
    """`text` as it is compared with a label or an option: NFKC, one case, no white space beside Chinese.

    White space separates only words of Latin letters; there a run of it counts as one space.
    """
    words = nfkc(text).casefold().split()
    if len(words) <= 1:
        return words[0] if words else ""
    text = " ".join(words)
    return text if text.isascii() else _BESIDE_CHINESE.sub("", text)


@lru_cache(maxsize=16384)
def fold_key(key: str) -> str:
    """`key` as keys of JSON objects are compared: NFKC, no white space, every bracket round."""
    return _SPACE.sub("", nfkc(key).translate(_BRACKETS))


def plain_number(text: str) -> float:
    """The number that `text` is, in digits from 0 to 9: `float` also takes `1_0`, `nan` and the digits of all scripts.

    Raises:
        ValueError: It is none.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number")
    return float(text)
