"""The scorer's own paths on verdicts that others recorded (shared/data/human_ratings), against known figures."""

from __future__ import annotations

import json
from collections import Counter

import openpyxl
import pytest

from medbench.catalog.model import Part, TextForm
from medbench.items.model import KeyPoint, Question, RubricCriterion, Variant
from medbench.models.model import Identity
from medbench.scoring.asked import Asked
from medbench.scoring.criteria import rubric_score
from medbench.scoring.judging.meta import evaluate
from medbench.scoring.judging.pairs import Pairing, PairOutcome
from medbench.scoring.judging.plan import JudgePins
from medbench.scoring.judging.verdict import PointFound
from medbench.scoring.keypoints import recall
from medbench.scoring.ratings import Rating
from support.json_lines import json_lines

PINS = JudgePins(Identity("recorded", "recorded"))
WEIGHTS = {"A1": 5.0, "A2": 3.0, "A3": 1.0, "S1": 1.0, "S2": 2.0, "S3": 3.0, "S4": 4.0}
"""Of the claims of GAPS, as its recorded scores have them; A4 earns nothing."""


def rated(unit: str, item: str, rater: str, kind: str, met: float) -> Rating:
    return Rating(item, unit, rater, kind, "met", float(met), (0.0, 1.0))


def test_a_strong_judge_stands_among_the_physicians_of_healthbench(human_ratings):
    folder = human_ratings / "healthbench_labels"
    recorded = json.loads((folder / "calibration_report.json").read_text("utf-8"))
    gold = {row["item_id"]: row for row in json_lines(folder / "healthbench_meta_gold.jsonl")}
    ratings = [
        rated(unit, row["prompt_id"], physician, "human", label)
        for unit, row in gold.items()
        for physician, label in zip(row["anonymized_physician_ids"], row["binary_labels"], strict=True)
    ]
    ratings += [
        rated(row["item_id"], gold[row["item_id"]]["prompt_id"], "strong", "judge", row["criteria_met"])
        for row in json_lines(folder / "healthbench_meta_strongmodel_labels.jsonl")
    ]
    (found,) = evaluate(ratings)
    (judge,) = found.judges
    assert judge.agreement.n == 120
    assert judge.balanced.judge.value == pytest.approx(recorded["rater_vs_physician"]["f1_balanced"], abs=1e-9)
    assert judge.balanced.people.value == pytest.approx(recorded["physician_ceiling"]["f1_balanced"], abs=1e-9)
    for figure in (judge.balanced.judge, judge.balanced.people):
        assert figure.low < figure.value < figure.high
    assert 0.0 < judge.balanced.at_least < 1.0


def test_three_recorded_judges_of_healthbench_agree_with_physicians_as_known(human_ratings):
    rows = json_lines(human_ratings / "healthbench_labels" / "demo_grades.jsonl")
    ratings = [rated(row["item_id"], row["prompt_id"], row["judge_model"], "judge", row["grade"]) for row in rows]
    labels = {row["item_id"]: row for row in rows}
    ratings += [
        rated(unit, row["prompt_id"], "physicians", "human", row["physician_label"]) for unit, row in labels.items()
    ]
    (found,) = evaluate(ratings)
    assert {judge.agreement.n for judge in found.judges} == {67}
    kappas = sorted(judge.agreement.kappa.value for judge in found.judges)
    assert kappas == pytest.approx([0.302, 0.607, 0.623], abs=5e-4)
    assert all(judge.balanced.people.reason for judge in found.judges), "one label each: there is no ceiling"


@pytest.mark.parametrize(
    ("file", "name", "cut", "below"),
    [("quick_check_ant.xlsx", "ant_answer", 5, 13), ("quick_check_baichuan_m3.xlsx", "baichuan-m3", 3, 9)],
)
def test_netted_claims_give_the_recorded_scores(human_ratings, file, name, cut, below):
    """Five of 92 rows (three in the second file) end at a cell's 32,767 characters in the source; the others agree."""
    sheet = openpyxl.load_workbook(human_ratings / "gaps_nsclc" / file, read_only=True).active
    header, *rows = sheet.iter_rows(values_only=True)
    assert len(rows) == 92
    counts = Counter()
    for row in (dict(zip(header, each, strict=True)) for each in rows):
        recorded = json.loads(row[f"{name}_judged_json_scores"])
        try:
            claims = json.loads(row[f"{name}_judged_json"])
        except ValueError:
            assert len(row[f"{name}_judged_json"]) == 32_767
            counts["cut"] += 1
            continue
        claims = [claim for claim in claims if claim["level"] in WEIGHTS]
        positive = [claim["type"] == "positive" for claim in claims]
        weights = [WEIGHTS[claim["level"]] for claim in claims]
        met = [claim["judge_results"]["final_results"] == "Met" for claim in claims]
        points = [
            KeyPoint(claim["claim"], weight, "must" if good else "must_not")
            for claim, weight, good in zip(claims, weights, positive, strict=True)
        ]
        found = recall(points, [PointFound(index, "hit" if each else "miss") for index, each in enumerate(met)])
        assert found.weight == recorded["max_possible"]
        assert found.netted * found.weight == pytest.approx(recorded["final_total_score"])
        # The recorded share is clipped item by item.
        assert max(found.netted, 0.0) == pytest.approx(recorded["normalized"], abs=5e-5)
        counts["below"] += found.netted < 0.0
        criteria = [
            RubricCriterion("c", weight if good else -weight) for weight, good in zip(weights, positive, strict=True)
        ]
        assert rubric_score(criteria, met) == pytest.approx(found.netted)
        counts["rederived"] += 1
    assert counts == {"cut": cut, "rederived": 92 - cut, "below": below}


@pytest.mark.parametrize(
    ("judge", "folder", "n", "consistency"),
    [
        ("GPT-4", "LLMBar/Natural", 100, 0.950),
        ("GPT-4", "LLMBar/Adversarial", 319, 0.922),
        ("GPT-4", "Processed", 266, 0.827),
        ("ChatGPT", "LLMBar/Natural", 100, 0.710),
        ("ChatGPT", "LLMBar/Adversarial", 319, 0.643),
        ("ChatGPT", "Processed", 266, 0.477),
    ],
)
def test_pairs_asked_in_both_orders_show_what_stands_first(human_ratings, judge, folder, n, consistency):
    rows = json_lines(human_ratings / "llmbar" / "judge_results_compact.jsonl")
    rows = [row for row in rows if row["judge"] == judge and row["set"].startswith(folder)]
    assert len(rows) == n
    verdicts, agreed, first = [], Counter(), 0
    for number, row in enumerate(rows):
        (both,) = row["results"]
        places = {}
        for order in ("swap = False", "swap = True"):
            shown = both[order]["completion"][0]
            assert shown in ("Output (a)", "Output (b)")
            places[order] = "first" if shown == "Output (a)" else "second"
            first += shown == "Output (a)"
        question = Question(str(number), row["set"].replace("/", "-"), "Q")
        asked = Asked(number, question, Part(TextForm(), ("llm_judge",)), 0, Variant())
        verdicts.append((Pairing(asked, "1", "2", None), places["swap = False"], places["swap = True"]))
        winners = {both[order]["winner"] for order in both}
        agreed[winners.pop() if len(winners) == 1 else "tie"] += 1
    outcome = PairOutcome.of(verdicts, PINS)
    assert (outcome.wins, outcome.losses, outcome.ties) == (agreed["1"], agreed["2"], agreed["tie"])
    assert (outcome.pairs, outcome.judged) == (n, n)
    assert outcome.consistency == pytest.approx(consistency, abs=5e-4)
    assert outcome.first_place == pytest.approx(first / (2 * n))
    assert outcome.preference.low < outcome.preference.value < outcome.preference.high
