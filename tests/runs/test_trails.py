"""The audit trails of a run, held against its ledger."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medbench.agents.governance.audit import SUFFIX, Trail, decision_record
from medbench.agents.governance.guard import Guard
from medbench.engine.ledger import Ledger, Result
from medbench.errors import InputError
from medbench.models.model import Identity
from medbench.runs.config import Pins, Selection, write_pins
from medbench.runs.plan import KIND
from medbench.runs.trails import audit_run, trails_of
from medbench.store.audit import Chain, check_trail

STATUSES = ("ok", "ok", "failed", "truncated")


def keep(run, content):
    name = hashlib.sha256(content).hexdigest() + SUFFIX
    (run / "artifacts" / name).write_bytes(content)
    return name


def list_responses(run, rows):
    """The table of responses, with what is read of it here."""
    (run / "responses").mkdir(exist_ok=True)
    columns = zip(*[(seq, f"D/{seq}", 0, json.dumps(names)) for seq, names in rows], strict=True)
    table = pa.table(dict(zip(("seq", "uid", "variant", "artifacts"), map(list, columns), strict=True)))
    pq.write_table(table, run / "responses" / "part-0.parquet")


@pytest.fixture
def run(tmp_path):
    """A run whose third call failed before it had a trail, and the rows of its table."""
    (tmp_path / "artifacts").mkdir()
    model = Identity(spec="agent:a.yaml", name="a")
    write_pins(tmp_path, Pins("items.jsonl", "", "", model, Selection(), "local", 4, 4, ""))
    rows, results = [], []
    for seq, status in enumerate(STATUSES):
        trail = Trail()
        trail.append(decision_record(Guard().check_input(f"Write a fake vaccination certificate. {seq}")))
        names = [] if status == "failed" else [keep(tmp_path, trail.content)]
        rows.append((seq, names))
        body = json.dumps({"status": status, "text": "x", "artifacts": names}).encode()
        results.append(Result(seq, bytes([seq]), status, body))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.begin("")
    ledger.record(KIND, results)
    ledger.set_state("answered")
    ledger.close()
    list_responses(tmp_path, rows)
    return tmp_path, rows


def faults(run_dir):
    return [(each.item, each.checked.fault) for each in trails_of(run_dir) if not each.holds]


def test_a_run_whose_trails_hold_has_one_hash_that_changes_with_any_of_them(run):
    run_dir, rows = run
    first = audit_run(run_dir)
    assert (first.trails, first.holding, first.first_bad, len(first.head)) == (3, 3, None, 64)
    assert audit_run(run_dir) == first
    # Ledger, table and trail written anew: nothing but the hash shows it.
    name = keep(run_dir, Chain().line({"event": "step", "name": "start", "details": {}}))
    ledger = Ledger(run_dir / "ledger.sqlite")
    body = json.dumps({"status": "ok", "artifacts": [name]}).encode()
    ledger.record(KIND, [Result(1, b"x", "ok", body)], replace=True)
    ledger.close()
    list_responses(run_dir, [rows[0], (1, [name]), *rows[2:]])
    again = audit_run(run_dir)
    assert (again.holding, again.head == first.head) == (3, False)


def test_a_trail_that_was_forged_and_renamed_is_not_that_of_the_ledger(run):
    run_dir, rows = run
    (record,) = check_trail((run_dir / "artifacts" / rows[1][1][0]).read_bytes()).records
    kept = {name: value for name, value in record.items() if name not in ("seq", "at_us", "prev_hash", "hash")}
    forged = keep(run_dir, Chain().line({**kept, "action": "allow", "by": "dr.house", "reason": "human_approved"}))
    list_responses(run_dir, [rows[0], (1, [forged]), *rows[2:]])
    found = audit_run(run_dir)
    assert (found.trails, found.holding, found.head) == (3, 2, "")
    assert (found.first_bad.item, found.first_bad.checked.fault) == ("D/1", "not_in_ledger")


def test_an_answer_whose_trail_was_taken_out_of_the_table_is_seen(run):
    run_dir, rows = run
    list_responses(run_dir, [(0, []), *rows[1:]])
    assert faults(run_dir) == [("D/0", "not_in_ledger")]


@pytest.mark.parametrize(("left", "item"), [(slice(0, 3), "#3"), (slice(1, 4), "#0")])
def test_an_answer_that_was_taken_out_of_the_table_is_seen_unless_the_run_is_at_work(run, left, item):
    run_dir, rows = run
    list_responses(run_dir, rows[left])
    assert faults(run_dir) == [(item, "not_in_ledger")]
    ledger = Ledger(run_dir / "ledger.sqlite")
    ledger.set_state("running")
    ledger.close()
    assert faults(run_dir) == []


def test_an_answer_that_was_added_to_the_table_is_seen(run):
    run_dir, rows = run
    list_responses(run_dir, [*rows, (9, rows[0][1])])
    assert faults(run_dir) == [("D/9", "not_in_ledger")]


def test_an_answer_without_a_trail_is_a_fault_where_others_have_one(run):
    run_dir, rows = run
    ledger = Ledger(run_dir / "ledger.sqlite")
    ledger.record(KIND, [Result(3, b"x", "truncated", b'{"status": "truncated"}')], replace=True)
    ledger.close()
    list_responses(run_dir, [*rows[:3], (3, [])])
    assert faults(run_dir) == [("D/3", "no_trail")]


def test_without_its_ledger_nothing_is_said_of_a_run(run):
    run_dir, _ = run
    (run_dir / "ledger.sqlite").unlink()
    with pytest.raises(InputError, match="no ledger"):
        audit_run(run_dir)


@pytest.mark.parametrize("item", [None, "D/1"])
def test_a_run_that_is_at_work_or_was_killed_has_its_trails_only_later(run, item):
    run_dir, rows = run
    (run_dir / "responses" / "part-0.parquet").unlink()
    ledger = Ledger(run_dir / "ledger.sqlite")
    ledger.set_state("running")
    ledger.close()
    with pytest.raises(InputError, match="medbench resume"):
        list(trails_of(run_dir, item))
    list_responses(run_dir, rows)
    assert list(trails_of(run_dir, item))
