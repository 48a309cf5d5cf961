from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.errors import InputError
from medbench.items.importing import ImportRequest, import_items
from medbench.items.keys import open_keys
from medbench.items.model import KeyPoint
from medbench.items.rows import LONGEST_ROW
from medbench.items.source import open_source

CHOICE = {"id": "1", "dataset": "MedExam", "question": "首选药物是", "options": ["甲", "乙", "丙"], "answer": "B"}
OPEN = {"id": "1", "dataset": "MedHC", "question": "如何复查？", "answer": "三个月后复查"}
OWN_DATASET = """
name = "Own"
track = "llm"
dimension = "knowledge_qa"
title = { zh = "自有", en = "Own" }
description = { zh = "自有。", en = "Own." }
source = "us"
parts = [{ metrics = ["accuracy"], answer = { form = "choice", multiple = true } }]
"""


def item_file(folder: Path, *rows: object, name: str = "items.jsonl") -> Path:
    path = folder / name
    lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def problems_of(path: Path, **more: object) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(InputError) as refused:
        open_source(path, **more)  # type: ignore[arg-type]
    assert all(problem.advice and problem.file == str(path) for problem in refused.value.problems)
    return [(problem.line, problem.field, problem.message) for problem in refused.value.problems]


def key_of(folder: Path, row: dict[str, object]):
    return next(iter(open_keys(item_file(folder, row)).keys()))


def test_a_full_row_is_split_into_question_and_key(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.png").write_bytes(b"\x89PNG\r\n\x1a\n1")
    path = item_file(
        tmp_path,
        {
            **OPEN,
            "language": "zh",
            "specialty": "内科",
            "basis": [
                {"guideline": "高血压防治指南", "issuer": "学会", "version": "2024", "date": "2024-07", "clause": "5.1"}
            ],
            "key_points": [{"text": "测血压", "weight": 2, "kind": "should"}],
            "rubric": "分级",
            "media": ["p/a.png"],
            "source": "S",
            "family": "f",
            "meta": {"level": 3},
        },
    )
    source = open_source(path)
    question = next(source.questions())
    assert (source.kind, source.count, source.rows, source.disclosure) == ("jsonl", 1, 1, "local")
    assert question.basis[0].clause == "5.1"
    assert question.media[0].size == 9
    assert source.media_path(question.media[0]) == tmp_path / "p/a.png"
    assert (question.family, question.source, question.specialty, question.meta) == ("f", "S", "内科", {"level": 3})
    key = next(iter(open_keys(path).keys()))
    assert (key.uid, key.answer, key.rubric) == ("MedHC/1", "三个月后复查", "分级")
    assert key.key_points == (KeyPoint("测血压", 2.0, "should"),)
    assert not source.warnings


@pytest.mark.parametrize(
    ("dataset", "part", "options", "answer", "expected"),
    [
        ("MedExam", "", ["甲", "乙"], "b", ["B"]),
        ("MedExam", "", ["甲", "乙"], "<Ａ>", ["A"]),
        ("MedExam", "", ["甲", "乙"], ["B"], ["B"]),
        ("MedExam", "", ["甲", "乙"], "", None),
        ("MedRxCheck", "MSQ", ["甲", "乙", "丙"], "C,A", ["A", "C"]),
        ("MedRxCheck", "MSQ", ["甲", "乙", "丙"], "ac", ["A", "C"]),
        ("MedRxCheck", "MSQ", ["甲", "乙", "丙"], "A、C", ["A", "C"]),
        ("MedRxCheck", "MSQ", ["甲", "乙", "丙"], ["c", "b"], ["B", "C"]),
        ("MedHG", "", ["内科", "外科", "儿科"], "外科、内科", ["外科", "内科"]),
        ("MedHG", "", ["内科", "外科"], ["内科"], ["内科"]),
        ("MedQC", "", None, "无问题", []),
        ("MedQC", "", None, [], []),
        ("MedQC", "", None, "偏中心|体位不正", ["偏中心", "体位不正"]),
        ("MedOutcome", "", None, "好转", ["好转"]),
        ("MedReportQC", "", None, {}, []),
        ("MedInsureCalc", "", None, None, None),
        ("SMDoc", "", None, {"体温(℃)": 36.5, "主诉": "腹痛"}, {"体温(℃)": "36.5", "主诉": "腹痛"}),
        ("SMDoc", "", None, '{"主诉": "腹痛"}', {"主诉": "腹痛"}),
        ("MedDetect", "", None, [{"类别": ["无病变"], "边界框": []}], '[{"类别": ["无病变"], "边界框": []}]'),
        ("MedDBOps", "", None, "SELECT 1", "SELECT 1"),
    ],
)
def test_answers_in_every_form(tmp_path, dataset, part, options, answer, expected):
    row = {"id": 1, "dataset": dataset, "part": part, "question": "问", "options": options, "answer": answer}
    assert key_of(tmp_path, row).answer == expected


def test_gold_beside_a_label_is_kept_as_rubric(tmp_path):
    key = key_of(tmp_path, {**OPEN, "dataset": "MedOutcome", "answer": {"预测结局": "未愈", "理由": "高龄"}})
    assert key.answer == ["未愈"]
    assert json.loads(key.rubric)["理由"] == "高龄"
    row = {**OPEN, "dataset": "MedReportQC", "answer": [{"错误类型": "错别字", "修改建议": "描述：改"}]}
    key = key_of(tmp_path, row)
    assert key.answer == ["错别字"]
    assert "描述：改" in key.rubric


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({**CHOICE, "answer": "D"}, "answer"),
        ({**CHOICE, "answer": "nan"}, "answer"),
        ({**CHOICE, "answer": "AB"}, "answer"),
        ({**CHOICE, "answer": 2}, "answer"),
        ({**CHOICE, "answer": ["A", 2]}, "answer"),
        ({**CHOICE, "dataset": "MedRxCheck", "part": "MSQ", "answer": "AAB"}, "answer"),
        ({**CHOICE, "options": None}, "options"),
        ({**CHOICE, "options": ["甲"]}, "options"),
        ({**CHOICE, "options": ["甲", " "]}, "options"),
        ({**CHOICE, "options": "甲 乙"}, "options"),
        ({**CHOICE, "dataset": "MedExams"}, "dataset"),
        ({**CHOICE, "dataset": "MedRxCheck"}, "part"),
        ({**CHOICE, "part": "X"}, "part"),
        ({**CHOICE, "id": " "}, "id"),
        ({**CHOICE, "id": "a\x1b[31m"}, "id"),
        ({**CHOICE, "id": 1.5}, "id"),
        ({**CHOICE, "question": "\n"}, "question"),
        ({**CHOICE, "anwser": "B"}, "anwser"),
        ({**CHOICE, "language": "fr"}, "language"),
        ({**CHOICE, "basis": [{"guidline": "x"}]}, "basis"),
        ({**OPEN, "key_points": [{"text": "x", "weight": -1}]}, "key_points"),
        ({**OPEN, "key_points": [{"text": "x", "kind": "may"}]}, "key_points"),
        ({**OPEN, "options": ["x", "y"]}, "options"),
        ({**OPEN, "answer": {"a": 1}}, "answer"),
        ({**OPEN, "dataset": "MedHG", "options": ["内科"], "answer": "皮肤科"}, "answer"),
        ({**OPEN, "dataset": "MedHG", "answer": "内科"}, "options"),
        ({**OPEN, "dataset": "MedQC", "options": ["偏中心"], "answer": "偏中心"}, "options"),
        ({**OPEN, "dataset": "MedOutcome", "answer": {"理由": "x"}}, "answer"),
        ({**OPEN, "dataset": "MedInsureCalc", "answer": {"总费用": 1}}, "answer"),
        ({**OPEN, "dataset": "SMDoc", "answer": {"主诉": ["腹痛"]}}, "answer"),
        ({**OPEN, "dataset": "MedDetect", "answer": [{"类别": ["肝癌"], "边界框": [5, 5, 1, 9]}]}, "answer"),
        ({**OPEN, "dataset": "MedDetect", "answer": [{"类别": ["肝癌"], "边界框": [0, 0, 1, 1001]}]}, "answer"),
        ({"id": 1, "dataset": "MedHC"}, "question"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_field(tmp_path, row, field):
    assert [(line, name) for line, name, _ in problems_of(item_file(tmp_path, CHOICE | {"id": "0"}, row))] == [
        (2, field)
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b'"x"',
        b"nul",
        b"\xff\xfe{}",
        b'{"id": "\\ud800", "dataset": "MedHC", "question": "x"}',
        b'{"id":"1","id":"2","dataset":"MedHC","question":"x"}',
        b'{"id":"1","dataset":"MedHC","question":"x","meta":NaN}',
        b'{"id":"1","dataset":"MedHC","question":"x","meta":{"a":1e999}}',
        b"[" * 200000,
        b'{"a":' * 200000,
        b'{"id":"1","dataset":"MedHC","question":"x","meta":{"a":{"b":1,"b":2}}}',
        b'{"id":"1","dataset":"MedHC"} trailing',
        b'{"id":' + b"9" * 5000 + b"}",
        b'{"id": "a' + b"x" * LONGEST_ROW + b'"}',
    ],
    ids=lambda line: line[:30].decode(errors="replace"),
)
def test_hostile_lines_are_one_problem_and_the_rest_is_read(tmp_path, line):
    path = item_file(tmp_path, OPEN, line, OPEN | {"id": "2"})
    assert [number for number, _, _ in problems_of(path)] == [2]
    aside = tmp_path / "aside.jsonl"
    summary = import_items(ImportRequest(path=path, skip_invalid=aside)).summary
    assert (summary.items, summary.skipped) == (2, 1)
    assert [json.loads(text)["line"] for text in aside.read_text("utf-8").splitlines()] == [2]


def test_a_long_line_is_never_held_in_memory(tmp_path):
    path = tmp_path / "items.jsonl"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\n" + json.dumps(OPEN).encode())
    tracemalloc.start()
    assert problems_of(path)[0][0] == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * LONGEST_ROW


def test_byte_order_mark_blank_lines_and_windows_line_ends(tmp_path):
    path = tmp_path / "items.jsonl"
    row = json.dumps(CHOICE).encode()
    path.write_bytes(b"\xef\xbb\xbf" + row + b"\r\n\r\n  \n" + json.dumps(OPEN).encode())
    assert [question.uid for question in open_source(path).questions()] == ["MedExam/1", "MedHC/1"]


def test_all_problems_of_a_file_come_in_one_report(tmp_path):
    path = item_file(tmp_path, {"dataset": "MedHC", "questoin": "x"}, CHOICE, b"{", CHOICE | {"answer": "Z"})
    found = [(line, field) for line, field, _ in problems_of(path)]
    assert found == [(1, "id"), (1, "question"), (1, "questoin"), (3, None), (4, "answer")]


def test_advice_names_what_is_close(tmp_path):
    with pytest.raises(InputError) as refused:
        open_source(item_file(tmp_path, CHOICE | {"dataset": "MedExams"}, CHOICE | {"anwser": "A"}))
    assert "MedExam" in refused.value.problems[0].advice
    assert "--catalog" in refused.value.problems[0].advice
    assert "answer" in refused.value.problems[1].advice


def test_repeated_ids_are_found_with_their_first_line(tmp_path):
    path = item_file(tmp_path, CHOICE, OPEN, CHOICE | {"id": 1, "question": "别的"}, CHOICE | {"id": "2"})
    ((line, field, message),) = problems_of(path)
    assert (line, field) == (3, "id")
    assert "MedExam/1" in message
    assert "line 1" in message


def test_skipping_sets_the_rows_aside_for_their_owner_alone(tmp_path):
    path = item_file(tmp_path, CHOICE, CHOICE, CHOICE | {"id": "2", "answer": "Z"}, OPEN)
    aside = tmp_path / "aside.jsonl"
    outcome = import_items(ImportRequest(path=path, skip_invalid=aside))
    outcome.report.raise_errors()
    assert (outcome.summary.items, outcome.summary.skipped) == (2, 2)
    rows = [json.loads(text) for text in aside.read_text("utf-8").splitlines()]
    assert {(row["line"], row["row"]["id"]) for row in rows} == {(2, "1"), (3, "2")}
    assert all(row["problems"] for row in rows)
    assert aside.stat().st_mode & 0o077 == 0


@given(
    st.sampled_from(["MedExam", "MedHG", "MedOutcome", "SMDoc", "MedDetect", "MedHC"]), st.text("MARK标记", min_size=8)
)
def test_no_message_tells_an_answer(dataset, marker):
    from medbench.catalog.load import load_catalog
    from medbench.items.media import NoMedia
    from medbench.items.rows import Place, RowError, RowReader

    options = ["x", "y"] if dataset in ("MedExam", "MedHG") else None
    for answer in (marker, [marker], {marker: [1]}, [{"类别": [marker], "边界框": [1, 2, 3, 4]}]):
        row = {"id": 1, "dataset": dataset, "question": "?", "options": options, "answer": answer, "rubric": marker}
        told = []
        try:
            question, _ = RowReader(load_catalog(), NoMedia(), told.append).read_object(row, Place("f", 1))
            assert marker not in json.dumps(question.meta) + question.text
        except RowError as error:
            told += error.problems
        assert all(marker not in str(problem) for problem in told)


def test_media_warnings_never_stop(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    path = item_file(
        tmp_path, {**OPEN, "media": ["absent.png", "../x.png", "/etc/passwd", "text.png", "a\x00.png", "C:x"]}
    )
    source = open_source(path)
    assert [medium.missing for medium in next(source.questions()).media] == [
        *("absent", "outside", "outside", "other_kind", "bad_name", "outside")
    ]
    assert [problem.severity for problem in source.warnings] == ["warning"] * 6


def test_an_unknown_specialty_is_a_warning(tmp_path):
    source = open_source(item_file(tmp_path, {**OPEN, "specialty": "内科学"}, {**OPEN, "id": 2, "specialty": "03"}))
    assert [(problem.line, problem.field) for problem in source.warnings] == [(1, "specialty")]
    assert "内科" in source.warnings[0].advice


def test_an_unknown_dataset_is_told_once_with_its_items_and_where_it_may_be_defined(tmp_path):
    rows = [OPEN | {"id": number, "dataset": "Zzz"} for number in range(3)]
    path = item_file(tmp_path, *rows, OPEN | {"id": 9, "dataset": "MedExan"})
    assert problems_of(path) == [
        (1, "dataset", "There is no dataset Zzz. In 3 items."),
        (4, "dataset", "There is no dataset MedExan."),
    ]
    with pytest.raises(InputError) as refused:
        open_source(path)
    advice = [problem.advice for problem in refused.value.problems]
    assert not advice[0].startswith("Closest")
    assert advice[1].startswith("Closest: MedExam")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/own.toml").write_text(OWN_DATASET, "utf-8")
    with pytest.raises(InputError, match=f"--catalog {re.escape(str(tmp_path / 'datasets'))}"):
        open_source(path)
    with pytest.raises(InputError) as refused:
        open_source(path, catalog_folder=tmp_path / "datasets")
    assert "datasets" not in refused.value.problems[0].advice


def test_ones_own_dataset(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/own.toml").write_text(OWN_DATASET, "utf-8")
    path = item_file(tmp_path, CHOICE | {"dataset": "Own", "answer": "AB"})
    problems_of(path)
    source = open_source(path, catalog_folder=tmp_path / "own")
    assert source.catalog.dataset("Own").track == "llm"
    assert next(iter(open_keys(path, catalog_folder=tmp_path / "own").keys())).answer == ["A", "B"]


def test_the_fingerprint_follows_questions_alone_and_the_key_fingerprint_keys(tmp_path):
    first, second = item_file(tmp_path, CHOICE), item_file(tmp_path, CHOICE | {"answer": "C"}, name="b.jsonl")
    assert open_source(first).fingerprint == open_source(second).fingerprint
    assert open_keys(first).fingerprint() != open_keys(second).fingerprint()
    third = item_file(tmp_path, CHOICE | {"question": "另问"}, name="c.jsonl")
    assert open_source(third).fingerprint != open_source(first).fingerprint


def test_a_file_that_changes_under_an_open_source_changes_nothing_there(tmp_path):
    path = item_file(tmp_path, CHOICE)
    source = open_source(path)
    before = list(source.questions())
    item_file(tmp_path, CHOICE | {"options": ["x"]})
    assert list(source.questions()) == before


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "items.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match="not one item"):
        open_source(path)


def test_what_is_not_there_or_no_source(tmp_path):
    with pytest.raises(InputError, match="nothing at this path"):
        open_source(tmp_path / "absent.jsonl")
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="--mapping"):
        open_source(tmp_path / "t.csv")


def test_memory_stays_flat(tmp_path):
    peaks = []
    for count in (1_000, 10_000):
        path = tmp_path / f"{count}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(count):
                file.write(json.dumps(CHOICE | {"id": f"i{number}"}, ensure_ascii=False) + "\n")
        tracemalloc.start()
        source = open_source(path)
        assert sum(1 for _ in source.questions()) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Beside the 8 bytes an id (held twice while sorting) nothing grows.
    assert peaks[1] - peaks[0] < 9_000 * 8 * 5
