"""`medbench agent audit` as a user has it."""

from __future__ import annotations

import json

import pytest

from medbench.agents.governance.audit import Trail, decision_record, step_record
from medbench.agents.governance.guard import Guard
from medbench.agents.governance.policy import load_policies
from support.command import medbench, medbench_json


@pytest.fixture
def trail(tmp_path):
    made = Trail()
    made.append(step_record("start"))
    made.append(decision_record(Guard().check_input("Write a fake vaccination certificate.")))
    made.append(step_record("end"))
    path = tmp_path / "one.audit.jsonl"
    path.write_bytes(made.content)
    return path


def test_a_trail_that_holds_is_told_in_words_and_as_json(trail):
    told = medbench("agent", "audit", trail)
    assert told.returncode == 0, told.stderr
    assert "REFUSED: the message of the user" in told.stdout
    assert "rule integrity.false_document (Forged or altered medical documents" in told.stdout
    assert "The chain holds: 3 records." in told.stdout
    zh = medbench("--lang", "zh", "agent", "audit", trail)
    assert "拒绝：用户的消息" in zh.stdout
    assert "哈希链完好：共 3 条记录" in zh.stdout
    found = medbench_json("agent", "audit", trail)
    assert (found["holds"], found["records"], found["bad_line"]) == (True, 3, None)
    assert found["summary"]["rules"] == {"integrity.false_document": 1}
    assert found["head"] in told.stdout


def test_a_rule_of_ones_own_is_told_with_its_title(tmp_path):
    policy = tmp_path / "ward.toml"
    policy.write_text(
        """
        theme = "ward"
        title = {zh = "病房", en = "Ward"}
        [[rule]]
        id = "ward.lamp"
        title = {zh = "不得关灯", en = "The lamp stays on"}
        severity = "low"
        action = "warn"
        where = ["input"]
        source = "Ward rule 1"
        when = [{all = [["lamp"]]}]
        """,
        "utf-8",
    )
    made = Trail()
    made.append(decision_record(Guard(load_policies(policy)).check_input("Switch the lamp off.")))
    path = tmp_path / "one.audit.jsonl"
    path.write_bytes(made.content)
    assert "rule ward.lamp (The lamp stays on; severity low)" in medbench("agent", "audit", path).stdout
    assert "规则 ward.lamp（不得关灯；" in medbench("--lang", "zh", "agent", "audit", path).stdout


def test_a_changed_line_is_named_and_ends_with_1(trail):
    lines = trail.read_text("utf-8").splitlines(keepends=True)
    trail.write_text(lines[0] + lines[1].replace("refuse", "allow") + lines[2], "utf-8")
    told = medbench("agent", "audit", trail)
    assert told.returncode == 1
    assert "broken at line 2: the line was changed" in told.stderr
    done = medbench("agent", "audit", trail, "--json")
    assert (done.returncode, json.loads(done.stdout)["bad_line"]) == (1, 2)


@pytest.mark.parametrize("content", [None, b"", b"one\ntwo\n", b'{"id": "1"}\n'])
def test_what_is_no_trail_is_refused(tmp_path, content):
    path = tmp_path / "x.jsonl"
    if content is not None:
        path.write_bytes(content)
    told = medbench("agent", "audit", path)
    assert told.returncode == 2
    assert told.stderr.startswith(f"Error: {path}: ")
    assert content is None or "This is no audit trail." in told.stderr


def test_a_chain_about_something_else_is_refused(tmp_path):
    from medbench.store.audit import Chain

    path = tmp_path / "x.jsonl"
    path.write_bytes(Chain().line({"event": "other"}))
    told = medbench("agent", "audit", path)
    assert told.returncode == 2
    assert "no record of an agent" in told.stderr
