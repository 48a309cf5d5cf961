"""Kidney function."""

from __future__ import annotations

from medbench.agents.tools.formula import SEX, Formula, Given, Number
from medbench.agents.tools.formulas.units import ADULT, CREATININE, HEIGHT, SODIUM, WEIGHT

_URINE_CREATININE = Number("mg/dL", 1, 1000, {"umol/L": 1 / 88.4, "mmol/L": 1000 / 88.4})
_URINE_SODIUM = Number("mmol/L", 1, 400, {"mEq/L": 1.0})


def _ckd_epi(given: Given) -> float:
    limit, power = (0.7, -0.241) if given.sex else (0.9, -0.302)
    share = given.creatinine / limit
    value: float = 142 * min(share, 1) ** power * max(share, 1) ** -1.200 * 0.9938**given.age
    return value * (1.012 if given.sex else 1)


FORMULAS = {
    "egfr_ckd_epi_2021": Formula(
        title="estimated GFR, CKD-EPI 2021 (creatinine, without race)",
        called=("ckd epi",),
        unit="mL/min/1.73 m²",
        inputs={"sex": SEX, "age": ADULT, "creatinine": CREATININE},
        compute=_ckd_epi,
        source="Inker LA et al. N Engl J Med 2021;385:1737–1749",
    ),
    "egfr_mdrd": Formula(
        title="estimated GFR, MDRD (four variables, IDMS-traceable, without race)",
        called=("mdrd",),
        unit="mL/min/1.73 m²",
        inputs={"sex": SEX, "age": ADULT, "creatinine": CREATININE},
        compute=lambda given: 175 * given.creatinine**-1.154 * given.age**-0.203 * (0.742 if given.sex else 1),
        source="Levey AS et al. Ann Intern Med 2006;145:247–254",
    ),
    "egfr_schwartz": Formula(
        title="estimated GFR of a child (bedside Schwartz)",
        called=("schwartz",),
        unit="mL/min/1.73 m²",
        inputs={"height": HEIGHT, "creatinine": CREATININE},
        compute=lambda given: 0.413 * given.height / given.creatinine,
        source="Schwartz GJ et al. J Am Soc Nephrol 2009;20:629–637",
        note="For ages 1 to 16.",
    ),
    "cockcroft_gault": Formula(
        title="creatinine clearance",
        called=("cockroft gault", "creatinine clearance", "肌酐清除率"),
        unit="mL/min",
        inputs={"sex": SEX, "age": ADULT, "weight": WEIGHT, "creatinine": CREATININE},
        compute=lambda given: (140 - given.age) * given.weight / (72 * given.creatinine) * (0.85 if given.sex else 1),
        source="Cockcroft DW, Gault MH. Nephron 1976;16:31–41",
        note="Which weight (actual, ideal, adjusted) is to be used is the user's choice.",
        digits=3,
    ),
    "fractional_excretion_of_sodium": Formula(
        title="fractional excretion of sodium",
        called=("fena", "钠排泄分数"),
        unit="%",
        inputs={
            "urine_sodium": _URINE_SODIUM,
            "sodium": SODIUM,
            "urine_creatinine": _URINE_CREATININE,
            "creatinine": CREATININE,
        },
        compute=lambda given: 100 * given.urine_sodium * given.creatinine / (given.sodium * given.urine_creatinine),
        source="Espinel CH. JAMA 1976;236:579–581",
        digits=3,
    ),
}
