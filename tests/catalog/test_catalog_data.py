"""The catalogue in the package against the published facts, pinned here and read where they are at hand."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from medbench.catalog import TRACKS, BoxesForm, Catalog, FieldsForm, LabelForm, TextForm, load_catalog
from medbench.catalog.check import dataset_problems
from medbench.errors import InputError

# Track -> datasets, items and rows of the public release.
COUNTS = {"llm": (36, 1140, 1620), "agent": (14, 420, 420), "multimodal": (10, 300, 300), "imaging": (0, 0, 0)}
DIMENSIONS = {
    "llm": [
        "knowledge_qa",
        "language_generation",
        "complex_reasoning",
        "language_understanding",
        "safety_ethics",
    ],
    "agent": [
        "planning_reasoning",
        "tool_use",
        "perception_interaction",
        "memory_context",
        "multi_agent",
        "safety_compliance",
    ],
    "multimodal": ["visual_perception", "cross_modal_reasoning", "clinical_decision"],
    "imaging": ["lesion_segmentation"],
}
RELEASE_FOLDERS = {
    "llm": "MedBench_LLM/TEST",
    "agent": "MedBench_Agent/TEST",
    "multimodal": "MedBench_VLM/MedBench_VLM_QA",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def form_of(catalog: Catalog, name: str, kind: type):
    form = catalog.dataset(name).parts[0].answer
    assert isinstance(form, kind)
    return form


def official_questions(shared: Path, catalog: Catalog, name: str) -> list[str]:
    dataset = catalog.dataset(name)
    folder = shared / "data" / "medbench_v4_release" / RELEASE_FOLDERS[dataset.track]
    lines = [
        line
        for part in dataset.parts
        if part.official is not None
        for line in (folder / part.official.name).read_text("utf-8").splitlines()
    ]
    return [json.loads(line)["question"] for line in lines]


def test_counts_of_datasets_items_and_rows(catalog):
    counted = {}
    for track in TRACKS:
        datasets = [dataset for dataset in catalog.datasets.values() if dataset.track == track]
        official = [part.official for dataset in datasets for part in dataset.parts]
        counted[track] = (len(datasets), sum(o.items for o in official), sum(o.rows for o in official))
    assert counted == COUNTS
    assert tuple(map(sum, zip(*counted.values(), strict=True))) == (60, 1860, 2340)


def test_dimensions_in_order_and_named_by_us_only_where_the_release_names_none(catalog):
    assert {track: [d.id for d in catalog.dimensions(track)] for track in TRACKS} == DIMENSIONS
    for track in TRACKS:
        assert all(d.named_by_us == (track in ("multimodal", "imaging")) for d in catalog.dimensions(track))
    used = {(dataset.track, dataset.dimension) for dataset in catalog.datasets.values()}
    assert used == {(track, name) for track, names in DIMENSIONS.items() if track != "imaging" for name in names}


def test_every_dataset_obeys_the_rules_for_own_datasets(catalog):
    dimensions = [dimension for track in TRACKS for dimension in catalog.dimensions(track)]
    assert [p for d in catalog.datasets.values() for p in dataset_problems(d, dimensions)] == []


def test_datasets_and_files_agree(catalog):
    folder = files("medbench.catalog").joinpath("data", "datasets")
    assert sorted(f"{name}.toml" for name in catalog.datasets) == sorted(file.name for file in folder.iterdir())
    assert all(name == dataset.name for name, dataset in catalog.datasets.items())
    names = [part.official.name for dataset in catalog.datasets.values() for part in dataset.parts]
    assert len(names) == len(set(names)) == 62


def test_both_languages_are_written_and_differ(catalog):
    for dataset in catalog.datasets.values():
        for text in (dataset.title, dataset.description):
            assert re.search(r"[\u4e00-\u9fff]", text.zh), dataset.name
            assert len(re.findall(r"[A-Za-z]", text.en)) > 0.7 * len(text.en.replace(" ", "")), dataset.name
    titles = [dataset.title for dataset in catalog.datasets.values()]
    assert len({title.zh for title in titles}) == len({title.en for title in titles}) == 60


def test_agrees_with_the_facts(shared, catalog):
    rows = list(csv.DictReader((shared / "facts/medbench_v4_datasets.csv").open(encoding="utf-8")))
    assert [row["dataset"] for row in rows] == list(catalog.datasets)
    for row in rows:
        dataset = catalog.dataset(row["dataset"])
        official = [part.official for part in dataset.parts]
        assert (dataset.track, dataset.dimension) == (row["track"], row["dimension"])
        title = next(d.title for d in catalog.dimensions(dataset.track) if d.id == dataset.dimension)
        assert title.zh == row["dimension_zh"]
        metrics = dict.fromkeys(metric for part in dataset.parts for metric in part.metrics)
        assert list(metrics) == row["metrics"].split(";"), dataset.name
        assert [o.name for o in official] == row["official_files"].split(";")
        assert sum(o.rows for o in official) == int(row["official_rows"])
        assert sum(o.items for o in official) == int(row["official_items"])
        assert [str(o.variants) for o in official] == row["variants_per_item"].split(";")


def test_counts_agree_with_the_release(shared, catalog):
    for dataset in catalog.datasets.values():
        folder = shared / "data" / "medbench_v4_release" / RELEASE_FOLDERS[dataset.track]
        for part in dataset.parts:
            lines = (folder / part.official.name).read_text("utf-8").splitlines()
            ids = Counter(json.loads(line)["other"]["id"] for line in lines)
            assert (len(lines), len(ids)) == (part.official.rows, part.official.items), dataset.name
            assert set(ids.values()) == {part.official.variants}, dataset.name


def test_medrxcheck_has_three_parts(catalog):
    parts = catalog.dataset("MedRxCheck").parts
    assert [(part.name, part.metrics, part.circular) for part in parts] == [
        ("SCQ", ("accuracy_circular",), True),
        ("MSQ", ("accuracy",), False),
        ("SQ", ("keypoint_macro_recall", "llm_judge"), False),
    ]


def test_circular_parts_are_those_with_five_official_orders(catalog):
    circular = {
        (dataset.name, part.name) for dataset in catalog.datasets.values() for part in dataset.parts if part.circular
    }
    assert circular == {("MedExam", ""), ("MedSafety", ""), ("MedEthics", ""), ("MedRxCheck", "SCQ")}
    assert all(catalog.dataset(name).part(part).official.variants == 5 for name, part in circular)


@pytest.mark.parametrize("name", ["MedHG", "MedClass"])
def test_question_patterns_find_a_list_in_every_official_question(shared, catalog, name):
    form = form_of(catalog, name, LabelForm)
    for question in official_questions(shared, catalog, name):
        found = re.search(form.question_pattern, question)
        assert found is not None, question
        labels = [label.strip() for label in found[1].split("、")]
        assert len(labels) >= 3
        assert len(set(labels)) == len(labels)
        assert all(re.fullmatch(r"[\u4e00-\u9fffA-Z]{2,20}", label) for label in labels), labels


def test_closed_lists_are_those_of_the_questions(shared, catalog):
    listed = {
        "MedIntentID": r"意图识别：(.+)",
        "MedQC": r"问题类型：([^。]+)。\s*$",
        "MedReportQC": r"候选问题列表：\{([^}]+)\}",
        "MedDetect": r"病变类别：(.+)",
    }
    for name, pattern in listed.items():
        form = catalog.dataset(name).parts[0].answer
        assert isinstance(form, LabelForm | BoxesForm)
        found = [re.search(pattern, question)[1] for question in official_questions(shared, catalog, name)]
        lists = [{label.strip(" '") for label in re.split("[、,]", text)} for text in found]
        assert set.union(*lists) - {form.none_label} == set(form.labels), name
        if name == "MedIntentID":
            sizes = Counter(len(labels) for labels in lists)
            assert sizes == {20: 28, 21: 2}
        else:
            assert all(labels == lists[0] for labels in lists), name
    outcome = form_of(catalog, "MedOutcome", LabelForm)
    questions = official_questions(shared, catalog, "MedOutcome")
    assert all("、".join(outcome.labels) in question and outcome.within in question for question in questions)


def test_json_keys_are_those_of_the_questions(shared, catalog):
    for name in ("MedInsureCalc", "MedOCR"):
        form = form_of(catalog, name, FieldsForm)
        for question in official_questions(shared, catalog, name):
            assert tuple(re.findall(r'"([^"]+)"\s*:', question)) == form.fields
    quality = form_of(catalog, "MedReportQC", LabelForm)
    assert all(
        all(f'"{key}"' in question for key in quality.correction_keys)
        for question in official_questions(shared, catalog, "MedReportQC")
    )


def test_closed_forms_as_pinned(catalog):
    assert len(form_of(catalog, "MedIntentID", LabelForm).labels) == 21
    quality = form_of(catalog, "MedQC", LabelForm)
    assert (len(quality.labels), quality.none_label, quality.multiple) == (11, "无问题", True)
    report = form_of(catalog, "MedReportQC", LabelForm)
    assert (len(report.labels), report.correction_keys) == (8, ("错误类型", "修改建议"))
    outcome = form_of(catalog, "MedOutcome", LabelForm)
    assert (outcome.labels, outcome.within) == (("治愈", "好转", "未愈", "死亡"), "预测结局")
    boxes = form_of(catalog, "MedDetect", BoxesForm)
    assert (len(boxes.labels), boxes.none_label) == (5, "无病变")
    amounts = form_of(catalog, "MedInsureCalc", FieldsForm)
    assert (len(amounts.fields), amounts.tolerance) == (7, 0.01)
    assert form_of(catalog, "MedOCR", FieldsForm).compare == "characters"
    assert form_of(catalog, "MedDBOps", TextForm).what == "sql"


def test_a_denial_is_never_the_same_as_not_stated(catalog):
    form = form_of(catalog, "SMDoc", FieldsForm)
    assert {"未知", "不详"} <= set(form.unknown)
    assert {"无", "否认"} <= set(form.absent)
    assert not set(form.unknown) & set(form.absent)


def test_titles_and_descriptions_are_not_copied_from_the_release(shared, catalog):
    length = 16
    copied = set()
    for name, dataset in catalog.datasets.items():
        prompts = {
            unicodedata.normalize("NFKC", question[:1500]) for question in official_questions(shared, catalog, name)
        }
        pieces = {prompt[at : at + length] for prompt in prompts for at in range(len(prompt) - length + 1)}
        for text in (dataset.title.zh, dataset.description.zh):
            ours = unicodedata.normalize("NFKC", text)
            copied |= {ours[at : at + length] for at in range(len(ours) - length + 1)} & pieces
    assert copied == set()


def test_specialties_and_the_subset(catalog):
    primary = [specialty for specialty in catalog.specialties if specialty.primary]
    secondary = [specialty for specialty in catalog.specialties if not specialty.primary]
    assert (len(primary), len(secondary)) == (34, 122)
    assert (sum(s.in_subset for s in primary), sum(s.in_subset for s in secondary)) == (24, 91)
    in_subset = {specialty.code for specialty in primary if specialty.in_subset}
    assert all(specialty.in_subset == (specialty.code[:2] in in_subset) for specialty in secondary)
    codes = [specialty.code for specialty in catalog.specialties]
    assert codes == sorted(codes)
    assert len(set(codes)) == 156
    assert len({specialty.title.en for specialty in catalog.specialties}) == 156


def test_specialties_agree_with_the_facts(shared, catalog):
    facts = json.loads((shared / "facts/taxonomy_cn_departments/departments.json").read_text("utf-8"))
    expected = {}
    for department in facts["catalogue"]:
        inside = department["code"] not in facts["construction_24_91"]["dropped_primary_codes"]
        for each in (department, *department["secondary"]):
            expected[each["code"]] = (each["name"], inside)
    assert {s.code: (s.title.zh, s.in_subset) for s in catalog.specialties} == expected


@pytest.mark.parametrize(("typed", "meant"), [("medexam", "MedExam"), ("MedHq", "MedHG"), ("SMDocs", "SMDoc")])
def test_unknown_name_suggests_similar_ones(catalog, typed, meant):
    with pytest.raises(InputError) as caught:
        catalog.dataset(typed)
    (problem,) = caught.value.problems
    assert repr(typed) in problem.message
    assert meant in problem.advice


def test_version_is_the_same_in_every_process_and_loading_is_quick(catalog):
    script = (
        "import time; from medbench.catalog import load_catalog; start = time.perf_counter();"
        "catalog = load_catalog(); print(catalog.version, time.perf_counter() - start)"
    )
    versions, seconds = set(), []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        version, took = done.stdout.split()
        versions.add(version)
        seconds.append(float(took))
    assert versions == {catalog.version}
    assert re.fullmatch(r"[0-9a-f]{16}", catalog.version)
    # About 20 ms on an idle core; the bound is for a mistake of a hundred times.
    assert min(seconds) < 2.0
    assert load_catalog() is catalog
