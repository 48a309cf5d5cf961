"""Body size, fluids and energy."""

from __future__ import annotations

import math

from medbench.agents.tools.formula import SEX, Formula, Given, Number
from medbench.agents.tools.formulas.units import AGE, HEIGHT, SODIUM, WEIGHT

_DEVINE = "Devine BJ. Gentamicin therapy. Drug Intell Clin Pharm 1974;8:650–655"


def ideal_weight(given: Given) -> float:
    """Devine: 50 kg (women 45.5) and 2.3 kg for each inch over 5 feet."""
    return (45.5 if given.sex else 50.0) + 2.3 * (given.height / 2.54 - 60)


def _adjusted(given: Given) -> float:
    ideal = ideal_weight(given)
    return ideal + 0.4 * (given.weight - ideal)


def _water_deficit(given: Given) -> float:
    if given.age < 18:
        share = 0.6
    else:
        old = given.age >= 65
        share = (0.45 if old else 0.5) if given.sex else (0.5 if old else 0.6)
    return share * given.weight * (given.sodium / 140 - 1)


def _maintenance(given: Given) -> float:
    weight = given.weight
    return 4 * min(weight, 10) + 2 * min(max(weight - 10, 0), 10) + max(weight - 20, 0)


def _energy(given: Given) -> float:
    if given.sex:
        return 655.0955 + 9.5634 * given.weight + 1.8496 * given.height - 4.6756 * given.age
    return 66.4730 + 13.7516 * given.weight + 5.0033 * given.height - 6.7550 * given.age


FORMULAS = {
    "bmi": Formula(
        title="body mass index",
        called=("body mass index", "体重指数", "体质指数"),
        unit="kg/m²",
        inputs={"weight": WEIGHT, "height": HEIGHT},
        compute=lambda given: given.weight / (given.height / 100) ** 2,
        source="WHO Technical Report Series 894, 2000",
    ),
    "bsa": Formula(
        title="body surface area (Mosteller)",
        called=("body surface area", "体表面积"),
        unit="m²",
        inputs={"weight": WEIGHT, "height": HEIGHT},
        compute=lambda given: math.sqrt(given.weight * given.height / 3600),
        source="Mosteller RD. N Engl J Med 1987;317:1098",
        digits=3,
    ),
    "ideal_body_weight": Formula(
        title="ideal body weight (Devine)",
        called=("理想体重",),
        unit="kg",
        inputs={"sex": SEX, "height": HEIGHT},
        compute=ideal_weight,
        source=_DEVINE,
        note="For adults; below 152 cm it is extrapolated.",
    ),
    "adjusted_body_weight": Formula(
        title="adjusted body weight: ideal + 0.4 × (actual − ideal)",
        called=("校正体重", "调整体重"),
        unit="kg",
        inputs={"sex": SEX, "height": HEIGHT, "weight": WEIGHT},
        compute=_adjusted,
        source=f"{_DEVINE}; Bauer LA et al. Eur J Clin Pharmacol 1983;24:643–647",
    ),
    "maintenance_fluid": Formula(
        title="maintenance fluid (4-2-1 rule)",
        called=("维持液", "维持补液"),
        unit="mL/h",
        inputs={"weight": WEIGHT},
        compute=_maintenance,
        source="Holliday MA, Segar WE. Pediatrics 1957;19:823–832",
        digits=1,
    ),
    "free_water_deficit": Formula(
        title="free water deficit to a sodium of 140 mmol/L",
        called=("自由水缺失", "自由水缺乏"),
        unit="L",
        inputs={"sex": SEX, "age": AGE, "weight": WEIGHT, "sodium": SODIUM},
        compute=_water_deficit,
        source="Adrogué HJ, Madias NE. Hypernatremia. N Engl J Med 2000;342:1493–1499",
        note="Total body water 0.6 of weight (men, children), 0.5 (women; men from 65), 0.45 (women from 65).",
        digits=3,
    ),
    "basal_energy": Formula(
        title="basal energy expenditure (Harris–Benedict)",
        called=("harris benedict", "基础能量消耗"),
        unit="kcal/d",
        inputs={"sex": SEX, "age": AGE, "weight": WEIGHT, "height": HEIGHT},
        compute=_energy,
        source="Harris JA, Benedict FG. Proc Natl Acad Sci USA 1918;4:370–373",
        digits=1,
    ),
    "target_weight": Formula(
        title="weight at a body mass index",
        called=("目标体重",),
        unit="kg",
        inputs={"bmi": Number("kg/m²", 8, 100), "height": HEIGHT},
        compute=lambda given: given.bmi * (given.height / 100) ** 2,
        source="WHO Technical Report Series 894, 2000 (definition of the body mass index)",
    ),
}
