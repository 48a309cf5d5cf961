from __future__ import annotations

import subprocess
import sys
import threading
import time

import pyarrow as pa
import pytest

from medbench.errors import InputError, WorkError
from medbench.store import parquet
from medbench.store.files import LOCK_PATIENCE_S, exclusive, is_held, write_atomically
from medbench.store.parquet import read_batches, write_rows
from medbench.store.sqlite import open_database, transaction

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])


def test_a_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(WorkError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_one_holder_at_a_time_and_none_after_its_process(tmp_path):
    assert not is_held(tmp_path)
    with exclusive(tmp_path):
        assert is_held(tmp_path)
        code = f"""
from pathlib import Path
from medbench.store.files import exclusive
with exclusive(Path({str(tmp_path)!r})): pass
"""
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "InputError" in refused.stderr
    assert not is_held(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError), exclusive(tmp_path / "file"):
        pass


def test_who_has_the_patience_gets_the_folder_when_its_holder_lets_go(tmp_path):
    entered = threading.Event()

    def hold() -> None:
        with exclusive(tmp_path):
            entered.set()
            time.sleep(2 * LOCK_PATIENCE_S)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    with exclusive(tmp_path, 60.0):
        assert is_held(tmp_path)
    holder.join()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
def test_rows_come_back_in_order_over_several_files(tmp_path, monkeypatch, count):
    monkeypatch.setattr(parquet, "ROWS_PER_BATCH", 5)
    monkeypatch.setattr(parquet, "ROWS_PER_FILE", 10)
    rows = [(number, f"行 {number}\0") for number in range(count)]
    assert write_rows(tmp_path / "rows", SCHEMA, iter(rows), {"by": "test"}) == count
    back = [tuple(row.values()) for batch in read_batches(tmp_path / "rows") for row in batch.to_pylist()]
    assert back == rows
    assert len(list((tmp_path / "rows").iterdir())) == max(1, -(-count // 10))


def test_rows_replace_the_older_folder_only_when_whole(tmp_path):
    write_rows(tmp_path / "rows", SCHEMA, [(1, "old")], {})

    def broken():
        yield (2, "new")
        raise OSError(28, "No space left on device")

    with pytest.raises(WorkError, match="No space left"):
        write_rows(tmp_path / "rows", SCHEMA, broken(), {})
    assert [batch.to_pylist() for batch in read_batches(tmp_path / "rows")] == [[{"number": 1, "text": "old"}]]
    assert [found.name for found in tmp_path.iterdir()] == ["rows"]
    with pytest.raises(WorkError):
        write_rows(tmp_path / "gone" / "rows", SCHEMA, [(1, "x")], {})
    assert not (tmp_path / "gone").exists()


def test_a_schema_grows_by_its_version(tmp_path):
    path = tmp_path / "a.sqlite"
    open_database(path, migrations=("CREATE TABLE a (x);",)).close()
    connection = open_database(path, migrations=("CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y;"))
    connection.execute("INSERT INTO a (x, y) VALUES (1, 2)")

    def fail() -> None:
        with transaction(connection):
            connection.execute("DELETE FROM a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    connection.close()
    with pytest.raises(WorkError, match="newer"):
        open_database(path, migrations=("CREATE TABLE a (x);",))
    with pytest.raises(WorkError):
        open_database(tmp_path / "absent.sqlite", read_only=True)
