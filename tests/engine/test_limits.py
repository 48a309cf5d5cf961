from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from medbench.engine.limits import AUTO_MAXIMUM, START, Bucket, Concurrency


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def busy_round(concurrency: Concurrency) -> None:
    async def go() -> None:
        held = concurrency.limit
        for _ in range(held):
            await concurrency.acquire()
        for _ in range(held):
            concurrency.succeeded()
            concurrency.release()

    asyncio.run(go())


def test_auto_doubles_per_busy_clean_round_until_the_first_429():
    concurrency = Concurrency()
    assert concurrency.limit == START
    busy_round(concurrency)
    busy_round(concurrency)
    assert concurrency.limit == 4 * START
    concurrency.throttled()
    assert concurrency.limit == int(4 * START * 0.8)
    before = concurrency.limit
    busy_round(concurrency)
    assert before < concurrency.limit <= before * 1.05 + 1


def test_an_idle_round_does_not_grow():
    concurrency = Concurrency()
    for _ in range(100):
        concurrency.succeeded()
    assert concurrency.limit == START


def test_cuts_at_most_once_per_fifteen_seconds_and_never_below_one():
    clock = Clock()
    concurrency = Concurrency(fixed=10, clock=clock)
    for _ in range(5):
        concurrency.throttled()
    assert concurrency.limit == 8
    for _ in range(100):
        clock.now += 15.0
        concurrency.throttled()
    assert concurrency.limit == 1


def test_grows_no_further_than_its_maximum():
    concurrency = Concurrency(fixed=4)
    for _ in range(5):
        busy_round(concurrency)
    assert concurrency.limit == 4
    automatic = Concurrency()
    for _ in range(20):
        busy_round(automatic)
    assert automatic.limit == AUTO_MAXIMUM


def test_slots_bound_what_is_in_flight_and_survive_cancellation():
    async def go() -> int:
        concurrency = Concurrency(fixed=3)
        most = 0

        async def work() -> None:
            nonlocal most
            await concurrency.acquire()
            try:
                most = max(most, concurrency.in_flight)
                await asyncio.sleep(0.001)
            finally:
                concurrency.release()

        tasks = [asyncio.create_task(work()) for _ in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert concurrency.in_flight == 0
        return most

    assert asyncio.run(go()) == 3


@given(st.integers(6, 60_000), st.lists(st.floats(0.1, 50.0), min_size=1, max_size=50))
def test_bucket_never_lets_more_through_than_its_rate(per_minute, amounts):
    clock = Clock()
    bucket = Bucket(per_minute, clock=clock)
    burst = max(1.0, per_minute / 10)
    used = 0.0
    for amount in amounts:
        clock.now += bucket.take(amount)
        used += amount
        assert used <= burst + clock.now * per_minute / 60 + 1e-6
