"""Circulation and the QT interval."""

from __future__ import annotations

import math

from medbench.agents.tools.formula import Choice, Formula, Given, Number
from medbench.agents.tools.formulas.units import DIASTOLIC, HEART_RATE, SYSTOLIC

_METHODS = Choice({"bazett": 0, "fridericia": 1, "framingham": 2, "hodges": 3, "rautaharju": 4})


def _corrected(given: Given) -> float:
    qt, rate = given.qt, given.heart_rate
    interval = 60 / rate
    return (
        qt / math.sqrt(interval),
        qt / interval ** (1 / 3),
        qt + 154 * (1 - interval),
        qt + 1.75 * (rate - 60),
        qt * (120 + rate) / 180,
    )[int(given.method)]


FORMULAS = {
    "mean_arterial_pressure": Formula(
        title="mean arterial pressure",
        called=("平均动脉压",),
        unit="mmHg",
        inputs={"systolic": SYSTOLIC, "diastolic": DIASTOLIC},
        compute=lambda given: (given.systolic + 2 * given.diastolic) / 3,
        source="Hall JE. Guyton and Hall Textbook of Medical Physiology, 14th ed.",
        digits=1,
    ),
    "qtc": Formula(
        title="QT interval corrected for heart rate",
        called=("corrected qt", "校正的qt", "qt间期校正", "校正qt"),
        unit="ms",
        inputs={"qt": Number("ms", 150, 900, {"s": 1000.0}), "heart_rate": HEART_RATE, "method": _METHODS},
        compute=_corrected,
        source="Bazett HC. Heart 1920;7:353; Fridericia LS. Acta Med Scand 1920;53:469; Sagie A. Am J Cardiol "
        "1992;70:797; Hodges M. J Am Coll Cardiol 1983;1:694; Rautaharju PM. J Electrocardiol 1993;26 Suppl:46",
        digits=1,
    ),
}
