from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from medbench.engine.ledger import Result
from medbench.engine.local import Stopped, dispatch, smoke


class Call(msgspec.Struct, frozen=True):
    seq: int

    @property
    def item(self) -> str:
        return str(self.seq)


class Kept:
    """As much of a recorder and of a progress as dispatching takes."""

    in_flight = limit = 0

    def __init__(self):
        self.seqs = []

    def add(self, result):
        self.seqs.append(result.seq)

    def completed(self, result):
        pass

    def flush(self):
        pass

    flush_if_due = flush


@pytest.mark.parametrize("reduced", [1, 4, 16])
def test_a_limit_cut_while_all_are_in_flight_loses_no_call(reduced):
    """Answers that arrive in one turn of the loop must not send the whole crew home while calls are left."""
    meter = SimpleNamespace(concurrency=SimpleNamespace(limit=20), waiting=0)
    arrived = asyncio.Event()

    class Handler:
        kind = "ask"
        asked = 0

        async def perform(self, call):
            self.asked += 1
            if self.asked == 20:
                meter.concurrency.limit = reduced
                arrived.set()
            await arrived.wait()
            await asyncio.sleep(0)
            return Result(seq=call.seq, key=b"", status="ok", body=b"")

    kept = Kept()
    calls = iter([Call(seq) for seq in range(60)])
    asyncio.run(asyncio.wait_for(dispatch(calls, Handler(), kept, kept, meter, asyncio.Event()), 10))
    assert sorted(kept.seqs) == list(range(60))


def test_the_first_items_asked_are_shown_as_in_flight():
    kept = Kept()
    shown = []

    class Handler:
        kind = "ask"

        async def perform(self, call):
            shown.append((kept.in_flight, kept.limit))
            return Result(seq=call.seq, key=b"", status="ok", body=b"")

    asyncio.run(smoke([Call(seq) for seq in range(3)], Handler(), kept, kept, asyncio.Event()))
    assert shown == [(3, 3)] * 3
    assert kept.seqs == [0, 1, 2]


@pytest.mark.parametrize(("error_class", "blamed"), [("submitter", True), ("retryable", True), ("ours", False)])
def test_where_all_fail_the_endpoint_is_blamed_only_for_what_it_did(error_class, blamed):
    class Handler:
        kind = "ask"

        async def perform(self, call):
            return Result(call.seq, b"", "failed", b"", error_class, "environment_failed")

    meter = SimpleNamespace(concurrency=SimpleNamespace(limit=4), waiting=0)
    kept = Kept()
    with pytest.raises(Stopped) as first:
        asyncio.run(smoke([Call(seq) for seq in range(3)], Handler(), kept, kept, asyncio.Event()))
    calls = iter([Call(seq) for seq in range(60)])
    with pytest.raises(Stopped) as later:
        asyncio.run(dispatch(calls, Handler(), kept, kept, meter, asyncio.Event()))
    assert ("the model name and the key" in str(first.value), "endpoint" in str(later.value)) == (blamed, blamed)
    assert all(("no fault of the model" in str(each.value)) != blamed for each in (first, later))
