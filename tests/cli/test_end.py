"""What a run's end needs is loaded beside the asking, and never while the interpreter ends."""

from __future__ import annotations

import subprocess
import sys

from support.command import environment

START = """
import sys, time
from medbench.board import report
from medbench.cli.run import preparing_the_end

def slowly():
    time.sleep(0.5)
    print("loaded")

report.warm_up = slowly
watch = preparing_the_end(lambda progress: None)
"""


def ended(more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", START + more],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_process_waits_for_what_it_is_loading_and_loads_no_more():
    then = "import atexit; atexit.register(lambda: print('pyarrow.parquet' in sys.modules)); watch(None); sys.exit(2)"
    assert ended(then) == (2, "loaded\nFalse\n")


def test_without_an_end_under_way_all_of_it_is_loaded_once():
    then = "import threading; watch(None); [watch(None) for _ in range(3)]\n"
    then += "[t.join() for t in threading.enumerate() if t is not threading.current_thread()]\n"
    assert ended(then + "print('pyarrow.parquet' in sys.modules)") == (0, "loaded\nTrue\n")


def test_nothing_is_loaded_for_a_command_that_is_refused():
    assert ended("sys.exit(2)") == (2, "")
