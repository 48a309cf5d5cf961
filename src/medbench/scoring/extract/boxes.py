"""The boxes of an answer, and for each that can't be used what is wrong with it."""

from __future__ import annotations

from typing import Any

from medbench.catalog.model import BoxesForm
from medbench.items.answers import BOX_KEYS, BOX_LIMIT
from medbench.scoring.extract.json_answer import last_value
from medbench.scoring.extract.normalise import nfkc
from medbench.scoring.model import Box, BoxFault, Extraction

MOST_BOXES = 1000
"""More in one answer are no answer; a picture of the release has a handful."""
_CLASS, _EDGES = BOX_KEYS


def extract_boxes(form: BoxesForm, text: str) -> Extraction:
    """Read the last JSON array of `{类别: [label], 边界框: [x1, y1, x2, y2]}` of an answer.

    No lesion is the entry of the none label with an empty box, alone, or an empty array. A class may stand outside its
    array, a single object outside the array of boxes; further keys are passed over. A label that is not in the closed
    list is kept as written: it matches nothing.

    Args:
        form: Labels and none label.
        text: The answer without reasoning.

    Returns:
        Boxes, perhaps none, with the faults of those left out; or no value with a reason: `empty`, `not_json`,
        `duplicate_key`, `too_long`, `ambiguous` (no lesion and a lesion), or the fault of the first where every box is
        at fault.
    """
    if not text:
        return Extraction(None, "empty")
    entries, reason = _entries(text)
    if entries is None:
        return Extraction(None, reason)
    if len(entries) > MOST_BOXES:
        return Extraction(None, "too_long")
    known = {nfkc(label).strip(): label for label in form.labels}
    none = None if form.none_label is None else nfkc(form.none_label).strip()
    boxes: list[Box] = []
    faults: list[BoxFault] = []
    denied = False
    for place, entry in enumerate(entries, 1):
        label, edges = _parts(entry)
        if label is None:
            faults.append(BoxFault(place, "box_shape"))
        elif label == none:
            if edges == []:
                denied = True
            else:
                faults.append(BoxFault(place, "box_of_none"))
        elif fault := _fault(edges):
            faults.append(BoxFault(place, fault))
        else:
            if label not in known:
                faults.append(BoxFault(place, "unknown_label"))
            boxes.append(Box(known.get(label, label), tuple(edges)))
    if denied and (boxes or faults):
        return Extraction(None, "ambiguous", faults=tuple(faults))
    if faults and not boxes:
        return Extraction(None, faults[0].code, faults=tuple(faults))
    return Extraction(tuple(boxes), faults=tuple(faults))


def _entries(text: str) -> tuple[list[Any] | None, str]:
    single = text.count(_EDGES) == 1

    def wanted(value: object) -> bool:
        if isinstance(value, dict):
            return single and _EDGES in value
        return isinstance(value, list) and any(isinstance(entry, dict) and _EDGES in entry for entry in value)

    value, reason = last_value(text, wanted, lambda piece: _EDGES in piece, inside_broken=False)
    if reason == "not_json" and _EDGES not in text:
        # No box anywhere: an empty array says that there is none.
        value, reason = last_value(text, lambda value: value == [], lambda _: False)
    if reason:
        return None, reason
    return value if isinstance(value, list) else [value], ""


def _parts(entry: object) -> tuple[str | None, Any]:
    """Label and edges of an entry; no label where it does not name exactly one."""
    if not isinstance(entry, dict) or _EDGES not in entry:
        return None, None
    label = entry.get(_CLASS)
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    return (nfkc(label).strip() if isinstance(label, str) else None), entry[_EDGES]


def _fault(edges: object) -> str:
    """What is wrong with the edges of a box; empty: nothing."""
    if not isinstance(edges, list) or len(edges) != 4:
        return "box_shape"
    if not all(type(edge) in (int, float) for edge in edges):
        return "box_type"
    if not all(0 <= edge <= BOX_LIMIT for edge in edges):
        return "box_range"
    left, top, right, bottom = edges
    return "" if left < right and top < bottom else "box_order"
