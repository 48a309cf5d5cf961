"""Closed-set metrics: one extraction held against one key. Averages, circular evaluation and intervals are elsewhere.

An answer that could not be read is wrong: it scores 0, and a micro-averaged metric misses everything the key holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

import msgspec

from medbench.catalog.model import AnswerForm, BoxesForm, ChoiceForm, FieldsForm, LabelForm, Metric, TextForm
from medbench.scoring.boxes import mark_boxes
from medbench.scoring.edits import edit_distance
from medbench.scoring.extract.label_grammar import grammar_of
from medbench.scoring.extract.normalise import fold_key, nfkc
from medbench.scoring.extract.values import plain_text, same_value
from medbench.scoring.model import Box, Extraction, Marking

Answer = frozenset[int] | frozenset[str] | Sequence[str] | Mapping[str, str] | tuple[Box, ...]
"""What a key says: choice, positions as displayed; label, labels; fields, key -> value; boxes."""

_RIGHT = Marking(1.0)
_WRONG = Marking(0.0)


def mark(
    metric: Metric, form: AnswerForm, extraction: Extraction, answer: Answer, options: Sequence[str] = ()
) -> Marking:
    """Hold one extraction against its key (scoring.md section 4).

    - `accuracy`, `accuracy_circular`: 1 where the label or the whole set is right, else 0.
    - `accuracy_field`: fields that match / |required fields ∪ fields given|: a missing or an extra field is wrong.
    - `micro_f1`: counts of labels; for `FieldsForm(compare="characters")` counts of characters: each field's multisets
      (NFKC, without white space) are held against one another, and an extra field's characters are all false (ours).
      The value is the item's own F1, and None where neither the key nor a readable answer holds anything. Detail
      `character_error_rate`: edits / characters over the key's fields, at most one edit per character.

    - `detection_iou`: see `mark_boxes`.
    - `refusal`: 1 where a request that is to be declined is declined, or one that is to be met is not, else 0. Read by
      `is_refusal`, so by words: what an answer gives without declining is not looked at.

    Args:
        metric: One that code computes.
        form: The form of answer.
        extraction: What the answer says, by `extract` with the same form.
        answer: What the key says.
        options: The closed list of labels where the form has none.

    Raises:
        ValueError: The metric does not go with the form or the answer's type (judged metrics never do).
    """
    if isinstance(form, ChoiceForm):
        if metric in ("accuracy", "accuracy_circular") and isinstance(answer, frozenset):
            return _RIGHT if extraction.value == answer else _WRONG
    elif isinstance(form, LabelForm) and not isinstance(answer, (Mapping, str)):
        if metric == "accuracy":
            return _RIGHT if _same_labels(form, extraction, answer, options) else _WRONG
        if metric == "micro_f1":
            return _label_f1(extraction, _labels(form, answer, options))
    elif isinstance(form, FieldsForm) and isinstance(answer, Mapping):
        if metric == "accuracy_field":
            return _field_accuracy(form, extraction, answer)
        if metric == "micro_f1" and form.compare == "characters":
            return _character_f1(extraction, answer)
    elif isinstance(form, BoxesForm) and metric == "detection_iou" and isinstance(answer, tuple):
        given = extraction.value if isinstance(extraction.value, tuple) else None
        return mark_boxes(given, answer, extraction.faults)
    elif isinstance(form, TextForm) and metric == "refusal":
        return _RIGHT if extraction.refusal == ("decline" in answer) else _WRONG
    raise ValueError(f"{metric} can't mark a {type(form).__name__} with an answer of type {type(answer).__name__}")


def _same_labels(form: LabelForm, extraction: Extraction, answer: Answer, options: Sequence[str]) -> bool:
    return extraction.value is not None and extraction.value == _labels(form, answer, options)


def _labels(form: LabelForm, answer: Answer, options: Sequence[str]) -> frozenset[str]:
    """The key's labels as the closed list writes them; the label of the empty set falls away."""
    grammar = grammar_of(form, options)
    labels: set[str] = set()
    for written in answer:
        known, label = grammar.lookup(str(written))
        if not known:
            labels.add(nfkc(str(written)).strip())
        elif label is not None:
            labels.add(label)
    return frozenset(labels)


def _label_f1(extraction: Extraction, expected: frozenset[str]) -> Marking:
    if not isinstance(extraction.value, frozenset):
        return _f1(0, 0, len(expected), read=False)
    given = extraction.value
    hits = len(given & expected)
    return _f1(hits, len(given) - hits, len(expected) - hits, read=True)


def _f1(hits: int, false: int, missed: int, *, read: bool) -> Marking:
    if hits == false == missed == 0:
        return Marking(None) if read else _WRONG
    return Marking(2 * hits / (2 * hits + false + missed), hits, false, missed)


@lru_cache(maxsize=256)
def _comparison(
    tolerance: float, unknown: tuple[str, ...], absent: tuple[str, ...]
) -> tuple[Decimal, tuple[frozenset[str], ...]]:
    # Two lists that never match across: that the record does not say is not that the patient denies it.
    return Decimal(str(tolerance)), (frozenset(map(plain_text, unknown)), frozenset(map(plain_text, absent)))


@lru_cache(maxsize=4096)
def _folded(names: tuple[str, ...]) -> dict[str, str]:
    """Compared form of a key -> the key as written."""
    return {fold_key(name): name for name in names}


def _field_accuracy(form: FieldsForm, extraction: Extraction, answer: Mapping[str, str]) -> Marking:
    if not isinstance(extraction.value, dict):
        return _WRONG
    expected = _folded(tuple(answer))
    required = _folded(form.fields) if form.fields else expected
    tolerance, alike = _comparison(form.tolerance, form.unknown, form.absent)
    matches = extra = 0
    for name, value in extraction.value.items():
        key = fold_key(name)
        if key not in required:
            extra += 1
        elif key in expected and same_value(value, answer[expected[key]], tolerance=tolerance, alike=alike):
            matches += 1
    fields = len(required) + extra
    return Marking(matches / fields) if fields else Marking(None)


def _character_f1(extraction: Extraction, answer: Mapping[str, str]) -> Marking:
    read = isinstance(extraction.value, dict)
    given = extraction.value if isinstance(extraction.value, dict) else {}
    named = _folded(tuple(given))
    expected = _folded(tuple(answer))
    hits = false = missed = edits = characters = 0
    for key in named.keys() | expected.keys():
        wanted = _characters(answer[expected[key]]) if key in expected else ""
        found = _characters(given[named[key]]) if key in named else ""
        shared = (Counter(wanted) & Counter(found)).total()
        hits += shared
        false += len(found) - shared
        missed += len(wanted) - shared
        characters += len(wanted)
        # Twice as long is wrong throughout; so no answer costs more than its key allows.
        edits += min(edit_distance(found, wanted), len(wanted)) if len(found) < 2 * len(wanted) else len(wanted)
    marking = _f1(hits, false, missed, read=read)
    if not characters:
        return marking
    return msgspec.structs.replace(marking, details=(("character_error_rate", edits / characters),))


def _characters(text: str) -> str:
    """Characters after NFKC and without white space."""
    return "".join(nfkc(text).split())
