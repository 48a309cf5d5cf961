"""Reading what an answer says, by the grammar of its form. No guess: ambiguous or missing is no value, with a reason.

Every reader is linear in the length of the answer. Text is compared after NFKC; reasoning is removed first.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from medbench.catalog.model import AnswerForm, BoxesForm, ChoiceForm, FieldsForm, LabelForm
from medbench.scoring.extract.boxes import extract_boxes
from medbench.scoring.extract.choice import extract_choice
from medbench.scoring.extract.corrections import extract_corrections
from medbench.scoring.extract.fields import extract_fields
from medbench.scoring.extract.label import extract_label
from medbench.scoring.extract.label_set import extract_labels
from medbench.scoring.extract.reasoning import strip_reasoning
from medbench.scoring.extract.refusal import is_refusal
from medbench.scoring.extract.values import Quantity, quantity
from medbench.scoring.model import Extraction

__all__ = ["Quantity", "extract", "is_refusal", "quantity", "strip_reasoning"]

_EMPTY = Extraction(None, "empty")


def extract(form: AnswerForm, text: str, options: Sequence[str] = (), fields: Sequence[str] = ()) -> Extraction:
    """Read what an answer says.

    Args:
        form: The form of answer that was asked for.
        text: The whole response, with or without reasoning.
        options: Choice: option texts in the order displayed. Label: the closed list where the form has none.
        fields: Required keys where the form has none.

    Returns:
        The value, or none with a reason. `refusal` is set only where nothing was read, and for free text.
    """
    answer = text if len(text) == 1 else strip_reasoning(text)
    if isinstance(form, ChoiceForm):
        found = extract_choice(answer, options, multiple=form.multiple)
    elif isinstance(form, LabelForm):
        if form.correction_keys is not None:
            found = extract_corrections(form, answer, options, form.correction_keys)
        elif form.multiple:
            found = extract_labels(form, answer, options)
        else:
            found = extract_label(form, answer, options)
    elif isinstance(form, FieldsForm):
        found = extract_fields(answer, form.fields or fields)
    elif isinstance(form, BoxesForm):
        found = extract_boxes(form, answer)
    else:
        return Extraction(answer, refusal=is_refusal(answer)) if answer else _EMPTY
    if found.value is None and answer and is_refusal(answer):
        return msgspec.structs.replace(found, refusal=True)
    return found
