"""Boxes: what is read, what is wrong with the rest, and how both are held against the true ones."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from conftest import shared_folder
from medbench.catalog import load_catalog
from medbench.catalog.model import BoxesForm
from medbench.scoring.boxes import mark_boxes, match
from medbench.scoring.extract import extract
from medbench.scoring.metrics import mark
from medbench.scoring.model import Box, BoxFault
from support.pictures import blood_cells, official

FORM = BoxesForm(labels=("肝癌", "肺癌"), none_label="无病变")
ONE = '[{"类别": ["肺癌"],"边界框": [420,380,510,460]}]'
NONE = '[{"类别": ["无病变"],"边界框": []}]'
LUNG = Box("肺癌", (420, 380, 510, 460))


def entry(label: object, *edges: object) -> str:
    return json.dumps([{"类别": label, "边界框": list(edges)}], ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "boxes"),
    {
        ONE: [LUNG],
        f"```json\n{ONE}\n```": [LUNG],
        f"<think>{NONE}</think>\n{ONE}": [LUNG],
        f"初步判断 {NONE}，复核后：{ONE} 请结合临床。": [LUNG],
        NONE: [],
        "[]": [],
        "```json\n[]\n```": [],
        "未见病变：[]": [],
        '{"类别": ["无病变"], "边界框": []}': [],
        '{"类别": ["肺癌"], "边界框": [420, 380, 510, 460]}': [LUNG],
        entry("肺癌", 420, 380, 510, 460): [LUNG],
        entry([" 肺癌 "], 420.0, 380, 510, 460): [LUNG],
        '[{"类别": ["肺癌"], "边界框": [420, 380, 510, 460], "置信度": 0.9}]': [LUNG],
        '[{"类别": ["肺癌"], "边界框": [0, 0, 1000, 1000]}]': [Box("肺癌", (0, 0, 1000, 1000))],
        '{"病灶": [{"类别": ["肺癌"], "边界框": [420, 380, 510, 460]}]}': [LUNG],
        "［{＂类别＂： [＂肺癌＂]， ＂边界框＂： [420，380，510，460]}］": [LUNG],
    }.items(),
)
def test_every_form_that_is_asked_for_is_read(text, boxes):
    found = extract(FORM, text)
    assert (list(found.value), found.faults, found.reason) == (boxes, (), "")


@pytest.mark.parametrize(
    ("text", "reason"),
    {
        "": "empty",
        "右肺上叶见结节。": "not_json",
        "[1, 2]": "not_json",
        ONE[:-1]: "not_json",
        ONE[:-2] + ', {"类别": ["肺': "not_json",
        f"先前：{ONE} 最终：" + ONE.replace("[420", "[x"): "not_json",
        '[{"类别": ["肺癌"], "边界框": [1, 2, 3, 4], "边界框": [1, 2, 3, 5]}]': "duplicate_key",
        '{"类别": ["肺癌"], "边界框": [1, 2, 3, 4]}\n{"类别": ["肝癌"], "边界框": [1, 2, 3, 4]}': "not_json",
        f"{NONE[:-1]}, {ONE[1:]}": "ambiguous",
        json.dumps([{"类别": ["肺癌"], "边界框": [1, 2, 3, 4]}] * 1001): "too_long",
        entry(["肺癌"], 510, 380, 420, 460): "box_order",
        entry(["肺癌"], 420, 460, 510, 460): "box_order",
        entry(["肺癌"], 420, 380, 1510, 460): "box_range",
        entry(["肺癌"], -1, 380, 510, 460): "box_range",
        entry(["肺癌"], "420", 380, 510, 460): "box_type",
        entry(["肺癌"], True, 380, 510, 460): "box_type",
        entry(["肺癌"], 420, 380, 510): "box_shape",
        entry(["肺癌"]): "box_shape",
        entry(["肺癌", "肝癌"], 420, 380, 510, 460): "box_shape",
        entry(["无病变"], 0, 0, 1000, 1000): "box_of_none",
    }.items(),
)  # fmt: skip
def test_what_cannot_be_read_has_its_reason(text, reason):
    found = extract(FORM, text)
    assert (found.value, found.reason) == (None, reason)


def test_every_box_at_fault_is_named_and_counts_as_a_false_one():
    entries = [
        {"类别": ["肺癌"], "边界框": [420, 380, 510, 460]},
        {"类别": ["肺癌"], "边界框": [510, 380, 420, 460]},
        {"类别": ["肺结节"], "边界框": [1, 1, 9, 9]},
        {"类别": ["肝癌"], "边界框": [0, 0, 10, 1001]},
        "肺癌",
    ]
    found = extract(FORM, json.dumps(entries))
    assert found.value == (LUNG, Box("肺结节", (1, 1, 9, 9)))
    assert [(fault.place, fault.code) for fault in found.faults] == [
        (2, "box_order"), (3, "unknown_label"), (4, "box_range"), (5, "box_shape"),
    ]  # fmt: skip
    marking = mark("detection_iou", FORM, found, (LUNG,))
    assert (marking.true_positives, marking.false_positives, marking.false_negatives) == (1, 4, 0)
    assert marking.value == pytest.approx(2 / 6)
    assert marking.evidence.faults == found.faults


def test_a_picture_without_lesion_is_right_only_without_boxes():
    for text, value in ((NONE, 1.0), ("[]", 1.0), (ONE, 0.0), ("无", 0.0), (entry(["无病变"], 0, 0, 9, 9), 0.0)):
        assert mark("detection_iou", FORM, extract(FORM, text), ()).value == value, text
    assert mark("detection_iou", FORM, extract(FORM, NONE), (LUNG,)).value == 0.0


def test_the_thresholds_begin_at_a_half_and_take_in_their_limit():
    true = [Box("肺癌", (0, 0, 100, 100))]
    for width, value in ((100, 1.0), (95, 1.0), (94, 0.9), (60, 0.3), (50, 0.1), (49, 0.0)):
        marking = mark_boxes([Box("肺癌", (0, 0, width, 100))], true)
        assert marking.value == pytest.approx(value), width
        assert dict(marking.details) == {"f1_50": float(width >= 50), "mean_iou": pytest.approx(width / 100)}
    assert mark_boxes([Box("肝癌", (0, 0, 100, 100))], true).details == (("f1_50", 0.0),)


def test_one_true_box_is_found_once():
    true = [LUNG]
    assert mark_boxes([LUNG] * 3, true).value == pytest.approx(0.5)
    assert match([LUNG] * 3, true)[0][1:] == (0, 1.0)


edges = st.lists(st.integers(0, 8), min_size=2, max_size=2, unique=True).map(sorted)
box = st.builds(
    lambda label, x, y: Box(label, (x[0], y[0], x[1], y[1])), st.sampled_from(["肺癌", "肝癌"]), edges, edges
)


def area_overlap(a: Box, b: Box) -> float:
    """IoU by counting the cells of a grid: no arithmetic in common with the code."""
    cells = [
        set(itertools.product(*(range(int(one.edges[side]), int(one.edges[side + 2])) for side in (0, 1))))
        for one in (a, b)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


@given(st.lists(box, max_size=4), st.lists(box, max_size=4))
def test_the_match_has_the_largest_sum_of_all_one_to_one_matches(ours, theirs):
    def total(pairs) -> float:
        return sum(area_overlap(ours[i], theirs[j]) for i, j in pairs if ours[i].label == theirs[j].label)

    few, many = sorted((range(len(ours)), range(len(theirs))), key=len)
    best = max(
        total(zip(few, chosen, strict=True) if few == range(len(ours)) else zip(chosen, few, strict=True))
        for chosen in itertools.permutations(many, len(few))
    )
    pairs = match(ours, theirs)
    assert len({i for i, *_ in pairs}) == len({j for _, j, _ in pairs}) == len(pairs)
    assert sum(iou for *_, iou in pairs) == pytest.approx(best)
    assert all(iou == pytest.approx(area_overlap(ours[i], theirs[j])) for i, j, iou in pairs)


@given(st.lists(box, max_size=5))
def test_the_truth_itself_is_right_and_any_order_gives_the_same(boxes):
    marking = mark_boxes(boxes, boxes)
    assert marking.value == 1.0
    assert mark_boxes(boxes[::-1], boxes).value == 1.0


@given(st.text(max_size=60), st.sampled_from([ONE, NONE, "[]"]))
def test_nothing_written_around_the_boxes_raises(text, answer):
    found = extract(FORM, text + answer + text)
    assert found.value is None or isinstance(found.value, tuple)


def test_hostile_answers_end_in_a_reason_in_little_time():
    import time

    begin = time.process_time()
    for text in ("[" * 500_000, '[{"边界框":' * 50_000, "[]" * 300_000, '{"边界框":[' + "9," * 400_000 + "9]}"):
        assert extract(FORM, text).value in (None, ())
    assert time.process_time() - begin < 20


def reference_score(given_boxes, true_boxes) -> tuple[float, float, float | None]:
    """(mean F1, F1 at .50, mean IoU) written apart from the code: classes are kept apart by a cost, not by a loop."""
    if not given_boxes and not true_boxes:
        return 1.0, 1.0, None
    iou = np.zeros((len(given_boxes), len(true_boxes)))
    for i, (name, (ax0, ay0, ax1, ay1)) in enumerate(given_boxes):
        for j, (other, (bx0, by0, bx1, by1)) in enumerate(true_boxes):
            if name == other:
                wide = max(0.0, min(ax1, bx1) - max(ax0, bx0))
                high = max(0.0, min(ay1, by1) - max(ay0, by0))
                both = wide * high
                iou[i, j] = both / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - both)
    rows, columns = linear_sum_assignment(-iou)
    found = iou[rows, columns]
    found = found[found > 0]
    scores = []
    for step in range(10):
        hits = int((found >= (50 + 5 * step) / 100).sum())
        precision = hits / len(given_boxes) if given_boxes else 0.0
        recall = hits / len(true_boxes) if true_boxes else 0.0
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return float(np.mean(scores)), scores[0], float(found.mean()) if found.size else None


def test_blood_cells_agree_with_a_reference_written_apart():
    form = BoxesForm(labels=("RBC", "WBC", "Platelets"), none_label="none")
    draw = random.Random(3)
    pictures = list(blood_cells(shared_folder("data/multimodal/bccd_detection")))
    assert len(pictures) == 60
    values = []
    for _, truth in pictures:
        for spread in (0, 4, 12, 40):
            given_boxes = []
            for name, edges in truth:
                moved = [min(1000, max(0, edge + draw.randint(-spread, spread))) for edge in edges]
                name = draw.choice(form.labels) if draw.random() < spread / 200 else name
                if draw.random() > spread / 100 and moved[0] < moved[2] and moved[1] < moved[3]:
                    given_boxes.append((name, moved))
            draw.shuffle(given_boxes)
            answer = official(given_boxes)
            true = tuple(Box(name, tuple(edges)) for name, edges in truth)
            marking = mark("detection_iou", form, extract(form, answer), true)
            wanted = reference_score(given_boxes, truth)
            details = dict(marking.details)
            assert marking.value == pytest.approx(wanted[0], abs=1e-12)
            assert details["f1_50"] == pytest.approx(wanted[1], abs=1e-12)
            assert details.get("mean_iou") == (None if wanted[2] is None else pytest.approx(wanted[2], abs=1e-12))
            assert spread or marking.value == 1.0
            values.append(marking.value)
    assert 0.3 < np.mean(values) < 0.9


def test_the_examples_in_the_official_prompt_are_read():
    file = shared_folder("data/medbench_v4_release") / "MedBench_VLM/MedBench_VLM_QA/MedDetect.jsonl"
    form = load_catalog().datasets["MedDetect"].parts[0].answer
    for line in file.read_text("utf-8").splitlines():
        question = json.loads(line)["question"]
        examples = [part for part in question.splitlines() if part.startswith("[{")]
        assert len(examples) == 3
        counts = []
        for example in examples:
            found = extract(form, example)
            assert {fault.code for fault in found.faults} <= {"unknown_label"}
            counts.append(len(found.value))
        assert counts == [1, 3, 0]
    assert extract(form, examples[1]).faults == tuple(BoxFault(place, "unknown_label") for place in (1, 2, 3))
