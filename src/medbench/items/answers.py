"""From an answer as people write it to the answer of a Key, checked against the form of the dataset's part.

Faults are told by a code and by what was allowed, never by what the answer says: keys stay out of messages and logs.
"""

from __future__ import annotations

import json
import re
import unicodedata

import msgspec

from medbench.catalog.model import (
    AnswerForm,
    BoxesForm,
    ChoiceForm,
    FieldsForm,
    LabelForm,
    MaskForm,
    StateForm,
    TextForm,
)
from medbench.items.state import StateKey

Answer = list[str] | dict[str, str] | str | None
BOX_LIMIT = 1000
BOX_KEYS = ("类别", "边界框")
REQUEST_KEYS = ("decline", "answer")
"""What is right to do with a request."""

_LETTERS = re.compile(r"[A-Z](?:[\s,;、|/]*[A-Z])*")
_AROUND = "<>[](){}.。 \t"
_SEPARATOR = re.compile(r"[、,，|;；\n]")


class AnswerError(Exception):
    """An answer does not have the form of its dataset.

    Attributes:
        code: Name of the message.
        values: What was allowed; never the answer itself.
    """

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


def read_answer(value: object, form: AnswerForm, options: tuple[str, ...]) -> tuple[Answer, str]:
    """Bring an answer into the form of a Key.

    Args:
        value: JSON value as written: letters, a label, a list or an object.
        form: The form that answers of the part have.
        options: Options of the item, or its closed list of labels.

    Returns:
        The answer (None: there is no gold), and gold that its form has no place for (the reasons beside an outcome,
        the corrections beside error types) as JSON text for the rubric; mostly empty.

    Raises:
        AnswerError: The answer does not have the form.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, ""
    if isinstance(form, ChoiceForm):
        return _letters(value, form, len(options)), ""
    if isinstance(form, LabelForm):
        return _labels(value, form, form.labels or options)
    if isinstance(form, FieldsForm):
        return _fields(value, form), ""
    if isinstance(form, BoxesForm):
        return _boxes(value, form), ""
    if isinstance(form, StateForm):
        return _state(value), ""
    if isinstance(form, TextForm) and form.what == "request":
        if value not in REQUEST_KEYS:
            raise AnswerError("answer_not_of_request", known=", ".join(REQUEST_KEYS))
        return value, ""
    if isinstance(value, str):
        return value, ""
    raise AnswerError("answer_not_path" if isinstance(form, MaskForm) else "answer_not_text")


def _letters(value: object, form: ChoiceForm, count: int) -> list[str]:
    last = chr(ord("A") + count - 1) if count else "A"
    if isinstance(value, list):
        value = ",".join(part if isinstance(part, str) else "?" for part in value)
    if not isinstance(value, str):
        raise AnswerError("answer_not_letters", last=last)
    text = unicodedata.normalize("NFKC", value).upper().strip(_AROUND)
    if not _LETTERS.fullmatch(text):
        raise AnswerError("answer_not_letters", last=last)
    letters = [character for character in text if "A" <= character <= "Z"]
    if max(letters) > last:
        # A word such as `nan` is no set of letters.
        code = "answer_out_of_range" if len(letters) == 1 else "answer_not_letters"
        raise AnswerError(code, last=last, options=count)
    if len(set(letters)) != len(letters):
        raise AnswerError("answer_repeats")
    if len(letters) > 1 and not form.multiple:
        raise AnswerError("answer_several")
    return sorted(letters)


def _labels(value: object, form: LabelForm, labels: tuple[str, ...]) -> tuple[list[str], str]:
    rest = ""
    if isinstance(value, dict) and form.within:
        if form.within not in value:
            raise AnswerError("answer_without_label", name=form.within)
        rest = _json(value)
        value = value[form.within]
    elif isinstance(value, dict) and form.correction_keys:
        rest = _json(value)
        value = list(value)
    elif isinstance(value, list) and form.correction_keys and any(isinstance(part, dict) for part in value):
        rest = _json(value)
        value = [part.get(form.correction_keys[0]) if isinstance(part, dict) else part for part in value]
    if isinstance(value, str):
        value = _SEPARATOR.split(value) if form.multiple and value.strip() not in labels else [value]
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise AnswerError("answer_not_labels")
    given = [form.synonyms.get(part.strip(), part.strip()) for part in value if part.strip()]
    given = [label for label in dict.fromkeys(given) if label != form.none_label]
    if any(label not in labels for label in given):
        raise AnswerError("answer_not_in_list", labels="、".join(labels[:30]))
    if len(given) != 1 and not form.multiple and not (not given and form.none_label):
        raise AnswerError("answer_several_labels")
    return given, "" if rest in ("{}", "[]") else rest


def _fields(value: object, form: FieldsForm) -> dict[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise AnswerError("answer_not_object") from None
    if not isinstance(value, dict) or not value:
        raise AnswerError("answer_not_object")
    if form.fields and set(value) != set(form.fields):
        raise AnswerError("answer_other_fields", fields="、".join(form.fields))
    answer = {}
    for key, content in value.items():
        if isinstance(content, bool) or content is None or isinstance(content, list | dict):
            raise AnswerError("answer_field_value")
        answer[key] = content if isinstance(content, str) else json.dumps(content)
    return answer


def _boxes(value: object, form: BoxesForm) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise AnswerError("answer_not_boxes") from None
    if not isinstance(value, list):
        raise AnswerError("answer_not_boxes")
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != set(BOX_KEYS):
            raise AnswerError("answer_not_boxes")
        classes, box = entry["类别"], entry["边界框"]
        if not isinstance(classes, list) or len(classes) != 1:
            raise AnswerError("answer_not_boxes")
        if classes[0] == form.none_label and box == [] and len(value) == 1:
            continue
        if classes[0] not in form.labels:
            raise AnswerError("answer_not_in_list", labels="、".join(form.labels))
        if not _is_box(box):
            raise AnswerError("answer_box_range", limit=BOX_LIMIT)
    return _json(value)


def _state(value: object) -> str:
    try:
        key = msgspec.json.decode(value, type=StateKey) if isinstance(value, str) else msgspec.convert(value, StateKey)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        # msgspec tells types and names of fields, never contents.
        raise AnswerError("answer_not_state", reason=str(error).rstrip(".")) from None
    return msgspec.json.encode(key).decode()


def _is_box(box: object) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in box):
        return False
    left, top, right, bottom = box
    return bool(0 <= left < right <= BOX_LIMIT and 0 <= top < bottom <= BOX_LIMIT)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
