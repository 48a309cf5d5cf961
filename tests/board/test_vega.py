"""The process that draws."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from medbench.board.report.vega import Renderer

POINT = {"data": {"values": [{"a": "中文 <script>"}]}, "mark": "text", "encoding": {"text": {"field": "a"}}}


@pytest.fixture
def renderer():
    made = Renderer()
    yield made
    made.close()


def test_wrong_specs_are_told_and_do_not_end_it(renderer):
    with pytest.raises(RuntimeError, match="conversion failed"):
        renderer.draw({"mark": 5})
    svg = renderer.draw(POINT)
    assert "中文 &lt;script&gt;" in svg
    assert renderer.draw(POINT) == svg


def test_ctrl_c_is_left_to_the_parent(renderer):
    renderer.draw(POINT)
    os.kill(renderer._process.pid, signal.SIGINT)
    assert renderer.draw(POINT).startswith("<svg")


def test_a_drawing_process_that_died_is_an_error(renderer):
    renderer._process.kill()
    renderer._process.wait()
    with pytest.raises(RuntimeError, match="ended"):
        renderer.draw(POINT)


def test_it_ends_with_a_parent_that_was_killed():
    script = (
        "from medbench.board.report.vega import Renderer; r = Renderer();"
        "r.draw({'mark': 'point', 'data': {'values': []}});"
        "print(r._process.pid, flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(10)
    assert not child.is_running()
