from __future__ import annotations

import sqlite3

import pytest

from medbench.engine.ledger import Ledger, Recorder, Result
from medbench.errors import WorkError


def result(seq: int, status: str = "ok", **more: object) -> Result:
    return Result(seq=seq, key=b"key%d" % seq, status=status, body=b"{}", requests=1, **more)


def test_results_come_back_in_the_order_of_the_plan(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record("ask", [result(5), result(1), result(3)])
    assert [seq for seq, _ in ledger.bodies("ask")] == [1, 3, 5]
    assert ledger.done("ask", 2, 5) == {3: b"key3", 5: b"key5"}


def test_a_key_has_one_result_and_a_refused_batch_leaves_nothing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record("ask", [result(1)])
    with pytest.raises(WorkError):
        ledger.record("ask", [result(2), result(1)])
    assert ledger.done("ask", 0, 9) == {1: b"key1"}


def test_totals_add_up(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record(
        "ask",
        [
            result(1, input_tokens=3, output_tokens=4),
            result(2, "failed", error_class="retryable", error_code="http_500"),
            result(3, "failed", error_class="retryable", error_code="timeout"),
        ],
    )
    totals = ledger.totals("ask")
    assert (totals.responses, totals.requests, totals.input_tokens, totals.output_tokens) == (3, 3, 3, 4)
    assert totals.by_status == {"ok": 1, "failed": 2}
    assert totals.by_error == {"http_500": 1, "timeout": 1}


def test_a_reader_sees_what_a_writer_committed(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.begin("hash")
    ledger.set_state("running")
    ledger.record("ask", [result(1)])
    reader = Ledger(tmp_path / "ledger.sqlite", read_only=True)
    assert reader.state() == ("running", "")
    assert reader.totals("ask").responses == 1


def test_a_locked_file_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("medbench.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WorkError, match="locked by another process"):
        ledger.record("ask", [result(1)])
    other.execute("ROLLBACK")
    ledger.record("ask", [result(1)])
    assert ledger.totals("ask").responses == 1


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(WorkError, match="can't be used as a database"):
        Ledger(path)


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(WorkError, match="newer medbench"):
        Ledger(path)


def test_no_more_results_wait_than_the_width_allows(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    recorder = Recorder(ledger, "ask", lambda: 4)
    for seq in range(11):
        recorder.add(result(seq))
        assert seq + 1 - ledger.totals("ask").responses < 4
    recorder.flush()
    assert ledger.totals("ask").responses == 11


def test_a_ledger_keeps_to_its_configuration(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.begin("one")
    ledger.begin("one")
    with pytest.raises(WorkError, match=r"run\.json was changed"):
        ledger.begin("two")


def test_a_reader_that_stops_early_may_outlive_the_ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record("ask", [result(1), result(2)])
    rows = ledger.bodies("ask")
    assert next(rows)[0] == 1
    ledger.close()
    rows.close()  # as the garbage collector does, where an error would be printed and passed over
