"""`terminal`: the person at the terminal that the run was started from."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
import termios
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from medbench.agents.checked import shortened
from medbench.agents.governance.approval import FIELD, Verdict
from medbench.agents.governance.audit import hit_line
from medbench.agents.governance.guard import Decision
from medbench.engine.progress import off_screen
from medbench.errors import InputError, Problem
from medbench.items.model import Question
from medbench.text import current_language, harmless, say

LONGEST_TASK = 600
"""Characters of the task that are shown."""
LONGEST_SHOWN = 8000
"""Characters of what is to be decided that are shown. What has more can only be refused: nobody has seen it all."""
_FRAME, _FRAME_COLUMNS = "│ ", 3
_USUAL_WIDTH = 80


class Terminal:
    """Asks on stderr and reads stdin, one question at a time; progress is off the screen meanwhile.

    Raises:
        InputError: There is no terminal.
    """

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InputError(Problem(message=say("agent.no_terminal"), field=FIELD))
        self._turn = asyncio.Lock()

    async def decide(self, decision: Decision, question: Question) -> Verdict:
        """Ask until the answer is y or n; the end of input counts as `nobody`."""
        whole = len(decision.original) <= LONGEST_SHOWN
        asked = say("agent.ask_yes_no" if whole else "agent.ask_no", item=_name(question), shown=LONGEST_SHOWN)
        async with self._turn:
            with off_screen():
                _show(_told(decision, question))
                while True:
                    # What was typed before the question stood there answers another one.
                    termios.tcflush(sys.stdin, termios.TCIFLUSH)
                    _show(asked, end=" ")
                    match await _typed():
                        case "":
                            _show("")
                            return Verdict("nobody")
                        case "y\n" | "Y\n" if whole:
                            return Verdict("approved", _login())
                        case "n\n" | "N\n":
                            return Verdict("refused", _login())


def _told(decision: Decision, question: Question) -> str:
    """What is to be decided, and why a person is asked."""
    lines = [
        say("agent.ask_title", item=_name(question)),
        say("agent.ask_task", text=_framed(shortened(question.text, LONGEST_TASK))),
        say(f"agent.ask_{decision.place}", text=_framed(decision.original[:LONGEST_SHOWN])),
        say("agent.ask_why"),
        *(hit_line(msgspec.to_builtins(hit), current_language()) for hit in decision.hits),
    ]
    return "\n".join(lines)


def _name(question: Question) -> str:
    return " ".join(question.uid.split())


def _framed(text: str) -> str:
    """A quoted text behind a mark at every row of the screen, without runs of blank ones.

    An answer may hold a question of its own, as if that were ours.
    """
    rows = [row for line in harmless(text).expandtabs(4).splitlines() for row in _rows(line, _width() - _FRAME_COLUMNS)]
    kept = [row for before, row in pairwise(["", *rows]) if before.strip() or row.strip()]
    return "\n".join(_FRAME + row for row in kept)


def _rows(line: str, columns: int) -> Iterator[str]:
    """A line as the screen has it. Signs that may be two columns wide count as two."""
    start = taken = 0
    for place, sign in enumerate(line):
        width = 2 if unicodedata.east_asian_width(sign) in "WFA" else 1
        if taken + width > columns:
            yield line[start:place]
            start, taken = place, 0
        taken += width
    yield line[start:]


def _width() -> int:
    return max(os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_WIDTH, 20)


def _show(text: str, end: str = "\n") -> None:
    sys.stderr.write(harmless(text) + end)
    sys.stderr.flush()


async def _typed() -> str:
    """The next line that is typed, with its end; empty: the input is at its end.

    The event loop reads it: a thread that waits for a line could not be stopped with the run.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()
    terminal = sys.stdin.fileno()
    pieces: list[bytes] = []

    def take() -> None:
        try:
            pieces.append(os.read(terminal, 4096))
        except OSError:  # the terminal was hung up
            pieces.append(b"")
        if (not pieces[-1] or pieces[-1].endswith(b"\n")) and not line.done():
            line.set_result(b"".join(pieces))

    loop.add_reader(terminal, take)
    try:
        return (await line).decode("utf-8", "replace")
    finally:
        loop.remove_reader(terminal)


def _login() -> str:
    """Of the user that this process belongs to; variables of the environment can say anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that knows no names
        return f"uid {os.getuid()}"
