"""The time that an item takes, without the time that a person takes over it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """The clock of one item in one variant; it stands still while a person is asked."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._timeout: asyncio.Timeout | None = None

    @property
    def seconds(self) -> float:
        """Since the item was taken up, without what people took."""
        return time.perf_counter() - self._began

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """As `asyncio.timeout`, by this clock; one at a time."""
        self._timeout = asyncio.timeout(seconds)
        return self._timeout

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The clock stands still while this is open."""
        began = time.perf_counter()
        timeout = self._timeout
        ends = timeout.when() if timeout else None
        if timeout and ends is not None:
            timeout.reschedule(None)
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self._began += took
            if timeout and ends is not None:
                timeout.reschedule(ends + took)
