"""Types of error with corrections in JSON: the types are a set of labels, the corrections are judged elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medbench.catalog.model import LabelForm
from medbench.scoring.extract.json_answer import last_value
from medbench.scoring.extract.label_grammar import SEPARATORS, Grammar, grammar_of
from medbench.scoring.extract.normalise import fold_key, nfkc
from medbench.scoring.model import Extraction

_EMPTY = Extraction(None, "empty")
_AMBIGUOUS = Extraction(None, "ambiguous")


def extract_corrections(form: LabelForm, text: str, options: Sequence[str], keys: tuple[str, str]) -> Extraction:
    """Read the types of error that an answer names with their corrections.

    The forms of the official release: an object `{type: correction}`, a list of objects `{key: type, key: correction}`
    or of objects `{type: correction}`; an empty object or list is the empty set. Types outside the closed list stay in
    the set as they are written (false positives). A type that is named several times counts once: the object form has
    no other way to say that there are two errors of one type.

    Args:
        form: The form.
        text: The answer without reasoning.
        options: The closed list where the form has none.
        keys: The keys that name type and correction in the list form.

    Returns:
        Labels, or no value with a reason: `empty`, `not_json`, `too_long`, `ambiguous` (the label of the empty set
        beside others).
    """
    if not text:
        return _EMPTY
    grammar = grammar_of(form, options)
    known, label = grammar.lookup(text)
    if known and label is None:
        return Extraction(frozenset[str]())
    reader = _Types(grammar, fold_key(keys[0]), fold_key(keys[1]))
    value, reason = last_value(
        text,
        lambda candidate: reader.read(candidate) is not None,
        lambda piece: keys[0] in piece or any(f'"{name}"' in piece for name in grammar.labels),
        inside_broken=False,
        repeated_keys=True,
    )
    types = None if value is None else reader.read(value)
    if types is None:
        return Extraction(None, reason or "not_json")
    members: set[str] = set()
    none = False
    for name in types:
        for label in reader.labels(name):
            none = none or label is None
            if label is not None:
                members.add(label)
    return _AMBIGUOUS if none and members else Extraction(frozenset(members))


class _Types:
    """Reads the types out of the JSON forms."""

    def __init__(self, grammar: Grammar, type_key: str, correction_key: str) -> None:
        self.grammar = grammar
        self.type_key = type_key
        self.correction_key = correction_key

    def read(self, value: object, depth: int = 0) -> list[str] | None:
        """Types as written; None where the value has another form."""
        if isinstance(value, list):
            types: list[str] = []
            for inner in value:
                if not isinstance(inner, dict):
                    return None
                of_one = self.read(inner, depth + 1)
                if of_one is None:
                    return None
                types += of_one
            return types
        if not isinstance(value, dict):
            return None
        folded = {fold_key(key): inner for key, inner in value.items()}
        if self.type_key in folded:
            named = folded[self.type_key]
            if isinstance(named, list) and all(isinstance(name, str) for name in named):
                return named
            return [named] if isinstance(named, str) else None
        if len(value) == 1 and depth == 0:
            ((key, inner),) = value.items()
            if isinstance(inner, (list, dict)) and not self.grammar.lookup(key)[0]:
                wrapped = self.read(inner, depth + 1)  # {"问题": [...]}
                if wrapped is not None and (isinstance(inner, dict) or wrapped or not inner):
                    return wrapped
        if self.correction_key in folded or (depth == 0 and value and not self._of_types(value)):
            return None
        return list(value)

    def _of_types(self, value: dict[str, Any]) -> bool:
        """Whether an object looks like {type: correction}: corrections are texts or lists of texts."""
        return all(
            isinstance(inner, str)
            or (isinstance(inner, list) and all(isinstance(member, (str, dict)) for member in inner))
            for inner in value.values()
        )

    def labels(self, written: str) -> list[str | None]:
        """The labels that a type says; itself where it is not in the closed list."""
        known, label = self.grammar.lookup(written)
        if known:
            return [label]
        parts = [self.grammar.lookup(part) for part in SEPARATORS.split(nfkc(written))]
        if len(parts) > 1 and all(known for known, _ in parts):
            return [label for _, label in parts]
        return [nfkc(written).strip()]
