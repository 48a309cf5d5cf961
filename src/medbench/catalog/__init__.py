"""What is measured: tracks, dimensions, datasets, forms of answer, metrics and specialties, as typed data."""

from medbench.catalog.catalog import Catalog
from medbench.catalog.instructions import default_instruction
from medbench.catalog.load import load_admission, load_catalog
from medbench.catalog.model import (
    JUDGED_METRICS,
    TRACKS,
    Admission,
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
    OfficialFile,
    Part,
    Specialty,
    StateForm,
    TextForm,
    Track,
)

__all__ = [
    "JUDGED_METRICS",
    "TRACKS",
    "Admission",
    "AnswerForm",
    "Bilingual",
    "BoxesForm",
    "Catalog",
    "ChoiceForm",
    "Dataset",
    "Dimension",
    "FieldsForm",
    "LabelForm",
    "MaskForm",
    "Metric",
    "OfficialFile",
    "Part",
    "Specialty",
    "StateForm",
    "TextForm",
    "Track",
    "default_instruction",
    "load_admission",
    "load_catalog",
]
