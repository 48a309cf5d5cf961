"""Work that goes on at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def together(several: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them at the same time; where one fails, the others are stopped and its error is raised."""
    tasks = [asyncio.ensure_future(each) for each in several]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
