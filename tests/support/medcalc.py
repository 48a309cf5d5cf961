"""MedCalc-Bench's cases as inputs of our formulas: the mapping of its entity names, for tests and benchmarks."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from medbench.agents.tools.formula import Flag, Number, result
from medbench.agents.tools.formulas import FORMULAS
from medbench.models.tools import ToolError


class Case(NamedTuple):
    """One row: what our formula is given, and between what its value must lie."""

    calculator: str
    formula: str
    values: dict[str, object]
    low: float
    high: float


def agreement(several: Iterable[Case]) -> dict[str, tuple[int, int]]:
    """Calculator -> (cases whose value lies within their limits, cases)."""
    found: dict[str, tuple[int, int]] = {}
    for case in several:
        agrees, count = found.get(case.calculator, (0, 0))
        try:
            value = result(case.formula, FORMULAS[case.formula], case.values)["value"]
        except ToolError:
            within = False
        else:
            assert isinstance(value, float | int)
            low, high = sorted((case.low, case.high))
            slack = 0.5 * 10.0 ** -FORMULAS[case.formula].digits  # the value is rounded
            within = low - slack <= value <= high + slack if FORMULAS[case.formula].digits else low <= value <= high
        found[case.calculator] = (agrees + within, count + 1)
    return found


COMMON = {
    "sex": "sex", "age": "age", "weight": "weight", "height": "height", "creatinine": "creatinine",
    "Sodium": "sodium", "Chloride": "chloride", "Bicarbonate": "bicarbonate", "Albumin": "albumin",
    "Glucose": "glucose", "Blood Urea Nitrogen (BUN)": "urea_nitrogen", "Bilirubin": "bilirubin",
    "Systolic Blood Pressure": "systolic", "Diastolic Blood Pressure": "diastolic",
    "Heart Rate or Pulse": "heart_rate", "respiratory rate": "respiratory_rate", "Temperature": "temperature",
    "international normalized ratio": "inr",
}  # fmt: skip

NAMES: dict[str, tuple[str, dict[str, str]]] = {
    "CKD-EPI Equations for Glomerular Filtration Rate": ("egfr_ckd_epi_2021", {}),
    "MDRD GFR Equation": ("egfr_mdrd", {}),
    "Fractional Excretion of Sodium (FENa)": (
        "fractional_excretion_of_sodium",
        {"Urine creatinine": "urine_creatinine", "Urine sodium": "urine_sodium"},
    ),
    "Mean Arterial Pressure (MAP)": ("mean_arterial_pressure", {}),
    "Body Mass Index (BMI)": ("bmi", {}),
    "Body Surface Area Calculator": ("bsa", {}),
    "Ideal Body Weight": ("ideal_body_weight", {}),
    "Adjusted Body Weight": ("adjusted_body_weight", {}),
    "Target weight": ("target_weight", {"Body Mass Index (BMI)": "bmi"}),
    "Maintenance Fluids Calculations": ("maintenance_fluid", {}),
    "Free Water Deficit": ("free_water_deficit", {}),
    "Calcium Correction for Hypoalbuminemia": ("corrected_calcium", {"Calcium": "calcium"}),
    "Sodium Correction for Hyperglycemia": ("corrected_sodium", {}),
    "Serum Osmolality": ("osmolality", {}),
    "Anion Gap": ("anion_gap", {}),
    "Delta Gap": ("delta_gap", {}),
    "Delta Ratio": ("delta_ratio", {}),
    "Albumin Corrected Anion Gap": ("anion_gap_albumin_corrected", {}),
    "Albumin Corrected Delta Gap": ("delta_gap_albumin_corrected", {}),
    "Albumin Corrected Delta Ratio": ("delta_ratio_albumin_corrected", {}),
    "HOMA-IR (Homeostatic Model Assessment for Insulin Resistance)": ("homa_ir", {"Insulin": "insulin"}),
    "LDL Calculated": (
        "ldl",
        {
            "Total cholesterol": "total_cholesterol",
            "high-density lipoprotein cholesterol": "hdl",
            "Triglycerides": "triglycerides",
        },
    ),
    "Fibrosis-4 (FIB-4) Index for Liver Fibrosis": (
        "fib4",
        {"Alanine aminotransferase": "alt", "Aspartate aminotransferase": "ast", "Platelet count": "platelets"},
    ),
    "MELD Na (UNOS/OPTN)": (
        "meld_na",
        {
            "Dialysis at least twice in the past week": "dialysis",
            "Continuous veno-venous hemodialysis for ≥24 hours in the past week": "dialysis",
        },
    ),
    "CHA2DS2-VASc Score for Atrial Fibrillation Stroke Risk": (
        "cha2ds2_vasc",
        {
            "Congestive Heart Faliure": "heart_failure",
            "Hypertension history": "hypertension",
            "Stroke": "stroke",
            "Transient Ischemic Attacks History": "stroke",
            "Thromboembolism history": "stroke",
            "Vascular disease history": "vascular_disease",
            "Diabetes history": "diabetes",
        },
    ),
    "HAS-BLED Score for Major Bleeding Risk": (
        "has_bled",
        {
            "Hypertension history": "hypertension",
            "Renal disease criteria for the HAS-BLED rule": "renal_disease",
            "Liver disease criteria for the HAS-BLED rule": "liver_disease",
            "Stroke": "stroke",
            "Prior major bleeding or predisposition to bleeding": "bleeding",
            "Labile international normalized ratio": "labile_inr",
            "Medication usage predisposing to bleeding": "drugs",
            "Number of Alcoholic Drinks Per Week": "drinks",
        },
    ),
    "CURB-65 Score for Pneumonia Severity": ("curb65", {"Confusion": "confusion"}),
    "Wells' Criteria for Pulmonary Embolism": (
        "wells_pe",
        {
            "Clinical signs and symptoms of Deep Vein Thrombosis": "dvt_signs",
            "Pulmonary Embolism is #1 diagnosis OR equally likely": "most_likely",
            "Immobilization for at least 3 days": "immobile",
            "Surgery in the previous 4 weeks": "immobile",
            "Previously Documented Pulmonary Embolism": "before",
            "Previously documented Deep Vein Thrombosis": "before",
            "Hemoptysis": "haemoptysis",
            "Malignancy with treatment within 6 months or palliative": "cancer",
        },
    ),
    "Wells' Criteria for DVT": (
        "wells_dvt",
        {
            "Active cancer": "cancer",
            "Paralysis, paresis, or recent plaster immobilization of the lower extremity": "paralysis",
            "Bedridden recently >3 days or major surgery within 12 weeks": "bedridden",
            "Major surgery within 12 weeks": "bedridden",
            "Bedridden recently >3 days": "bedridden",
            "Localized tenderness along the deep venous system": "tenderness",
            "Entire Leg Swollen": "whole_leg",
            "Calf swelling >3 centimeters compared to the other leg": "calf",
            "Pitting edema, confined to symptomatic leg": "oedema",
            "Collateral (nonvaricose) superficial veins present": "collaterals",
            "Previously documented Deep Vein Thrombosis": "before",
            "Alternative diagnosis to Deep Vein Thrombosis as likely or more likely": "alternative",
        },
    ),
    "PERC Rule for Pulmonary Embolism": (
        "perc",
        {
            "O₂ saturation percentage": "saturation",
            "Unilateral Leg Swelling": "leg_swelling",
            "Hemoptysis": "haemoptysis",
            "Recent surgery or trauma": "surgery",
            "Previously Documented Pulmonary Embolism": "before",
            "Previously documented Deep Vein Thrombosis": "before",
            "Hormone use": "hormones",
        },
    ),
    "Centor Score (Modified/McIsaac) for Strep Pharyngitis": (
        "centor",
        {
            "Cough Absent": "no_cough",
            "Tender/swollen anterior cervical lymph nodes": "nodes",
            "Exudate or swelling on tonsils": "exudate",
        },
    ),
    "FeverPAIN Score for Strep Pharyngitis": (
        "feverpain",
        {
            "Fever in past 24 hours": "fever",
            "Purulent tonsils": "purulence",
            "Symptom onset ≤3 days": "rapid",
            "Severe tonsil inflammation": "inflammation",
            "Absence of cough or coryza": "no_cough",
        },
    ),
    "Child-Pugh Score for Cirrhosis Mortality": (
        "child_pugh",
        {"Ascites": "ascites", "Encephalopathy": "encephalopathy"},
    ),
    "SIRS Criteria": (
        "sirs",
        {
            "White blood cell count": "white_cells",
            "Partial pressure of carbon dioxide (PaCO₂)": "paco2",
            "PaCO₂": "paco2",
        },
    ),
    "Revised Cardiac Risk Index for Pre-Operative Risk": (
        "cardiac_risk",
        {
            "Elevated-risk surgery": "high_risk_surgery",
            "History of ischemic heart disease": "ischaemic_heart_disease",
            "Congestive Heart Failure criteria for the Cardiac Risk Index rule": "heart_failure",
            "History of cerebrovascular disease": "stroke",
            "Pre-operative treatment with insulin": "insulin",
            "Pre-operative creatinine": "creatinine",
        },
    ),
    "Glasgow-Blatchford Bleeding Score (GBS)": (
        "glasgow_blatchford",
        {
            "Hemoglobin": "haemoglobin",
            "Melena present": "melaena",
            "Recent syncope": "syncope",
            "Hepatic disease history": "liver_disease",
            "Cardiac failure present": "heart_failure",
        },
    ),
} | {
    f"QTc {name} Calculator": ("qtc", {"QT interval": "qt"})
    for name in ("Bazett", "Fridericia", "Framingham", "Hodges", "Rautaharju")
}  # fmt: skip

NORMAL: dict[str, dict[str, object]] = {
    # Where a row does not mention a number, the reference counts no point; ours asks for it.
    "curb65": {"urea_nitrogen": 10, "respiratory_rate": 15, "systolic": 120, "diastolic": 80, "age": 30},
    "wells_pe": {"heart_rate": 80},
    "perc": {"age": 30, "heart_rate": 80, "saturation": 98},
    "centor": {"temperature": 37, "age": 30},
    "sirs": {"temperature": 37, "heart_rate": 80, "respiratory_rate": 15, "white_cells": 8},
    "cardiac_risk": {"creatinine": 1},
    "glasgow_blatchford": {"urea_nitrogen": 10, "haemoglobin": 14, "systolic": 120, "heart_rate": 80},
    "has_bled": {"age": 30},
    "cha2ds2_vasc": {"age": 30, "sex": "male"},
    "meld_na": {"sodium": 137},
    "child_pugh": {"ascites": "absent", "encephalopathy": "none", "bilirubin": 1, "albumin": 4, "inr": 1},
}
UNITS: dict[str, Callable[[float], str]] = {
    "degrees fahreinheit": lambda value: f"{(value - 32) / 1.8}",
    "degrees fahrenheit": lambda value: f"{(value - 32) / 1.8}",
    "degrees celsius": str,
    "degrees celsisus": str,
    "beats per minute": str,
    "breaths per minute": str,
    "years": str,
    "year": str,
    "months": lambda value: str(value / 12),
    "msec": str,
    "mm hg": str,
    "mm Hg": str,
}


def cases(path: Path) -> Iterator[Case]:
    """The rows whose calculator we have, as inputs of our formula."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            known = NAMES.get(row["Calculator Name"])
            if known is not None:
                formula, own = known
                entities = ast.literal_eval(row["Relevant Entities"])
                values = mapped(formula, own, entities)
                if formula == "qtc":
                    values["method"] = row["Calculator Name"].split()[1].lower()
                limits = float(row["Lower Limit"]), float(row["Upper Limit"])
                yield Case(row["Calculator Name"], formula, values, *limits)


def mapped(formula: str, own: dict[str, str], entities: dict[str, Any]) -> dict[str, object]:
    """Entities under our names, in units that we read; what a formula does not take is left out."""
    kinds = FORMULAS[formula].inputs
    values = dict(NORMAL.get(formula, {}))
    for entity, value in entities.items():
        name = own.get(entity) or COMMON.get(entity)
        if name == "drinks":
            values["alcohol"] = value >= 8
            continue
        kind = kinds.get(name or "")
        if name is None or kind is None:
            continue
        if isinstance(kind, Flag):
            values[name] = bool(values.get(name)) or bool(value)
        elif isinstance(kind, Number):
            number, unit = value if isinstance(value, list) else (value, "")
            values[name] = UNITS[unit](number) if unit in UNITS else f"{number} {unit}"
        else:
            values[name] = str(value).lower()
    return values
