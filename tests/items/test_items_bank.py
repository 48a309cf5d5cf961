from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from medbench.errors import InputError, WorkError
from medbench.items.importing import ImportRequest, import_items
from medbench.items.keys import open_keys
from medbench.items.source import open_source

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
MARKER = "GOLDMARK7f3a"
ROWS = [
    {"id": "1", "dataset": "MedExam", "question": "首选药物是", "options": ["甲", "乙", "丙"], "answer": "B"},
    {
        "id": "1",
        "dataset": "MedRxCheck",
        "part": "MSQ",
        "question": "正确的是",
        "options": ["甲", "乙"],
        "answer": "AB",
    },
    {
        "id": 2,
        "dataset": "MedHC",
        "question": "如何复查？",
        "answer": "三个月",
        "media": ["a.png"],
        "meta": {"b": 1, "a": 2},
    },
]
OWN = """
name = "Own"
track = "llm"
dimension = "own_things"
title = { zh = "自有 \\"引号\\"", en = "Own" }
description = { zh = "自有。\\n两行", en = "Own." }
source = "us"
[[parts]]
metrics = ["micro_f1"]
answer = { form = "label", labels = ["是", "否"], multiple = true, none_label = "无", synonyms = { "对 的" = "是" } }
"""


def item_file(folder: Path, *rows: dict[str, object], name: str = "items.jsonl") -> Path:
    (folder / "a.png").write_bytes(PNG)
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def store(path: Path, bank: Path, **more: object):
    outcome = import_items(ImportRequest(path=path, into=bank, **more))  # type: ignore[arg-type]
    outcome.report.raise_errors()
    return outcome.summary


def state(bank: Path) -> tuple[str, str, int]:
    source = open_source(bank)
    keys = open_keys(bank)
    gold = keys.keys()
    assert [question.uid for question in source.questions()] == [key.uid for key in gold]
    return source.fingerprint, keys.fingerprint(), source.count


def test_a_bank_gives_what_the_file_gave(tmp_path):
    path, bank = item_file(tmp_path, *ROWS), tmp_path / "bank"
    assert store(path, bank).into == str(bank)
    file, source = open_source(path), open_source(bank)
    assert (source.kind, source.count, source.rows) == ("bank", file.count, file.rows)
    assert source.fingerprint == file.fingerprint
    assert list(source.questions()) == list(file.questions())
    assert list(open_keys(bank).keys()) == list(open_keys(path).keys())
    assert json.loads((bank / "bank.json").read_text())["disclosure"] == "local"
    for name in ("questions.sqlite", "keys.sqlite"):
        assert stat.S_IMODE((bank / name).stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.png", "bank", "items.jsonl"]


def test_media_are_stored_by_content(tmp_path):
    bank = tmp_path / "bank"
    store(item_file(tmp_path, *ROWS), bank)
    (tmp_path / "a.png").unlink()
    (medium,) = next(question for question in open_source(bank).questions() if question.media).media
    path = open_source(bank).media_path(medium)
    assert path is not None
    assert path.read_bytes() == PNG
    assert path == bank / "media" / medium.sha256[:2] / medium.sha256


def test_importing_again_changes_nothing_and_more_items_are_added(tmp_path):
    path, bank = item_file(tmp_path, *ROWS), tmp_path / "bank"
    store(path, bank)
    before = state(bank)
    store(path, bank)
    assert state(bank) == before
    store(item_file(tmp_path, ROWS[0], ROWS[0] | {"id": "9"}, name="more.jsonl"), bank)
    assert state(bank)[2] == before[2] + 1
    assert [question.uid for question in open_source(bank).questions()][-1] == "MedExam/9"


@pytest.mark.parametrize(("change", "what"), [({"question": "改"}, "other content"), ({"answer": "C"}, "another key")])
def test_a_changed_item_is_refused_and_nothing_of_the_import_stays(tmp_path, change, what):
    bank = tmp_path / "bank"
    store(item_file(tmp_path, *ROWS), bank)
    before = state(bank)
    path = item_file(tmp_path, ROWS[0] | {"id": "new"}, ROWS[0] | change, name="changed.jsonl")
    with pytest.raises(InputError) as refused:
        store(path, bank)
    (problem,) = refused.value.problems
    assert (problem.line, problem.field) == (2, "id")
    assert what in problem.message
    assert "MedExam/1" in problem.message
    assert state(bank) == before


def test_errors_store_nothing(tmp_path):
    bank = tmp_path / "bank"
    with pytest.raises(InputError):
        store(item_file(tmp_path, ROWS[0], ROWS[0] | {"id": "2", "answer": "Z"}), bank)
    assert not bank.exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.png", "items.jsonl"]


def test_a_marker_in_every_key_never_reaches_the_questions(tmp_path):
    rows = [
        {"id": number, "dataset": "MedHC", "question": f"问题{number}", "answer": f"{MARKER}{number}", "rubric": MARKER}
        | {"key_points": [{"text": MARKER}]}
        for number in range(50)
    ]
    rows += [
        {"id": n, "dataset": "MedOutcome", "question": "?", "answer": {"预测结局": "好转", "理由": MARKER}}
        for n in range(5)
    ]
    rows += [{"id": n, "dataset": "SMDoc", "question": "?", "answer": {"主诉": MARKER}} for n in range(5)]
    path, bank = item_file(tmp_path, *rows), tmp_path / "bank"
    store(path, bank, disclosure="hidden")
    assert open_source(bank).disclosure == "hidden"
    assert MARKER.encode() in (bank / "keys.sqlite").read_bytes()
    for file in bank.rglob("*"):
        if file.is_file() and file.name != "keys.sqlite":
            assert MARKER.encode() not in file.read_bytes()
    for source in (open_source(path), open_source(bank)):
        assert all(MARKER.encode() not in msgspec.json.encode(question) for question in source.questions())


def test_the_key_fingerprint_is_salted(tmp_path):
    path = item_file(tmp_path, *ROWS)
    store(path, tmp_path / "one")
    store(path, tmp_path / "two")
    one, two = open_keys(tmp_path / "one"), open_keys(tmp_path / "two")
    assert list(one.keys()) == list(two.keys())
    assert one.fingerprint() != two.fingerprint()
    assert one.fingerprint() == open_keys(tmp_path / "one").fingerprint()


def test_questions_are_readable_without_the_keys(tmp_path):
    bank = tmp_path / "bank"
    store(item_file(tmp_path, *ROWS), bank)
    (bank / "keys.sqlite").unlink()
    assert len(list(open_source(bank).questions())) == 3
    with pytest.raises(InputError, match="keys are not here"):
        open_keys(bank)


def test_own_datasets_travel_with_the_bank(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/own.toml").write_text(OWN, "utf-8")
    row = {"id": 1, "dataset": "Own", "question": "对吗？", "answer": "对 的"}
    bank = tmp_path / "bank"
    store(item_file(tmp_path, row), bank, catalog_folder=tmp_path / "own")
    source = open_source(bank)
    assert source.catalog.dataset("Own").title.zh == '自有 "引号"'
    assert source.catalog.dataset("Own").description.zh == "自有。\n两行"
    assert next(iter(open_keys(bank).keys())).answer == ["是"]
    # The bank knows its dataset from now on; another definition under the name is refused.
    store(item_file(tmp_path, row | {"id": 2}, name="b.jsonl"), bank)
    (tmp_path / "own/own.toml").write_text(OWN.replace('"否"', '"非"'), "utf-8")
    with pytest.raises(InputError, match="Own"):
        store(item_file(tmp_path, row | {"id": 3}, name="c.jsonl"), bank, catalog_folder=tmp_path / "own")
    assert open_source(bank).count == 2


def test_disclosure_is_set_once(tmp_path):
    path, bank = item_file(tmp_path, *ROWS), tmp_path / "bank"
    store(path, bank, disclosure="hidden")
    store(path, bank)
    with pytest.raises(InputError, match="hidden"):
        store(path, bank, disclosure="local")


def test_other_folders_are_not_overwritten(tmp_path):
    path = item_file(tmp_path, *ROWS)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="not a bank"):
        store(path, other)
    with pytest.raises(InputError, match="not a bank"):
        store(path, path)
    assert [one.name for one in other.iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    assert store(path, tmp_path / "empty").items == 3


def test_a_damaged_or_newer_bank_is_refused(tmp_path):
    bank = tmp_path / "bank"
    store(item_file(tmp_path, *ROWS), bank)
    mark = bank / "bank.json"
    good = mark.read_text()
    mark.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        open_source(bank)
    mark.write_text(good.replace('"format":1', '"format":2'))
    with pytest.raises(InputError, match="newer"):
        open_source(bank)
    mark.write_text(good)
    (bank / "questions.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 50)
    with pytest.raises(WorkError, match="database"):
        open_source(bank)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    path = item_file(tmp_path, *ROWS)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("medbench.items.bank.tempfile.TemporaryDirectory", refuse)
    with pytest.raises(WorkError, match="Permission denied"):
        store(path, tmp_path / "bank")


def test_an_import_that_is_killed_leaves_the_old_state_or_the_new(tmp_path):
    bank = tmp_path / "bank"
    store(item_file(tmp_path, *ROWS), bank)
    old = state(bank)
    many = [ROWS[0] | {"id": f"k{number}", "media": [f"m{number % 40}.png"]} for number in range(4000)]
    for number in range(40):
        (tmp_path / f"m{number}.png").write_bytes(PNG + bytes([number]))
    path = item_file(tmp_path, *many, name="many.jsonl")
    command = [sys.executable, "-c", "import sys; from pathlib import Path\n"]
    command[2] += (
        "from medbench.items.importing import ImportRequest, import_items\n"
        "print('go', flush=True)\n"
        "import_items(ImportRequest(path=Path(sys.argv[1]), into=Path(sys.argv[2])))\n"
    )
    seeded = random.Random(20240601)
    killed = 0
    for target in (bank, tmp_path / "fresh") * 4:
        before = state(target) if target.exists() else None
        with subprocess.Popen([*command, path, target], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(seeded.uniform(0.02, 0.35))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
        if target.exists():
            after = state(target)
            assert after == before or after[2] == (4000 if before is None else before[2] + 4000)
    assert killed
    store(path, bank)
    assert state(bank)[2] == old[2] + 4000
    source = open_source(bank)
    for medium in {medium for question in source.questions() for medium in question.media}:
        stored = source.media_path(medium)
        assert stored is not None
        assert hashlib.sha256(stored.read_bytes()).hexdigest() == medium.sha256
