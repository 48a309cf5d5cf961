"""Inputs that several formulas share.

Conversions as laboratories use them: creatinine 88.4 µmol/L, bilirubin 17.1 µmol/L, glucose 1/18 mmol/L, urea nitrogen
1/2.8 mmol/L, cholesterol 1/38.67 mmol/L for each mg/dL.
"""

from __future__ import annotations

from medbench.agents.tools.formula import Number

AGE = Number("years", 0, 125, {"months": 1 / 12, "月": 1 / 12, "岁": 1.0})
ADULT = Number("years", 18, 125)
WEIGHT = Number("kg", 0.3, 400, {"g": 0.001, "lb": 0.45359237, "lbs": 0.45359237, "斤": 0.5})
HEIGHT = Number("cm", 20, 250, {"m": 100.0, "in": 2.54, "inch": 2.54, "inches": 2.54})
SYSTOLIC = Number("mmHg", 30, 320)
DIASTOLIC = Number("mmHg", 10, 220)
HEART_RATE = Number("/min", 15, 320, {"bpm": 1.0})
RESPIRATORY_RATE = Number("/min", 2, 90, {"bpm": 1.0})
TEMPERATURE = Number("°C", 25, 45)
CREATININE = Number("mg/dL", 0.05, 40, {"umol/L": 1 / 88.4, "mmol/L": 1000 / 88.4})
BILIRUBIN = Number("mg/dL", 0.02, 80, {"umol/L": 1 / 17.1})
GLUCOSE = Number("mg/dL", 5, 2500, {"mmol/L": 18.0})
UREA_NITROGEN = Number("mg/dL", 0.5, 350, {"mmol/L": 2.8})
ALBUMIN = Number("g/dL", 0.5, 7, {"g/L": 0.1})
SODIUM = Number("mmol/L", 90, 210, {"mEq/L": 1.0})
CHLORIDE = Number("mmol/L", 50, 170, {"mEq/L": 1.0})
BICARBONATE = Number("mmol/L", 1, 70, {"mEq/L": 1.0})
PLATELETS = Number("10^9/L", 1, 3000, {"/uL": 0.001, "uL": 0.001, "x10^9/L": 1.0})
LIPID = Number("mg/dL", 1, 2000, {"mmol/L": 38.67})
INR = Number("ratio", 0.5, 20)
