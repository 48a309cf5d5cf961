from __future__ import annotations

import asyncio
import json
import zipfile

import pytest

from medbench.errors import InputError
from medbench.items.source import open_source
from medbench.models.answers import AnswersModel
from medbench.runs.config import Selection
from medbench.runs.plan import asked

ROWS = {
    # Two items in five orders, the last two rows of each identical; and two items asked once.
    "MedExam.jsonl": [
        {
            "question": f"Question {item}?\n"
            + "\n".join(f"{letter}. {text}" for letter, text in zip("ABC", order, strict=True)),
            "answer": "",
            "other": {"id": item, "source": "S"},
        }
        for item in (1, 2)
        for order in ("xyz", "yzx", "zxy", "xzy", "xzy")
    ],
    "MedMC.jsonl": [
        {"question": f"Open question {item}", "answer": "", "other": {"id": item, "source": "S"}} for item in (1, 2)
    ],
}


def write(folder, files):
    """Files of rows; a row that is a string stands as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        (folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return folder


def filled():
    return {
        name: [row | {"answer": f"{name} {number}"} for number, row in enumerate(rows, start=1)]
        for name, rows in ROWS.items()
    }


@pytest.fixture
def plan(tmp_path):
    release = write(tmp_path / "release" / "MedBench_LLM" / "TEST", ROWS)
    source = open_source(release.parents[1])
    return lambda **selection: [
        (call.question, call.variant, call.form.row) for call in asked(source, Selection(**selection))
    ]


def problems(model: AnswersModel, plan) -> list[tuple[str | None, int | None, str]]:
    with pytest.raises(InputError) as refused:
        model.check(plan)
    return [(found.file, found.line, found.message) for found in refused.value.problems]


class Context:
    def __init__(self, variant: int, row: int) -> None:
        self.variant, self.row = variant, row


def texts(model: AnswersModel, plan) -> list[str]:
    async def ask() -> list[str]:
        return [(await model.answer(question, Context(variant, row))).text for question, variant, row in plan]

    return asyncio.run(ask())


@pytest.mark.parametrize("packed", ["folder", "zip", "nested"])
def test_every_row_of_a_package_gets_its_own_answer(tmp_path, plan, packed):
    path = write(tmp_path / "package", filled())
    if packed != "folder":
        folder = write(tmp_path / "package", filled())
        path = tmp_path / "package.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"answers/{file.name}" if packed == "nested" else file.name)
    model = AnswersModel(path)
    model.check(plan())
    found = texts(model, plan())
    assert sorted(found) == sorted(row["answer"] for rows in filled().values() for row in rows)
    assert len(set(found)) == 12


def test_only_what_is_asked_has_to_be_there(tmp_path, plan):
    files = filled()
    del files["MedMC.jsonl"]
    model = AnswersModel(write(tmp_path / "package", files))
    model.check(plan(datasets=("MedExam",)))
    assert len(problems(model, plan())) == 1
    # The first five rows are one item.
    first = AnswersModel(write(tmp_path / "first", {"MedExam.jsonl": filled()["MedExam.jsonl"][:5]}))
    first.check(plan(limit=1))


def test_blank_lines_and_byte_order_marks_do_not_count(tmp_path, plan):
    files = filled()
    rows = files["MedExam.jsonl"]
    files["MedExam.jsonl"] = ["\ufeff" + json.dumps(rows[0]), "", *rows[1:], "   "]
    model = AnswersModel(write(tmp_path / "package", files))
    model.check(plan())
    assert len(set(texts(model, plan()))) == 12


def damaged(change):
    files = filled()
    change(files)
    return files


def drop_row(files):
    del files["MedExam.jsonl"][3]


def swap_rows(files):
    rows = files["MedExam.jsonl"]
    rows[0], rows[1] = rows[1], rows[0]  # the same id: only the question tells them apart


def repeat_row(files):
    files["MedMC.jsonl"].append(files["MedMC.jsonl"][0])


def other_id(files):
    files["MedMC.jsonl"][1] = files["MedMC.jsonl"][1] | {"other": {"id": 77, "source": "S"}}


def other_question(files):
    files["MedMC.jsonl"][0] = files["MedMC.jsonl"][0] | {"question": "Another question"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop_row, [("MedExam.jsonl", 10, "1 rows are missing"), ("MedExam.jsonl", 5, "4 rows, this one first")]),
        (swap_rows, [("MedExam.jsonl", 1, "2 rows, this one first")]),
        (repeat_row, [("MedMC.jsonl", 3, "stands in the file already")]),
        (other_id, [("MedMC.jsonl", 2, "1 rows, this one first")]),
        (other_question, [("MedMC.jsonl", 1, "1 rows, this one first")]),
    ],
)
def test_a_damaged_package_is_told_by_file_and_line(tmp_path, plan, change, expected):
    model = AnswersModel(write(tmp_path / "package", damaged(change)))
    found = problems(model, plan())
    assert [(file, line) for file, line, _ in found] == [(file, line) for file, line, _ in expected]
    for (*_, message), (*_, wanted) in zip(found, expected, strict=True):
        assert wanted in message


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        '{"question": "Open question 1", "answer": 3, "other": {"id": 1}}',
        '{"question": "Open question 1", "answer": null, "other": {"id": 1}}',
        '{"question": "Open question 1", "answer": "A"}',
        '{"answer": "A", "other": {"id": 1}}',
        '{"question": "Open question 1", "answer": "A", "other": {"id": 1.5}}',
        '{"question": "Open question 1", "answer": NaN, "other": {"id": 1}}',
        '{"question": "Open question 1", "answer": "\\ud800", "other": {"id": 1}}',
        '{"deep": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=lambda line: line[:70],
)
def test_a_line_that_is_no_answer_is_told_once(tmp_path, plan, line):
    files = filled()
    files["MedMC.jsonl"][0] = line
    found = problems(AnswersModel(write(tmp_path / "package", files)), plan())
    assert [(file, number) for file, number, _ in found] == [("MedMC.jsonl", 1)]


def test_bytes_that_are_no_text_are_told(tmp_path, plan):
    folder = write(tmp_path / "package", filled())
    path = folder / "MedMC.jsonl"
    path.write_bytes(path.read_bytes().replace(b"MedMC.jsonl 1", b"\xff\xfe"))
    assert problems(AnswersModel(folder), plan())[0][:2] == ("MedMC.jsonl", 1)


def test_all_problems_come_in_one_report(tmp_path, plan):
    files = filled()
    swap_rows(files)
    files["MedMC.jsonl"][0] = "{"
    repeat_row(files)
    files["MedMC.jsonl"][2] = files["MedMC.jsonl"][1]
    found = problems(AnswersModel(write(tmp_path / "package", files)), plan())
    assert [(file, line) for file, line, _ in found] == [
        ("MedMC.jsonl", 1),
        ("MedExam.jsonl", 1),
        ("MedMC.jsonl", 3),
    ]


def test_two_files_of_one_name_are_refused(tmp_path, plan):
    folder = write(tmp_path / "package", filled())
    write(folder / "copy", {"MedMC.jsonl": filled()["MedMC.jsonl"]})
    assert [message for *_, message in problems(AnswersModel(folder), plan())] == [
        "There are two files named MedMC.jsonl. Keep one."
    ]


def test_a_package_does_not_answer_other_items(tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"id": "1", "dataset": "MedMC", "question": "Why?"}) + "\n")
    source = open_source(items)
    model = AnswersModel(write(tmp_path / "package", filled()))
    calls = [(call.question, call.variant, call.form.row) for call in asked(source, Selection())]
    ((_, _, message),) = problems(model, calls)
    assert message.startswith("An official package answers the rows")


def test_an_answer_file_is_found_by_item_and_variant(tmp_path):
    items = tmp_path / "items.jsonl"
    row = {"id": "1", "dataset": "MedExam", "question": "Which?", "options": ["x", "y", "z"], "answer": "A"}
    items.write_text(json.dumps(row) + "\n")
    source = open_source(items)
    calls = [(call.question, call.variant, call.form.row) for call in asked(source, Selection())]
    answers = tmp_path / "answers.jsonl"
    lines = [{"dataset": "MedExam", "id": 1, "variant": number, "answer": "ABC"[number]} for number in range(3)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = AnswersModel(answers)
    model.check(calls)
    assert texts(model, calls) == ["A", "B", "C"]

    answers.write_text("".join(json.dumps(line) + "\n" for line in [lines[0], lines[0], {"id": 1}]))
    found = problems(AnswersModel(answers), calls)
    assert [line for _, line, _ in found] == [None, 3, None] or [line for _, line, _ in found] == [3, None, None]
    text = " ".join(message for *_, message in found)
    assert "stands twice" in text
    assert "2 answers are missing, for example MedExam/1#1, MedExam/1#2" in text


def test_the_revision_covers_every_answer_and_also_lines_that_can_not_be_read(tmp_path):
    def revision(text: str) -> str:
        path = tmp_path / "answers.jsonl"
        path.write_text(text)
        return AnswersModel(path).identity.revision

    line = '{"dataset": "MedMC", "id": 1, "answer": "%s"}\n'
    assert revision(line % "a") == revision(line % "a")
    assert len({revision(text) for text in (line % "a", line % "b", line % "a" + "{\n", line % "a" + line % "b")}) == 4


@pytest.mark.parametrize("name", ["absent.jsonl", "absent.zip", "absent"])
def test_what_is_not_there_is_told(tmp_path, name):
    with pytest.raises(InputError):
        AnswersModel(tmp_path / name)
