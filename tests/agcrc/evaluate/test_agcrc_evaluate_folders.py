"""From folders to figures: what is read, what is refused, what is written."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from agcrc.errors import InputError, WorkError
from agcrc.evaluate import evaluate_folders
from agcrc.evaluate.tables import cases_csv
from agcrc.volumes import Grid, read_labels, write_volume

SHAPE = (16, 24, 24)
GRID = Grid.of(SHAPE, (3.0, 2.0, 2.0))
FIGURES = ("dice", "nsd", "hd95", "lesion_sensitivity", "false_positives_per_scan")


def mask(*parts):
    array = np.zeros(SHAPE, dtype=np.uint8)
    for z, y, x, side in parts:
        array[z : z + side, y : y + side, x : x + side] = 1
    return array


TRUTH = {"a": mask((2, 2, 2, 5)), "b": mask((5, 10, 10, 6)), "h": mask()}
PREDICTION = {"a": mask((2, 2, 3, 5)), "b": mask((5, 10, 10, 5), (1, 1, 18, 3)), "h": mask((10, 3, 3, 2))}


def folder(path, arrays, grid=GRID, suffix=""):
    for name, array in arrays.items():
        write_volume(path / f"{name}{suffix}.nii.gz", array, grid)
    return path


@pytest.fixture
def data(tmp_path):
    folder(tmp_path / "data" / "labelsTs", TRUTH)
    folder(tmp_path / "pred", PREDICTION)
    return tmp_path


def messages(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return [str(problem) for problem in caught.value.problems]


def test_json_has_every_figure_with_its_interval(data):
    found = evaluate_folders(data / "pred", data / "data" / "labelsTs", out=data / "out").to_dict()
    assert found["cases"] == 3
    assert found["healthy"]["cases"] == 1
    for name in FIGURES:
        figure = found[name]
        assert figure["low"] <= figure["value"] <= figure["high"], name
        assert figure["n"] > 0
    assert found["nsd"]["tolerance_mm"] == 2.0
    assert found["nsd_4mm"]["value"] >= found["nsd"]["value"]
    assert [each["false_positives_per_scan"] for each in found["froc"]] == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert found["lesion_sensitivity"]["value"] == 1.0
    assert found["false_positives_per_scan"]["value"] == pytest.approx(2 / 3)
    assert found["false_positive_places"] == {"reason": "no organ masks were given"}
    assert json.loads((data / "out" / "evaluation.json").read_text()) == json.loads(json.dumps(found))
    rows = list(csv.DictReader((data / "out" / "cases.csv").open()))
    assert [row["case"] for row in rows] == ["a", "b", "h"]
    assert float(rows[0]["dice"]) == pytest.approx(0.8)
    assert rows[2]["dice"] == ""


def test_truth_against_itself_is_perfect(data):
    found = evaluate_folders(data / "data" / "labelsTs", data / "data" / "labelsTs").to_dict()
    assert [found[name]["value"] for name in FIGURES] == [1.0, 1.0, 0.0, 1.0, 0.0]


def test_the_same_input_gives_the_same_bytes(data):
    for name in ("one", "two"):
        evaluate_folders(data / "pred", data / "data" / "labelsTs", against=data / "data" / "labelsTs", out=data / name)
    for file in ("evaluation.json", "cases.csv"):
        assert (data / "one" / file).read_bytes() == (data / "two" / file).read_bytes()


def test_orientation_of_the_files_does_not_matter(data):
    turned = Grid(GRID.shape, GRID.affine, np.array([[0.0, -1.0], [1.0, -1.0], [2.0, 1.0]]))
    folder(data / "turned", PREDICTION, turned)
    straight, other = (evaluate_folders(data / name, data / "data" / "labelsTs") for name in ("pred", "turned"))
    assert other.pred.cases == straight.pred.cases
    assert (data / "turned" / "a.nii.gz").read_bytes() != (data / "pred" / "a.nii.gz").read_bytes()


def test_all_problems_come_at_once(data):
    truth, pred = data / "data" / "labelsTs", data / "pred"
    (pred / "h.nii.gz").unlink()
    folder(pred, {"extra": mask()})
    folder(pred, {"a": PREDICTION["a"] * 7})
    folder(pred, {"b": PREDICTION["b"]}, Grid.of(SHAPE, (3.0, 2.0, 2.5)))
    folder(truth, {"a": TRUTH["a"] * 3})
    found = "\n".join(messages(evaluate_folders, pred, truth))
    assert "lacks 1 of the 3 cases" in found
    assert "has cases without a truth" in found
    assert "1 of 3: extra" in found
    assert "its labels are 0, 7" in found
    assert "its labels are 0, 3" in found
    assert "on different grids" in found


@pytest.mark.parametrize("which", ["pred", "labelsTs"])
def test_missing_and_empty_folders_are_named(data, which):
    (data / "empty").mkdir()
    folders = {"pred": data / "pred", "labelsTs": data / "data" / "labelsTs"}
    for path, words in ((data / "none", "no such folder"), (data / "empty", "no .nii.gz")):
        chosen = {**folders, which: path}
        assert any(
            str(path) in message and words in message
            for message in messages(evaluate_folders, chosen["pred"], chosen["labelsTs"])
        )


def test_a_cut_file_is_one_clear_message(data):
    path = data / "pred" / "a.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    found = messages(evaluate_folders, data / "pred", data / "data" / "labelsTs", out=data / "out")
    assert len(found) == 1
    assert "a.nii.gz" in found[0]
    assert not (data / "out").exists()


def test_a_folder_that_cannot_be_written(data):
    (data / "file").write_text("")
    with pytest.raises(WorkError, match="can't be written"):
        evaluate_folders(data / "pred", data / "data" / "labelsTs", out=data / "file" / "out")


def test_probabilities_rank_the_candidates(data):
    maps = {name: array * np.float32(0.8) for name, array in PREDICTION.items()}
    maps["b"][1:4, 1:4, 18:21] = 0.6
    maps["h"] *= 0.7
    folder(data / "pred", maps, suffix="_prob")
    found = evaluate_folders(data / "pred", data / "data" / "labelsTs").to_dict()
    assert found["froc_confidence"] == "probability"
    # Both lesions at .8, before either false positive.
    assert found["froc"][0]["value"] == 1.0
    assert found["cases"] == 3


def test_probabilities_must_be_of_all_cases_and_in_range(data):
    folder(data / "pred", {"a": PREDICTION["a"] * np.float32(0.8)}, suffix="_prob")
    truth = data / "data" / "labelsTs"
    assert "2 of 3 cases have no probability map: b, h" in messages(evaluate_folders, data / "pred", truth)[0]
    folder(data / "pred", {name: PREDICTION[name] * np.float32(80.0) for name in "abh"}, suffix="_prob")
    found = messages(evaluate_folders, data / "pred", truth)
    assert len(found) == 3
    assert "from 0 to 80, which are no probabilities" in found[0]
    folder(data / "pred", {"a": np.full(SHAPE, np.nan, dtype=np.float32)}, suffix="_prob")
    assert any("NaN" in message for message in messages(evaluate_folders, data / "pred", truth))


def told(array, confidences):
    """A JSON as the predictor writes it, for boxes in the order in which they are found."""
    from agcrc.evaluate.detection import components

    labelled, count = components(array > 0)
    lesions = []
    for number in range(1, count + 1):
        places = np.argwhere(labelled == number)
        centre = GRID.to_mm(places.mean(axis=0))
        lesions.append(
            {
                "centre_mm": [round(float(value), 1) for value in centre],
                "volume_ml": round(len(places) * GRID.voxel_ml, 3),
                "mean_probability": confidences[number - 1],
            }
        )
    return {"lesions": lesions[::-1], "windows": 20, "seconds": {"ooi": 0.5, "all": 2.0 + len(lesions)}}


def test_the_json_of_the_predictor_ranks_candidates_and_tells_times(data):
    confidences = {"a": [0.9], "b": [0.6, 0.8], "h": [0.7]}
    for name, values in confidences.items():
        (data / "pred" / f"{name}.json").write_text(json.dumps(told(PREDICTION[name], values)))
    evaluation = evaluate_folders(data / "pred", data / "data" / "labelsTs")
    found = evaluation.to_dict()
    assert found["froc_confidence"] == "json"
    # First of b is the false positive at (1, 1, 18).
    assert [(each.confidence, each.verdict.value) for each in evaluation.pred.cases[1].candidates] == [
        (0.6, "false_positive"),
        (0.8, "hit"),
    ]
    assert found["windows"]["value"] == 20.0
    assert found["seconds"]["value"] == pytest.approx((3 + 4 + 3) / 3)


def test_the_json_of_an_empty_mask_tells_of_no_lesion(data):
    for name in "abh":
        array = PREDICTION[name] * (name != "a")
        folder(data / "pred", {name: array})
        (data / "pred" / f"{name}.json").write_text(json.dumps(told(array, [0.5, 0.6])))
    truth = data / "data" / "labelsTs"
    evaluation = evaluate_folders(data / "pred", truth)
    assert evaluation.pred.confidence == "json"
    assert evaluation.pred.cases[0].candidates == ()
    (data / "pred" / "a.json").write_text(json.dumps(told(PREDICTION["a"], [0.5])))
    assert (
        "tells of other lesions (1) than the components of its mask (0)"
        in messages(evaluate_folders, data / "pred", truth)[0]
    )


def test_a_json_of_another_mask_is_refused(data):
    for name in "abh":
        (data / "pred" / f"{name}.json").write_text(json.dumps(told(PREDICTION[name], [0.5, 0.5])))
    (data / "pred" / "a.json").write_text(json.dumps(told(PREDICTION["b"], [0.5, 0.5])))
    found = messages(evaluate_folders, data / "pred", data / "data" / "labelsTs")
    assert len(found) == 1
    assert "tells of other lesions (2) than the components of its mask (1)" in found[0]


@pytest.mark.parametrize("content", ["", "[1]", '{"windows": "many"}', '{"seconds": {"all": -1}}', '{"windows": NaN}'])
def test_a_broken_json_is_named(data, content):
    (data / "pred" / "a.json").write_text(content)
    found = messages(evaluate_folders, data / "pred", data / "data" / "labelsTs")
    assert len(found) == 1
    assert "a.json" in found[0]


def test_places_of_false_positives(data):
    class_map = data / "classes.json"
    class_map.write_text(json.dumps({"colon": 4, "liver": 9}))
    organs = {name: np.zeros(SHAPE, dtype=np.uint8) for name in TRUTH}
    organs["b"][0:5, 0:6, 16:24] = 9
    organs["h"][9:14, 0:8, 0:8] = 4
    regions = {name: np.zeros(SHAPE, dtype=np.uint8) for name in TRUTH}
    regions["a"][0:4] = 1
    folder(data / "organs", organs)
    folder(data / "organs", regions, suffix="_ooi")
    found = evaluate_folders(
        data / "pred", data / "data" / "labelsTs", organs=data / "organs", class_map=str(class_map)
    ).to_dict()
    places = found["false_positive_places"]
    assert [places[name]["value"] for name in ("colon", "ooi", "outside")] == pytest.approx([1 / 3, 0.0, 1 / 3])
    assert places["organs"] == [{"organ": "colon", "count": 1}, {"organ": "liver", "count": 1}]
    # Two of the five slices of a's lesion lie in the region, nothing of b's: Dice 2·50 / (50 + 125), and 0.
    assert found["ooi_ceiling"]["value"] == pytest.approx((100 / 175) / 2)


def test_organ_masks_of_every_case_with_known_labels(data):
    folder(data / "organs", {"a": np.full(SHAPE, 250, dtype=np.uint8), "b": np.zeros(SHAPE, dtype=np.uint8)})
    found = "\n".join(messages(evaluate_folders, data / "pred", data / "data" / "labelsTs", organs=data / "organs"))
    assert "lacks the organ masks of 1 of 3 cases: h" in found
    assert "250" in found
    assert "a.nii.gz" in found
    assert "no class map 'nonsense'" in "\n".join(
        messages(
            evaluate_folders, data / "pred", data / "data" / "labelsTs", organs=data / "organs", class_map="nonsense"
        )
    )


def test_the_organ_of_interest_is_made_where_there_is_none(data, shared):
    path = shared / "data" / "ct" / "totalsegmentator_example" / "mask_variants" / "v2_fast_force_split_1.nii.gz"
    labels = read_labels(path)
    colon = np.argwhere(labels.array == 20)
    centre = colon[len(colon) // 2]
    truth = np.zeros(labels.grid.shape, dtype=np.uint8)
    truth[tuple(slice(int(c) - 3, int(c) + 4) for c in centre)] = 1
    prediction = truth.copy()
    liver = np.argwhere(labels.array == 5)
    middle = liver[np.linalg.norm(liver - liver.mean(axis=0), axis=1).argmin()]
    prediction[tuple(slice(int(c) - 1, int(c) + 2) for c in middle)] = 1
    for name, array in (("truth", truth), ("real", prediction), ("organs", labels.array)):
        write_volume(data / name / "x.nii.gz", array, labels.grid)
    found = evaluate_folders(data / "real", data / "truth", organs=data / "organs").to_dict()
    assert found["ooi_ceiling"]["value"] > 0.95
    assert found["false_positive_places"]["outside"]["value"] == 1.0
    assert found["false_positive_places"]["organs"] == [{"organ": "liver", "count": 1}]


def test_comparison_of_two_folders(data):
    folder(data / "other", {"a": mask(), "b": PREDICTION["b"], "h": PREDICTION["h"]})
    evaluation = evaluate_folders(data / "pred", data / "data" / "labelsTs", against=data / "other")
    found = evaluation.to_dict()["comparison"]
    dice = next(each for each in found["differences"] if each["metric"] == "dice")
    assert dice["value"] == pytest.approx(0.4)
    assert found["figures"]["empty_predictions"] == 1
    rows = list(csv.DictReader(io.StringIO(evaluation.to_csv())))
    assert [row["prediction"] for row in rows] == ["pred"] * 3 + ["other"] * 3


def test_dataset_json_tells_whether_it_is_a_simulation(data):
    truth = data / "data" / "labelsTs"
    assert evaluate_folders(data / "pred", truth).dataset is None
    for content, simulation in (
        ({"name": "Phantom 3", "description": "made"}, True),
        ({"name": "Task10", "description": "Colon cancer"}, False),
        ({"name": "x", "simulation": True}, True),
        ({"name": "x", "phantom": {"tier": "cpu"}}, True),
    ):
        (data / "data" / "dataset.json").write_text(json.dumps(content))
        assert evaluate_folders(data / "pred", truth).dataset.simulation is simulation
    (data / "data" / "dataset.json").write_text("{")
    assert "dataset.json" in messages(evaluate_folders, data / "pred", truth)[0]


@pytest.mark.parametrize("name", ["=1+2", "+a", "-a", "@SUM(A1)", "\tx", '=HYPERLINK("http://x")'])
def test_csv_holds_no_formula(name, tmp_path):
    from agcrc.evaluate import measure_case

    case = measure_case(name, TRUTH["a"] > 0, TRUTH["a"] > 0, GRID)
    rows = list(csv.reader(io.StringIO(cases_csv([("=arm", [case])]))))
    assert rows[1][0] == "'=arm"
    assert rows[1][1] == f"'{name}"
    assert not any(cell[:1] in ("=", "+", "-", "@", "\t") for row in rows for cell in row)
