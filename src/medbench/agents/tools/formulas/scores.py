"""Clinical scores: points for what is present, and for numbers by bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medbench.agents.tools.formula import SEX, Choice, Flag, Formula, Given, Number
from medbench.agents.tools.formulas.units import (
    AGE,
    ALBUMIN,
    BILIRUBIN,
    CREATININE,
    DIASTOLIC,
    HEART_RATE,
    INR,
    RESPIRATORY_RATE,
    SYSTOLIC,
    TEMPERATURE,
    UREA_NITROGEN,
)

Inputs = Mapping[str, Number | Flag | Choice]


def _sum(inputs: Inputs, more: Callable[[Given], float] = lambda _: 0) -> Callable[[Given], float]:
    """Points of all flags and of choices other than sex, and what numbers add."""
    counted = [name for name, kind in inputs.items() if kind is not SEX and not isinstance(kind, Number)]
    return lambda given: sum(given[name] for name in counted) + more(given)


def _score(
    title: str,
    source: str,
    inputs: Inputs,
    more: Callable[[Given], float] = lambda _: 0,
    *,
    called: tuple[str, ...] = (),
    digits: int = 0,
    note: str = "",
) -> Formula:
    return Formula(title, "points", inputs, _sum(inputs, more), source, note, digits, called)


def _band(value: float, *limits: float) -> int:
    """How many of the limits a value reaches."""
    return sum(value >= limit for limit in limits)


def _blatchford(given: Given) -> float:
    urea = (0, 2, 3, 4, 6)[_band(given.urea_nitrogen, 18.2, 22.4, 28, 70)]
    haemoglobin = given.haemoglobin
    if given.sex:
        blood = 0 if haemoglobin >= 12 else 1 if haemoglobin >= 10 else 6
    else:
        blood = 0 if haemoglobin >= 13 else 1 if haemoglobin >= 12 else 3 if haemoglobin >= 10 else 6
    pressure = (3, 2, 1, 0)[_band(given.systolic, 90, 100, 110)]
    return urea + blood + pressure + (given.heart_rate >= 100)


def _child_pugh(given: Given) -> float:
    bilirubin = 1 if given.bilirubin < 2 else 2 if given.bilirubin <= 3 else 3
    albumin = 1 if given.albumin > 3.5 else 2 if given.albumin >= 2.8 else 3
    clotting = 1 if given.inr < 1.7 else 2 if given.inr <= 2.3 else 3
    return bilirubin + albumin + clotting


def _sirs(given: Given) -> float:
    breathing = given.respiratory_rate > 20 or given.paco2 < 32
    cells = given.white_cells > 12 or given.white_cells < 4
    return (given.temperature > 38 or given.temperature < 36) + (given.heart_rate > 90) + breathing + cells


FORMULAS = {
    "cha2ds2_vasc": _score(
        "stroke risk in atrial fibrillation (CHA₂DS₂-VASc)",
        "Lip GYH et al. Chest 2010;137:263–272",
        {
            "age": AGE,
            "sex": SEX,
            "heart_failure": Flag("congestive heart failure or reduced ejection fraction"),
            "hypertension": Flag("hypertension"),
            "diabetes": Flag("diabetes mellitus"),
            "stroke": Flag("stroke, TIA or thromboembolism before", 2),
            "vascular_disease": Flag("myocardial infarction, peripheral artery disease or aortic plaque"),
        },
        lambda given: _band(given.age, 65, 75) + given.sex,
        called=("cha2ds2 va",),
    ),
    "has_bled": _score(
        "bleeding risk under anticoagulation (HAS-BLED)",
        "Pisters R et al. Chest 2010;138:1093–1100",
        {
            "age": AGE,
            "hypertension": Flag("systolic pressure above 160 mmHg, uncontrolled"),
            "renal_disease": Flag("dialysis, transplant or creatinine above 2.26 mg/dL"),
            "liver_disease": Flag("cirrhosis, or bilirubin > 2 × with AST/ALT/AP > 3 × normal"),
            "stroke": Flag("stroke before"),
            "bleeding": Flag("major bleeding before, or predisposition"),
            "labile_inr": Flag("labile INR"),
            "drugs": Flag("antiplatelet drugs or NSAIDs"),
            "alcohol": Flag("8 or more drinks a week"),
        },
        lambda given: given.age > 65,
    ),
    "curb65": _score(
        "severity of community-acquired pneumonia (CURB-65)",
        "Lim WS et al. Thorax 2003;58:377–382",
        {
            "confusion": Flag("new confusion"),
            "urea_nitrogen": UREA_NITROGEN,
            "respiratory_rate": RESPIRATORY_RATE,
            "systolic": SYSTOLIC,
            "diastolic": DIASTOLIC,
            "age": AGE,
        },
        lambda given: (
            (given.urea_nitrogen > 19)
            + (given.respiratory_rate >= 30)
            + (given.systolic < 90 or given.diastolic <= 60)
            + (given.age >= 65)
        ),
        note="Urea above 7 mmol/L is urea nitrogen above 19 mg/dL.",
        called=("curb 65",),
    ),
    "wells_pe": _score(
        "probability of pulmonary embolism (Wells)",
        "Wells PS et al. Thromb Haemost 2000;83:416–420",
        {
            "dvt_signs": Flag("clinical signs of deep vein thrombosis", 3),
            "most_likely": Flag("embolism is the most likely diagnosis, or equally likely", 3),
            "heart_rate": HEART_RATE,
            "immobile": Flag("immobile for 3 days or more, or surgery in the past 4 weeks", 1.5),
            "before": Flag("deep vein thrombosis or embolism before", 1.5),
            "haemoptysis": Flag("haemoptysis"),
            "cancer": Flag("cancer treated in the past 6 months, or palliative"),
        },
        lambda given: 1.5 * (given.heart_rate > 100),
        digits=1,
        called=("wells criteria for pulmonary embolism", "wells score for pulmonary embolism", "肺栓塞wells"),
    ),
    "wells_dvt": _score(
        "probability of deep vein thrombosis (Wells)",
        "Wells PS et al. N Engl J Med 2003;349:1227–1235",
        {
            "cancer": Flag("active cancer"),
            "paralysis": Flag("paralysis, paresis or plaster of the leg"),
            "bedridden": Flag("bedridden for 3 days or more, or major surgery within 12 weeks"),
            "tenderness": Flag("tenderness along the deep veins"),
            "whole_leg": Flag("whole leg swollen"),
            "calf": Flag("calf swollen by more than 3 cm"),
            "oedema": Flag("pitting oedema of the symptomatic leg"),
            "collaterals": Flag("collateral superficial veins"),
            "before": Flag("deep vein thrombosis before"),
            "alternative": Flag("another diagnosis at least as likely", -2),
        },
        called=(
            "wells criteria for dvt",
            "wells criteria score for deep vein thrombosis",
            "wells score for deep vein thrombosis",
            "wells score for dvt",
            "深静脉血栓wells",
        ),
    ),
    "perc": _score(
        "criteria met of the pulmonary embolism rule-out (PERC)",
        "Kline JA et al. J Thromb Haemost 2004;2:1247–1255",
        {
            "age": AGE,
            "heart_rate": HEART_RATE,
            "saturation": Number("%", 30, 100),
            "leg_swelling": Flag("one leg swollen"),
            "haemoptysis": Flag("haemoptysis"),
            "surgery": Flag("surgery or trauma in the past 4 weeks"),
            "before": Flag("deep vein thrombosis or embolism before"),
            "hormones": Flag("oestrogen use"),
        },
        lambda given: (given.age >= 50) + (given.heart_rate >= 100) + (given.saturation < 95),
        called=("pulmonary embolism rule out criteria",),
    ),
    "centor": _score(
        "streptococcal pharyngitis (Centor, modified by McIsaac)",
        "McIsaac WJ et al. CMAJ 1998;158:75–83",
        {
            "age": Number("years", 3, 125),
            "temperature": TEMPERATURE,
            "no_cough": Flag("cough absent"),
            "nodes": Flag("tender anterior cervical nodes"),
            "exudate": Flag("exudate or swelling of the tonsils"),
        },
        lambda given: (given.temperature > 38) + (1 if given.age < 15 else 0 if given.age < 45 else -1),
        called=("mcisaac",),
    ),
    "feverpain": _score(
        "streptococcal pharyngitis (FeverPAIN)",
        "Little P et al. BMJ 2013;347:f5806",
        {
            "fever": Flag("fever in the past 24 h"),
            "purulence": Flag("purulent tonsils"),
            "rapid": Flag("attended within 3 days"),
            "inflammation": Flag("severely inflamed tonsils"),
            "no_cough": Flag("no cough or coryza"),
        },
    ),
    "child_pugh": _score(
        "severity of cirrhosis (Child–Pugh)",
        "Pugh RNH et al. Br J Surg 1973;60:646–649",
        {
            "bilirubin": BILIRUBIN,
            "albumin": ALBUMIN,
            "inr": INR,
            "ascites": Choice({"absent": 1, "slight": 2, "moderate": 3}),
            "encephalopathy": Choice({"none": 1, "grade 1-2": 2, "grade 3-4": 3}),
        },
        _child_pugh,
    ),
    "gcs": _score(
        "Glasgow coma scale",
        "Teasdale G, Jennett B. Lancet 1974;2:81–84",
        {
            "eyes": Choice({"none": 1, "to pain": 2, "to speech": 3, "spontaneous": 4}),
            "verbal": Choice({"none": 1, "sounds": 2, "words": 3, "confused": 4, "oriented": 5}),
            "motor": Choice(
                {"none": 1, "extension": 2, "abnormal flexion": 3, "withdrawal": 4, "localizes": 5, "obeys": 6}
            ),
        },
        called=("glasgow coma", "格拉斯哥昏迷"),
    ),
    "sirs": _score(
        "criteria met of the systemic inflammatory response syndrome",
        "Bone RC et al. Chest 1992;101:1644–1655",
        {
            "temperature": TEMPERATURE,
            "heart_rate": HEART_RATE,
            "respiratory_rate": RESPIRATORY_RATE,
            "paco2": Number("mmHg", 5, 150, {"kPa": 7.50062}, default=40),
            "white_cells": Number("10^9/L", 0.01, 1000, {"/uL": 0.001, "uL": 0.001}),
        },
        _sirs,
        called=("systemic inflammatory response syndrome", "全身炎症反应综合征"),
    ),
    "qsofa": _score(
        "quick SOFA",
        "Singer M et al. JAMA 2016;315:801–810",
        {
            "respiratory_rate": RESPIRATORY_RATE,
            "systolic": SYSTOLIC,
            "altered": Flag("altered mental state"),
        },
        lambda given: (given.respiratory_rate >= 22) + (given.systolic <= 100),
        called=("quick sofa",),
    ),
    "cardiac_risk": _score(
        "revised cardiac risk index before surgery",
        "Lee TH et al. Circulation 1999;100:1043–1049",
        {
            "high_risk_surgery": Flag("intraperitoneal, intrathoracic or suprainguinal vascular surgery"),
            "ischaemic_heart_disease": Flag("ischaemic heart disease"),
            "heart_failure": Flag("congestive heart failure"),
            "stroke": Flag("cerebrovascular disease"),
            "insulin": Flag("treated with insulin"),
            "creatinine": CREATININE,
        },
        lambda given: given.creatinine > 2,
        called=("rcri", "cardiac risk index", "改良心脏风险指数"),
    ),
    "glasgow_blatchford": _score(
        "upper gastrointestinal bleeding (Glasgow–Blatchford)",
        "Blatchford O et al. Lancet 2000;356:1318–1321",
        {
            "sex": SEX,
            "urea_nitrogen": UREA_NITROGEN,
            "haemoglobin": Number("g/dL", 1, 25, {"g/L": 0.1}),
            "systolic": SYSTOLIC,
            "heart_rate": HEART_RATE,
            "melaena": Flag("melaena"),
            "syncope": Flag("recent syncope", 2),
            "liver_disease": Flag("liver disease", 2),
            "heart_failure": Flag("heart failure", 2),
        },
        _blatchford,
        called=("blatchford",),
    ),
}
