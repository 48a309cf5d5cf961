"""Work at the same time."""

from __future__ import annotations

import asyncio

import pytest

from medbench.tasks import together


async def _slow(ended: list[str], name: str) -> str:
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0)  # what is put in order at an end takes a turn of the loop
        ended.append(name)
    return name


async def _value(value: str) -> str:
    return value


def test_results_come_in_order():
    assert asyncio.run(together([_value("a"), _value("b")])) == ["a", "b"]


def test_where_one_fails_the_others_have_ended_before_its_error_is_raised():
    async def fails() -> str:
        raise ValueError("no")

    async def main() -> list[str]:
        ended: list[str] = []
        with pytest.raises(ValueError, match="no"):
            await together([_slow(ended, "a"), fails(), _slow(ended, "b")])
        return ended

    assert sorted(asyncio.run(main())) == ["a", "b"]


def test_where_it_is_cancelled_all_have_ended():
    async def main() -> list[str]:
        ended: list[str] = []
        both = asyncio.create_task(together([_slow(ended, "a"), _slow(ended, "b")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        both.cancel()
        await asyncio.gather(both, return_exceptions=True)
        return ended

    assert sorted(asyncio.run(main())) == ["a", "b"]
