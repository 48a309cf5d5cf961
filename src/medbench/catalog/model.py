"""What is measured: tracks, dimensions, datasets, the form of an answer and the metrics."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

Track = Literal["llm", "multimodal", "agent", "imaging"]
TRACKS: tuple[Track, ...] = ("llm", "multimodal", "agent", "imaging")

Metric = Literal[
    "accuracy",
    "accuracy_circular",
    "accuracy_field",
    "micro_f1",
    "detection_iou",
    "lesion_dice",
    "environment_state",
    "refusal",
    "keypoint_macro_recall",
    "llm_judge",
    "rubric_points",
]
FILE_METRICS: frozenset[Metric] = frozenset({"lesion_dice"})
"""Metrics of answers that are files; a package that reads such files brings them (entry points `medbench.metrics`)."""
JUDGED_METRICS: frozenset[Metric] = frozenset({"keypoint_macro_recall", "llm_judge", "rubric_points"})

Check = Literal["api_calls", "sql"]
"""Runs what an answer says, beside its metrics and never a score; see `medbench.scoring.executable`."""


class Bilingual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same text in Chinese and English."""

    zh: str
    en: str


class ChoiceForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="choice", tag_field="form"):
    """Letters of the item's options: exactly one, or with `multiple` a set that must match whole."""

    multiple: bool = False


class LabelForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="label", tag_field="form"):
    """Labels from a closed list: exactly one, or with `multiple` a set.

    Attributes:
        labels: The closed list. Empty: the item's options are the list.
        multiple: Several labels may be given; `、`, `,`, `|`, `;` and line ends separate them.
        none_label: The label that stands for the empty set (for example `无问题`).
        synonyms: Other spelling -> label.
        within: Where a JSON object carries the label, its key (MedOutcome: `预测结局`).
        correction_keys: Where JSON carries label -> correction (MedReportQC), the keys that name the label and the
            correction in the list form, for example `["错误类型", "修改建议"]`; the object form has labels as keys.
        question_pattern: Regular expression whose group 1 is the closed list inside an official question; used by the
            importer to fill the item's options.
    """

    labels: tuple[str, ...] = ()
    multiple: bool = False
    none_label: str | None = None
    synonyms: dict[str, str] = {}
    within: str | None = None
    correction_keys: tuple[str, str] | None = None
    question_pattern: str | None = None


class FieldsForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="fields", tag_field="form"):
    """A JSON object with given keys.

    Attributes:
        fields: The required keys. Empty: the keys of the item's answer are the required ones.
        tolerance: Largest absolute difference at which two numbers are equal.
        unknown: Values that all mean "the source does not say" and match one another (`未知`, `不详` …).
        absent: Values that all mean "stated not to be there" and match one another (`无`, `否认` …), but none of
            `unknown`: a denial that the source does not make is a wrong answer.
        compare: `value` compares normalised values; `characters` gives the F1 of character multisets.
    """

    fields: tuple[str, ...] = ()
    tolerance: float = 0.0
    unknown: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    compare: Literal["value", "characters"] = "value"


class BoxesForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="boxes", tag_field="form"):
    """A JSON array of `{类别: [label], 边界框: [x1, y1, x2, y2]}` in 0..1000 of width and height."""

    labels: tuple[str, ...] = ()
    none_label: str | None = None


class MaskForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="mask", tag_field="form"):
    """A file that the system makes: a label volume on the grid of the item's volume, 1 for lesion and 0 elsewhere."""


class StateForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="state", tag_field="form"):
    """The state in which the system leaves the item's environment, its final answer included."""


class TextForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text", tag_field="form"):
    """Free text; scored by key points or a judge.

    Attributes:
        what: `prose`; `report` for a report or record, whose overlap with a reference is shown beside its score;
            `sql` where the whole answer is one SQL statement; `request` for one that is to be met or declined, as the
            key says, and marked by that alone.
    """

    what: Literal["prose", "report", "sql", "request"] = "prose"


AnswerForm = ChoiceForm | LabelForm | FieldsForm | BoxesForm | MaskForm | StateForm | TextForm


class OfficialFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the official MedBench v4 release keeps a part, and how much of it there is.

    Attributes:
        name: File name, for example `MedExam.jsonl`.
        rows: Rows in the file.
        items: Items in the file; an item's shuffled rows share its id.
        variants: Rows per item.
    """

    name: str
    rows: int
    items: int
    variants: int = 1


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A part of a dataset with one form of answer. Most datasets have one, with an empty name.

    Attributes:
        name: Empty, or for example `SCQ`; ids are unique within (dataset, part).
        answer: How an answer looks.
        metrics: The part's score is their unweighted mean.
        official: The part in the official release; none for datasets of one's own.
        instruction: How to answer, put behind a question that does not say so itself. Empty: the form's default.
        rubric: By which a judge rates answers; empty: the general one.
        check: Runs what the answer says; None: nothing does.
    """

    answer: AnswerForm
    metrics: tuple[Metric, ...]
    name: str = ""
    official: OfficialFile | None = None
    instruction: Bilingual | None = None
    rubric: str = ""
    check: Check | None = None

    @cached_property
    def judged_metrics(self) -> tuple[Metric, ...]:
        """Metrics that need a judge."""
        return tuple(metric for metric in self.metrics if metric in JUDGED_METRICS)

    @cached_property
    def closed_metrics(self) -> tuple[Metric, ...]:
        """Metrics that code computes."""
        return tuple(metric for metric in self.metrics if metric not in JUDGED_METRICS)

    @cached_property
    def circular(self) -> bool:
        """Whether an item is asked in several option orders."""
        return "accuracy_circular" in self.metrics


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset of a dimension of a track. Its score is the unweighted mean of its parts.

    Attributes:
        name: As published.
        track: The track it belongs to.
        dimension: Id of its dimension, for example `knowledge_qa`.
        title: Short names.
        description: What it asks, in our own words.
        parts: At least one.
        source: Where the definition comes from.
    """

    name: str
    track: Track
    dimension: str
    title: Bilingual
    description: Bilingual
    parts: tuple[Part, ...]
    source: str = "MedBench v4"

    def part(self, name: str) -> Part:
        """The part of that name.

        Raises:
            KeyError: There is no such part.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dimension of a track; its score is the unweighted mean of its datasets.

    Attributes:
        id: For example `knowledge_qa`.
        track: The track it belongs to.
        title: Names as published; `named_by_us` where the release names none.
        named_by_us: True for the multimodal dimensions, which the public release does not name, and for imaging.
    """

    id: str
    track: Track
    title: Bilingual
    named_by_us: bool = False


class Admission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the lower limit of a judge's quadratic kappa with people has to reach.

    Attributes:
        share_of_people: As a share of people's own kappa.
        absolute: Where one person rated and there is no such kappa.
    """

    share_of_people: float
    absolute: float


class Specialty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A clinical department of the Chinese catalogue (卫医发〔1994〕第27号 and revisions).

    Attributes:
        code: `03` for a primary, `03.04` for a secondary department.
        title: Chinese name as in the catalogue, English by us.
        in_subset: Member of our explicit 24/91 subset. It is our construction: MedBench's own list is unpublished.
    """

    code: str
    title: Bilingual
    in_subset: bool

    @property
    def primary(self) -> bool:
        """Whether this is a primary department."""
        return "." not in self.code
