from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.catalog.model import FieldsForm
from medbench.scoring.edits import edit_distance
from medbench.scoring.extract import extract
from medbench.scoring.metrics import mark

OCR = FieldsForm(fields=("影像描述", "影像诊断"), compare="characters")
letters = st.text("abc肺", max_size=90)


def by_table(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@given(letters, letters)
def test_the_distance_is_that_of_the_table(first, second):
    assert edit_distance(first, second) == by_table(first, second) == edit_distance(second, first)


@pytest.mark.parametrize(
    ("findings", "impression", "rate"),
    [
        ("两肺纹理增多", "支气管炎", 0.0),
        (" 两肺 纹理\n增多", "支气管炎", 0.0),
        ("两肺纹理增", "支气管炎症", 0.2),
        ("增多纹理两肺", "支气管炎", 0.4),
        ("", "", 1.0),
        ("两肺纹理增多" * 50, "支气管炎", 0.6),
    ],
)
def test_character_error_rate_is_edits_over_characters(findings, impression, rate):
    answer = f'{{"影像描述": "{findings}", "影像诊断": "{impression}"}}'.replace("\n", "\\n")
    marking = mark("micro_f1", OCR, extract(OCR, answer), {"影像描述": "两肺纹理增多", "影像诊断": "支气管炎"})
    assert dict(marking.details) == {"character_error_rate": pytest.approx(rate)}


def test_an_answer_that_can_not_be_read_has_every_character_wrong():
    marking = mark("micro_f1", OCR, extract(OCR, "?"), {"影像描述": "两肺", "影像诊断": ""})
    assert dict(marking.details) == {"character_error_rate": 1.0}
    assert not mark("micro_f1", OCR, extract(OCR, "?"), {"影像描述": "", "影像诊断": ""}).details
