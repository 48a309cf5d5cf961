"""Runs without pictures and with others', what they tell beside the run itself, and what they must not be taken for."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import shared_folder
from medbench.board.controls import picture_effects
from medbench.items.source import open_source
from medbench.models.model import Identity, Response
from medbench.runs.config import Selection
from medbench.runs.execute import start_run
from medbench.runs.settings import Settings
from support.command import medbench, medbench_json
from support.pictures import write_dataset, write_jsonl, write_vqa_rad

PNG = b"\x89PNG\r\n\x1a\n"


class Seeing:
    """Says what is right or its opposite of an item's own pictures, no without any, yes of any other picture."""

    most_in_flight = 4
    identity = Identity(spec="test:seeing", name="seeing")

    def __init__(self, truth: dict[str, tuple[str, str]], mistaken=()) -> None:
        self._truth = truth
        self._mistaken = mistaken
        self.asked: dict[str, tuple[str, ...]] = {}

    def check(self, plan) -> None:
        self.planned = [question.uid for question, _, _ in plan]

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def answer(self, question, context) -> Response:
        assert question.media == context.media
        seen = tuple(medium.sha256 for medium in context.media)
        self.asked[question.uid] = seen
        answer, own = self._truth[question.uid]
        if question.uid in self._mistaken:
            answer = "no" if answer == "yes" else "yes"
        return Response(status="ok", text="no" if not seen else answer if seen == (own,) else "yes")


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rad")
    items, catalog, rows = write_vqa_rad(shared_folder("data/multimodal/vqa_rad"), folder)
    source = open_source(items, catalog_folder=catalog)
    truth = {each.uid: (str(rows[each.uid]["answer"]), each.media[0].sha256) for each in source.questions()}
    runs, models = {}, {}
    mistaken = {uid for uid in truth if int(uid.partition("/")[2]) % 5 < 2}
    for name in ("none", "removed", "swapped", "mistaken"):
        models[name] = model = Seeing(truth, mistaken if name == "mistaken" else ())
        runs[name] = folder / name
        selection = Selection(media_control="none" if name == "mistaken" else name)
        start_run(runs[name], source, model, selection, Settings(), disclosure="local", catalog_folder=catalog)
    return rows, truth, runs, models


def test_every_question_is_asked_with_the_pictures_of_its_control(radiographs):
    rows, truth, _, models = radiographs
    assert len(rows) == 179
    assert len({own for _, own in truth.values()}) == 80
    for model in models.values():
        assert model.asked.keys() == rows.keys()
        assert model.planned == list(models["none"].planned)
    assert all(models["none"].asked[uid] == (own,) for uid, (_, own) in truth.items())
    assert set(models["removed"].asked.values()) == {()}
    shown = models["swapped"].asked
    assert all(len(seen) == 1 and seen != (truth[uid][1],) for uid, seen in shown.items())


def test_what_the_pictures_add_is_the_difference_on_the_same_items_by_picture(radiographs):
    _, truth, runs, _ = radiographs
    effects = picture_effects(runs["none"], [runs["swapped"], runs["removed"]])
    assert (effects.left_out, effects.not_compared) == (0, ("RadOpen",))
    closed = {uid: answer for uid, (answer, _) in truth.items() if uid.startswith("RadYesNo/")}
    no = np.mean([answer == "no" for answer in closed.values()])
    dimension, *kinds, overall = effects.controls
    assert (dimension.group, dimension.id, dimension.n) == ("dimension", "visual_perception", len(closed))
    assert dimension.clusters == len({truth[uid][1] for uid in closed})
    assert (dimension.own, dimension.removed, dimension.swapped) == pytest.approx((100, 100 * no, 100 * (1 - no)))
    assert dimension.own_less_removed.difference == pytest.approx(100 * (1 - no))
    assert dimension.own_less_removed.low < 100 * (1 - no) < dimension.own_less_removed.high
    assert dimension.own_less_swapped.difference == pytest.approx(100 * no)
    # By hand, clustered by picture.
    pictures = sorted({truth[uid][1] for uid in closed})
    deviations = np.zeros(len(pictures))
    for uid, answer in closed.items():
        deviations[pictures.index(truth[uid][1])] += (answer == "yes") - (1 - no)
    error = np.sqrt(len(pictures) / (len(pictures) - 1) * (deviations**2).sum()) / len(closed)
    from scipy.stats import t

    half = 100 * t.ppf(0.975, len(pictures) - 1) * error
    assert dimension.own_less_removed.high == pytest.approx(100 * (1 - no) + half)
    assert [kind.id for kind in kinds] == ["perception", "reasoning"]
    assert sum(kind.n for kind in kinds) == len(closed)
    assert (overall.group, overall.own_less_removed) == ("overall", dimension.own_less_removed)


def test_perception_against_reasoning_is_paired_by_picture(radiographs):
    rows, _, runs, _ = radiographs
    effects = picture_effects(runs["mistaken"])
    assert effects.controls == ()
    by_picture: dict[str, dict[str, list[float]]] = {}
    for row in pq.read_table(runs["mistaken"] / "scores").to_pylist():
        if row["dataset"] == "RadYesNo":
            kinds = by_picture.setdefault(rows[row["uid"]]["image_name"], {})
            kinds.setdefault(row["probe"], []).append(row["value"])
    both = [kinds for kinds in by_picture.values() if len(kinds) == 2]
    gaps = [np.mean(kinds["perception"]) - np.mean(kinds["reasoning"]) for kinds in both]
    dimension, overall = effects.probes
    assert (dimension.id, overall.id) == ("visual_perception", "")
    assert dimension.pictures == len(both) > 5
    assert dimension.gap.difference == pytest.approx(100 * np.mean(gaps)) != 0.0
    half = 2.0 * np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert dimension.gap.high - dimension.gap.difference == pytest.approx(100 * half, rel=0.2)


@pytest.fixture
def drawn(tmp_path):
    """Ten items about five pictures, one without any, and answer files for a run and its two controls."""
    catalog = tmp_path / "catalog"
    write_dataset(catalog, "Seen", "visual_perception", "accuracy", '{ form = "label", labels = ["yes", "no"] }')
    rows, answers = [], {control: [] for control in ("none", "removed", "swapped")}
    for number in range(11):
        media = [f"p{number // 2}.png"] if number < 10 else None
        if media:
            (tmp_path / media[0]).write_bytes(PNG + media[0].encode())
        probe = "reasoning" if number % 2 else "perception"
        rows.append({"id": number, "dataset": "Seen", "question": f"Lesion {number}?", "answer": "yes"})
        rows[-1] |= {"media": media, "probe": probe} if media else {}
        for control, right in (("none", number != 3), ("removed", number < 5), ("swapped", number < 2)):
            answers[control].append({"dataset": "Seen", "id": str(number), "answer": "yes" if right else "no"})
    for control, several in answers.items():
        write_jsonl(tmp_path / f"{control}.jsonl", several)
    write_jsonl(tmp_path / "items.jsonl", rows)
    return tmp_path


def run(folder, control, *more, expect=0):
    return medbench_json(
        *("run", "--items", folder / "items.jsonl", "--catalog", folder / "catalog"),
        *("--model", f"answers:{folder / control}.jsonl", "--out", folder / f"run-{control}"),
        *(() if control == "none" else ("--media-control", control)),
        *more,
        expect=expect,
    )


def test_a_run_and_its_controls_on_the_command_line_and_in_the_report(drawn):
    for control, items in (("none", 11), ("removed", 10), ("swapped", 10)):
        assert run(drawn, control)["items"] == items
    pins = json.loads((drawn / "run-swapped" / "run.json").read_text())
    assert pins["selection"]["media_control"] == "swapped"
    runs = [drawn / f"run-{control}" for control in ("none", "removed", "swapped")]
    found = medbench_json("compare", *runs)
    dimension = found["controls"][0]
    assert (dimension["own"], dimension["removed"], dimension["swapped"]) == (90.0, 50.0, 20.0)
    assert (dimension["n"], dimension["clusters"], found["left_out"]) == (10, 5, 0)
    (probe, together) = found["probes"]
    assert (probe["pictures"], probe["perception"], probe["reasoning"]) == (5, 100.0, 80.0)
    assert together["gap"]["difference"] == pytest.approx(20.0)
    shown = medbench("compare", *runs).stdout
    assert "+40.0" in shown
    assert "Perception − reasoning" in shown
    assert medbench("report", runs[0], "--control", runs[1], "--control", runs[2]).returncode == 0
    page = (runs[0] / "report.html").read_text("utf-8")
    for text in ("What the pictures add", "图像的作用", "+40.0", "Probes of reasoning", "推理题"):
        assert text in page, text
    control = (runs[1] / "report.html").read_text("utf-8")
    assert "A control: the questions were asked without their pictures" in control
    assert "--media-control=removed" in control


def test_a_selection_means_the_same_items_with_and_without_control(drawn):
    run(drawn, "none", "--sample", 6, "--seed", 4)
    run(drawn, "removed", "--sample", 6, "--seed", 4)
    chosen = [
        {row["uid"] for row in pq.read_table(drawn / f"run-{control}" / "scores").to_pylist()}
        for control in ("none", "removed")
    ]
    assert chosen[1] == chosen[0] - {"Seen/10"}


def test_a_control_is_not_taken_for_a_run(drawn):
    for control in ("none", "removed", "swapped"):
        run(drawn, control)
    own, removed, swapped = (drawn / f"run-{control}" for control in ("none", "removed", "swapped"))
    for arguments, words in (
        (("compare", removed, own), "--media-control"),
        (("compare", removed, swapped), "--media-control"),
        (("compare", own, removed, removed), "one control of each kind"),
        (("report", removed, "--control", swapped), "named first"),
        (("export", "submission", removed, "--out", drawn / "x.zip"), "no submission"),
    ):
        done = medbench(*arguments)
        assert done.returncode == 2, arguments
        assert words in done.stderr
    (drawn / "suite.yaml").write_text(
        "items: items.jsonl\ncatalog: catalog\nselection: {media_control: removed}\n"
        "models:\n  - {name: a, model: 'answers:removed.jsonl'}\n"
    )
    done = medbench("suite", drawn / "suite.yaml", "--out", drawn / "suite")
    assert (done.returncode, "no place on a board" in done.stderr) == (2, True)
    assert not (drawn / "suite").exists()


def test_a_dataset_with_one_picture_can_not_be_swapped(drawn):
    rows = [json.loads(line) for line in (drawn / "items.jsonl").read_text().splitlines()]
    write_jsonl(drawn / "items.jsonl", [row | {"media": ["p0.png"]} for row in rows])
    done = medbench(
        *("run", "--items", drawn / "items.jsonl", "--catalog", drawn / "catalog", "--media-control", "swapped"),
        *("--model", f"answers:{drawn / 'swapped.jsonl'}", "--out", drawn / "run"),
    )
    assert (done.returncode, "Seen" in done.stderr) == (2, True)
    assert not (drawn / "run").exists()


def test_a_probe_of_another_kind_is_refused(drawn):
    write_jsonl(
        drawn / "items.jsonl", [{"id": 1, "dataset": "Seen", "question": "?", "answer": "yes", "probe": "sight"}]
    )
    done = medbench("items", "validate", drawn / "items.jsonl", "--catalog", drawn / "catalog")
    assert (done.returncode, "probe" in done.stdout + done.stderr) == (2, True)
