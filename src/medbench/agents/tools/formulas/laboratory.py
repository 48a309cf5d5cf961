"""Acid–base state, electrolytes, gases, liver, lipids, glucose."""

from __future__ import annotations

import math

from medbench.agents.tools.formula import Flag, Formula, Given, Number
from medbench.agents.tools.formulas.units import (
    AGE,
    ALBUMIN,
    BICARBONATE,
    BILIRUBIN,
    CHLORIDE,
    CREATININE,
    GLUCOSE,
    INR,
    LIPID,
    PLATELETS,
    SODIUM,
    UREA_NITROGEN,
)

_ELECTROLYTES = {"sodium": SODIUM, "chloride": CHLORIDE, "bicarbonate": BICARBONATE}
_FIGGE = "Figge J et al. Crit Care Med 1998;26:1807–1810"
_WRENN = "Wrenn K. Ann Emerg Med 1990;19:1310–1313"
_ENZYME = Number("U/L", 1, 50_000)
_PRESSURE = Number("mmHg", 5, 760, {"kPa": 7.50062})
_SECONDS = Number("s", 5, 300)


def _gap(given: Given) -> float:
    return given.sodium - given.chloride - given.bicarbonate


def _corrected_gap(given: Given) -> float:
    return _gap(given) + 2.5 * (4 - given.albumin)


def _meld_na(given: Given) -> float:
    """MELD(i) to the tenth, times ten; the sodium term where it is above 11; at most 40 (OPTN policy 9, 2016)."""
    creatinine = 4.0 if given.dialysis else min(max(given.creatinine, 1.0), 4.0)
    initial = 0.957 * math.log(creatinine) + 0.378 * math.log(max(given.bilirubin, 1.0))
    initial = round(initial + 1.120 * math.log(max(given.inr, 1.0)) + 0.643, 1) * 10
    if initial > 11:
        lack = 137 - min(max(given.sodium, 125), 137)
        initial += 1.32 * lack - 0.033 * initial * lack
    return min(initial, 40)


FORMULAS = {
    "anion_gap": Formula(
        title="anion gap without potassium",
        called=("阴离子间隙",),
        unit="mmol/L",
        inputs=_ELECTROLYTES,
        compute=_gap,
        source="Emmett M, Narins RG. Medicine 1977;56:38–54",
    ),
    "anion_gap_albumin_corrected": Formula(
        title="anion gap corrected to an albumin of 4 g/dL",
        called=("albumin corrected anion gap", "白蛋白校正阴离子间隙", "白蛋白校正的阴离子间隙"),
        unit="mmol/L",
        inputs={**_ELECTROLYTES, "albumin": ALBUMIN},
        compute=_corrected_gap,
        source=_FIGGE,
    ),
    "delta_gap": Formula(
        title="delta gap: anion gap − 12",
        unit="mmol/L",
        inputs=_ELECTROLYTES,
        compute=lambda given: _gap(given) - 12,
        source=_WRENN,
    ),
    "delta_ratio": Formula(
        title="delta ratio: (anion gap − 12) / (24 − bicarbonate)",
        unit="",
        inputs=_ELECTROLYTES,
        compute=lambda given: (_gap(given) - 12) / (24 - given.bicarbonate),
        source=_WRENN,
        digits=3,
    ),
    "delta_gap_albumin_corrected": Formula(
        title="delta gap with the albumin-corrected anion gap",
        called=("albumin corrected delta gap",),
        unit="mmol/L",
        inputs={**_ELECTROLYTES, "albumin": ALBUMIN},
        compute=lambda given: _corrected_gap(given) - 12,
        source=f"{_FIGGE}; {_WRENN}",
    ),
    "delta_ratio_albumin_corrected": Formula(
        title="delta ratio with the albumin-corrected anion gap",
        called=("albumin corrected delta ratio",),
        unit="",
        inputs={**_ELECTROLYTES, "albumin": ALBUMIN},
        compute=lambda given: (_corrected_gap(given) - 12) / (24 - given.bicarbonate),
        source=f"{_FIGGE}; {_WRENN}",
        digits=3,
    ),
    "winters": Formula(
        title="expected PaCO₂ in metabolic acidosis (± 2)",
        called=("winters formula", "winter formula"),
        unit="mmHg",
        inputs={"bicarbonate": BICARBONATE},
        compute=lambda given: 1.5 * given.bicarbonate + 8,
        source="Albert MS, Dell RB, Winters RW. Ann Intern Med 1967;66:312–322",
    ),
    "a_a_gradient": Formula(
        title="alveolar–arterial oxygen gradient",
        called=("alveolar arterial", "肺泡动脉血氧分压差", "肺泡动脉氧分压差"),
        unit="mmHg",
        inputs={
            "pao2": _PRESSURE,
            "paco2": _PRESSURE,
            "fio2": Number("fraction", 0.15, 1, {"%": 0.01}, default=0.21),
            "pressure": Number("mmHg", 200, 800, {"kPa": 7.50062}, default=760),
        },
        compute=lambda given: given.fio2 * (given.pressure - 47) - given.paco2 / 0.8 - given.pao2,
        source="Fenn WO, Rahn H, Otis AB. Am J Physiol 1946;146:637–653 (alveolar gas equation, R = 0.8)",
    ),
    "pao2_fio2": Formula(
        title="PaO₂/FiO₂",
        called=("p f ratio", "氧合指数"),
        unit="mmHg",
        inputs={"pao2": _PRESSURE, "fio2": Number("fraction", 0.15, 1, {"%": 0.01})},
        compute=lambda given: given.pao2 / given.fio2,
        source="ARDS Definition Task Force. JAMA 2012;307:2526–2533",
        digits=1,
    ),
    "corrected_calcium": Formula(
        title="calcium corrected to an albumin of 4 g/dL",
        called=("calcium correction", "校正钙", "校正血钙"),
        unit="mg/dL",
        inputs={"calcium": Number("mg/dL", 2, 25, {"mmol/L": 4.008}), "albumin": ALBUMIN},
        compute=lambda given: given.calcium + 0.8 * (4 - given.albumin),
        source="Payne RB et al. Br Med J 1973;4:643–646",
    ),
    "corrected_sodium": Formula(
        title="sodium corrected for hyperglycaemia (2.4 mmol/L for each 100 mg/dL)",
        called=("sodium correction", "校正钠", "校正血钠"),
        unit="mmol/L",
        inputs={"sodium": SODIUM, "glucose": GLUCOSE},
        compute=lambda given: given.sodium + 0.024 * (given.glucose - 100),
        source="Hillier TA, Abbott RD, Barrett EJ. Am J Med 1999;106:399–403",
    ),
    "osmolality": Formula(
        title="calculated serum osmolality",
        called=("血浆渗透压", "血清渗透压"),
        unit="mOsm/kg",
        inputs={"sodium": SODIUM, "glucose": GLUCOSE, "urea_nitrogen": UREA_NITROGEN},
        compute=lambda given: 2 * given.sodium + given.glucose / 18 + given.urea_nitrogen / 2.8,
        source="Purssell RA et al. Ann Emerg Med 2001;38:653–659",
    ),
    "ldl": Formula(
        title="LDL cholesterol (Friedewald)",
        called=("friedewald", "低密度脂蛋白胆固醇"),
        unit="mg/dL",
        inputs={
            "total_cholesterol": LIPID,
            "hdl": LIPID,
            "triglycerides": Number("mg/dL", 5, 2000, {"mmol/L": 88.57}),
        },
        compute=lambda given: given.total_cholesterol - given.hdl - given.triglycerides / 5,
        source="Friedewald WT, Levy RI, Fredrickson DS. Clin Chem 1972;18:499–502",
        note="Not for triglycerides above 400 mg/dL.",
        digits=1,
    ),
    "homa_ir": Formula(
        title="insulin resistance (HOMA-IR), fasting",
        called=("homa",),
        unit="",
        inputs={"glucose": GLUCOSE, "insulin": Number("uIU/mL", 0.1, 1000, {"mIU/L": 1.0, "pmol/L": 1 / 6})},
        compute=lambda given: given.glucose * given.insulin / 405,
        source="Matthews DR et al. Diabetologia 1985;28:412–419",
    ),
    "average_glucose": Formula(
        title="average glucose estimated from HbA1c",
        called=("平均血糖",),
        unit="mg/dL",
        inputs={"hba1c": Number("%", 3, 20)},
        compute=lambda given: 28.7 * given.hba1c - 46.7,
        source="Nathan DM et al. Diabetes Care 2008;31:1473–1478",
        digits=1,
    ),
    "fib4": Formula(
        title="FIB-4 index of liver fibrosis",
        called=("fib 4", "fibrosis 4"),
        unit="",
        inputs={"age": AGE, "ast": _ENZYME, "alt": _ENZYME, "platelets": PLATELETS},
        compute=lambda given: given.age * given.ast / (given.platelets * math.sqrt(given.alt)),
        source="Sterling RK et al. Hepatology 2006;43:1317–1325",
        digits=3,
    ),
    "maddrey": Formula(
        title="Maddrey's discriminant function",
        called=("discriminant function",),
        unit="",
        inputs={"prothrombin_time": _SECONDS, "control": Number("s", 8, 20, default=12), "bilirubin": BILIRUBIN},
        compute=lambda given: 4.6 * (given.prothrombin_time - given.control) + given.bilirubin,
        source="Maddrey WC et al. Gastroenterology 1978;75:193–199",
    ),
    "meld_na": Formula(
        title="MELD-Na",
        called=("melda na", "meld"),
        unit="",
        inputs={
            "creatinine": CREATININE,
            "bilirubin": BILIRUBIN,
            "inr": INR,
            "sodium": SODIUM,
            "dialysis": Flag("dialysis at least twice, or 24 h of CVVHD, in the past week"),
        },
        compute=_meld_na,
        source="OPTN/UNOS policy 9, January 2016; Kim WR et al. N Engl J Med 2008;359:1018–1026",
        digits=0,
    ),
}
