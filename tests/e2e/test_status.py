"""What `status` says before, during and after a run, and after its process died."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from support.command import COMMAND, environment, medbench, medbench_json, write_items
from support.endpoint import running_endpoint

FIELDS = {
    "run_dir", "items", "rows", "responses", "scored", "coverage", "score", "wall_s", "requests", "by_status",
}  # fmt: skip

COUNT = 1500  # most of a minute of asking: enough for what is looked at meanwhile, also on a slow machine


@pytest.fixture
def running(tmp_path):
    """A run that is under way."""
    items = write_items(tmp_path / "items.jsonl", COUNT)
    with running_endpoint(latency_ms=100) as endpoint:
        process = subprocess.Popen(
            [*COMMAND, "run", "--items", str(items), "--model", "openai:m", "--base-url", endpoint.url, "--out",
             str(tmp_path / "run"), "--orders", "first", "--concurrency", "4"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while endpoint.totals()["requests"] < 40:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process, tmp_path / "run", endpoint
        process.kill()
        process.communicate()


def test_during_after_a_kill_and_at_the_end(running):
    process, run_dir, endpoint = running
    for _ in range(3):
        during = medbench_json("status", run_dir)
        assert set(during) >= FIELDS
        assert (during["state"], during["items"], during["rows"]) == ("running", COUNT, COUNT)
        assert 0 < during["responses"] < COUNT
        assert during["score"] is during["scored"] is during["coverage"] is during["wall_s"] is None
    process.terminate()
    _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Interrupted" in error
    stopped = medbench_json("status", run_dir)
    assert stopped["state"] == "stopped"
    assert stopped["by_status"] == {"ok": stopped["responses"]}
    early = medbench_json("report", run_dir)
    assert (early["complete"], early["rankable"]) == (False, False)
    assert early["coverage"] == pytest.approx(stopped["responses"] / COUNT)

    again = subprocess.Popen([*COMMAND, "resume", str(run_dir), "--concurrency", "4"], env=environment())
    before = endpoint.totals()["requests"]
    while endpoint.totals()["requests"] < before + 20:
        time.sleep(0.02)
    assert medbench_json("status", run_dir)["state"] == "running"
    again.kill()
    again.wait()
    dead = medbench_json("status", run_dir)
    assert dead["state"] == "stopped"
    assert "resume" in dead["reason"]

    done = medbench_json("resume", run_dir, "--concurrency", 128)
    after = medbench_json("status", run_dir)
    assert set(done) >= FIELDS
    assert (after["state"], after["responses"], after["scored"], after["coverage"]) == ("scored", COUNT, COUNT, 1.0)
    assert after["score"] == done["score"]
    plain = medbench("status", run_dir)
    assert plain.stdout.startswith(f"scored: {COUNT:,} of {COUNT:,} responses")
    assert plain.stderr == ""


def test_scoring_again_gives_the_same_and_follows_mended_keys(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 10)
    with running_endpoint(text="A") as endpoint:
        first = medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", tmp_path / "run"),
            *("--orders", "first"),
        )
        figures = json.loads((tmp_path / "run" / "figures.json").read_text())
        again = medbench_json("score", tmp_path / "run")
        assert json.loads((tmp_path / "run" / "figures.json").read_text()) == figures
        assert {name: again[name] for name in ("score", "scored", "coverage", "responses")} == {
            name: first[name] for name in ("score", "scored", "coverage", "responses")
        }
        # A mended key changes no question: the run stands, its score follows, the fingerprint of the keys tells it.
        rows = [json.loads(line) for line in items.read_text().splitlines()]
        items.write_text("".join(json.dumps(row | {"answer": "A"}) + "\n" for row in rows))
        asked = endpoint.totals()["requests"]
        assert medbench_json("score", tmp_path / "run")["score"] == 100.0
        assert endpoint.totals()["requests"] == asked
    mended = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert mended["keys_fingerprint"] != figures["keys_fingerprint"]


def test_a_ledger_that_is_just_being_made_is_no_error(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 10)
    with running_endpoint(text="A") as endpoint:
        medbench_json(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", tmp_path / "run"),
        )
    ledger = tmp_path / "run" / "ledger.sqlite"
    ledger.unlink()
    for content in (None, b""):
        if content is not None:
            ledger.write_bytes(content)
        found = medbench_json("status", tmp_path / "run")
        assert (found["state"], found["responses"], found["rows"]) == ("planned", 0, 50)
