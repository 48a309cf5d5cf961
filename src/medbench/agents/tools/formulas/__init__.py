"""The formulas that medbench brings, by name."""

from __future__ import annotations

from collections.abc import Mapping

from medbench.agents.tools.formula import Formula
from medbench.agents.tools.formulas import body, heart, kidney, laboratory, scores

FORMULAS: Mapping[str, Formula] = {
    **body.FORMULAS,
    **heart.FORMULAS,
    **kidney.FORMULAS,
    **laboratory.FORMULAS,
    **scores.FORMULAS,
}
