"""What a dataset must satisfy beyond its types, so that it can be asked, answered and scored."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from medbench.catalog.model import (
    JUDGED_METRICS,
    AnswerForm,
    Bilingual,
    BoxesForm,
    ChoiceForm,
    Dataset,
    Dimension,
    FieldsForm,
    LabelForm,
    MaskForm,
    Metric,
    Part,
    StateForm,
    TextForm,
)
from medbench.errors import Problem
from medbench.text import say

# Names become parts of ids (`dataset/part/id`) and file names, so they carry no separator and no white space.
_NAME = re.compile(r"\w[\w.\-]{0,63}")
_DIMENSION = re.compile(r"[a-z][a-z0-9_]{0,63}")


def metric_fits(metric: Metric, form: AnswerForm) -> bool:
    """Whether a metric can be computed from answers of a form; judges read any answer."""
    if metric in JUDGED_METRICS:
        return True
    match form:
        case ChoiceForm(multiple=True):
            return metric == "accuracy"
        case ChoiceForm():
            return metric in ("accuracy", "accuracy_circular")
        case LabelForm(multiple=True):
            return metric in ("accuracy", "micro_f1")
        case LabelForm():
            return metric == "accuracy"
        case FieldsForm(compare="characters"):
            return metric == "micro_f1"
        case FieldsForm():
            return metric == "accuracy_field"
        case BoxesForm():
            return metric == "detection_iou"
        case MaskForm():
            return metric == "lesion_dice"
        case StateForm():
            return metric == "environment_state"
        case TextForm(what="request"):
            return metric == "refusal"
        case _:
            return False


def dataset_problems(dataset: Dataset, dimensions: Iterable[Dimension], file: str | None = None) -> list[Problem]:
    """All that is wrong with a dataset, each with its field.

    Args:
        dataset: What to check.
        dimensions: Those that exist. A dataset may name a new one, but not one of another track.
        file: Where the dataset was read; without it, the dataset's name leads the field.
    """
    return [
        Problem(
            message=say(f"catalog.{key}", **values),
            file=file,
            field=field if file is not None else f"{dataset.name}.{field}",
        )
        for field, key, values in _dataset(dataset, dimensions)
    ]


# Field, name of the message, its values.
_Finding = tuple[str, str, dict[str, Any]]


def _dataset(dataset: Dataset, dimensions: Iterable[Dimension]) -> Iterator[_Finding]:
    if not _NAME.fullmatch(dataset.name):
        yield "name", "bad_name", {}
    if not _DIMENSION.fullmatch(dataset.dimension):
        yield "dimension", "bad_dimension", {}
    tracks = {dimension.track for dimension in dimensions if dimension.id == dataset.dimension}
    if tracks and dataset.track not in tracks:
        yield "dimension", "dimension_of_other_track", {"dimension": dataset.dimension, "track": tracks.pop()}
    yield from _texts("title", dataset.title)
    yield from _texts("description", dataset.description)
    yield from _text("source", dataset.source)
    if not dataset.parts:
        yield "parts", "no_parts", {}
    names = [part.name for part in dataset.parts]
    for index, part in enumerate(dataset.parts):
        field = f"parts[{index}]"
        if part.name in names[:index]:
            yield f"{field}.name", "twice", {"value": part.name}
        elif part.name and not _NAME.fullmatch(part.name):
            yield f"{field}.name", "bad_name", {}
        elif not part.name and len(names) > 1:
            yield f"{field}.name", "part_without_name", {}
        yield from _part(field, part)


def _part(field: str, part: Part) -> Iterator[_Finding]:
    if not part.metrics:
        yield f"{field}.metrics", "no_metrics", {}
    yield from _twice(f"{field}.metrics", part.metrics)
    for metric in part.metrics:
        if not metric_fits(metric, part.answer):
            yield f"{field}.metrics", "metric_misfit", {"metric": metric, "form": describe_form(part.answer)}
    if part.instruction is not None:
        yield from _texts(f"{field}.instruction", part.instruction)
    official = part.official
    if official is not None:
        if not _NAME.fullmatch(official.name):
            yield f"{field}.official.name", "bad_name", {}
        if min(official.items, official.variants) < 1 or official.rows != official.items * official.variants:
            yield f"{field}.official.rows", "official_rows", {}
    form = part.answer
    match form:
        case LabelForm():
            yield from _label_form(f"{field}.answer", form)
        case FieldsForm():
            yield from _fields_form(f"{field}.answer", form)
        case BoxesForm():
            yield from _labels(f"{field}.answer", form.labels, form.none_label)
            if not form.labels:
                yield f"{field}.answer.labels", "no_labels", {}


def _label_form(field: str, form: LabelForm) -> Iterator[_Finding]:
    yield from _labels(field, form.labels, form.none_label)
    if form.none_label is not None and not form.multiple:
        yield f"{field}.none_label", "needs_multiple", {}
    if form.correction_keys is not None:
        if not form.multiple:
            yield f"{field}.correction_keys", "needs_multiple", {}
        if form.within is not None:
            yield f"{field}.correction_keys", "within_and_corrections", {}
        yield from _values(f"{field}.correction_keys", form.correction_keys)
    if form.within is not None:
        yield from _values(f"{field}.within", (form.within,))
    known = {*form.labels, form.none_label}
    for spelling, label in form.synonyms.items():
        yield from _values(f"{field}.synonyms", (spelling,))
        if spelling in known:
            yield f"{field}.synonyms", "synonym_is_label", {"value": spelling}
        # Where the list comes with each item, the scorer can only look the label up there.
        if form.labels and label not in known:
            yield f"{field}.synonyms", "synonym_target", {"value": label}
    if form.question_pattern is not None:
        try:
            groups = re.compile(form.question_pattern).groups
        except re.error as error:
            yield f"{field}.question_pattern", "bad_pattern", {"reason": error}
        else:
            if groups < 1:
                yield f"{field}.question_pattern", "pattern_without_group", {}
            if form.labels:
                yield f"{field}.question_pattern", "pattern_and_labels", {}


def _fields_form(field: str, form: FieldsForm) -> Iterator[_Finding]:
    yield from _values(f"{field}.fields", form.fields)
    yield from _values(f"{field}.unknown", form.unknown)
    yield from _values(f"{field}.absent", form.absent)
    for value in form.absent:
        if value in form.unknown:
            yield f"{field}.absent", "absent_and_unknown", {"value": value}
    if not (math.isfinite(form.tolerance) and form.tolerance >= 0):
        yield f"{field}.tolerance", "bad_tolerance", {}


def _labels(field: str, labels: tuple[str, ...], none_label: str | None) -> Iterator[_Finding]:
    yield from _values(f"{field}.labels", labels)
    if none_label is not None:
        yield from _values(f"{field}.none_label", (none_label,))
        if none_label in labels:
            yield f"{field}.none_label", "none_label_listed", {"value": none_label}


def _values(field: str, values: tuple[str, ...]) -> Iterator[_Finding]:
    """Values that answers are compared with: present, printable and distinct as the extractor sees them (NFKC)."""
    for value in values:
        yield from _text(field, value)
    yield from _twice(field, [unicodedata.normalize("NFKC", value).strip() for value in values])


def _twice(field: str, values: Iterable[str]) -> Iterator[_Finding]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            yield field, "twice", {"value": value}
        seen.add(value)


def _texts(field: str, texts: Bilingual) -> Iterator[_Finding]:
    yield from _text(f"{field}.zh", texts.zh)
    yield from _text(f"{field}.en", texts.en)


def _text(field: str, text: str) -> Iterator[_Finding]:
    if not text.strip():
        yield field, "empty", {}
    # Control characters could steer the terminal that a table is printed on.
    elif any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text):
        yield field, "control_characters", {}


def describe_form(form: AnswerForm) -> str:
    """A form with the settings that decide how it is scored, as in a dataset file: `choice`, `label multiple` …."""
    words = [str(form.__struct_config__.tag)]
    if isinstance(form, ChoiceForm | LabelForm) and form.multiple:
        words.append("multiple")
    if isinstance(form, FieldsForm) and form.compare != "value":
        words.append(form.compare)
    return " ".join(words)
