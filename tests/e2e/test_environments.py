"""Items in environments through the command line: asked over an endpoint, graded on state, limited, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import util
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.command import COMMAND, environment, medbench, medbench_json
from support.endpoint import running_endpoint
from support.pages import install
from support.solved import rows_of, scripts_of, turns_of

LIMITED = ("--max-turns", 6)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    made = medbench_json("environment", "items", "--out", folder)
    assert made["counts"] == {"SyntheticEHR": 18, "SyntheticSQL": 31, "SyntheticConsultation": 6}
    return folder


def run(world, endpoint, out, *more: object) -> tuple[object, ...]:
    return (
        *("run", "--items", world / "items.jsonl", "--catalog", world / "datasets"),
        *("--model", "openai:m", "--base-url", endpoint.url, "--out", out, *more),
    )


def agent_file(folder, endpoint) -> Path:
    """A guarded agent on an endpoint."""
    file = folder / "agent.yaml"
    file.write_text(f"backbone: {{model: 'openai:m', base_url: '{endpoint.url}'}}\nsteps: {{plan: false}}\n")
    return file


def scores(out) -> list[dict[str, object]]:
    return pq.read_table(out / "scores").to_pylist()


def responses(out) -> list[dict[str, object]]:
    return pq.read_table(out / "responses").to_pylist()


def kept(out, reference) -> object:
    return json.loads((out / "artifacts" / reference).read_bytes())


def one_item(world, tmp_path, identifier: str, **changes: object) -> Path:
    """A folder like the world with a single item."""
    for path in world.rglob("*.json*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "datasets").symlink_to(world / "datasets")
    (row,) = (row for row in rows_of(world) if row["id"] == identifier)
    (tmp_path / "items.jsonl").write_text(json.dumps({**row, **changes}) + "\n")
    return tmp_path


def test_a_model_that_solves_everything_gets_everything_in_every_epoch(world, tmp_path):
    out = tmp_path / "run"
    with running_endpoint(scripts=scripts_of(world)) as endpoint:
        done = medbench_json(*run(world, endpoint, out, "--epochs", 2))
    wrong = [(row["uid"], row["status"], row["reason"], row["details"]) for row in scores(out) if row["value"] != 1]
    assert wrong == []
    assert (done["score"], done["coverage"], done["by_error"]) == (100.0, 1.0, {})
    summary = medbench_json("report", out)
    assert summary["repeats"]["pass_all_k"]["value"] == 100.0
    row = responses(out)[0]
    (snapshot,) = json.loads(row["artifacts"])
    assert kept(out, snapshot)["environment"] == "ehr"
    trace = kept(out, row["trace"])
    assert [message["role"] for message in trace[:3]] == ["user", "assistant", "tool"]
    told = medbench("--lang", "en", "agent", "trace", out)
    assert (told.returncode, "no traces" in told.stderr) == (2, True), told.stderr
    page = (out / "report.html").read_text("utf-8")
    assert "share of the unanswerable questions that were declined" in page
    assert "不可回答问题中拒答的比例" in page


def test_the_reference_agent_works_in_environments_under_its_guard(world, tmp_path):
    out = tmp_path / "run"
    with running_endpoint(scripts=scripts_of(world)) as endpoint:
        where = ("--items", world / "items.jsonl", "--catalog", world / "datasets")
        done = medbench_json("run", *where, "--model", f"agent:{agent_file(tmp_path, endpoint)}", "--out", out)
    wrong = [(row["uid"], row["status"], row["reason"], row["details"]) for row in scores(out) if row["value"] != 1]
    assert wrong == []
    assert (done["coverage"], done["by_error"]) == (1.0, {})
    row = responses(out)[0]
    snapshot, trail = json.loads(row["artifacts"])
    assert "environment" in kept(out, snapshot)
    assert "audit" in trail
    assert kept(out, row["trace"])["agent"] == "agent"


def test_acts_nobody_asked_for_wrong_rows_and_guesses_are_wrong(world, tmp_path):
    scripts = []
    for row in rows_of(world):
        turns = turns_of(row)
        kind = row["meta"]["environment"]
        if kind == "ehr":
            done = next((turn for turn in turns if turn["calls"][0][0].startswith("post_")), None)
            turns = [done, *turns] if done else [{"calls": [["finish", {"answer": ["nobody"]}]]}]
        elif kind == "sql" and "tables" in row["answer"]:
            first = row["answer"]["tables"][0]
            values = ", ".join(f"({', '.join(map(repr, cells))})" for cells in first) or "(NULL)"
            turns = [{"calls": [["answer", {"sql": f"VALUES {values}"}]]}]
        elif kind == "sql":
            turns = [{"calls": [["answer", {"sql": "SELECT 0"}]]}]
        else:
            turns = [{"calls": [["diagnose", {"diagnosis": "Gout or appendicitis or 贫血"}]]}]
        scripts.append({"begins": row["question"], "turns": turns})
    out = tmp_path / "run"
    with running_endpoint(scripts=scripts) as endpoint:
        done = medbench_json(*run(world, endpoint, out))
    right = {row["uid"] for row in scores(out) if row["value"] == 1}
    assert {row["status"] for row in scores(out)} == {"scored"}
    # Rows that were read off the first database are right on the second only where both happen to give the same.
    same = {
        f"SyntheticSQL/{row['id']}"
        for row in rows_of(world)
        if "tables" in row["answer"] and _sorted(row["answer"]["tables"][0]) == _sorted(row["answer"]["tables"][1])
    }
    assert right == same
    assert len(same) <= 2
    assert done["coverage"] == 1.0


def test_a_model_that_never_ends_is_stopped_by_its_limit_and_a_resume_keeps_to_it(world, tmp_path):
    items = one_item(world, tmp_path, "find-01")
    out = tmp_path / "run"
    turns = [{"calls": [["get_patient", {"name": "nobody"}]]}]
    with running_endpoint(scripts=[{"begins": "", "turns": turns}]) as endpoint:
        done = medbench_json(*run(items, endpoint, out, *LIMITED))
        assert endpoint.totals()["requests"] == 6
        again = medbench_json("resume", out)
    assert (done["by_status"], done["by_error"], done["score"]) == ({"truncated": 1}, {"turn_limit": 1}, 0.0)
    assert again["by_error"] == {"turn_limit": 1}
    pins = json.loads((out / "run.json").read_text())
    assert pins["item_limits"] == {"turns": 6, "tokens": None, "seconds": None, "cost": None}
    (row,) = scores(out)
    assert (row["status"], row["value"], row["reason"]) == ("scored", 0.0, "turn_limit")


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("turn_limit", ("--max-turns", 20)),
        ("token_limit", ("--max-item-tokens", 4000)),
        ("time_limit", ("--max-item-seconds", 1.2)),
        ("cost_limit", ("--max-item-cost", 0.01, "--price-input", 5, "--price-output", 5)),
    ],
)
def test_an_agent_that_a_limit_ends_leaves_its_trail_and_its_trace(world, tmp_path, code, limit):
    items = one_item(world, tmp_path, "find-01")
    out = tmp_path / "run"
    turns = [{"calls": [["get_patient", {"name": f"nobody {number}"}]]} for number in range(60)]
    with running_endpoint(scripts=[{"begins": "", "turns": turns}], latency_ms=60) as endpoint:
        where = ("--items", items / "items.jsonl", "--catalog", world / "datasets")
        done = medbench_json("run", *where, "--model", f"agent:{agent_file(tmp_path, endpoint)}", "--out", out, *limit)
    assert (done["by_status"], done["by_error"]) == ({"truncated": 1}, {code: 1})
    (row,) = responses(out)
    snapshot, _ = json.loads(row["artifacts"])
    assert kept(out, snapshot)["environment"] == "ehr"
    (trail,) = medbench_json("agent", "audit", out, "--item", row["uid"])["trails"]
    events = kept(out, row["trace"])["events"]
    asked = [event for event in events if event["event"] == "Called"]
    used = [event for event in events if event["event"] == "ToolUsed"]
    assert trail["holds"]
    assert len(used) == trail["summary"]["calls"]["ok"] > 1
    assert row["attempts"] in (len(asked), len(asked) + 1)
    assert (events[-1]["event"], events[-1]["step"], events[-1]["why"]) == ("Skipped", "answer", code)
    assert medbench("agent", "trace", out).returncode == 0


def test_a_dead_endpoint_is_no_zero_of_the_model(world, tmp_path):
    where = ("--items", world / "items.jsonl", "--catalog", world / "datasets", "--max-item-seconds", 1)
    asked = ("--model", "openai:m", "--base-url", "http://127.0.0.1:9/v1", "--out", tmp_path / "run")
    done = medbench("run", *where, *asked)
    assert (done.returncode, "time_limit" in done.stderr) == (1, True)
    summary = medbench_json("report", tmp_path / "run")
    assert (summary["headline"], summary["answered"]) == (None, 0)


def test_what_was_done_before_the_limit_counts(world, tmp_path):
    items = one_item(world, tmp_path, "record-05")
    (row,) = rows_of(items)
    act = next(turn for turn in turns_of(row) if turn["calls"][0][0].startswith("post_"))
    look = {"calls": [["get_patient", {"name": "nobody"}]]}
    out = tmp_path / "run"
    with running_endpoint(scripts=[{"begins": "", "turns": [act, look]}]) as endpoint:
        done = medbench_json(*run(items, endpoint, out, *LIMITED))
    assert (done["by_error"], done["score"]) == ({"turn_limit": 1}, 100.0)


def test_wrong_limits_are_refused_before_anything_is_asked(world, tmp_path):
    with running_endpoint() as endpoint:
        done = medbench(*run(world, endpoint, tmp_path / "run", "--max-item-cost", 1))
        assert endpoint.totals()["requests"] == 0
    assert (done.returncode, (tmp_path / "run").exists()) == (2, False)
    assert "--price-input" in done.stderr
    none = one_item(world, tmp_path, "find-01", meta={"environment": "ward"})
    with running_endpoint() as endpoint:
        done = medbench(*run(none, endpoint, tmp_path / "run"))
    assert done.returncode == 2
    assert "ward" in done.stderr


def test_an_environment_that_can_not_be_made_is_our_fault_and_lowers_the_coverage(world, tmp_path):
    items = one_item(world, tmp_path, "find-01")
    good = json.loads((items / "items.jsonl").read_text())
    (items / "bad.jsonl").write_text("no record\n")
    rows = [good | {"id": f"good-{number}"} for number in range(3)]
    rows.append(good | {"id": "bad", "media": ["bad.jsonl", "functions.json"]})
    (items / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "run"
    with running_endpoint(scripts=[{"begins": "", "turns": turns_of(good)}]) as endpoint:
        done = medbench_json(*run(items, endpoint, out))
    found = {row["id"]: (row["status"], row["reason"], row["value"]) for row in _named(scores(out))}
    assert found["bad"] == ("excluded", "environment_failed", None)
    assert found["good-2"] == ("scored", "", 1.0)
    assert (done["coverage"], done["scored"]) == (0.75, 3)


def test_data_that_are_missing_are_all_told_before_anything_is_asked(world, tmp_path):
    items = one_item(world, tmp_path, "find-01")
    good = json.loads((items / "items.jsonl").read_text())
    (items / "empty.json").write_text("")
    rows = [good | {"id": f"gone-{number}", "media": ["gone.jsonl", "empty.json"]} for number in range(2)]
    rows += [good, good | {"id": "other", "meta": {"environment": "ward"}, "media": ["gone.jsonl"]}]
    (items / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with running_endpoint() as endpoint:
        done = medbench(*run(items, endpoint, tmp_path / "run"))
        assert endpoint.totals()["requests"] == 0
    assert (done.returncode, (tmp_path / "run").exists()) == (2, False)
    lines = done.stderr.splitlines()
    place = f"Error: {items / 'items.jsonl'}:media: "
    assert sum(line.startswith(place) for line in lines) == 2
    assert any("gone.jsonl is not there" in line and "environment of 3 items" in line for line in lines)
    assert any("empty.json" in line and "environment of 2 items" in line for line in lines)
    assert any("ward" in line for line in lines)
    # States that somebody else left are graded without the data.
    (tmp_path / "state.json").write_text("{}")
    answers = ({"dataset": row["dataset"], "id": row["id"], "answer": "", "files": ["state.json"]} for row in rows[:3])
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    (items / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:3]))
    where = ("--items", items / "items.jsonl", "--catalog", world / "datasets", "--out", tmp_path / "graded")
    assert medbench("run", *where, "--model", f"answers:{tmp_path / 'answers.jsonl'}").returncode == 0


def _sorted(table):
    return sorted(map(str, table))


def _named(rows):
    return [row | {"id": str(row["uid"]).rpartition("/")[2]} for row in rows]


def test_a_run_killed_in_the_middle_of_an_item_pays_each_turn_once(world, tmp_path):
    items = one_item(world, tmp_path, "find-01")
    (row,) = rows_of(items)
    look = [{"calls": [["get_patient", {"name": f"nobody {number}"}]]} for number in range(8)]
    out, cache = tmp_path / "run", tmp_path / "cache.sqlite"
    with running_endpoint(scripts=[{"begins": "", "turns": look + turns_of(row)}], latency_ms=600) as endpoint:
        line = [*COMMAND, *map(str, run(items, endpoint, out, "--cache", cache))]
        with subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while endpoint.totals()["requests"] < 5:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        assert medbench_json("status", out)["responses"] == 0
        done = medbench_json("resume", out)
        asked = endpoint.totals()["requests"]
    assert done["score"] == 100.0
    # Ten turns; the one in flight when it was killed may have been asked twice.
    assert asked in (10, 11)
    (response,) = responses(out)
    assert response["attempts"] <= asked - 4
    assert len(kept(out, response["trace"])) == 21


@pytest.mark.parametrize("cache", [True, False])
def test_an_agents_run_killed_again_and_again_leaves_one_answer_with_trail_and_trace_for_each_item(
    world, tmp_path, cache
):
    out = tmp_path / "run"
    identifiers = [row["id"] for row in rows_of(world)]
    kept_files = ("--cache", tmp_path / "cache.sqlite") if cache else ()
    where = ("--items", world / "items.jsonl", "--catalog", world / "datasets", "--concurrency", 4)
    with running_endpoint(scripts=scripts_of(world), latency_ms=80) as endpoint:
        asked = ("--model", f"agent:{agent_file(tmp_path, endpoint)}", "--out", out)
        commands = [("run", *where, *asked, *kept_files), ("resume", out), ("resume", out)]
        for number, command in enumerate(commands, start=1):
            line = [*COMMAND, *map(str, command)]
            before = endpoint.totals()["requests"]
            with subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
                while endpoint.totals()["requests"] < before + 20 and run.poll() is None:
                    time.sleep(0.02)
                run.send_signal(signal.SIGKILL)
            assert run.returncode == -signal.SIGKILL, f"{number} ended by itself"
        held = medbench_json("status", out)["responses"]
        assert 0 < held < len(identifiers)
        done = medbench_json("resume", out)
    assert (done["by_status"], done["score"]) == ({"ok": len(identifiers)}, 100.0)
    rows = responses(out)
    assert sorted(str(row["uid"]).rpartition("/")[2] for row in rows) == sorted(identifiers)
    for row in rows:
        snapshot, trail = json.loads(row["artifacts"])
        assert "environment" in kept(out, snapshot)
        assert trail.endswith(".audit.jsonl")
        trace = kept(out, row["trace"])
        assert (trace["question"], trace["events"][-1]["event"]) == (row["uid"], "Answered")
    audit = medbench_json("agent", "audit", out)
    assert (audit["holds"], audit["trails"], audit["holding"]) == (True, len(identifiers), len(identifiers))


def test_an_environment_of_another_package_is_one_file_and_one_registration(world, tmp_path):
    site = tmp_path / "site"
    install(site, "environments.md", "medbench.environments")
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    assert {"name": "lamp", "built_in": False} in medbench_json("environment", "list", PYTHONPATH=path)["environments"]
    folder = tmp_path / "items"
    folder.mkdir()
    items = one_item(
        world, folder, "find-01", meta={"environment": "lamp"}, media=[], answer={"answer": ["True"]}, language="en"
    )
    turns = [{"calls": [["switch", {"on": "yes"}]]}, {"calls": [["switch", {"on": True}]]}]
    with running_endpoint(scripts=[{"begins": "", "turns": turns}]) as endpoint:
        done = medbench_json(*run(items, endpoint, tmp_path / "run"), PYTHONPATH=path)
    assert done["score"] == 100.0


@pytest.mark.skipif(util.find_spec("mcp") is None, reason="the extra `agents` is not installed")
def test_an_agent_over_mcp_is_graded_by_what_it_left(world, tmp_path):
    left = tmp_path / "left"
    client = Path(__file__).parents[1] / "support" / "mcp_agent.py"
    uids = []
    for row in rows_of(world)[::18]:
        uid = f"{row['dataset']}/{row['id']}"
        uids.append(uid)
        calls = [call for turn in turns_of(row) for call in turn["calls"]]
        late = calls[0]
        serve = ["environment", "serve", "--items", world / "items.jsonl", "--catalog", world / "datasets"]
        line = [*COMMAND, *map(str, serve), "--item", uid, "--out", str(left)]
        told = subprocess.run(
            [sys.executable, client],
            input=json.dumps({"command": line, "calls": [*calls, late]}),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=120,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        said = json.loads(told.stdout)
        assert row["question"] in said["prompt"]
        assert calls[-1][0] in said["tools"]
        assert json.loads(said["results"][-1]) == {"error": "over"}
    again = medbench(*serve, "--item", uids[0], "--out", left)
    assert again.returncode == 2
    assert "--variant" in again.stderr
    rows = [row for row in rows_of(world) if f"{row['dataset']}/{row['id']}" in uids]
    (world / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = medbench_json(
        *("run", "--items", world / "some.jsonl", "--catalog", world / "datasets"),
        *("--model", f"answers:{left / 'answers.jsonl'}", "--out", tmp_path / "run"),
    )
    assert (done["items"], done["score"]) == (len(uids), 100.0)


def _serving(*arguments, **options):
    """A server to which a client without any SDK has said hello."""
    line = [*COMMAND, "environment", "serve", *map(str, arguments)]
    process = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), **options
    )
    client = {"name": "raw", "version": "1"}
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    assert _sent(process, "initialize", 0, **about)["instructions"]
    _send(process, "notifications/initialized")
    return process


def _send(process, method, number=None, **parameters):
    message = {"jsonrpc": "2.0", "method": method, "params": parameters}
    process.stdin.write(json.dumps(message if number is None else message | {"id": number}) + "\n")
    process.stdin.flush()


def _sent(process, method, number, **parameters):
    """Send a request; its result."""
    _send(process, method, number, **parameters)
    return json.loads(process.stdout.readline())["result"]


@pytest.mark.skipif(util.find_spec("mcp") is None, reason="the extra `agents` is not installed")
@pytest.mark.parametrize(("calls", "score"), [(0, 0.0), (1, 100.0)])
def test_a_server_that_is_killed_has_kept_what_its_agent_was_told(world, tmp_path, calls, score):
    items = one_item(world, tmp_path, "record-05")
    (row,) = rows_of(items)
    name, body = next(turn for turn in turns_of(row) if turn["calls"][0][0].startswith("post_"))["calls"][0]
    where = ("--items", items / "items.jsonl", "--catalog", items / "datasets")
    left = tmp_path / "left"
    assert medbench_json("environment", "pending", *where, "--out", left)["pending"] == ["SyntheticEHR/record-05"]
    served = (*where, "--item", "SyntheticEHR/record-05", "--out", left)
    with _serving(*served) as process:
        for number in range(calls):
            told = _sent(process, "tools/call", number + 1, name=name, arguments=body)
            assert "created" in told["content"][0]["text"]
        process.kill()
    assert medbench_json("environment", "pending", *where, "--out", left) == {"pending": [], "served": 1}
    again = medbench("environment", "serve", *served)
    assert (again.returncode, "--variant" in again.stderr) == (2, True)
    done = medbench_json("run", *where, "--model", f"answers:{left / 'answers.jsonl'}", "--out", tmp_path / "run")
    assert (done["coverage"], done["score"]) == (1.0, score)


@pytest.mark.skipif(util.find_spec("mcp") is None, reason="the extra `agents` is not installed")
def test_a_message_over_mcp_that_can_not_be_read_is_answered_with_an_error(world, tmp_path):
    def call(identifier, arguments: str) -> str:
        asked = (
            '{"jsonrpc": "2.0", "id": %s, "method": "tools/call", "params": {"name": "get_patient", "arguments": %s}}'
        )
        return asked % (json.dumps(identifier), arguments)

    client = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    lines = [
        json.dumps(hello),
        '{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        call(2, '{"name": "\\ud800"}'),
        call("deep", '{"name": ' + "[" * 5000 + "]" * 5000 + "}"),
        call(4, '{"name": ' + "9" * 6000 + "}"),
        call(5, '{"id": 1, "name": "\\ud800"}'),
        "{{{",
        call(7, '{"name": "nobody"}'),
        '{"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": []}',
        '{"jsonrpc": "1.0", "id": "nine", "method": "tools/list", "params": {"id": 1}}',
        '{"jsonrpc": "2.0", "id": 10, "result": 3}',
        '{"jsonrpc": "2.0", "id": 11, "method": "prompts/get", "params": {"name": "task"}}',
        '{"jsonrpc": "2.0", "id": 12, "method": "prompts/get", "params": {"name": "other"}}',
    ]
    serve = ("environment", "serve", "--items", world / "items.jsonl", "--catalog", world / "datasets")
    line = [*COMMAND, *map(str, serve), "--item", "SyntheticEHR/find-01", "--out", str(tmp_path / "left")]
    with subprocess.Popen(
        line, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        server.stdin.write("".join(f"{each}\n" for each in lines))
        server.stdin.flush()
        told = [json.loads(server.stdout.readline()) for _ in range(12)]
        server.stdin.close()
        server.wait(30)
    refused = [(each["id"], each["error"]["code"]) for each in told if "error" in each]
    unread = [2, "deep", 4, None, None, 8, "nine", None]
    # What can be read is answered beside them.
    assert [name for name, code in refused if code == -32700] == unread
    assert [name for name, code in refused if code != -32700] == [12]
    assert {each["id"] for each in told if "result" in each} == {1, 7, 11}


@pytest.mark.skipif(util.find_spec("mcp") is None, reason="the extra `agents` is not installed")
def test_an_agent_that_dies_while_a_tool_works_ends_its_server_with_a_word_on_what_it_left(world, tmp_path):
    where = ("--items", world / "items.jsonl", "--catalog", world / "datasets")
    left = tmp_path / "left"
    process = _serving(*where, "--item", "SyntheticConsultation/case-01", "--out", left, stderr=subprocess.PIPE)
    _sent(process, "tools/list", 1)
    (state,) = (left / "states").iterdir()
    process.stdout.close()
    _send(process, "tools/call", 2, name="ask_patient", arguments={"question": "What brings you here?"})
    while b"ask" not in state.read_bytes():
        time.sleep(0.02)
    time.sleep(0.5)  # the result has met the broken pipe before the server hears of the end
    process.stdin.close()
    told = process.stderr.read()
    assert process.wait(60) == 0, told
    assert told.count("\n") == 1, told
    assert f"delete its line from {left / 'answers.jsonl'}" in told


def test_what_is_pending_follows_the_selection_and_what_was_served(world, tmp_path):
    where = ("environment", "pending", "--items", world / "items.jsonl", "--catalog", world / "datasets")
    uids = [f"{row['dataset']}/{row['id']}" for row in rows_of(world)]
    left = tmp_path / "left"
    assert medbench_json(*where, "--out", left) == {"pending": uids, "served": 0}
    assert not left.exists()
    left.mkdir()
    answers = left / "answers.jsonl"
    answers.write_text('{"dataset": "SyntheticEHR", "id": "find-02", "answer": "", "files": ["states/a.json"]}\n')
    assert medbench_json(*where, "--out", left, "--limit", 3) == {"pending": [uids[0], uids[2]], "served": 1}
    assert medbench_json(*where, "--out", left, "--limit", 3, "--variant", 1)["pending"] == uids[:3]
    told = medbench(*where, "--out", left, "--dataset", "SyntheticConsultation")
    assert told.stdout.splitlines() == uids[-6:]
    none = medbench(*where, "--out", left, "--dataset", "MedExam")
    assert (none.returncode, "--items" in none.stderr, none.stdout) == (2, True, "")
    answers.write_text("no answer\n")
    broken = medbench(*where, "--out", left)
    assert (broken.returncode, str(answers) in broken.stderr) == (2, True)


def test_medagentbench_and_agentclinic_are_taken_as_far_as_they_go(shared, tmp_path):
    folder = shared / "data" / "agent"
    if not folder.exists():
        pytest.skip("no agents' data here")
    bank = tmp_path / "bank"
    records = medbench_json("items", "import", folder / "medagentbench", "--format", "medagentbench", "--into", bank)
    assert (records["items"], records["keys"], records["media"]["found"]) == (120, 120, 2)
    assert "180" in records["problems"][0]["message"]
    cases = folder / "agentclinic" / "agentclinic_medqa_extended.jsonl"
    clinic = medbench_json("items", "import", cases, "--format", "agentclinic", "--into", bank)
    assert (clinic["items"], clinic["keys"]) == (214, 214)
    nejm = medbench("items", "validate", folder / "agentclinic" / "agentclinic_nejm.jsonl", "--format", "agentclinic")
    assert nejm.returncode == 2
    assert "NEJM" in nejm.stderr
