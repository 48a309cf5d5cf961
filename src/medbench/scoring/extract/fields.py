"""The fields of a JSON answer as text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from medbench.scoring.extract.json_answer import last_value
from medbench.scoring.extract.normalise import fold_key, nfkc
from medbench.scoring.model import Extraction

_EMPTY = Extraction(None, "empty")


@lru_cache(maxsize=4096)
def _names(required: tuple[str, ...]) -> dict[str, str]:
    """Folded key -> the key as required."""
    return {fold_key(name): name for name in required}


def extract_fields(text: str, required: Sequence[str]) -> Extraction:
    """Read the last whole JSON object of an answer that has at least one required key.

    Keys are compared after NFKC, without white space and with every bracket round; a required key is returned as it is
    required, any other as it is compared. Nested values become text: `a:1;b:2` for an object, `a;b` for a list. `null`
    is the empty text.

    Args:
        text: The answer without reasoning.
        required: Empty: any object will do.

    Returns:
        Key -> text, or none with a reason: `empty`, `not_json`, `duplicate_key` (also where two keys differ
        only in what is not compared), `too_long`.
    """
    if not text:
        return _EMPTY
    names = _names(tuple(required))

    def wanted(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        return not names or any(fold_key(key) in names for key in value)

    def meant(piece: str) -> bool:
        if not piece.startswith("{"):
            return False
        return not names or any(f'"{name}"' in piece or f'"{nfkc(name)}"' in piece for name in names.values())

    value, reason = last_value(text, wanted, meant)
    if value is None:
        return Extraction(None, reason)
    fields: dict[str, str] = {}
    for key, inner in value.items():
        folded = fold_key(key)
        name = names.get(folded, folded)
        if name in fields:
            return Extraction(None, "duplicate_key")
        fields[name] = inner if type(inner) is str else flat(inner)
    return Extraction(fields)


def flat(value: object) -> str:
    """A JSON value as one text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ";".join(f"{key}:{flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ";".join(flat(inner) for inner in value)
    return str(value)
