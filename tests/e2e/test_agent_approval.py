"""A person at the terminal decides what a rule leaves to people, in a real run under a pseudo-terminal."""

from __future__ import annotations

import fcntl
import getpass
import json
import subprocess
import termios
import time
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from conftest import REPOSITORY
from support.command import COMMAND, environment, medbench, medbench_json
from support.scripted import scripted_endpoint
from support.terminal import PseudoTerminal

PAGE = (REPOSITORY / "docs" / "how-to" / "governance.md").read_text("utf-8")
ASKS = "Infuse the potassium faster."
QUESTIONS = {"asks-1": f"{ASKS} How?", "asks-2": f"Please: {ASKS}", "plain": "What is potassium?"}
WAITED_S = 2.0


@pytest.fixture
def run(tmp_path):
    """The arguments of a run with the rule of the how-to page, whose file says `approver: terminal`."""
    (tmp_path / "ward.toml").write_text(PAGE.split("```toml\n")[1].split("```")[0], "utf-8")
    rows = ({"id": name, "dataset": "MedTreat", "question": text, "language": "en"} for name, text in QUESTIONS.items())
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with scripted_endpoint(lambda body: "Ask the pharmacist.") as (url, requests):
        (tmp_path / "agent.yaml").write_text(
            f"backbone: {{model: 'openai:scripted', base_url: '{url}'}}\nsteps: {{plan: false, critique: false}}\n"
            "policies: [ward.toml]\napprover: terminal\n",
            "utf-8",
        )
        arguments = ("run", "--items", tmp_path / "items.jsonl", "--model", f"agent:{tmp_path / 'agent.yaml'}")
        yield (*arguments, "--out", tmp_path / "run"), requests


@contextmanager
def at_terminal(*arguments: object):
    """The command in a session of its own whose terminal is the test's; stdout is a pipe."""
    terminal = PseudoTerminal()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=terminal.inner,
        stderr=terminal.inner,
        stdout=subprocess.PIPE,
        env=environment(TERM="xterm"),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        yield terminal, process
    finally:
        process.kill()
        process.communicate()
        terminal.close()


def test_what_a_person_decides_is_done_told_and_no_time_of_the_model(run, tmp_path):
    arguments, requests = run
    with at_terminal(*arguments, "--json") as (terminal, process):
        terminal.wait_for("y/n:")
        before = terminal.shown
        ends = time.monotonic() + WAITED_S
        while time.monotonic() < ends:
            terminal.read()
        assert terminal.shown == before, "nothing is written over the question"
        assert len(requests) == 1, "who needs no person goes on meanwhile"
        terminal.type("y\n")
        terminal.wait_for("y/n:", 2)
        terminal.type("n\n")
        ends = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < ends:
            terminal.read()
        done = json.loads(process.stdout.read())
    assert (process.returncode, done["by_status"]) == (0, {"ok": 3})
    first, second = terminal.shown.split("A PERSON MUST DECIDE")[1:]
    for part in ("asks-1", ASKS, "ward.potassium_rate", "Ward rule 3.2 (2026)", "potassium … faster"):
        assert part in first
    assert "asks-2" in second
    assert "asks-2" not in first

    rows = {row["id"]: row for row in pq.read_table(tmp_path / "run" / "responses").to_pylist()}
    assert rows["asks-1"]["text"] == rows["plain"]["text"] == "Ask the pharmacist."
    assert "pharmacist checks the rate" in rows["asks-2"]["text"]
    assert all(row["latency_s"] < WAITED_S for row in rows.values())

    who = getpass.getuser()
    for item, said in (("asks-1", f"A person approved it: {who}."), ("asks-2", f"A person refused: {who}.")):
        assert said in medbench("agent", "audit", tmp_path / "run", "--item", f"MedTreat/{item}").stdout
    assert "approver terminal" in json.loads((tmp_path / "run" / "run.json").read_text())["model"]["revision"]
    medbench_json("agent", "trace", tmp_path / "run")
    page = (tmp_path / "run" / "traces.html").read_text("utf-8")
    for said in (f"A person approved it: {who}.", f"经人审核后拒绝：{who}。"):
        assert said in page


def test_a_run_that_waits_for_a_person_can_be_stopped_and_goes_on(run, tmp_path):
    arguments, _ = run
    with at_terminal(*arguments) as (terminal, process):
        terminal.wait_for("y/n:")
        terminal.type("\x03")
        ends = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < ends:
            terminal.read()
        assert process.returncode == 1
    with at_terminal("resume", tmp_path / "run", "--json") as (terminal, process):
        for number in (1, 2):
            terminal.wait_for("y/n:", number)
            terminal.type("\x04")
        done = json.loads(process.communicate(timeout=60)[0])
    assert (process.returncode, done["by_status"]) == (0, {"ok": 3})
    told = medbench("agent", "audit", tmp_path / "run", "--item", "MedTreat/asks-1").stdout
    assert "nobody was there" in told


def test_without_a_terminal_nothing_is_asked(run, tmp_path):
    arguments, requests = run
    done = medbench(*arguments)
    assert (done.returncode, requests, (tmp_path / "run").exists()) == (2, [], False)
    assert "agent.yaml:4:approver" in done.stderr
    assert "must both be a terminal" in done.stderr
