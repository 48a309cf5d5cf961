from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time

from support.command import COMMAND, environment, medbench, medbench_json, write_items
from support.endpoint import running_endpoint

CONCURRENCY = 16
KILLS = 20


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )


def test_twenty_kills_lose_nothing_and_repeat_little(tmp_path):
    count = 5_000
    items = write_items(tmp_path / "items.jsonl", count)
    out = tmp_path / "run"
    chance = random.Random(7)
    with running_endpoint(latency_ms=40) as endpoint:
        first = ("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--orders", "first")
        kills = 0
        for attempt in range(KILLS):
            begun = (out / "run.json").exists()
            arguments = ("resume", out) if begun else (*first, "--out", out)
            process = start(*arguments, "--concurrency", CONCURRENCY)
            asked = endpoint.totals()["requests"]
            deadline = time.monotonic() + 30
            # Most kills come while it asks; the first ones also while it starts and plans.
            while attempt > 3 and endpoint.totals()["requests"] == asked and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.6))
            if process.poll() is None:
                kills += 1
                process.send_signal(signal.SIGKILL)
            process.wait()
        assert kills == KILLS, "the run ended before it was killed often enough: give it more items"
        done = medbench_json("resume", out, "--concurrency", CONCURRENCY)
        counts = endpoint.totals()
    assert done["responses"] == done["rows"] == count
    assert done["coverage"] == 1.0
    assert counts["distinct_prompts"] == count
    assert counts["requests"] - count <= 2 * CONCURRENCY * KILLS
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        assert ledger.execute("SELECT COUNT(*), COUNT(DISTINCT key) FROM result").fetchone() == (count, count)


def test_interrupting_keeps_what_came_back_and_resume_goes_on(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 400)
    out = tmp_path / "run"
    with running_endpoint(latency_ms=50) as endpoint:
        process = start(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--orders", "first"),
            *("--out", out, "--concurrency", 4),
        )
        while endpoint.totals()["requests"] < 40:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert process.returncode == 1
        assert b"resume" in error
        stopped = medbench_json("status", out)
        assert stopped["state"] == "stopped"
        assert 30 <= stopped["responses"] < 400
        assert medbench_json("resume", out)["responses"] == 400
        assert endpoint.totals()["requests"] <= 400 + 4


def test_a_second_process_on_the_same_run_is_refused(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 200)
    out = tmp_path / "run"
    with running_endpoint(latency_ms=100) as endpoint:
        process = start(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", out),
            *("--concurrency", 4),
        )
        while endpoint.totals()["requests"] < 4:
            time.sleep(0.02)
        second = medbench("resume", out)
        assert second.returncode == 2
        assert "in use by another medbench process" in second.stderr
        during = medbench_json("status", out)
        assert during["state"] == "running"
        assert {"items", "rows", "responses", "scored", "coverage", "score", "wall_s", "requests", "by_status"} <= set(
            during
        )
        process.kill()
        process.wait()
