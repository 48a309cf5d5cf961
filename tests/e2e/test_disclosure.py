"""What a run may say about its keys: nothing of them anywhere; under hidden disclosure not even right and wrong."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import sqlite3
import urllib.parse
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard

from medbench.items.model import Key
from support.command import medbench, medbench_json, write_items
from support.endpoint import running_endpoint

MARKS = ("KEYMARK7f3a9c", "金鑰標記甲乙丙")


def spellings(mark: str) -> set[bytes]:
    """A text in every form in which it could lie in a file."""
    found = set()
    for raw in (mark.encode(), mark.encode("utf-16-le"), json.dumps(mark)[1:-1].encode()):
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(raw).encode()}
        # Base64 depends on the place modulo 3: the part that does not depend on its neighbours.
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + raw + b"\0\0")
            found.add(coded[4 if shift else 0 : -(len(coded) % 4) - 8])
    return found


NEEDLES = frozenset().union(*map(spellings, MARKS))


def contents(path: Path) -> bytes:
    """Bytes of a file, with what its format compresses unpacked beside them."""
    raw = path.read_bytes()
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        raw += "\n".join(f"{row}" for row in table.to_pylist()).encode() + f"{table.schema.metadata}".encode()
    elif raw.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in connection.execute(f"SELECT * FROM {table}").fetchall():
                    for value in row:
                        piece = value if isinstance(value, bytes) else str(value).encode()
                        if piece.startswith(zstandard.FRAME_HEADER):
                            piece = zstandard.ZstdDecompressor().decompress(piece)
                        raw += piece + b"\n"
    return raw


def assert_clean(folder: Path, *texts: str) -> None:
    names = [path for path in folder.rglob("*") if path.is_file()]
    assert len(names) >= 6
    for path in names:
        held = contents(path)
        assert not [needle for needle in NEEDLES if needle in held], path
    for text in texts:
        assert not [needle for needle in NEEDLES if needle in text.encode()]


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> Path:
    """Items of every form of key, each with a marker in it."""
    latin, han = MARKS
    point = [{"text": f"{han} {latin}", "weight": 2.0, "kind": "must"}]
    items: list[dict[str, object]] = []
    for number in range(6):
        choice = {"options": ["alpha", "beta", "gamma", "delta"], "answer": "ABCD"[number % 4], "rubric": latin + han}
        items += [
            {"id": f"q{number}", "dataset": "MedExam", "question": f"Which one, {number}?", **choice},
            {"id": f"q{number}", "dataset": "MedHC", "question": f"Open {number}?", "answer": f"{latin} {han}",
             "rubric": han, "key_points": point},
            {"id": f"q{number}", "dataset": "SMDoc", "question": f"Fill in {number}.",
             "answer": {"性别": latin, "初步诊断": han}},
        ]  # fmt: skip
    # A cell of three items.
    items += [{"id": f"q{number}", "dataset": "MedIntentID", "question": f"Intent {number}?", "answer": ["预约检查"],
               "rubric": latin} for number in range(3)]  # fmt: skip
    path = tmp_path_factory.mktemp("marked") / "items.jsonl"
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), "utf-8")
    return path


def test_the_search_finds_what_is_there(tmp_path):
    for number, needle in enumerate(NEEDLES):
        assert len(needle) >= 8
        (tmp_path / f"{number}").write_bytes(b"\1\2" + needle + b"\3")
    inside = f'x"{MARKS[0]}"y'
    for coded in (base64.b64encode(inside.encode()), base64.b64encode(b"z" + inside.encode()), inside.encode().hex()):
        text = coded if isinstance(coded, bytes) else coded.encode()
        assert any(needle in text for needle in NEEDLES)
    with pytest.raises(AssertionError):
        assert_clean(tmp_path)


@pytest.mark.parametrize("where", ["hidden-bank", "hidden-file", "local-file"])
def test_no_key_is_in_any_file_or_output(marked, tmp_path, where):
    items: Path = marked
    said: list[str] = []
    if where == "hidden-bank":
        items = tmp_path / "bank"
        imported = medbench("items", "import", marked, "--into", items, "--disclosure", "hidden")
        assert imported.returncode == 0, imported.stderr
        said += [imported.stdout, imported.stderr]
    run_dir = tmp_path / "run"
    disclosure = "hidden" if where == "hidden-file" else "local"
    with running_endpoint(text='{"性别": "女", "初步诊断": "A"}', reasoning="so it is") as endpoint:
        done = medbench(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", run_dir, "--json"),
            *("--disclosure", disclosure, "--cache", run_dir / "cache.sqlite"),
        )
    assert done.returncode == 0, done.stderr
    said += [done.stdout, done.stderr]
    for command in (("status",), ("score",), ("report", "--json")):
        shown = medbench(command[0], run_dir, *command[1:])
        assert shown.returncode == 0, shown.stderr
        said += [shown.stdout, shown.stderr]
    assert_clean(run_dir, *said)
    pins = json.loads((run_dir / "run.json").read_text())
    assert pins["disclosure"] == where.split("-")[0]


@pytest.fixture(scope="module")
def hidden(marked, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("hidden") / "run"
    with running_endpoint() as endpoint:
        medbench_json(
            *("run", "--items", marked, "--model", "openai:m", "--base-url", endpoint.url, "--out", run_dir),
            *("--disclosure", "hidden"),
        )
    return run_dir


def test_hidden_scores_tell_nothing_about_single_items(hidden):
    scores = pq.read_table(hidden / "scores").to_pylist()
    assert {row["status"] for row in scores} == {"scored", "unparsed", "awaiting_judge"}
    for row in scores:
        assert row["value"] is None
        assert row["true_positives"] == row["false_positives"] == row["false_negatives"] == 0


def test_small_cells_are_withheld_and_large_ones_shown(hidden):
    report = medbench_json("report", hidden)
    shown = {dataset["name"]: dataset for dataset in report["datasets"]}
    assert shown["MedExam"]["score"] is not None
    small = shown["MedIntentID"]
    assert (small["items"], small["score"], small["closed"], small["chance"], small["at_chance"]) == (
        3, None, None, None, None,
    )  # fmt: skip
    assert small["parts"][0]["estimate"] is None
    page = (hidden / "report.html").read_text("utf-8")
    assert "5 items" in page


def test_hidden_runs_are_not_compared(hidden):
    refused = medbench("compare", hidden, hidden)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "hidden" in refused.stderr


def test_a_run_that_stopped_early_shows_no_small_cell(tmp_path):
    """Stopping after each answer would tell them one by one."""
    items = write_items(tmp_path / "items.jsonl", 30)
    with running_endpoint(text="A") as endpoint:
        done = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--orders", "first"),
            *("--out", tmp_path / "run", "--disclosure", "hidden", "--budget-tokens", 550, "--concurrency", 1),
            *("--parameter", "max_tokens=16"),
            expect=1,
        )
    assert 0 < done["responses"] < 5, "the budget is meant to stop the run at once"
    assert done["score"] is None
    figures = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert figures["datasets"][0]["parts"][0]["estimate"] is None


def test_keys_are_not_guessed_from_their_fingerprint(tmp_path):
    """Letters are few: whoever has the questions and an unsalted hash over the keys tries them all."""
    items = write_items(tmp_path / "items.jsonl", 4)
    with running_endpoint() as endpoint:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", tmp_path / "run"),
            *("--disclosure", "hidden"),
        )
    told = json.loads((tmp_path / "run" / "figures.json").read_text())["keys_fingerprint"]
    encode = msgspec.json.Encoder(order="deterministic").encode
    tried = set()
    for letters in itertools.product("ABCDE", repeat=4):
        keys = (Key(uid=f"MedExam/q{number}", answer=[letter]) for number, letter in enumerate(letters))
        tried.add(hashlib.sha256(b"".join(encode(key) + b"\n" for key in keys)).hexdigest())
    assert told not in tried
