"""How a question that does not say so itself tells the model to answer."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from string import Template

import msgspec

from medbench.catalog.model import Bilingual, BoxesForm, ChoiceForm, FieldsForm, LabelForm, Part, TextForm
from medbench.text import Language

_SEPARATORS: dict[Language, str] = {"zh": "、", "en": ", "}


@cache
def form_instructions() -> dict[str, Bilingual]:
    """The templates of the default instructions by the name of their sentence."""
    source = files("medbench.catalog").joinpath("data", "instructions.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(source), dict[str, Bilingual])


def default_instruction(part: Part, language: Language) -> str:
    """How to answer a question of a part: the part's own instruction, or else that of its form; empty for prose.

    A closed list of labels that is fixed in the part is named; one that comes with the item is not.
    """
    if part.instruction is not None:
        own: str = getattr(part.instruction, language)
        return own
    separator = _SEPARATORS[language]
    sentences = []
    for name, values in _sentences(part):
        template: str = getattr(form_instructions()[name], language)
        filled = {key: value if isinstance(value, str) else separator.join(value) for key, value in values.items()}
        sentences.append(Template(template).substitute(filled))
    return ("" if language == "zh" else " ").join(sentences)


_Sentence = tuple[str, dict[str, str | tuple[str, ...]]]


def _sentences(part: Part) -> list[_Sentence]:
    form = part.answer
    match form:
        case ChoiceForm():
            return [("choice_multiple" if form.multiple else "choice_single", {})]
        case LabelForm():
            return [_label_sentence(form), *_closed_list(form.labels, form.none_label, "none_label")]
        case FieldsForm():
            unknown: list[_Sentence] = [("unknown", {"unknown": form.unknown[0]})] if form.unknown else []
            return [("fields_named", {"fields": form.fields}) if form.fields else ("fields", {}), *unknown]
        case BoxesForm():
            return [("boxes", {}), *_closed_list(form.labels, form.none_label, "boxes_none")]
        case TextForm(what="sql"):
            return [("sql", {})]
        case _:
            return []


def _label_sentence(form: LabelForm) -> _Sentence:
    if form.correction_keys is not None:
        label_key, correction_key = form.correction_keys
        return "corrections", {"label_key": label_key, "correction_key": correction_key}
    if form.within is not None:
        return "label_within", {"within": form.within}
    return "label_multiple" if form.multiple else "label_single", {}


def _closed_list(labels: tuple[str, ...], none_label: str | None, none_sentence: str) -> list[_Sentence]:
    sentences: list[_Sentence] = []
    if labels:
        sentences.append(("closed_list", {"labels": labels}))
    if none_label is not None:
        sentences.append((none_sentence, {"none": none_label}))
    return sentences
