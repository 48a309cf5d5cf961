"""The agent's tools: formulas against published examples, rules as data, and tools that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents.governance.approval import Nobody
from medbench.agents.orchestration.oversight import Oversight
from medbench.agents.orchestration.spending import Limits, Spending
from medbench.agents.orchestration.text_protocol import asked_call, objects
from medbench.agents.orchestration.toolbox import LONGEST_RESULT, Toolbox
from medbench.agents.tools.calculator import calculator
from medbench.agents.tools.dosing import dose_checker
from medbench.agents.tools.drugs import doses, drug, interactions, names
from medbench.agents.tools.formula import Choice, Flag, Number, named_in, plain, result
from medbench.agents.tools.formulas import FORMULAS
from medbench.agents.tools.interactions import interaction_checker
from medbench.catalog.model import TextForm
from medbench.engine.budget import BudgetReached
from medbench.errors import InputError
from medbench.models.clock import Clock
from medbench.models.model import ToolCall
from medbench.models.schema import schema_faults
from medbench.models.tools import ToolError, ToolSpec
from support import cmedcalc, medcalc
from support.agents import question
from support.medcalc import agreement

# Values worked by hand from the published formula, or stated by the publication named.
EXAMPLES = [
    ("bmi", {"weight": 70, "height": "1.75 m"}, 22.86),
    ("bsa", {"weight": 60, "height": 160}, 1.633),  # Mosteller 1987: √(60·160/3600)
    ("ideal_body_weight", {"sex": "male", "height": "70 in"}, 73.0),  # Devine 1974
    ("ideal_body_weight", {"sex": "女", "height": "60 in"}, 45.5),
    ("adjusted_body_weight", {"sex": "male", "height": "70 in", "weight": 100}, 83.8),
    ("maintenance_fluid", {"weight": 25}, 65.0),  # 1600 mL a day by Holliday and Segar is 67 mL/h; 4-2-1 rounds
    ("free_water_deficit", {"sex": "male", "age": 40, "weight": 70, "sodium": 160}, 6.0),
    ("basal_energy", {"sex": "male", "age": 30, "weight": 70, "height": 175}, 1702.0),
    ("target_weight", {"bmi": "22 kg/m^2", "height": 170}, 63.58),
    ("mean_arterial_pressure", {"systolic": 120, "diastolic": 80}, 93.3),
    ("qtc", {"qt": 400, "heart_rate": 60, "method": "bazett"}, 400.0),
    ("qtc", {"qt": "0.36 s", "heart_rate": 100, "method": "fridericia"}, 426.8),
    ("qtc", {"qt": 360, "heart_rate": 100, "method": "framingham"}, 421.6),
    ("qtc", {"qt": 360, "heart_rate": 100, "method": "hodges"}, 430.0),
    ("egfr_ckd_epi_2021", {"sex": "female", "age": 50, "creatinine": 0.7}, 105.28),  # 142·0.9938^50·1.012
    ("egfr_ckd_epi_2021", {"sex": "male", "age": 60, "creatinine": "159.12 umol/L"}, 42.56),  # 142·2^−1.2·0.9938^60
    ("egfr_mdrd", {"sex": "male", "age": 50, "creatinine": 1.0}, 79.09),
    ("egfr_schwartz", {"height": 120, "creatinine": 0.6}, 82.6),
    ("cockcroft_gault", {"sex": "male", "age": 40, "weight": 72, "creatinine": 1}, 100.0),
    ("cockcroft_gault", {"sex": "F", "age": 40, "weight": 72, "creatinine": 1}, 85.0),
    (
        "fractional_excretion_of_sodium",
        {"urine_sodium": 20, "sodium": 140, "urine_creatinine": 100, "creatinine": 2},
        0.286,
    ),
    ("anion_gap", {"sodium": 140, "chloride": 100, "bicarbonate": 24}, 16.0),
    ("anion_gap_albumin_corrected", {"sodium": 140, "chloride": 100, "bicarbonate": 24, "albumin": "20 g/L"}, 21.0),
    ("delta_ratio", {"sodium": 140, "chloride": 100, "bicarbonate": 12}, 1.333),
    ("winters", {"bicarbonate": 12}, 26.0),
    ("a_a_gradient", {"pao2": 90, "paco2": 40}, 9.73),  # 0.21·713 − 50 − 90
    ("pao2_fio2", {"pao2": 80, "fio2": "40 %"}, 200.0),
    ("corrected_calcium", {"calcium": 8, "albumin": 2}, 9.6),
    ("corrected_sodium", {"sodium": 130, "glucose": 600}, 142.0),
    ("osmolality", {"sodium": 140, "glucose": "5 mmol/L", "urea_nitrogen": "5 mmol/L"}, 290.0),
    ("ldl", {"total_cholesterol": 200, "hdl": 50, "triglycerides": 150}, 120.0),
    ("homa_ir", {"glucose": 81, "insulin": 10}, 2.0),
    ("average_glucose", {"hba1c": 7}, 154.2),  # Nathan 2008: 7 % is 154 mg/dL
    ("fib4", {"age": 50, "ast": 80, "alt": 64, "platelets": 200}, 2.5),
    ("maddrey", {"prothrombin_time": 20, "bilirubin": 10}, 46.8),
    ("meld_na", {"creatinine": 1, "bilirubin": 1, "inr": 1, "sodium": 140}, 6),
    ("meld_na", {"creatinine": 2, "bilirubin": 3, "inr": 2, "sodium": 125, "dialysis": "no"}, 31),
    ("cha2ds2_vasc", {"age": 76, "sex": "female", "stroke": "yes", "hypertension": True}, 6),
    ("has_bled", {"age": 70, "hypertension": "yes", "drugs": "yes"}, 3),
    (
        "curb65",
        {"confusion": "yes", "urea_nitrogen": "8 mmol/L", "respiratory_rate": 30, "systolic": 85, "diastolic": 50,
         "age": 65},
        5,
    ),
    ("wells_pe", {"heart_rate": 110, "most_likely": "yes", "cancer": "yes"}, 5.5),
    ("wells_dvt", {"cancer": "yes", "calf": "yes", "alternative": "yes"}, 0),
    ("perc", {"age": 49, "heart_rate": 99, "saturation": 95}, 0),
    ("centor", {"age": 10, "temperature": 38.5, "no_cough": "yes", "nodes": "yes", "exudate": "yes"}, 5),
    ("feverpain", {"fever": "yes", "purulence": "yes"}, 2),
    ("child_pugh", {"bilirubin": 2.5, "albumin": 3, "inr": 2, "ascites": "slight", "encephalopathy": "none"}, 9),
    ("gcs", {"eyes": "to pain", "verbal": "words", "motor": "withdrawal"}, 9),
    ("sirs", {"temperature": 39, "heart_rate": 100, "respiratory_rate": 24, "white_cells": "15000 /uL"}, 4),
    ("qsofa", {"respiratory_rate": 22, "systolic": 100, "altered": "yes"}, 3),
    ("cardiac_risk", {"creatinine": 2.1, "insulin": "yes"}, 2),
    (
        "glasgow_blatchford",
        {"sex": "male", "urea_nitrogen": "25 mmol/L", "haemoglobin": "90 g/L", "systolic": 85, "heart_rate": 110,
         "melaena": "yes", "syncope": "yes", "liver_disease": "yes", "heart_failure": "yes"},
        23,
    ),
    ("delta_gap", {"sodium": 140, "chloride": 100, "bicarbonate": 12}, 16.0),
    ("delta_gap_albumin_corrected", {"sodium": 140, "chloride": 100, "bicarbonate": 12, "albumin": 2}, 21.0),
    ("delta_ratio_albumin_corrected", {"sodium": 140, "chloride": 100, "bicarbonate": 12, "albumin": 2}, 1.75),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "expected"), EXAMPLES)
def test_published_and_worked_examples(name, values, expected):
    assert result(name, FORMULAS[name], values)["value"] == pytest.approx(expected, abs=0.051)


def test_every_formula_has_an_example_a_source_and_inputs_with_ranges():
    assert {name for name, _, _ in EXAMPLES} == set(FORMULAS)
    for formula in FORMULAS.values():
        assert any(sign.isdigit() for sign in formula.source) or "Textbook" in formula.source
        for kind in formula.inputs.values():
            assert not isinstance(kind, Number) or kind.low < kind.high


REFERENCE_DIFFERS = {
    # Rows of MedCalc-Bench v1 whose own explanation departs from the publication, seen by reading it.
    "CKD-EPI Equations for Glomerular Filtration Rate": 2,  # 0.7 instead of 0.9 for men with a low creatinine
    "MDRD GFR Equation": 5,  # with the factor for race
    "Calcium Correction for Hypoalbuminemia": 2,  # mmol rounded to three decimals of a mole
    "LDL Calculated": 2,  # likewise
    "Child-Pugh Score for Cirrhosis Mortality": 15,  # adds nothing for INR, absent ascites and encephalopathy
    "Revised Cardiac Risk Index for Pre-Operative Risk": 13,  # counts no cerebrovascular disease
    "Glasgow-Blatchford Bleeding Score (GBS)": 3,  # limits of haemoglobin belong to the wrong side
    "SIRS Criteria": 17,  # white cells counted per cubic metre
    "MELD Na (UNOS/OPTN)": 4,  # MELD(i) rounded to a whole number before it is multiplied by ten
    "Centor Score (Modified/McIsaac) for Strep Pharyngitis": 1,  # an infant; McIsaac rates from 3 years on
    "Fibrosis-4 (FIB-4) Index for Liver Fibrosis": 2,  # platelets per litre, taken as they stand
    # Values that no patient has, or in units that do not measure them: ours refuses.
    "Delta Ratio": 1,
    "Albumin Corrected Anion Gap": 2,
    "Albumin Corrected Delta Gap": 2,
    "Albumin Corrected Delta Ratio": 2,
}


def test_agreement_with_medcalc_bench(shared):
    found = agreement(medcalc.cases(shared / "data" / "qa" / "medcalc_bench" / "test_data.csv"))
    assert sum(count for _, count in found.values()) > 700
    assert {name: count - agree for name, (agree, count) in found.items() if agree < count} == REFERENCE_DIFFERS


def test_agreement_with_cmedcalc_bench(shared):
    """The rest: which weight, and how much of it is water, is the reference's own choice row by row."""
    found = agreement(cmedcalc.cases(shared / "data" / "qa" / "cmedcalc_bench" / "equation.json"))
    assert sum(count for _, count in found.values()) > 150
    assert {name: count - agree for name, (agree, count) in found.items() if agree < count} == {
        "肌酐清除率（Cockcroft-Gault公式）": 4,
        "自由水缺失量计算": 5,
    }


@given(st.sampled_from(sorted(FORMULAS)), st.data())
def test_any_plausible_values_give_a_finite_number_or_a_reason(name, data):
    values = {}
    for key, kind in FORMULAS[name].inputs.items():
        match kind:
            case Number():
                values[key] = data.draw(st.floats(kind.low, kind.high))
            case Flag():
                values[key] = data.draw(st.sampled_from(["yes", "no", True, False, None]))
            case Choice():
                values[key] = data.draw(st.sampled_from(sorted(kind.options)))
    with contextlib.suppress(ToolError):  # a division by nothing, such as a delta ratio at a bicarbonate of 24
        assert abs(result(name, FORMULAS[name], values)["value"]) < 1e12


def test_all_wrong_values_are_told_at_once():
    with pytest.raises(ToolError) as caught:
        result(
            "egfr_ckd_epi_2021",
            FORMULAS["egfr_ckd_epi_2021"],
            {"age": 200, "creatinine": "1 furlong", "sex": "x", "race": "y"},
        )
    for word in ("race is not", "age = 200", "creatinine can't be in furlong", "sex must be one of"):
        assert word in caught.value.detail


def call(tool, **arguments) -> dict:
    return json.loads(asyncio.run(tool.call(arguments)))


def test_a_call_without_values_tells_what_a_formula_needs():
    tool = calculator({"formulas": ["bmi", "qsofa"]})
    assert tool.spec.parameters["properties"]["formula"]["enum"] == ["bmi", "qsofa"]
    assert call(tool, formula="bmi")["inputs"].startswith("weight (kg or g")
    assert call(tool, formula="qsofa", values={"respiratory_rate": 12, "systolic": 120})["taken_as_absent"] == [
        "altered"
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("What is the patient's Creatinine Clearance (Cockcroft–Gault)?", ["cockcroft_gault"]),
        ("患者的肌酐清除率和体重指数分别是多少？", ["cockcroft_gault", "bmi"]),
        ("What is the albumin corrected anion gap?", ["anion_gap_albumin_corrected"]),
        ("What is the CHA₂DS₂-VASc score?", ["cha2ds2_vasc"]),
        ("The wellspring of bmicroscopy and homages.", []),
        ("", []),
    ],
)
def test_the_formulas_that_a_text_names(text, named):
    assert named_in(text, FORMULAS) == named


def test_names_are_folded_and_belong_to_one_formula():
    names = [(called, name) for name, formula in FORMULAS.items() for called in (plain(name), *formula.called)]
    assert [called for called, _ in names if plain(called) != called] == []
    assert [called for called, count in Counter(called for called, _ in names).items() if count > 1] == []


def test_the_calculator_says_how_to_call_what_the_last_paragraph_names_if_it_is_on_offer():
    tool = calculator({"formulas": ["bmi", "qsofa"]})
    hint = tool.hint("BSA and qSOFA were noted.\n\nWhat is the body mass index?")
    assert hint.startswith('calculator with {"formula": "bmi", "values": {…}}')
    assert "weight (kg" in hint
    assert "qsofa" not in hint
    assert tool.hint("What is the LDL cholesterol?") == ""


def test_each_question_of_medcalc_bench_names_its_formula(shared):
    """Also where a patient's report before it names others; some questions rightly name a second one."""
    with (shared / "data" / "qa" / "medcalc_bench" / "test_data.csv").open(encoding="utf-8", newline="") as file:
        asked = {
            (row["Calculator Name"], row["Question"]): f"{row['Patient Note']}\n\n{row['Question']}"
            for row in csv.DictReader(file)
            if row["Calculator Name"] in medcalc.NAMES
        }
    assert len(asked) > 30
    tool = calculator({})
    assert [name for (name, _), text in asked.items() if f'"{medcalc.NAMES[name][0]}"' not in tool.hint(text)] == []


def test_interactions_in_both_languages_and_what_is_not_known_is_said():
    found = call(interaction_checker({}), drugs=["克拉霉素片 0.5g", "Simvastatin 20 mg", "moonstone"])
    (hit,) = found["interactions"]
    assert (hit["severity"], set(hit["drugs"])) == ("avoid", {"克拉霉素片 0.5g", "Simvastatin 20 mg"})
    assert found["not_in_the_list"] == ["moonstone"]
    assert call(interaction_checker({}), drugs=["metformin", "paracetamol"])["interactions"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"drug": "甲氨蝶呤", "dose_mg": 15, "interval_h": 24}, "more often than every 168 h"),
        ({"drug": "paracetamol", "dose_mg": 1000, "interval_h": 4}, "daily dose above 4000 mg"),
        ({"drug": "metformin", "dose_mg": 500, "interval_h": 12, "kidney_ml_min": 25}, "contraindicated"),
    ],
)
def test_doses_above_their_limits_are_found(arguments, said):
    found = call(dose_checker({}), **arguments)
    assert any(said in finding for finding in found["findings"])
    assert not found["within_limits"]


def test_a_usual_dose_is_within_limits_and_unknown_drugs_are_no_free_pass():
    assert call(dose_checker({}), drug="metformin", dose_mg=500, interval_h=12)["findings"] == []
    with pytest.raises(ToolError, match="not_found"):
        call(dose_checker({}), drug="moonstone", dose_mg=1, interval_h=1)


def test_the_rules_name_only_drugs_that_are_known_and_all_have_sources():
    known = set(names().values())
    for rule in interactions():
        assert {*rule.a, *rule.b} <= known
        assert rule.source
    assert set(doses()) <= known
    assert drug("头孢哌酮舒巴坦") == "cefoperazone"
    assert drug("water") is None


@pytest.mark.parametrize("make", [calculator, interaction_checker, dose_checker])
def test_settings_that_are_unknown_are_refused(make):
    with pytest.raises(InputError):
        make({"colour": "red"})


class Odd:
    """A tool that does what it is told to do wrong."""

    timeout_s = 0.2

    spec = ToolSpec("odd", "Odd.", {"properties": {"how": {"type": "string"}}, "required": ["how"]})

    async def call(self, arguments):
        match arguments["how"]:
            case "hang":
                await asyncio.sleep(60)
            case "flood":
                return "x" * 5_000_000
            case "break":
                raise RuntimeError("secret detail")
            case "budget":
                raise BudgetReached
        return "fine"


def unwatched(spending):
    return Oversight(None, Nobody(), question(), TextForm(), "", spending, Clock())


def used(how):
    spending = Spending(Limits(), Clock())
    box = Toolbox([Odd()], unwatched(spending), spending)
    said = asyncio.run(box.use(ToolCall("odd", json.dumps({"how": how}))))
    return said, spending.events[0]


def test_a_tool_that_hangs_floods_or_breaks_ends_in_a_code_and_the_item_goes_on():
    assert used("hang")[1].error == "timeout"
    said, event = used("flood")
    assert event.error == ""
    assert len(said) < LONGEST_RESULT + 60
    assert "5000000 characters in all" in said
    said, event = used("break")
    assert event.error == "tool_failed"
    assert "secret" not in said


def test_the_runs_own_budget_is_no_fault_of_a_tool():
    with pytest.raises(BudgetReached):
        used("budget")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (ToolCall("even", "{}"), "unknown_tool"),
        (ToolCall("odd", "{"), "bad_arguments"),
        (ToolCall("odd", "[1]"), "bad_arguments"),
        (ToolCall("odd", "{}"), "bad_arguments"),
        (ToolCall("odd", '{"how": 3}'), "bad_arguments"),
    ],
)
def test_calls_that_do_not_fit_the_schema_never_reach_the_tool(call, code):
    spending = Spending(Limits(), Clock())
    asyncio.run(Toolbox([Odd()], unwatched(spending), spending).use(call))
    assert spending.events[0].error == code


def test_all_faults_of_arguments_are_told():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"enum": ["x", "y"]},
            "c": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["a", "d"],
        "additionalProperties": False,
    }
    assert len(schema_faults({"a": 1.5, "b": "z", "c": ["s", 2], "e": 0}, schema)) == 5
    assert schema_faults({"a": 2.0, "d": None}, schema) == ["$.d: unknown"]


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('{"tool": "t", "arguments": {"x": 1}}', "t", {"x": 1}),
        ('Sure!\n```json\n{"name": "t", "parameters": {"x": 1}}\n```\nOK?', "t", {"x": 1}),
        ('{"function": {"name": "t", "arguments": "{\\"x\\": 1}"}}', "t", {"x": 1}),
        ('{"tool": "t", "x": 1}', "t", {"x": 1}),
        ('{"tool": "t"} then {"tool": "t", "arguments": {"x": 2}}', "t", {"x": 2}),
    ],
)
def test_calls_are_read_as_models_write_them(text, name, arguments):
    call = asked_call(text, ["t"])
    assert call is not None
    assert (call.name, json.loads(call.arguments)) == (name, arguments)


@pytest.mark.parametrize("text", ["", "done", '{"tool": "u"}', '{"tool": ["t"]}', '{"tool": "t", "arguments', "[1, 2]"])
def test_what_is_no_call_of_a_known_tool_is_none(text):
    assert asked_call(text, ["t"]) is None


@given(st.text(alphabet='{}[]":,tool1 \n\\', max_size=200))
def test_any_text_is_read_without_an_error(text):
    assert all(isinstance(value, dict) for value in objects(text))
    asked_call(text, ["tool"])


def test_a_number_that_never_ends_is_refused_at_once():
    began = time.process_time()
    for value in ("1" + " " * 2500 + "x\n x", "1" * 100_000 + "x\n x", " " * 100_000 + "x"):
        with pytest.raises(ToolError, match="must be a number in kg"):
            result("bmi", FORMULAS["bmi"], {"weight": value, "height": 170})
    assert time.process_time() - began < 1
