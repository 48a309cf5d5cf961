"""agcrc on the bench without a network that was trained: the model's answers, the metric, items, bank and board."""

from __future__ import annotations

import asyncio
import json
import threading
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from agcrc import medbench_plugin as plugin
from agcrc.errors import InputError as AgcrcError
from agcrc.items import write_items
from agcrc.volumes import Grid, write_volume
from medbench.errors import InputError
from medbench.items.model import Media, Question
from medbench.models.registry import ModelOptions, create_model
from medbench.models.tools import ToolError
from medbench.scoring.file_metrics import FileFault
from medbench.store.artifacts import Artifacts
from support.command import medbench_json
from support.segmented import GRID, LESION, SHAPE, filled, write_data, write_untrained


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data", ("ill", "healthy", "other"))


@pytest.fixture
def run(tmp_path, data):
    return write_untrained(tmp_path / "run", data)


class Shown:
    """The context of one question; its media lie in a folder."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self._folder, self._artifacts = folder, Artifacts(kept)

    def file(self, medium: Media) -> Path | None:
        return None if medium.missing else self._folder / medium.path

    def keep(self, content: bytes, suffix: str) -> str:
        return self._artifacts.keep(content, suffix)


def question(name: str = "ill", **meta: object) -> Question:
    volume, organs = f"imagesTs/{name}.nii.gz", f"organsTs/{name}.nii.gz"
    media = tuple(Media(path=path, sha256=path) for path in (volume, organs))
    return Question("1", "MedDetect", "?", media=media, meta={"volume": volume, "organs": organs, **meta})


def answers(model, questions, context):
    async def ask():
        await model.open()
        try:
            return [await model.answer(each, context) for each in questions]
        finally:
            await model.close()

    return asyncio.run(ask())


class Predicted:
    """Stands for `predict_case`: always the same mask; counts, and notes its thread."""

    def __init__(self, mask: np.ndarray, error: Exception | None = None) -> None:
        self.mask, self.lesions, self.windows, self.error = mask, (), 3, error
        self.threads: list[str] = []

    def __call__(self, *_: object, **__: object) -> Predicted:
        self.threads.append(threading.current_thread().name)
        if self.error:
            raise self.error
        return self


def test_a_volume_is_predicted_once_for_all_its_slices_and_never_on_the_event_loop(run, data, tmp_path, monkeypatch):
    predicted = Predicted(filled(LESION))
    monkeypatch.setattr("agcrc.predict.predict_case", predicted)
    model = plugin.segmenter(str(run), ModelOptions())
    asked = [question(), question(axis="axial", slice=9), question(axis="axial", slice=0)]
    volume, ill, none = answers(model, asked, Shown(data, tmp_path / "kept"))
    assert len(predicted.threads) == 1
    assert predicted.threads[0].startswith("agcrc")
    assert [each.status for each in (volume, ill, none)] == ["ok"] * 3
    assert volume.artifacts == ill.artifacts
    assert (tmp_path / "kept" / volume.artifacts[0]).is_file()
    # x 8 to 12 of 20 and y 10 to 14 of 24, both turned round.
    assert json.loads(ill.text) == [{"类别": ["结肠癌"], "边界框": [400, 416, 600, 584]}]
    assert json.loads(none.text) == [{"类别": ["无病变"], "边界框": []}]


def test_what_it_cannot_take_is_declined_with_a_reason_and_what_it_cannot_do_has_failed(
    run, data, tmp_path, monkeypatch
):
    monkeypatch.setattr("agcrc.predict.predict_case", Predicted(filled()))
    model = plugin.segmenter(str(run), ModelOptions())
    picture = Question("1", "MedDetect", "?", media=(Media("slice.png", "00"),))
    named, full = question(), question()
    gone = msgspec.structs.replace(named, media=(Media(named.media[0].path, missing="absent"), named.media[1]))
    other = msgspec.structs.replace(
        full, media=(full.media[0], Media("slice.png", "0")), meta={**full.meta, "organs": "slice.png"}
    )
    (data / "slice.png").write_bytes(b"no volume")
    asked = [picture, gone, other, question(axis="axial", slice=99), question(axis="coronal", slice=1)]
    found = answers(model, asked, Shown(data, tmp_path / "kept"))
    assert {each.status for each in found} == {"media_missing"}
    assert [each.error_code for each in found] == [
        *("no_volume", "volume_missing", "volume_unusable", "no_such_slice", "no_such_slice")
    ]
    for error, code in ((AgcrcError("no abdomen"), "nothing_in_view"), (RuntimeError("memory"), "prediction_failed")):
        monkeypatch.setattr("agcrc.predict.predict_case", Predicted(filled(), error))
        model = plugin.segmenter(str(run), ModelOptions())
        (failed,) = answers(model, [question()], Shown(data, tmp_path / "kept"))
        assert (failed.status, failed.error_code) == ("failed", code)


def test_as_a_tool_it_finds_lesions_of_the_question_at_hand_and_of_no_other(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr("agcrc.predict.predict_case", Predicted(filled(LESION)))
    tool = plugin.segmentation_tool({"run": str(run), "mode": "fast"})
    context = Shown(data, tmp_path / "kept")

    def called(*asked: Question) -> list[object]:
        async def ask():
            return [json.loads(await tool.bound(each, context).call({})) for each in asked]

        return asyncio.run(ask())

    volume, boxes = called(question(), question(axis="axial", slice=9))
    assert volume["lesions"] == []
    assert (tmp_path / "kept" / volume["mask"]).is_file()
    assert boxes == [{"类别": ["结肠癌"], "边界框": [400, 416, 600, 584]}]
    assert tool.bound(Question("1", "MedDetect", "?"), context) is None
    gone = question()
    gone = msgspec.structs.replace(gone, media=(Media(gone.media[0].path, missing="absent"), gone.media[1]))
    for asked, code in ((question(axis="axial", slice=99), "no_such_slice"), (gone, "volume_missing")):
        with pytest.raises(ToolError, match=code):
            called(asked)
    with pytest.raises(ToolError, match="no_volume"):
        asyncio.run(tool.call({}))
    for settings in ({}, {"run": 5}):
        with pytest.raises(InputError, match=r"tools\.agcrc\.run: The folder of a training run is needed"):
            plugin.segmentation_tool(settings)
    with pytest.raises(InputError, match=r"tools\.agcrc\.run: .*nowhere is no training run") as caught:
        plugin.segmentation_tool({"run": "nowhere", "mode": "slow"})
    assert [each.field for each in caught.value.problems] == ["tools.agcrc.run", "tools.agcrc.mode"]


def test_the_model_is_pinned_by_its_weights_and_made_again_from_its_identity(run, tmp_path):
    first = plugin.segmenter("run", ModelOptions(folder=tmp_path, parameters={"mode": "fast"})).identity
    again = plugin.segmenter(first.spec.partition(":")[2], ModelOptions(parameters=first.parameters)).identity
    assert again == first
    assert first.parameters == {"mode": "fast", "flips": False}
    with pytest.raises(InputError) as caught:
        plugin.segmenter(str(run), ModelOptions(parameters={"mode": "slow", "flips": 1, "temperature": 0}))
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError):
        plugin.segmenter(str(tmp_path), ModelOptions())


def test_missing_packages_are_told_with_the_extra_that_brings_them(monkeypatch):
    monkeypatch.setattr(plugin, "NEEDED", ("torch", "nowhere_installed"))
    with pytest.raises(InputError, match=r"needs nowhere_installed: pip install 'medbench\[imaging\]'"):
        plugin.segmenter("run", ModelOptions())


def test_a_mask_is_marked_by_dice_and_what_is_no_mask_is_at_fault(tmp_path):
    metric = plugin.LesionDice()
    half = (slice(8, 10), *LESION[1:])
    paths = {}
    for name, array, grid in (
        ("truth", filled(LESION), GRID),
        ("half", filled(half), GRID),
        ("healthy", filled(), GRID),
        ("two", filled(LESION) * 2, GRID),
        ("elsewhere", filled(LESION), Grid.of(SHAPE, (5.0, 4.0, 4.0))),
    ):
        paths[name] = tmp_path / f"{name}.nii.gz"
        write_volume(paths[name], array, grid)
    assert metric.mark([paths["truth"]], paths["truth"]).value == 1.0
    marking = metric.mark([paths["half"]], paths["truth"])
    assert marking.value == pytest.approx(2 / 3)
    assert (marking.true_positives, marking.false_positives, marking.false_negatives) == (1, 0, 0)
    assert dict(marking.details)["lesion_sensitivity"] == 1.0
    nothing = metric.mark((), paths["truth"])
    assert (nothing.value, nothing.false_negatives) == (0.0, 1)
    false = metric.mark([paths["half"]], paths["healthy"])
    assert (false.value, false.false_positives) == (None, 1)
    for name in ("two", "elsewhere"):
        with pytest.raises(FileFault, match="mask_unusable"):
            metric.mark([paths[name]], paths["truth"])
    figures = metric.figures([marking.measured, nothing.measured, false.measured])
    assert (figures["lesion_sensitivity"].value, figures["lesion_sensitivity"].n) == (0.5, 2)
    assert (figures["healthy_clean"].value, figures["healthy_clean"].n) == (0.0, 1)
    # A bank keeps files by their hash alone.
    assert metric.mark([paths["half"]], paths["truth"].rename(tmp_path / "0123")).value == marking.value


def test_a_question_holds_nothing_of_the_truth(data):
    write_items(data, data / "items.jsonl", slices=True)
    rows = [json.loads(line) for line in (data / "items.jsonl").read_text("utf-8").splitlines()]
    named = ["ill", "ill_8", "ill_4", "healthy", "healthy_4", "other", "other_8", "other_4"]
    assert [row["id"] for row in rows] == named
    for row in rows:
        answer = row.pop("answer")
        assert "labels" not in json.dumps(row)
        assert answer == f"labelsTs/{row['id']}.nii.gz" or row["dataset"] == "MedDetect"
    assert rows[1]["meta"] == {
        "illustrative": True,
        "volume": "imagesTs/ill.nii.gz",
        "organs": "organsTs/ill.nii.gz",
        "axis": "axial",
        "slice": 8,
    }


def test_items_are_refused_that_lead_out_of_their_folder(data, tmp_path):
    with pytest.raises(AgcrcError, match="outside"):
        write_items(data, tmp_path / "elsewhere" / "items.jsonl")


def test_two_segmenters_on_one_board_from_a_file_and_from_a_bank(run, data, tmp_path):
    """Whole, by the command line: items, a suite of two, its board; then a run over the bank that holds the same."""
    assert "lesion_dice" in {entry.name for entry in metadata.entry_points(group="medbench.metrics")}, (
        "pip install -e ."
    )
    create_model(f"agcrc:{run}", ModelOptions())
    write_items(data, data / "items.jsonl", slices=True)
    (tmp_path / "suite.yaml").write_text(
        "items: data/items.jsonl\ncatalog: data/catalog\nselection: {track: imaging}\nmodels:\n"
        "  - {name: filtered, model: 'agcrc:run'}\n"
        "  - {name: full, model: 'agcrc:run', parameters: {mode: full}}\n"
    )
    done = medbench_json("suite", tmp_path / "suite.yaml", "--out", tmp_path / "bench")
    board = Path(done["board"]).read_text("utf-8")
    assert "filtered" in board
    assert "ColorectalCT" in board
    assert "病灶分割" in board
    assert "3 of the 3 items are illustrative: simulated" in board
    rows = pq.read_table(tmp_path / "bench" / "runs" / "full" / "scores").to_pylist()
    assert {row["status"] for row in rows} == {"scored"}
    by_item = {row["uid"]: row for row in rows}
    assert by_item["ColorectalCT/healthy"]["value"] is None
    medbench_json(
        *("items", "import", data / "items.jsonl", "--format", "jsonl", "--catalog", data / "catalog"),
        *("--into", tmp_path / "bank"),
    )
    secret = [path for path in (tmp_path / "bank" / "key_media").rglob("*") if path.is_file()]
    assert len(secret) == 2
    assert {path.stat().st_mode & 0o077 for path in secret} == {0}
    medbench_json("run", "--items", tmp_path / "bank", "--model", f"agcrc:{run}", "--out", tmp_path / "banked")
    assert "normalised surface Dice" in (tmp_path / "banked" / "report.html").read_text("utf-8")
    both = pq.read_table(tmp_path / "banked" / "scores").to_pylist()
    assert {row["dataset"]: row["status"] for row in both} == {"ColorectalCT": "scored", "MedDetect": "scored"}
    first = pq.read_table(tmp_path / "bench" / "runs" / "filtered" / "scores").to_pylist()
    volumes = [row for row in both if row["dataset"] == "ColorectalCT"]
    assert {row["uid"]: row["value"] for row in volumes} == {row["uid"]: row["value"] for row in first}
    artifact = next((tmp_path / "banked" / "artifacts").glob("*.nii.gz"))
    artifact.write_bytes(b"changed")
    medbench_json("score", tmp_path / "banked")
    again = {row["uid"]: row for row in pq.read_table(tmp_path / "banked" / "scores").to_pylist()}
    assert {row["reason"] for row in again.values() if row["status"] == "unparsed"} == {"no_file"}


def test_what_a_segmenter_declines_is_told_in_both_languages(run, data, tmp_path):
    write_items(data, data / "items.jsonl", slices=True)
    rows = [json.loads(line) for line in (data / "items.jsonl").read_text("utf-8").splitlines()]
    shown = next(row for row in rows if row["id"] == "ill_8")
    alone = {**shown, "id": "alone", "media": shown["media"][:1], "meta": {}}
    upright = {**shown, "id": "upright", "meta": {**shown["meta"], "axis": "coronal"}}
    with (data / "items.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in (shown, alone, upright))
    done = medbench_json("run", "--items", data / "items.jsonl", "--model", f"agcrc:{run}", "--out", tmp_path / "out")
    assert (done["by_status"], done["by_error"]) == (
        {"media_missing": 2, "ok": 1},
        {"no_such_slice": 1, "no_volume": 1},
    )
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    for text in ("names no volume with organ masks", "题目未指明模型所需的体数据", "题目指明的层面不存在"):
        assert text in page
