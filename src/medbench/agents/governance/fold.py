"""The texts in which rules look for words: one shape for all spellings, and what common disguises hide."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping

_CHUNK = 1024
_HIDDEN = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
_KEPT = {ord(sign): ord(sign) for sign in "\n\t\r"}


class _Table(dict[int, int | None]):
    """What `str.translate` drops, found out once per character."""

    def __init__(self, dropped: frozenset[str], known: Mapping[int, int | None]) -> None:
        super().__init__(known)
        self._dropped = dropped

    def __missing__(self, code: int) -> int | None:
        kept = unicodedata.category(chr(code)) not in self._dropped and not _is_selector(code)
        self[code] = code if kept else None
        return self[code]


def _is_selector(code: int) -> bool:
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF


# Letters of other scripts that look like Latin ones, as far as no medical text needs them.
_LOOKALIKES = str.maketrans("асԁеһіјорԛѕхуѵԝɡıο’‘“”", "acdehijopqsxyvwgio''\"\"")
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
_SEEN = _Table(_HIDDEN, _KEPT)
_PLAIN = _Table(_HIDDEN | {"Mn"}, {**_LOOKALIKES, **_KEPT})
_BLANK = re.compile(r"[^\S\n]+")
_CHINESE = "[\u3400-\u9fff]"
_BESIDE_CHINESE = re.compile(rf" (?:(?<={_CHINESE} )|(?={_CHINESE}))")
_BETWEEN_CHINESE = re.compile(rf"(?<={_CHINESE})[ ._*·•|/\\~^-]{{1,3}}(?={_CHINESE})")
_SPELLED = re.compile(r"(?<![^\W_])(?:[a-z0-9][ ._*|-]){4,}[a-z0-9](?![^\W_])")
_SPELLED_SIGN = re.compile(r"[ ._*|-]")
_NUMBER = re.compile(r"[0-9]+[a-z]{0,4}")
_WORD = re.compile(r"[a-z0-9@$]+")
_LEET = str.maketrans("013457@$", "oieastas")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_LINE_BREAK = re.compile(r"(?<!\n)(?<!\n ) ?\n ?(?! ?\n)")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|([nrt\"\\/]))")
_ESCAPED = {"n": "\n", "r": "\n", "t": " "}
_DEEPEST = 3
"""JSON in JSON in JSON, as a call's argument that holds a request's body."""
_RIGHT_TO_LEFT = "\u202e"
MOST_DECODED = 16


def visible(text: str) -> str:
    """The text without characters that no reader sees: zero-width, bidirectional, control, private, tags, selectors."""
    return text if text.isascii() and text.replace("\n", "").isprintable() else text.translate(_SEEN)


def fold(text: str) -> str:
    """One spelling: compatibility forms, case, accents, look-alikes, hidden characters and white space folded.

    Linear in the length: canonical ordering is quadratic in a run of combining marks, so it is done in chunks.
    """
    if not text.isascii():
        text = text.translate(_TAGS)
        pieces = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
        text = "".join([unicodedata.normalize("NFKD", piece) for piece in pieces])
    text = _BLANK.sub(" ", text.casefold().translate(_PLAIN))
    return text if text.isascii() else _BESIDE_CHINESE.sub("", text)


def views(text: str) -> tuple[str, ...]:
    """The folded text first, then what wrapping, escapes and simple disguises turn out to hold, folded as well.

    A phrase may go on in the next line, as in text from a PDF: in a second view a lone line break is a space, and
    nothing beside a Chinese character. What JSON escapes (`\\n`, `\\u5ffd`) is read as what it stands for.

    Disguises: letters spelled out (`i g n o r e`), signs between Chinese characters, digits for letters, base64, text
    that is shown from right to left.
    """
    plain = fold(text)
    found = [plain, _unwrapped(plain)]
    if (unescaped := _unescaped(text)) != text:
        found.append(_unwrapped(fold(unescaped)))
    found += map(_undisguised, tuple(found))
    if _RIGHT_TO_LEFT in text:
        found.append(fold(text[::-1]))
    for place, match in enumerate(_BASE64.finditer(text)):
        if place == MOST_DECODED:
            break
        found.append(fold(_decoded(match[0])))
    return tuple(dict.fromkeys(view for view in found if view))


def _unwrapped(plain: str) -> str:
    return _BESIDE_CHINESE.sub("", _LINE_BREAK.sub(" ", plain)) if "\n" in plain else plain


def _unescaped(text: str) -> str:
    for _ in range(_DEEPEST if "\\" in text else 0):
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPED.get(match[2], match[2]), text)
    return text


def _undisguised(plain: str) -> str:
    text = _BETWEEN_CHINESE.sub("", plain)
    text = _SPELLED.sub(lambda match: _SPELLED_SIGN.sub("", match[0]), text)
    return _WORD.sub(lambda match: match[0] if match[0].isalpha() else _without_digits(match[0]), text)


def _without_digits(word: str) -> str:
    """A word with the letters that its digits stand for; a number, or a number with its unit, stays."""
    return word if _NUMBER.fullmatch(word) else word.translate(_LEET)


def _decoded(piece: str) -> str:
    piece = piece.rstrip("=")
    try:
        text = base64.b64decode(piece + "=" * (-len(piece) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.replace("\n", "").isprintable() else ""
