"""`medbench items propose-keypoints` and `import-keypoints` as a user has them."""

from __future__ import annotations

import json

import pytest
from openpyxl import load_workbook

from support.command import medbench, medbench_json
from support.endpoint import running_endpoint

POINTS = [
    {"text": "Taken with food", "kind": "must", "weight": 3, "quote": "with food"},
    {"text": "=HYPERLINK(1) is no formula", "kind": "should", "weight": 1, "quote": "no alcohol"},
    {"text": "Taken with milk", "kind": "must", "weight": 1, "quote": "with milk"},
]
REPLY = json.dumps({"points": POINTS})


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "items.jsonl"
    rows = [
        {"id": f"q{number}", "dataset": "MedMC", "question": f"Synthetic question {number}?", "language": "en",
         "answer": "Take it with food and drink no alcohol.", "meta": {"ward": number}}
        for number in range(4)
    ]  # fmt: skip
    rows.append({"id": "has", "dataset": "MedMC", "question": "?", "answer": "x", "key_points": [{"text": "x"}]})
    rows.append({"id": "none", "dataset": "MedMC", "question": "?"})
    rows.append({"id": "choice", "dataset": "MedExam", "question": "?", "options": ["a", "b"], "answer": "A"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def propose(items, out, url, *more):
    options = ("items", "propose-keypoints", items, "--model", "openai:m", "--base-url", url, "--out", out)
    return medbench_json(*options, *more)


def edit(sheet, decide):
    """Call `decide` with every row as a dictionary of cells."""
    book = load_workbook(sheet)
    page = book.worksheets[0]
    names = [cell.value for cell in page[1]]
    for row in page.iter_rows(min_row=2):
        decide(dict(zip(names, row, strict=True)))
    book.save(sheet)


def importing(sheet, items, out):
    return ("items", "import-keypoints", sheet, "--items", items, "--reviewer", "dr-a", "--out", out)


def test_from_a_proposal_to_items_that_a_run_is_scored_with(tmp_path, items):
    out, sheet = tmp_path / "out", tmp_path / "out" / "keypoints.xlsx"
    with running_endpoint(text=REPLY) as model:
        found = propose(items, out, model.url)
        asked = model.totals()["requests"]
        again = medbench(
            *("items", "propose-keypoints", items, "--model", "openai:m", "--base-url", model.url, "--out", out)
        )
        assert (again.returncode, model.totals()["requests"]) == (2, asked)
        assert "somebody may have edited it" in again.stderr
        sheet.rename(tmp_path / "moved.xlsx")
        assert propose(items, out, model.url)["points"] == found["points"]
        assert model.totals()["requests"] == asked, "nothing is asked twice"
    assert (found["items"], found["by_status"], found["points"]) == (4, {"proposed": 4}, 8)
    assert found["left_out"] == {"no_quote": 4}
    assert found["passed_over"] == {"has_key_points": 1, "no_reference": 1, "not_by_key_points": 1}
    assert not [path for path in out.iterdir() if path.suffix == ".jsonl"], "no item file before a person decided"

    page = load_workbook(sheet).worksheets[0]
    assert page.max_row == 9
    assert "f" not in {cell.data_type for row in page.iter_rows() for cell in row}
    assert any(str(cell.value).startswith("=HYPERLINK") for row in page.iter_rows() for cell in row)
    refused = medbench("items", "validate", sheet)
    assert refused.returncode == 2

    undecided = medbench(*importing(sheet, items, tmp_path / "reviewed.jsonl"))
    assert undecided.returncode == 2
    assert "4 items have a row that nobody has decided on" in undecided.stderr

    def decide(row):
        number = row["id"].value[-1]
        if number == "0":
            row["review"].value = "keep"
            row["weight"].value = 2.5
        elif number == "1":
            row["review"].value = "Keep" if row["kind"].value == "must" else "drop"
        elif number == "2":
            row["review"].value = "drop"
        elif row["kind"].value == "must":
            row["review"].value = "keep"

    edit(sheet, decide)
    reviewed = tmp_path / "reviewed.jsonl"
    done = medbench_json(*importing(sheet, items, reviewed))
    assert done == {
        "items": 7, "with_points": 2, "points": 3, "dropped": 3, "unreviewed": 1, "none_kept": 1,
    }  # fmt: skip
    rows = {row["id"]: row for row in map(json.loads, reviewed.read_text().splitlines())}
    assert [point["text"] for point in rows["q1"]["key_points"]] == ["Taken with food"]
    assert [point["weight"] for point in rows["q0"]["key_points"]] == [2.5, 2.5]
    assert rows["q0"]["meta"] == {"ward": 0, "key_points": {"proposed_by": ["m"], "reviewed_by": "dr-a"}}
    assert "key_points" not in rows["q2"]
    assert "key_points" not in rows["q3"], "an item with an undecided row gets none"
    assert rows["has"]["key_points"] == [{"text": "x"}]
    assert medbench("items", "validate", reviewed).returncode == 0
    zh = medbench("--lang", "zh", *importing(sheet, items, tmp_path / "zh.jsonl"))
    assert "1 道题有未决定的行" in zh.stdout


def test_what_a_model_fails_on_is_told_and_asked_again(tmp_path, items):
    out, sheet = tmp_path / "out", tmp_path / "out" / "keypoints.xlsx"
    with running_endpoint(text=REPLY, faults=({"fault": "prose"},)) as model:
        found = propose(items, out, model.url)
        assert (found["by_status"], found["by_reason"], found["points"]) == ({"failed": 4}, {"not_json": 4}, 0)
        comments = [row[10].value for row in load_workbook(sheet).worksheets[0].iter_rows(min_row=2)]
        assert len(comments) == 4
        assert all("not_json" in comment for comment in comments)

        # Rows of failed items can be filled in by hand.
        def by_hand(row):
            row["text"].value, row["kind"].value, row["weight"].value, row["review"].value = "Mine", "must", 1, "keep"

        edit(sheet, by_hand)
        assert medbench_json(*importing(sheet, items, tmp_path / "mine.jsonl"))["points"] == 4
        first = json.loads((tmp_path / "mine.jsonl").read_text().splitlines()[0])
        assert first["meta"]["key_points"] == {"proposed_by": [], "reviewed_by": "dr-a"}
        model.plan()
        sheet.unlink()
        assert propose(items, out, model.url)["by_status"] == {"proposed": 4}


def test_a_dead_endpoint_ends_with_1_and_leaves_no_sheet(tmp_path, items):
    rows = [json.loads(items.read_text().splitlines()[0]) | {"id": f"q{number}"} for number in range(30)]
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with running_endpoint(text=REPLY, faults=({"fault": "http", "status": 401},)) as model:
        done = medbench(
            *("items", "propose-keypoints", items, "--model", "openai:m", "--base-url", model.url),
            *("--out", tmp_path / "out"),
        )
    assert done.returncode == 1
    assert "http_401" in done.stderr
    assert not (tmp_path / "out" / "keypoints.xlsx").exists()


def test_all_that_is_wrong_with_a_sheet_is_told_at_once(tmp_path, items):
    out, sheet = tmp_path / "out", tmp_path / "out" / "keypoints.xlsx"
    with running_endpoint(text=REPLY) as model:
        propose(items, out, model.url)

    def spoil(row):
        row["review"].value = "keep"
        match row["id"].value[-1], row["kind"].value:
            case "0", "must":
                row["kind"].value = "may"
            case "0", _:
                row["weight"].value = -1
            case "1", "must":
                row["text"].value = None
            case "1", _:
                row["review"].value = "perhaps"
            case "2", _:
                row["text"].value = "The same"
            case "3", "must":
                row["id"].value = "MedMC/other"
            case _:
                row["code"].value = "0" * 12

    edit(sheet, spoil)
    done = medbench(*importing(sheet, items, tmp_path / "reviewed.jsonl"))
    assert done.returncode == 2
    for part in ("'may' is no kind", "'-1' is no weight", "no text", "'perhaps' is no decision", "twice",
                 "MedMC/other is no item", "not those that the points were proposed for"):  # fmt: skip
        assert part in done.stderr
    assert done.stderr.count("keypoints.xlsx:") == 7
    assert not (tmp_path / "reviewed.jsonl").exists()
    assert "is no sheet" in medbench(*importing(items, items, tmp_path / "r.jsonl")).stderr
    assert "is there already" in medbench(*importing(sheet, items, items)).stderr


def test_items_that_can_not_be_used_are_refused_before_anything_is_asked(tmp_path, items):
    rows = items.read_text().splitlines()
    medbench_json("items", "import", items, "--into", tmp_path / "bank", "--disclosure", "hidden")
    nothing = tmp_path / "nothing.jsonl"
    nothing.write_text("\n".join(rows[4:]))
    for path, message in ((tmp_path / "bank", "is no item file"), (nothing, "has_key_points × 1")):
        done = medbench(
            *("items", "propose-keypoints", path, "--model", "openai:m", "--base-url", "http://127.0.0.1:9"),
            *("--out", tmp_path / "out"),
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert not (tmp_path / "out").exists()
