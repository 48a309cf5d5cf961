"""CMedCalc-Bench's equations as inputs of our formulas; rows with one value per input and one answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from medbench.agents.tools.formulas import FORMULAS
from support.medcalc import Case

NAMES = {
    "体重指数(BMI)": "bmi",
    "平均动脉压": "mean_arterial_pressure",
    "CKD-EPI肾小球滤过率估算公式": "egfr_ckd_epi_2021",
    "肌酐清除率（Cockcroft-Gault公式）": "cockcroft_gault",
    "体表面积计算器": "bsa",
    "维持液体量计算": "maintenance_fluid",
    "自由水缺失量计算": "free_water_deficit",
    "Harris-Benedict公式（基础能耗公式BEE）": "basal_energy",
    "氧合指数": "pao2_fio2",
    "钠排泄分数（FENa）": "fractional_excretion_of_sodium",
    "Bedside Schwartz公式（儿童肾小球滤过率估算）": "egfr_schwartz",
}
INPUTS = {
    "sex": "sex", "性别": "sex", "age": "age", "年龄": "age", "weight": "weight", "体重": "weight",
    "height": "height", "身高": "height", "creatinine": "creatinine", "肌酐": "creatinine", "血肌酐": "creatinine",
    "血清肌酐": "creatinine", "收缩压(SBP)": "systolic", "舒张压(DBP)": "diastolic",
    "systolic_blood_pressure": "systolic", "diastolic_blood_pressure": "diastolic",
    "钠": "sodium", "血钠": "sodium", "尿钠": "urine_sodium",
    "尿肌酐": "urine_creatinine", "PaO2": "pao2", "FiO2": "fio2",
}  # fmt: skip
UNITS = {
    "岁": "", "years": "", "公斤": "kg", "千克": "kg", "月龄": "months", "克": "g", "厘米": "cm", "毫克/分升": "mg/dL",
    "微摩尔/升": "umol/L", "毫摩尔/升": "mmol/L", "毫当量/升": "mEq/L", "毫米汞柱": "mmHg",
}  # fmt: skip
TOLERANCE = 0.05
"""As MedCalc-Bench has it."""
_NOTE = re.compile(r"[（(].*$")


def cases(path: Path) -> Iterator[Case]:
    """The rows of the equations that we have."""
    for row in json.loads(path.read_text("utf-8")):
        formula = NAMES.get(row["指标名称"])
        given, answer = row["input_params_final"], row["answer_final"]
        value = _value(answer)
        if formula is None or value is None or not isinstance(given, dict):
            continue
        values = {INPUTS[name]: _input(each) for name, each in given.items() if name in INPUTS}
        kinds = FORMULAS[formula].inputs
        values = {name: each for name, each in values.items() if name in kinds}
        if len(values) == len(kinds):
            spread = TOLERANCE * abs(value)
            yield Case(row["指标名称"], formula, values, value - spread, value + spread)


def _value(answer: object) -> float | None:
    """The one number of an answer; of several that which is by the hour or by Mosteller."""
    if not isinstance(answer, dict):
        return None
    for name in ("维持液体量（每小时）", "Mosteller"):
        answer = answer.get(name, answer)
    try:
        return float(answer["value"])
    except (KeyError, TypeError, ValueError):
        return None


def _input(each: object) -> object:
    if not isinstance(each, list) or len(each) != 2:
        return each
    unit = _NOTE.sub("", str(each[1])).strip()
    return f"{each[0]} {UNITS.get(unit, unit)}"
