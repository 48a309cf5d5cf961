from __future__ import annotations

import json
from pathlib import Path

import pytest

from medbench.errors import InputError
from medbench.items.importing import ImportRequest, import_items
from medbench.items.keys import open_keys
from medbench.items.source import open_source

CMEXAM = Path(__file__).resolve().parents[2] / "docs/how-to/mappings/cmexam.toml"
MAPPING = """
[fields]
id = "no"
question = "stem"
options = ["a", "b", "c"]
answer = "right"
specialty = "dept"
meta = ["year"]
[constants]
dataset = "MedExam"
source = "Hospital exam"
"""
TABLE = 'no,stem,a,b,c,right,dept,year\n1,"首选,药物是",甲,乙,丙,B,内科,2024\n2,禁忌是,甲,乙,,a,,\n'


def table(folder: Path, text: str = TABLE, mapping: str = MAPPING, *, name: str = "exam.csv") -> ImportRequest:
    (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    (folder / "mapping.toml").write_text(mapping, "utf-8")
    return ImportRequest(path=folder / name, mapping=folder / "mapping.toml")


def stored(request: ImportRequest, folder: Path):
    bank = folder / "bank"
    import_items(ImportRequest(path=request.path, mapping=request.mapping, into=bank)).report.raise_errors()
    return list(open_source(bank).questions()), list(open_keys(bank).keys())


def errors(request: ImportRequest) -> list[tuple[int | None, str | None]]:
    with pytest.raises(InputError) as refused:
        import_items(request).report.raise_errors()
    return [(problem.line, problem.field) for problem in refused.value.problems]


def test_csv_with_options_in_columns(tmp_path):
    questions, keys = stored(table(tmp_path), tmp_path)
    assert [(question.id, question.text, question.options) for question in questions] == [
        ("1", "首选,药物是", ("甲", "乙", "丙")),
        ("2", "禁忌是", ("甲", "乙")),
    ]
    assert questions[0].meta == {"year": "2024"}
    assert (questions[0].specialty, questions[1].specialty, questions[0].source) == ("内科", "", "Hospital exam")
    assert [key.answer for key in keys] == [["B"], ["A"]]


def test_byte_order_mark_and_tabs(tmp_path):
    request = table(tmp_path, "\ufeffstem\tright\n检查后多久复查？\t三个月\n", name="exam.tsv")
    request.mapping.write_text(
        '[fields]\nquestion = "stem"\nanswer = "right"\n[constants]\ndataset = "MedHC"\n', "utf-8"
    )
    questions, keys = stored(request, tmp_path)
    assert (questions[0].id, questions[0].text, keys[0].answer) == ("1", "检查后多久复查？", "三个月")


def test_problems_of_a_table_have_line_and_column(tmp_path):
    text = TABLE + '3,缺,甲,乙\n4,坏\udcff,甲,乙,丙,A,,\n5,"多\n行",甲,乙,丙,Z,,\n'
    assert errors(table(tmp_path, text)) == [(4, None), (5, None), (7, "answer")]


def test_a_column_that_is_not_there(tmp_path):
    assert errors(table(tmp_path, TABLE.replace("right", "answer"))) == [(1, "right")]
    rows = '{"stem": "问", "key": "答"}\n{"stem": "问"}\n'
    mapping = '[fields]\nquestion = "stem"\nanswer = "key"\n[constants]\ndataset = "MedHC"\n'
    assert errors(table(tmp_path, rows, mapping, name="rows.jsonl")) == [(2, "key")]


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ("[fields]\nquestion = 1", None),
        ("not toml", None),
        (MAPPING.replace("stem", "stem").replace("question", "qestion"), "fields.qestion"),
        (MAPPING.replace('answer = "right"', 'answer = ["right"]'), "fields.answer"),
        (MAPPING.replace('dataset = "MedExam"', ""), "dataset"),
        (MAPPING + "[options]\nsplit = ';'\nstrip = '['", "options.strip"),
        (MAPPING + "[option]\nsplit = ';'", None),
    ],
)
def test_a_wrong_mapping_is_told_before_the_table_is_read(tmp_path, mapping, field):
    assert field in [name for _, name in errors(table(tmp_path, mapping=mapping))]


def test_a_csv_needs_a_mapping_and_a_release_takes_none(tmp_path):
    request = table(tmp_path)
    assert errors(ImportRequest(path=request.path)) == [(None, "--mapping")]
    assert errors(ImportRequest(path=tmp_path, mapping=request.mapping)) == [(None, "--mapping")]


def test_options_out_of_one_column_must_be_lettered_from_a(tmp_path):
    rows = [
        {"q": "一", "o": r"A 甲\nB 乙\nC 丙", "k": "AC"},
        {"q": "二", "o": r"B 乙\nC 丙", "k": "B"},
        {"q": "三", "o": r"A 甲\nB 乙\nD 丁", "k": "B"},
    ]
    mapping = (
        '[fields]\nquestion = "q"\noptions = "o"\nanswer = "k"\n[constants]\ndataset = "MedRxCheck"\npart = "MSQ"\n'
        "[options]\nsplit = '\\n'\nstrip = '[A-Z] '\n"
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert errors(table(tmp_path, text, mapping, name="rows.jsonl")) == [(2, "o"), (3, "o")]
    questions, keys = stored(table(tmp_path, text.splitlines()[0], mapping, name="rows.jsonl"), tmp_path)
    assert questions[0].options == ("甲", "乙", "丙")
    assert keys[0].answer == ["A", "C"]


def test_cmexam_with_its_documented_mapping(shared, tmp_path):
    path, aside, bank = shared / "data/qa/cmexam_val/val.jsonl", tmp_path / "aside.jsonl", tmp_path / "bank"
    assert {line for line, _ in errors(ImportRequest(path=path, mapping=CMEXAM))} == {5357, 5590, 5597, 6028}
    outcome = import_items(ImportRequest(path=path, mapping=CMEXAM, into=bank, skip_invalid=aside))
    outcome.report.raise_errors()
    assert (outcome.summary.items, outcome.summary.skipped, outcome.summary.keys) == (6807, 4, 6807)
    source = open_source(bank)
    assert source.catalog.dataset("CMExam").dimension == "knowledge_qa"
    keys = open_keys(bank).keys()
    assert sum(len(key.answer or ()) > 1 for key in keys) == 210
    questions = list(source.questions())
    assert {len(question.options) for question in questions} == {4, 5}
    assert questions[0].options[4] == "以上均非"
    explained = json.loads(path.read_text("utf-8").splitlines()[0])["explanation"]
    assert explained.encode() not in (bank / "questions.sqlite").read_bytes()
