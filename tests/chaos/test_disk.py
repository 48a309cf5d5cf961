"""Disks that are full, folders that can't be written, files that are damaged, locked or gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import COMMAND, environment, medbench, medbench_json, write_items
from support.endpoint import running_endpoint


@pytest.fixture
def endpoint():
    with running_endpoint(latency_ms=5) as running:
        yield running


def arguments(items: Path, endpoint, out: Path, *more: object) -> tuple[object, ...]:
    return ("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", out, *more)


def told(done, code: int, *words: str) -> None:
    """It ended with this code, one message and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error:") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert "Exception ignored" not in done.stderr


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own with so little room; skips where mounting is not permitted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_keeps_what_was_acknowledged(tmp_path):
    count = 1_500
    items = write_items(tmp_path / "items.jsonl", count)
    with small_disk(tmp_path / "disk", "700k") as disk, running_endpoint(text="A" * 400) as endpoint:
        full = medbench(*arguments(items, endpoint, disk / "run", "--orders", "first", "--concurrency", 8))
        told(full, 1, "disk", "ull")
        kept = medbench_json("status", disk / "run")
        assert 0 < kept["responses"] < count
        assert kept["state"] == "stopped"
        assert endpoint.totals()["requests"] <= kept["responses"] + 2 * 8
        still_full = medbench("resume", disk / "run", "--concurrency", 8)
        told(still_full, 1)
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        done = medbench_json("resume", disk / "run", "--concurrency", 8)
        assert (done["responses"], done["by_status"]) == (count, {"ok": count})
        assert endpoint.totals()["requests"] <= count + 4 * 8
        assert not list((disk / "run").glob(".*.new"))


@pytest.mark.parametrize("limit", [20_000, 150_000])
def test_files_that_may_not_grow_end_the_run_in_order(tmp_path, endpoint, limit):
    """Works where nothing may be mounted: a limit on the size of a file strikes ledger, columns or report."""
    items = write_items(tmp_path / "items.jsonl", 300)
    run_dir = tmp_path / "run"

    def limited(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, command)],
            capture_output=True,
            text=True,
            env=environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            timeout=60,
            check=False,
        )

    stopped = limited(*arguments(items, endpoint, run_dir, "--orders", "first", "--concurrency", 8))
    told(stopped, 1)
    assert medbench_json("resume", run_dir)["by_status"] == {"ok": 300}
    assert endpoint.totals()["requests"] <= 300 + 2 * 8
    assert not list(run_dir.glob(".*.new")) + list(run_dir.glob(".*.html.*"))


def test_a_run_folder_that_can_not_be_made_or_written(tmp_path, endpoint):
    items = write_items(tmp_path / "items.jsonl", 4)
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for out in (taken, taken / "below"):
        told(medbench(*arguments(items, endpoint, out)), 2, "can't be written", "--out")
    assert taken.read_text() == "a file"
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        told(medbench(*arguments(items, endpoint, disk / "run")), 2, "can't be written")
        told(medbench(*arguments(items, endpoint, disk)), 2, "can't be written")
    assert endpoint.totals()["requests"] == 0


@pytest.fixture
def finished(tmp_path, endpoint) -> Path:
    items = write_items(tmp_path / "items.jsonl", 10)
    medbench_json(*arguments(items, endpoint, tmp_path / "run", "--orders", "first"))
    endpoint.reset()
    return tmp_path / "run"


def test_a_locked_ledger_is_told_and_nothing_is_lost(finished, endpoint):
    held = sqlite3.connect(finished / "ledger.sqlite", isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    held.execute("DELETE FROM result WHERE seq > 4")
    told(medbench("resume", finished), 1, "locked by another process")
    assert endpoint.totals()["requests"] == 0
    assert medbench_json("status", finished)["responses"] == 10
    held.execute("COMMIT")
    held.close()
    assert medbench_json("resume", finished)["responses"] == 10
    assert endpoint.totals()["requests"] == 5


@pytest.mark.parametrize("damage", ["text", "zeros", "cut", "newer", "gone"])
def test_a_damaged_ledger(finished, endpoint, damage):
    ledger = finished / "ledger.sqlite"
    content = ledger.read_bytes()
    if damage == "text":
        ledger.write_bytes(b"this is no database " * 400)
    elif damage == "zeros":
        ledger.write_bytes(content[:4096] + b"\0" * (len(content) - 4096))
    elif damage == "cut":
        ledger.write_bytes(content[: len(content) // 2])
    elif damage == "newer":
        with sqlite3.connect(ledger) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        ledger.unlink()
        # All answers are gone: they are asked again, none is made up.
        assert medbench_json("resume", finished)["responses"] == 10
        assert endpoint.totals()["requests"] == 10
        return
    before = ledger.read_bytes()
    for command in ("resume", "status", "score"):
        told(medbench(command, finished), 1, "ledger.sqlite")
    assert ledger.read_bytes()[100:] == before[100:]
    assert endpoint.totals()["requests"] == 0


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format": 1}', "\u0000", '{"items": 3}', '{"a":' + "[" * 50_000],
    ids=lambda content: repr(content[:12]),
)
def test_a_damaged_run_file(tmp_path, content):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "run.json").write_text(content)
    for command in (("resume", run_dir), ("report", run_dir)):
        told(medbench(*command), 2, "run.json")
    assert [path.name for path in run_dir.iterdir()] == ["run.json"]


def test_items_that_are_gone_or_moved(finished, tmp_path, endpoint):
    items = tmp_path / "items.jsonl"
    moved = items.rename(tmp_path / "moved.jsonl")
    for command in ("resume", "score"):
        told(medbench(command, finished), 2, "items.jsonl")
    # The report needs the figures only.
    assert medbench("report", finished).returncode == 0
    other = write_items(tmp_path / "other.jsonl", 11)
    told(medbench("resume", finished, "--items", other), 2, "not those that the run began with")
    assert json.loads((finished / "run.json").read_text())["items"] == str(items)
    assert medbench_json("resume", finished, "--items", moved)["responses"] == 10
    assert json.loads((finished / "run.json").read_text())["items"] == str(moved)
    assert endpoint.totals()["requests"] == 0


def test_a_folder_that_goes_while_the_run_writes(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 3_000)
    run_dir = tmp_path / "run"
    with running_endpoint(latency_ms=50) as endpoint:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments(items, endpoint, run_dir, "--orders", "first", "--concurrency", 8))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while endpoint.totals()["requests"] < 50:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        shutil.rmtree(run_dir)
        out, error = process.communicate(timeout=30)
        assert process.returncode == 1, error
        assert "moved or deleted" in error
        assert "Traceback" not in error
        assert out == ""
        assert endpoint.totals()["requests"] < 1_500, "asking went on for nobody"
    assert not run_dir.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(tmp_path, number):
    """The first one waits for nothing either, so the second has to strike while it closes: send both together."""
    items = write_items(tmp_path / "items.jsonl", 800)
    run_dir = tmp_path / "run"
    with running_endpoint(latency_ms=200) as endpoint:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments(items, endpoint, run_dir, "--orders", "first", "--concurrency", 16))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while endpoint.totals()["requests"] < 60:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        time.sleep(0.05)
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
        assert process.returncode in (1, -number)
        assert "Traceback" not in error
        assert out == ""
        if process.returncode == 1:
            assert "nterrupted" in error
        assert medbench_json("status", run_dir)["state"] == "stopped"
        endpoint.reset()
        done = medbench_json("resume", run_dir, "--concurrency", 256)
        assert done["responses"] == 800


def test_the_lock_of_a_dead_process_holds_nobody_up(finished):
    (finished / ".lock").write_text("left behind")
    assert medbench_json("score", finished)["responses"] == 10
    with (finished / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told(medbench("score", finished), 2, "in use by another medbench process")
    assert os.path.lexists(finished / "run.json")
