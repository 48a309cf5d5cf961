"""A terminal with nobody at it but the test: what is written to it is read, what is said is typed."""

from __future__ import annotations

import os
import pty
import select
import time


class PseudoTerminal:
    """Both ends of a pseudo-terminal.

    Attributes:
        inner: The end that a program takes for its terminal.
        shown: Everything that was written to it so far.
    """

    def __init__(self) -> None:
        self._outer, self.inner = pty.openpty()
        self.shown = ""

    def wait_for(self, text: str, times: int = 1, seconds: float = 60.0) -> None:
        """Read until a text stands there so often."""
        ends = time.monotonic() + seconds
        while self.shown.count(text) < times:
            assert time.monotonic() < ends, f"no {text!r}:\n{self.shown}"
            self.read()

    def read(self) -> None:
        """Read what was written within a tenth of a second."""
        if select.select([self._outer], [], [], 0.1)[0]:
            self.shown += os.read(self._outer, 65536).decode("utf-8", "replace")

    def type(self, keys: str) -> None:
        """Type; `\\x04` is the end of input, `\\x03` Ctrl-C."""
        os.write(self._outer, keys.encode())

    def close(self) -> None:
        """Hang up."""
        os.close(self._outer)
        os.close(self.inner)
