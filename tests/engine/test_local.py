from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from medbench.engine.budget import BudgetReached
from medbench.engine.ledger import Result
from medbench.engine.local import FAILURES_IN_A_ROW, Stopped, dispatch, smoke


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


def dispatched(fails, *, count: int, earlier=None, concurrency: int = 4):
    """Calls of which `fails(call, place)` says which fail: those kept, the order asked, the error."""
    meter = SimpleNamespace(concurrency=SimpleNamespace(limit=concurrency), waiting=0)
    order = []

    class Handler:
        kind = "ask"

        async def perform(self, call):
            order.append(call.seq)
            failed = fails(call.seq, len(order))
            await asyncio.sleep(0)
            return Result(seq=call.seq, key=b"", status="failed" if failed else "ok", body=b"", error_code="http_500")

    kept = Kept()
    calls = iter([Call(seq) for seq in range(count)])
    error = None
    try:
        asyncio.run(dispatch(calls, Handler(), kept, kept, meter, asyncio.Event(), lambda: earlier))
    except Stopped as stopped:
        error = stopped.code
    return sorted(kept.seqs), order, error


def test_items_that_keep_failing_at_the_end_are_no_dead_endpoint():
    kept, order, error = dispatched(lambda seq, _: seq >= 50, count=150)
    assert (kept, error) == (list(range(150)), None)
    again = [seq for seq in order if seq < 50]
    assert 1 <= len(again) - len(set(again)) <= 5, "one of those that succeeded, after each twenty failures"


def test_an_endpoint_that_dies_leaves_no_failure_behind():
    kept, order, error = dispatched(lambda seq, place: place > 60, count=150)
    assert error == "endpoint"
    assert kept == list(range(60))
    assert len(order) < 60 + FAILURES_IN_A_ROW + 2 * 4 + 4


def test_without_any_success_the_earlier_session_has_to_prove_it():
    assert dispatched(lambda seq, _: seq < 30, count=30)[2] == "endpoint"
    kept, order, error = dispatched(lambda seq, _: seq < 30, count=30, earlier=Call(99))
    assert (kept, error) == (list(range(30)), None)
    assert order.count(99) == 1
    assert dispatched(lambda seq, _: True, count=30, earlier=Call(99))[2] == "endpoint"


def smoked(fails, earlier=None):
    class Handler:
        kind = "ask"

        async def perform(self, call):
            status = "failed" if fails(call.seq) else "ok"
            return Result(seq=call.seq, key=b"", status=status, body=b"", error_code="http_500")

    kept = Kept()
    calls = [Call(seq) for seq in range(3)]
    return asyncio.run(smoke(calls, Handler(), kept, kept, asyncio.Event(), lambda: earlier)), kept.seqs


def test_first_items_that_all_fail_stop_a_run_unless_what_succeeded_still_does():
    with pytest.raises(Stopped, match="first 3 items"):
        smoked(lambda seq: True)
    with pytest.raises(Stopped, match="first 3 items"):
        smoked(lambda seq: True, earlier=Call(99))
    again, kept = smoked(lambda seq: seq != 99, earlier=Call(99))
    assert ([call.seq for call in again], kept) == ([0, 1, 2], [])


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


def test_what_never_reached_the_endpoint_proves_nothing():
    """An item without its media is settled without a request; then the endpoint dies."""
    meter = SimpleNamespace(concurrency=SimpleNamespace(limit=4), waiting=0)

    class Handler:
        kind = "ask"

        async def perform(self, call):
            await asyncio.sleep(0)
            if call.seq == 0:
                return Result(call.seq, b"", "media_missing", b"", "ours", "absent")
            return Result(call.seq, b"", "failed", b"", "retryable", "timeout", requests=6)

    class Settled(Handler):
        async def perform(self, call):
            found = await super().perform(call)
            return Result(call.seq, b"", "ok", b"") if call.seq == 0 else found

    for handler in (Handler(), Settled()):
        kept = Kept()
        with pytest.raises(Stopped, match="seems to be down"):
            asyncio.run(dispatch(iter(map(Call, range(60))), handler, kept, kept, meter, asyncio.Event()))
        assert kept.seqs == [0]


def test_a_success_that_comes_while_the_proof_fails_is_a_proof_as_well():
    meter = SimpleNamespace(concurrency=SimpleNamespace(limit=4), waiting=0)

    class Handler:
        kind = "ask"
        proofs = 0

        def __init__(self):
            self.proving = asyncio.Event()

        async def perform(self, call):
            failed = call.seq not in (0, 1)
            if call.seq == 0 and self.proofs < 0:
                self.proving.set()
                await asyncio.sleep(0.05)
                failed = True
            if call.seq == 0:
                self.proofs -= 1
            if call.seq == 1:
                await self.proving.wait()
            await asyncio.sleep(0)
            return Result(call.seq, b"", "failed" if failed else "ok", b"", "retryable" if failed else None, "timeout")

    kept = Kept()

    async def main():
        await dispatch(iter(map(Call, range(22))), Handler(), kept, kept, meter, asyncio.Event())

    asyncio.run(main())
    assert sorted(kept.seqs) == list(range(22))


def test_a_budget_that_ends_the_first_items_leaves_none_of_them_at_work():
    ended = []

    class Handler:
        kind = "ask"

        async def perform(self, call):
            if call.seq == 0:
                raise BudgetReached
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(call.seq)

    async def main():
        with pytest.raises(Stopped) as stopped:
            await smoke([Call(seq) for seq in range(3)], Handler(), Kept(), Kept(), asyncio.Event())
        return stopped.value.code, sorted(ended)

    assert asyncio.run(main()) == ("budget", [1, 2])
