"""Comparing two runs: pairing, the statistics against references, refusals, and what is said."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from typer.testing import CliRunner

from medbench.board.compare import compare
from medbench.board.pairing import micro_f1_difference
from medbench.catalog import load_catalog
from medbench.errors import InputError
from medbench.models.model import Identity
from medbench.runs.config import Pins, Selection, write_pins
from medbench.scoring.score import DatasetFigures, Figures
from medbench.scoring.tally import PartFigures, RunTotals
from medbench.stats import clustered_mean, half_up, holm, micro_f1
from medbench.store.parquet import write_rows

SCHEMA = pa.schema(
    [
        ("seq", pa.int64()), ("uid", pa.string()), ("dataset", pa.string()), ("part", pa.string()),
        ("family", pa.string()), ("variant", pa.int32()), ("status", pa.string()), ("value", pa.float64()),
        ("reason", pa.string()), ("extracted", pa.string()), ("refusal", pa.bool_()),
        ("true_positives", pa.int64()), ("false_positives", pa.int64()), ("false_negatives", pa.int64()),
        ("closed_status", pa.string()), ("closed_value", pa.float64()),
    ]
)  # fmt: skip


@dataclass
class Item:
    """An item as it was scored: a value per variant; None: excluded; "missing": not answered."""

    name: str
    values: Sequence[float | str | None]
    family: str = ""
    counts: tuple[int, int, int] = (0, 0, 0)


@dataclass
class Set:
    """A part of a dataset."""

    items: Sequence[Item]
    metric: str | None = "accuracy"
    awaiting: tuple[str, ...] = ()
    part: str = ""
    status: str = "scored"


def one(values: Sequence[float | str | None], prefix: str = "q") -> list[Item]:
    return [Item(f"{prefix}{index}", [value]) for index, value in enumerate(values)]


@dataclass
class RunMaker:
    folder: Path
    made: list[Path] = field(default_factory=list)

    def __call__(self, datasets: Mapping[str, Set | Sequence[Set]], name: str = "m", **pins: object) -> Path:
        run_dir = self.folder / f"run{len(self.made)}"
        run_dir.mkdir()
        self.made.append(run_dir)
        rows: list[tuple[object, ...]] = []
        figures = []
        seq = answered = planned_calls = 0
        for dataset, sets in datasets.items():
            parts = []
            for each in [sets] if isinstance(sets, Set) else sets:
                begin, seen = seq, 0
                outcomes, families, totals = [], [], []
                for item in each.items:
                    uid = f"{dataset}/{each.part}/{item.name}" if each.part else f"{dataset}/{item.name}"
                    for variant, value in enumerate(item.values):
                        if value != "missing":
                            status = "excluded" if value is None and each.metric != "micro_f1" else each.status
                            shown = value if status == "scored" else None
                            family = item.family or uid
                            rows.append(
                                (
                                    seq,
                                    uid,
                                    dataset,
                                    each.part,
                                    family,
                                    variant,
                                    status,
                                    shown,
                                    "",
                                    "",
                                    False,
                                    *item.counts,
                                    status,
                                    shown,
                                )
                            )
                            seen += 1
                        seq += 1
                    if all(isinstance(value, (int, float)) for value in item.values) or each.metric == "micro_f1":
                        circular = each.metric == "accuracy_circular"
                        outcomes.append(min(item.values) == 1 if circular else np.mean([v or 0 for v in item.values]))
                        families.append(item.family or uid)
                        totals.append(item.counts)
                estimate = clustered_mean(outcomes, families) if outcomes and each.metric else None
                if each.metric == "micro_f1":
                    estimate = micro_f1(*zip(*totals, strict=True), families)
                parts.append(
                    PartFigures(
                        name=each.part, metric=each.metric, estimate=estimate if each.status == "scored" else None,
                        awaiting=each.awaiting, items=len(each.items), planned=seq - begin, answered=seen,
                        counted=seen, by_status={each.status: seen}, by_reason={}, refusals=0, keys=len(each.items),
                        chance=None, at_chance=None, circular=None,
                    )
                )  # fmt: skip
                answered += seen
                planned_calls += seq - begin
            figures.append(DatasetFigures(dataset, tuple(parts)))
        values = {
            "items": "/items.jsonl", "items_fingerprint": "f" * 64, "catalog_version": load_catalog().version,
            "model": Identity(spec=f"openai:{name}", name=name), "selection": Selection(), "disclosure": "local",
            "n_items": 1, "n_calls": seq, "created": "2026-01-01T00:00:00+00:00",
        }  # fmt: skip
        write_pins(run_dir, Pins(**{**values, **pins}))
        found = Figures(
            datasets=tuple(figures), items=1, planned=planned_calls, answered=answered, counted=answered,
            scored=answered, totals=RunTotals(), keys_fingerprint="k", illustrative=0,
        )  # fmt: skip
        (run_dir / "figures.json").write_bytes(msgspec.json.encode(found))
        write_rows(run_dir / "scores", SCHEMA, rows, {})
        return run_dir


@pytest.fixture
def make_run(tmp_path) -> RunMaker:
    return RunMaker(tmp_path)


def bits(n: int, share: float, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(n) < share).astype(float).tolist()


def test_one_dataset_agrees_with_the_paired_t_test_and_mcnemar(make_run):
    a, b = bits(120, 0.8, 1), bits(120, 0.6, 2)
    result = compare(make_run({"MedHG": Set(one(a))}, "a"), make_run({"MedHG": Set(one(b))}, "b"))
    (dataset,) = result.datasets
    expected = reference.ttest_rel(a, b)
    limits = expected.confidence_interval(0.95)
    assert dataset.difference == pytest.approx(100 * (np.mean(a) - np.mean(b)))
    assert (dataset.low, dataset.high) == pytest.approx((100 * limits.low, 100 * limits.high))
    assert dataset.p == pytest.approx(expected.pvalue)
    assert (dataset.a, dataset.b) == pytest.approx((100 * np.mean(a), 100 * np.mean(b)))
    assert dataset.n == dataset.clusters == 120
    only_a = sum(x > y for x, y in zip(a, b, strict=True))
    only_b = sum(x < y for x, y in zip(a, b, strict=True))
    assert dataset.mcnemar is not None
    assert (dataset.mcnemar.b, dataset.mcnemar.c) == (only_a, only_b)
    assert dataset.mcnemar.p == pytest.approx(reference.binomtest(only_a, only_a + only_b).pvalue)
    # One dataset is its dimension and the whole: the same numbers all the way up.
    assert result.overall is not None
    assert (result.overall.low, result.overall.high) == pytest.approx((dataset.low, dataset.high))
    assert result.overall.p == pytest.approx(dataset.p)
    assert result.overall.mde == pytest.approx(dataset.mde)
    # With the effect that is called detectable, the noncentral t test has power .8.
    error = 100 * np.std(np.subtract(a, b), ddof=1) / math.sqrt(120)
    power = reference.nct.sf(reference.t.ppf(0.975, 119), 119, dataset.mde / error)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_few_items_are_tested_by_sign_flips(make_run):
    a, b = [1.0] * 9 + [0.0] * 3, [0.0] * 7 + [1.0] * 2 + [0.0] * 2 + [1.0]
    result = compare(make_run({"MedHG": Set(one(a))}), make_run({"MedHG": Set(one(b))}, "b"))
    (dataset,) = result.datasets
    assert dataset.mcnemar is not None
    assert (dataset.mcnemar.b, dataset.mcnemar.c) == (7, 1)
    # For single right-or-wrong items flipping signs is McNemar's exact test.
    assert dataset.p == pytest.approx(dataset.mcnemar.p)


def test_families_widen_the_interval(make_run):
    a, b = bits(200, 0.8, 3), bits(200, 0.6, 4)

    def in_families(values: Sequence[float]) -> Set:
        # Four copies of each of 50 items: no more is known than from 50.
        return Set([Item(f"q{i}", [values[i // 4]], family=f"case{i // 4}") for i in range(200)])

    result = compare(make_run({"MedHG": in_families(a)}), make_run({"MedHG": in_families(b)}, "b"))
    single = compare(make_run({"MedHG": Set(one(a[:50]))}), make_run({"MedHG": Set(one(b[:50]))}, "b"))
    assert result.datasets[0].clusters == 50
    assert result.datasets[0].low == pytest.approx(single.datasets[0].low)


def test_circular_items_count_only_if_every_order_is_right(make_run):
    a = [Item("x", [1, 1, 1]), Item("y", [1, 0, 1]), Item("z", [1, 1, 1])]
    b = [Item("x", [1, 1, 0]), Item("y", [1, 1, 1]), Item("z", [1, 1, 1])]
    metric = "accuracy_circular"
    result = compare(make_run({"MedExam": Set(a, metric)}), make_run({"MedExam": Set(b, metric)}, "b"))
    (dataset,) = result.datasets
    assert dataset.mcnemar is not None
    assert (dataset.mcnemar.b, dataset.mcnemar.c, dataset.n) == (1, 1, 3)
    assert dataset.a == dataset.b == pytest.approx(100 * 2 / 3)


def test_variants_elsewhere_are_averaged_and_not_binary(make_run):
    a = [Item("x", [1, 0]), Item("y", [1, 1])]
    b = [Item("x", [0, 0]), Item("y", [1, 1])]
    result = compare(make_run({"MedHG": Set(a)}), make_run({"MedHG": Set(b)}, "b"))
    assert result.datasets[0].difference == pytest.approx(25)
    assert result.datasets[0].mcnemar is None


def test_overall_is_the_mean_of_dimensions_of_datasets(make_run):
    names = {"MedExam": 0.9, "MedHG": 0.5, "SMDoc": 0.7, "MedSafety": 0.4}
    runs = []
    for seed, shift in ((10, 0.0), (50, -0.2)):
        sets = {name: Set(one(bits(40, share + shift, seed + i))) for i, (name, share) in enumerate(names.items())}
        runs.append(make_run(sets, f"m{seed}"))
    result = compare(*runs)
    of = {dataset.name: dataset for dataset in result.datasets}
    dimensions = {dimension.id: dimension for dimension in result.dimensions}
    assert dimensions["knowledge_qa"].datasets == ("MedExam", "MedHG")
    knowledge = (of["MedExam"].difference + of["MedHG"].difference) / 2
    assert dimensions["knowledge_qa"].difference == pytest.approx(knowledge)
    mean = (knowledge + of["SMDoc"].difference + of["MedSafety"].difference) / 3
    assert result.overall is not None
    assert result.overall.difference == pytest.approx(mean)
    assert result.overall.n == result.items == 160
    half = (of["MedSafety"].high - of["MedSafety"].low) / 2
    assert dimensions["safety_ethics"].high - dimensions["safety_ethics"].difference == pytest.approx(half)
    assert (result.overall.high - result.overall.low) / 2 < half  # the mean is known better than its parts
    raw = [dataset.p for dataset in result.datasets]
    assert [dataset.p_holm for dataset in result.datasets] == pytest.approx(holm(raw).tolist())


def test_a_run_against_itself(make_run):
    datasets = {"MedHG": Set(one(bits(40, 0.5, 1))), "MedSafety": Set(one(bits(40, 0.5, 2)))}
    result = compare(make_run(datasets), make_run(datasets))
    assert result.overall is not None
    assert (result.overall.difference, result.overall.p, result.overall.mde) == (0, 1, None)
    assert result.overall.low < 0 < result.overall.high  # agreement on 80 items is no proof of agreement on all
    assert any("same model" in note for note in result.notes)


def test_only_items_with_an_outcome_in_both_are_paired(make_run):
    a = Set([*one([1, 1, None, 0]), Item("v", [1, "missing"]), Item("w", [1, 1])], "accuracy_circular")
    b = Set([*one([0, 1, 1, None]), Item("v", [1, 1]), Item("w", [0, 1])], "accuracy_circular")
    result = compare(make_run({"MedExam": a}), make_run({"MedExam": b}, "b"))
    assert result.datasets[0].n == 3  # q0, q1, w
    assert result.left_out == 3  # q2 and q3 were excluded on one side, v is incomplete on one
    assert any("Run A is incomplete" in note for note in result.notes)
    assert any("3 item(s)" in note for note in result.notes)


@pytest.mark.parametrize("missing", [["missing", 1], [1, "missing"], ["missing", "missing"]])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_unfinished_item_never_counts(make_run, missing, place):
    items = [Item(f"q{index}", [1, 1]) for index in range(3)]
    items[place] = Item(f"q{place}", missing)
    run_a = make_run({"MedExam": Set(items, "accuracy_circular")})
    run_b = make_run({"MedExam": Set([Item(f"q{index}", [0, 1]) for index in range(3)], "accuracy_circular")}, "b")
    (dataset,) = compare(run_a, run_b).datasets
    # Where a whole item is missing, the one before it can't be told from an unfinished one and is left out too.
    assert dataset.n in ({2} if missing != ["missing", "missing"] or place == 0 else {1})
    assert dataset.difference == 100


def test_subsets_of_the_same_items_are_paired(make_run):
    a, b = one(bits(60, 0.7, 1)), one(bits(60, 0.6, 2))
    run_b = make_run({"MedHG": Set(b[20:50])}, "b", selection=Selection(sample=30))
    result = compare(make_run({"MedHG": Set(a), "MedSafety": Set(one([1, 0]))}), run_b)
    (dataset,) = result.datasets
    assert dataset.n == 30
    assert dataset.difference == pytest.approx(
        100 * np.mean([x.values[0] - y.values[0] for x, y in zip(a[20:50], b[20:50], strict=True)])
    )
    assert result.not_compared == {"MedSafety": "one_run_only"}


def test_judged_datasets_stay_out_of_the_means(make_run):
    def sets(seed: int) -> dict[str, Set | list[Set]]:
        return {
            "MedOutcome": Set(one(bits(30, 0.5, seed)), awaiting=("llm_judge",)),
            "MedHC": Set(one([0.0] * 30), None, ("llm_judge",), status="awaiting_judge"),
            "MedRxCheck": [
                Set(one(bits(30, 0.6, seed)), "accuracy_circular", part="SCQ"),
                Set(one(bits(30, 0.6, seed + 1)), part="MSQ"),
                Set(one([0.0] * 3), None, ("llm_judge",), part="SQ", status="awaiting_judge"),
            ],
        }

    result = compare(make_run(sets(1)), make_run(sets(2), "b"))
    assert {dataset.name: dataset.whole for dataset in result.datasets} == {"MedOutcome": False, "MedRxCheck": False}
    assert result.not_compared == {"MedHC": "awaiting_judge"}
    assert result.overall is None
    assert result.dimensions == ()
    rx = result.datasets[1]
    assert rx.n == 60
    assert rx.mcnemar is not None
    assert rx.mcnemar.b + rx.mcnemar.c > 0


def jackknife_by_hand(a: np.ndarray, b: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    def f1(counts: np.ndarray) -> float:
        return 2 * counts[:, 0].sum() / (2 * counts[:, 0].sum() + counts[:, 1:].sum())

    kept = [f1(a[clusters != g]) - f1(b[clusters != g]) for g in np.unique(clusters)]
    count = len(kept)
    return f1(a) - f1(b), math.sqrt((count - 1) / count * sum((k - np.mean(kept)) ** 2 for k in kept))


def test_micro_f1_is_compared_by_the_jackknife(make_run):
    generator = np.random.default_rng(5)
    a, b = generator.integers(0, 6, (40, 3)), generator.integers(0, 6, (40, 3))
    a[:, 0] += 3
    families = np.arange(40) // 2

    def run(counts: np.ndarray, name: str) -> Path:
        items = [
            Item(f"q{i}", [None], family=str(families[i]), counts=tuple(map(int, row))) for i, row in enumerate(counts)
        ]
        return make_run({"MedOCR": Set(items, "micro_f1")}, name)

    (dataset,) = compare(run(a, "a"), run(b, "b")).datasets
    value, error = jackknife_by_hand(a, b, families)
    half = reference.t.ppf(0.975, 19) * error
    assert dataset.difference == pytest.approx(100 * value)
    assert (dataset.low, dataset.high) == pytest.approx((100 * (value - half), 100 * (value + half)))
    assert dataset.p == pytest.approx(2 * reference.t.sf(abs(value) / error, 19))
    assert dataset.mcnemar is None


@given(st.integers(1, 30), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_micro_f1_difference_is_antisymmetric(n, seed):
    generator = np.random.default_rng(seed)
    hits = generator.integers(0, 4, (2, n))
    errors = generator.integers(0, 4, (2, n))
    clusters = generator.integers(0, max(1, n // 2), n)
    there = micro_f1_difference((hits[0], hits[1]), (errors[0], errors[1]), clusters)
    back = micro_f1_difference((hits[1], hits[0]), (errors[1], errors[0]), clusters)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert there[2].value == pytest.approx(-back[2].value)
        if there[2].low is not None:
            assert there[2].low == pytest.approx(-back[2].high)
            assert there[2].low <= there[2].value <= there[2].high


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"items_fingerprint": "e" * 64}, "different items (2 item(s) have the same name; 3 in the first run, 2 in"),
        ({"catalog_version": "other"}, "different catalogs"),
        ({"disclosure": "hidden"}, "right and wrong per item stay with the scorer"),
    ],
)
def test_refusals(make_run, change, words):
    run_a = make_run({"MedHG": Set(one([1, 0, 1]))})
    run_b = make_run({"MedHG": Set(one([1, 0]))}, "b", **change)
    with pytest.raises(InputError) as error:
        compare(run_a, run_b)
    assert words in str(error.value)


def test_other_refusals(make_run, tmp_path):
    run_a = make_run({"MedExam": Set([Item("x", [1, 1, 0])], "accuracy_circular")})
    other_orders = make_run({"MedExam": Set([Item("x", [1])], "accuracy_circular")}, "b")
    with pytest.raises(InputError, match="same --orders"):
        compare(run_a, other_orders)
    with pytest.raises(InputError, match="no scored item in common"):
        compare(run_a, make_run({"MedExam": Set([Item("y", [1, 1, 1])], "accuracy_circular")}, "b"))
    with pytest.raises(InputError, match="holds no run"):
        compare(run_a, tmp_path / "nothing")
    (run_a / "figures.json").unlink()
    with pytest.raises(InputError, match="not scored yet"):
        compare(run_a, other_orders)


def test_command_line(make_run):
    from medbench.cli.main import app

    run_a = make_run({"MedHG": Set(one(bits(60, 0.9, 1))), "MedOutcome": Set(one([1, 0]), awaiting=("llm_judge",))})
    hostile = "[red]<script>=HYPERLINK(1)"
    run_b = make_run(
        {"MedHG": Set(one(bits(60, 0.3, 2))), "MedOutcome": Set(one([1, 1]), awaiting=("llm_judge",))}, hostile
    )
    shown = CliRunner().invoke(app, ["compare", str(run_a), str(run_b), "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert {"difference", "low", "high", "p", "mde"} <= set(found["overall"])
    assert {"difference", "low", "high", "n", "mcnemar", "p_holm", "mde"} <= set(found["datasets"][0])
    assert set(found["datasets"][0]["mcnemar"]) == {"b", "c", "p"}
    assert found["dimensions"][0]["id"] == "knowledge_qa"

    for language, words in (("en", "is ahead by"), ("zh", "领先")):
        table = CliRunner().invoke(app, ["--lang", language, "compare", str(run_b), str(run_a)])
        assert table.exit_code == 0, table.output
        text = " ".join(table.stdout.split())
        assert words in text
        assert hostile in text
        assert "MedOutcome *" in text
    same = CliRunner().invoke(app, ["--lang", "en", "compare", str(run_a), str(run_a)])
    assert "No difference is shown" in same.stdout


def test_a_page_shows_what_the_terminal_shows_in_both_languages(make_run, tmp_path):
    from medbench.cli.main import app

    hostile = "<script>alert(1)</script>"
    run_a = make_run({"MedHG": Set(one(bits(60, 0.9, 1))), "MedOutcome": Set(one([1, 0]), awaiting=("llm_judge",))})
    run_b = make_run(
        {"MedHG": Set(one(bits(60, 0.3, 2))), "MedOutcome": Set(one([1, 1]), awaiting=("llm_judge",))}, hostile
    )
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["--lang", "en", "compare", str(run_a), str(run_b), "--out", str(page)])
    assert done.exit_code == 0, done.output
    html = page.read_text("utf-8")
    found = compare(run_a, run_b)
    (dataset,) = (each for each in found.datasets if each.name == "MedHG")
    assert dataset.mcnemar is not None
    for figure in (
        f"{half_up(dataset.difference):+} ({half_up(dataset.low):+} … {half_up(dataset.high):+})",
        f"{dataset.mcnemar.b}:{dataset.mcnemar.c} (&lt;0.001)",
        f"{dataset.mcnemar.b}:{dataset.mcnemar.c}（&lt;0.001）",
        "is ahead by",
        "领先",
        "MedOutcome *",
        "input tokens",
        "输入词元",
        "default-src 'none'",
    ):
        assert figure in html, figure
    assert "<script" not in html
    assert "src=" not in html
    assert html.index('lang="en"') < html.index('lang="zh-Hans"')
    again = CliRunner().invoke(app, ["--lang", "zh", "compare", str(run_a), str(run_b), "--out", str(page)])
    assert str(page) in "".join(again.stdout.split())
    assert page.read_text("utf-8").index('lang="zh-Hans"') < page.read_text("utf-8").index('lang="en"')
    refused = CliRunner().invoke(app, ["compare", str(run_a), str(run_b), str(run_a), "--out", str(page)])
    assert isinstance(refused.exception, InputError)


def test_three_models_are_ranked_on_the_items_that_all_answered(make_run):
    from medbench.board.ranking import rank

    draw = np.random.default_rng(4)
    base = draw.random(120)
    runs = [
        make_run({"MedHG": Set(one([float(each) for each in base < share]))}, name)
        for name, share in (("weak", 0.3), ("strong", 0.8), ("twin", 0.8))
    ]
    found = rank(runs)
    assert [each.run_dir for each in found.standings][2] == str(runs[0])
    strong, twin, weak = found.standings
    assert (strong.rank, twin.rank, weak.rank) == (1, 1, 3)
    assert (strong.rank_low, strong.rank_high) == (twin.rank_low, twin.rank_high) == (1, 2)
    assert (weak.rank_low, weak.rank_high) == (3, 3)
    assert strong.score == pytest.approx(100 * float((base < 0.8).mean()))
    assert strong.low < strong.score < strong.high
    assert found.items == 120


def test_a_dataset_that_one_run_lacks_does_not_count_in_the_ranking(make_run):
    from medbench.board.ranking import rank

    whole = {"MedHG": Set(one([1.0, 0.0] * 20)), "MedExam": Set(one([1.0, 1.0, 0.0] * 10), "accuracy_circular")}
    runs = [make_run(whole), make_run(whole), make_run({"MedHG": whole["MedHG"]})]
    with pytest.raises(InputError):
        rank([runs[0], make_run({"MedHG": Set(one([1.0] * 40))}, items_fingerprint="other")])
    found = rank(runs)
    assert found.datasets == ("MedHG",)
    assert found.left_out == ("MedExam",)
