"""A tool that blocks its thread holds up neither the run nor other tools, and no exit of the program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from medbench.agents.checked import CheckedTool
from medbench.agents.orchestration.apart import Apart, apart
from medbench.agents.orchestration.events import ToolUsed
from medbench.agents.tools.calculator import calculator
from medbench.models.tools import ToolError, ToolSpec
from support.agents import Backbone, Bench, calls, of, question
from support.command import environment


class Blocking:
    """Blocks its thread, as `time.sleep` and `requests.get` do."""

    def __init__(self, name="blocking", asked=None, timeout_s=0.2):
        self.timeout_s = timeout_s
        self.spec = ToolSpec(name, "Blocks.", {})
        self._asked = asked or threading.Event()

    async def call(self, arguments):
        self._asked.wait(20)
        return threading.current_thread().name


def wait_for_end(name):
    deadline = time.monotonic() + 20
    while name in {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_tool_that_blocks_ends_in_its_time_and_the_item_is_answered(tmp_path):
    asked = threading.Event()
    other = threading.Event()
    other.set()
    turns = iter([calls(("blocking", "{}"), ("other", "{}"))])
    backbone = Backbone(lambda messages, tools: next(turns, "B") if tools else "B")
    bench = Bench(tmp_path, backbone, tools=[Blocking(asked=asked), Blocking("other", other, 20)])
    began = time.monotonic()
    response, trace = bench.ask(question())
    took = time.monotonic() - began
    asked.set()
    assert (response.status, response.text) == ("ok", "B")
    assert [(use.tool, use.error, use.result) for use in of(trace, ToolUsed)] == [
        ("blocking", "timeout", "ERROR timeout: no result within 0.2 s"),
        ("other", "", "tool other"),
    ]
    assert took < 10


def test_its_next_call_waits_behind_the_one_that_blocks_and_is_answered_after_it():
    asked = threading.Event()
    tool = CheckedTool(Apart(Blocking(asked=asked)), [], seconds=2)

    async def twice():
        found = []
        for _ in range(2):
            try:
                found.append(await tool.call({}))
            except ToolError as error:
                found.append(error.code)
            asked.set()
        return found

    assert asyncio.run(twice()) == ["timeout", "tool blocking"]


@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt])
def test_what_ends_a_program_ends_neither_it_nor_the_tool(leaving):
    class Leaving(Blocking):
        async def call(self, arguments):
            if arguments:
                raise leaving
            return "here"

    made = Apart(Leaving("leaving"))
    tool = CheckedTool(made, [])

    async def three():
        found = []
        for arguments in ({}, {"leave": True}, {}):
            try:
                found.append(await tool.call(arguments))
            except ToolError as error:
                found.append((error.code, error.detail))
        return found

    assert asyncio.run(three()) == ["here", ("tool_failed", leaving.__name__), "here"]
    made.close()
    wait_for_end("tool leaving")


def test_a_tool_that_stops_its_own_loop_is_called_again_and_closed():
    class Stopping(Blocking):
        async def call(self, arguments):
            asyncio.get_running_loop().stop()
            return "here"

    made = Apart(Stopping("stopping"))

    async def twice():
        found = []
        for _ in range(2):
            found.append(await made.call({}))
            await asyncio.to_thread(wait_for_end, "tool stopping")
        return found

    assert asyncio.run(asyncio.wait_for(twice(), 20)) == ["here", "here"]
    made.close()


def test_a_tool_of_the_question_at_hand_stays_in_the_loop_of_the_run():
    tool = calculator({})
    assert apart(tool) is tool


def test_the_program_ends_though_a_tool_hangs():
    script = """
import asyncio, sys, time
from medbench.agents.checked import CheckedTool
from medbench.agents.orchestration.apart import Apart
from medbench.models.tools import ToolError, ToolSpec

class Hanging:
    spec = ToolSpec("hanging", "Hangs.", {})
    async def call(self, arguments):
        time.sleep(3600)

async def main():
    try:
        await CheckedTool(Apart(Hanging()), [], seconds=0.2).call({})
    except ToolError as error:
        print(error.code)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "timeout\n", "")
