"""The estimators on ratings that people gave (shared/data/human_ratings), against figures that are known for them."""

from __future__ import annotations

import csv
import json
from itertools import permutations

import numpy as np
import pytest

from medbench.stats import (
    RatedAnswers,
    balanced_pairwise_f1,
    calibrate,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    prediction_powered_mean,
    rating_table,
    spearman,
)
from support.json_lines import json_lines


@pytest.fixture(scope="module")
def physicians(human_ratings):
    """399 claims, three physicians, clusters: the questions."""
    with (human_ratings / "kqa" / "NLI_medical_annotator.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 399
    return [[row[f"label_{rater}"] for rater in range(3)] for row in rows], [row["Question"] for row in rows]


def test_physicians_agree_as_published(physicians):
    labels, questions = physicians
    columns = list(zip(*labels, strict=True))
    for (first, second), published in {(0, 1): 0.670, (0, 2): 0.761, (1, 2): 0.732}.items():
        kappa = cohen_kappa(columns[first], columns[second], questions)
        assert kappa.value == pytest.approx(published, abs=5e-4)
        assert kappa.clusters == 50
        assert kappa.low < published < kappa.high
    assert fleiss_kappa(labels, questions).value == pytest.approx(0.719, abs=5e-4)
    assert krippendorff_alpha(labels, questions).value == pytest.approx(0.719, abs=1e-3)


def stars(human_ratings, criterion):
    """People's and GPT-4's stars for one criterion, and the questions."""
    rows = [
        row for row in json_lines(human_ratings / "llmeval2_medicine" / "Medicine.jsonl") if criterion in row["human"]
    ]
    scores = np.array([(row["human"][criterion], row["gpt4"][criterion]) for row in rows], dtype=float)
    return scores[:, 0], scores[:, 1], [row["question_uuid"] for row in rows]


@pytest.mark.parametrize(
    ("criterion", "n", "kappa", "rho"), [("Correctness", 460, 0.618, 0.642), ("Accuracy", 340, 0.459, 0.543)]
)
def test_a_recorded_judge_agrees_with_people_as_known(human_ratings, criterion, n, kappa, rho):
    human, judge, questions = stars(human_ratings, criterion)
    ours = cohen_kappa(human, judge, questions, "quadratic")
    assert ours.n == n
    assert ours.value == pytest.approx(kappa, abs=5e-4)
    assert spearman(human, judge, questions).value == pytest.approx(rho, abs=5e-4)


@pytest.mark.parametrize("criterion", ["Correctness", "Accuracy"])
def test_calibration_lowers_held_out_squared_error(human_ratings, criterion):
    human, judge, questions = stars(human_ratings, criterion)
    result = calibrate(judge, human, questions)
    assert result.squared_after < 0.8 * result.squared_before
    assert result.squared_change.high < 0.0


@pytest.mark.parametrize(("criterion", "scale"), [("Correctness", (1, 3)), ("Accuracy", (1, 5))])
def test_sixty_labels_and_the_judge_beat_the_judge_and_the_sixty_labels(human_ratings, criterion, scale):
    human, judge, _ = stars(human_ratings, criterion)
    truth = human.mean()
    generator = np.random.default_rng(0)
    errors, widths, inside = [], [], []
    for _ in range(2_000):
        order = generator.permutation(human.size)
        rated, others = order[:60], order[60:]
        # Answers are drawn one by one from these 460 (340), whose mean is the target: each is a cluster of its own.
        answers = RatedAnswers(human[rated], judge[rated], rated, judge[others], others)
        result = prediction_powered_mean(answers, scale=scale)
        estimate, alone = result.estimate, result.labels_alone
        errors.append([abs(value - truth) for value in (estimate.value, alone.value, result.judge_alone.value)])
        widths.append([estimate.high - estimate.low, alone.high - alone.low])
        inside.append(estimate.low <= truth <= estimate.high)
    powered, labels, judged = np.mean(errors, axis=0)
    assert powered < labels < judged
    assert np.mean(np.array(errors)[:, 0] < np.array(errors)[:, 2]) > 0.99
    assert (np.array(widths)[:, 0] <= np.array(widths)[:, 1]).all()
    assert np.mean(widths, axis=0)[0] < 0.9 * np.mean(widths, axis=0)[1]
    # 60 of 460 without replacement vary less than 60 of infinitely many, for which the interval is.
    assert 0.95 <= np.mean(inside) <= 0.985


def test_healthbench_labels_give_the_recorded_balanced_f1(human_ratings):
    folder = human_ratings / "healthbench_labels"
    recorded = json.loads((folder / "calibration_report.json").read_text(encoding="utf-8"))
    gold = json_lines(folder / "healthbench_meta_gold.jsonl")
    labels = {
        row["item_id"]: row["criteria_met"] for row in json_lines(folder / "healthbench_meta_strongmodel_labels.jsonl")
    }
    rows = [
        (row["item_id"], physician, label)
        for row in gold
        for physician, label in zip(row["anonymized_physician_ids"], row["binary_labels"], strict=True)
    ]
    table, items, _ = rating_table(*zip(*rows, strict=True))
    conversation = {row["item_id"]: row["prompt_id"] for row in gold}
    clusters = [conversation[item] for item in items]
    result = balanced_pairwise_f1([labels[item] for item in items], table, clusters)
    judge, ceiling = recorded["rater_vs_physician"], recorded["physician_ceiling"]
    assert (result.judge.n, result.people.n) == (judge["n_items_pairs"], ceiling["n_items_pairs"])
    assert result.judge.value == pytest.approx(judge["f1_balanced"], abs=1e-9)
    assert result.people.value == pytest.approx(ceiling["f1_balanced"], abs=1e-9)
    assert (result.judge.low, result.judge.high) == pytest.approx(judge["f1_balanced_ci95"], abs=0.01)
    assert 0.0 <= result.judge_at_least <= 1.0
    # Judge against every label: kappa .394 beside the physicians' .437.
    pairs = [(labels[item], label) for item, _, label in rows]
    ours, theirs = zip(*pairs, strict=True)
    kappa = cohen_kappa(ours, theirs, [conversation[item] for item, _, _ in rows])
    assert kappa.value == pytest.approx(judge["cohen_kappa"], abs=1e-9)
    # The ceiling: every physician against every other on the same item, each pair in both directions.
    both = [(*pair, row["prompt_id"]) for row in gold for pair in permutations(row["binary_labels"], 2)]
    people = cohen_kappa(*zip(*both, strict=True))
    assert people.n == ceiling["n_items_pairs"]
    assert people.value == pytest.approx(ceiling["cohen_kappa"], abs=1e-9)
    assert people.value == pytest.approx(0.437, abs=5e-4)
    assert kappa.value == pytest.approx(0.394, abs=5e-4)


def test_three_recorded_judges_agree_with_the_physicians_label_as_known(human_ratings):
    grades = json_lines(human_ratings / "healthbench_labels" / "demo_grades.jsonl")
    kappas = []
    for judge in sorted({row["judge_model"] for row in grades}):
        rows = [row for row in grades if row["judge_model"] == judge]
        verdicts = [int(row["grade"]) for row in rows], [int(row["physician_label"]) for row in rows]
        ours = cohen_kappa(*verdicts, [row["prompt_id"] for row in rows])
        assert ours.n == 67
        kappas.append(ours.value)
    # Known without their names: .623, .607 and .302.
    assert sorted(kappas) == pytest.approx([0.302, 0.607, 0.623], abs=5e-4)
