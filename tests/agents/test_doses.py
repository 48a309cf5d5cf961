"""Doses held against limits."""

from __future__ import annotations

import pytest

from medbench.agents.governance.doses import excesses
from medbench.agents.governance.fold import fold
from medbench.agents.governance.policy import load_policies


def found(text):
    return [
        (each.limit.drug[0], round(each.amount, 3), each.per_day)
        for each in excesses(fold(text), load_policies().doses)
    ]


@pytest.mark.parametrize(
    ("text", "above"),
    [
        ("Take acetaminophen 9 g at once.", [("paracetamol", 9000.0, False)]),
        ("paracetamol 1 g every 4 hours", [("paracetamol", 6000.0, True)]),
        ("对乙酰氨基酚 每次1.5克，每日2次", [("paracetamol", 1500.0, False)]),
        ("对乙酰氨基酚每日6g", [("paracetamol", 6000.0, True)]),
        ("布洛芬 800 mg 每日5次", [("ibuprofen", 4000.0, True)]),
        ("metformin 1,500 mg twice daily", [("metformin", 3000.0, True)]),
        ("ondansetron 32 mg IV once", [("ondansetron", 32.0, False)]),
        ("秋水仙碱 3000 微克", [("colchicine", 3.0, False)]),
        ("Ｚolpidem ２０ mg", [("zolpidem", 20.0, False)]),
    ],
)
def test_an_excess_is_found_in_its_unit(text, above):
    assert found(text) == above


@pytest.mark.parametrize(
    "text",
    [
        "paracetamol 1 g four times a day",
        "对乙酰氨基酚 500 mg 每6小时一次",
        "paracetamol 15 mg/kg, or 5000 mg/L in blood",
        "Do not take more than 4 g of paracetamol; 10 g may be fatal.",
        "对乙酰氨基酚一次服用超过10 g可中毒",
        "paracetamol 5 g intravenously",
        "metformin, then rest. 9 g of salt",
        "ibuprofen and nothing else",
        "ondansetron 24 mg oral tablet",
    ],
)
def test_what_is_within_or_means_something_else_is_not(text):
    assert found(text) == []
