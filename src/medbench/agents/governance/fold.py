"""The texts in which rules look for words: one shape for all spellings, and what common disguises hide."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

_CHUNK = 1024
_HIDDEN = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
_KEPT = frozenset("\n\t\r")
# Letters of other scripts that look like Latin ones, as far as no medical text needs them.
_LOOKALIKES = str.maketrans("асԁеһіјорԛѕхуѵԝɡıο’‘“”", "acdehijopqsxyvwgio''\"\"")
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
_BLANK = re.compile(r"[^\S\n]+")
_CHINESE = "[\u3400-\u9fff]"
_BESIDE_CHINESE = re.compile(rf" (?:(?<={_CHINESE} )|(?={_CHINESE}))")
_BETWEEN_CHINESE = re.compile(rf"(?<={_CHINESE})[ ._*·•|/\\~^-]{{1,3}}(?={_CHINESE})")
_SPELLED = re.compile(r"(?<![^\W_])(?:[a-z0-9][ ._*|-]){4,}[a-z0-9](?![^\W_])")
_SPELLED_SIGN = re.compile(r"[ ._*|-]")
_MIXED = re.compile(r"[a-z]+[0-9@$][a-z0-9@$]*[a-z]|[0-9@$]+[a-z][a-z0-9@$]*[a-z]")
_LEET = str.maketrans("013457@$", "oieastas")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_RIGHT_TO_LEFT = "\u202e"
MOST_DECODED = 16


def visible(text: str) -> str:
    """The text without characters that no reader sees: zero-width, bidirectional, control, private, tags, selectors."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(
        sign
        for sign in text
        if sign in _KEPT or (unicodedata.category(sign) not in _HIDDEN and not _is_selector(ord(sign)))
    )


def fold(text: str) -> str:
    """One spelling: compatibility forms, case, accents, look-alikes, hidden characters and white space folded.

    Linear in the length: canonical ordering is quadratic in a run of combining marks, so it is done in chunks.
    """
    text = text.translate(_TAGS)
    if not text.isascii():
        pieces = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
        plain = "".join(unicodedata.normalize("NFKD", visible(piece)) for piece in pieces)
        text = "".join(sign for sign in plain if unicodedata.category(sign) != "Mn")
    text = _BLANK.sub(" ", visible(text).casefold().translate(_LOOKALIKES))
    return text if text.isascii() else _BESIDE_CHINESE.sub("", text)


def views(text: str) -> tuple[str, ...]:
    """The folded text first, then what simple disguises turn out to hold, folded as well.

    Disguises: letters spelled out (`i g n o r e`), signs between Chinese characters, digits for letters, base64, text
    that is shown from right to left.
    """
    plain = fold(text)
    found = [plain, _undisguised(plain)]
    if _RIGHT_TO_LEFT in text:
        found.append(fold(text[::-1]))
    for place, match in enumerate(_BASE64.finditer(text)):
        if place == MOST_DECODED:
            break
        found.append(fold(_decoded(match[0])))
    return tuple(dict.fromkeys(view for view in found if view))


def _undisguised(plain: str) -> str:
    text = _BETWEEN_CHINESE.sub("", plain)
    text = _SPELLED.sub(lambda match: _SPELLED_SIGN.sub("", match[0]), text)
    return _MIXED.sub(lambda match: match[0].translate(_LEET), text)


def _decoded(piece: str) -> str:
    piece = piece.rstrip("=")
    try:
        text = base64.b64decode(piece + "=" * (-len(piece) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.replace("\n", "").isprintable() else ""


def _is_selector(code: int) -> bool:
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
