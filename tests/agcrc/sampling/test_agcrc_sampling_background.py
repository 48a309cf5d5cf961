from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from agcrc.errors import InputError, Problem, WorkError
from agcrc.sampling import BackgroundCentres, SamplingCase, make_sampler

PATCH = (16, 16, 16)
NAMES = ["b", "a", "c"]


def test_background_gives_the_same_centres_in_the_same_order(tube: SamplingCase) -> None:
    sampler = make_sampler("guided", PATCH, seed=1)
    expected = [
        [(name, sampler.centres(replace(tube, name=name), 3, epoch).tobytes()) for name in NAMES] for epoch in range(4)
    ]
    found = []
    with BackgroundCentres(
        make_sampler("guided", PATCH, seed=1), lambda name: replace(tube, name=name), count=3
    ) as centres:
        centres.prepare(0, NAMES)
        for epoch in range(4):
            centres.prepare(epoch + 1, NAMES)  # before the current one is taken: they still come in order
            found.append([(name, places.tobytes()) for name, places in centres.take(epoch).items()])
    assert found == expected


def test_prepare_does_not_wait(tube: SamplingCase) -> None:
    gate = threading.Event()

    def load(name: str) -> SamplingCase:
        assert gate.wait(20)
        return replace(tube, name=name)

    with BackgroundCentres(make_sampler("uniform", PATCH, seed=1), load, count=2) as centres:
        centres.prepare(0, NAMES)
        gate.set()
        assert list(centres.take(0)) == NAMES


def test_errors_reach_the_one_who_waits(tube: SamplingCase) -> None:
    def load(name: str) -> SamplingCase:
        if name == "a":
            raise InputError(Problem("Case a is gone.", "Prepare it again."))
        return replace(tube, name=name)

    with BackgroundCentres(make_sampler("uniform", PATCH, seed=1), load, count=2) as centres:
        centres.prepare(0, NAMES)
        with pytest.raises(InputError, match="Case a is gone"):
            centres.take(0)
        with pytest.raises(WorkError, match="epoch 1 were not prepared"):
            centres.take(1)


def test_closing_drops_what_has_not_begun(tube: SamplingCase) -> None:
    loaded: list[str] = []
    begun, gate = threading.Event(), threading.Event()

    def load(name: str) -> SamplingCase:
        loaded.append(name)
        begun.set()
        assert gate.wait(20)
        return replace(tube, name=name)

    centres = BackgroundCentres(make_sampler("uniform", PATCH, seed=1), load, count=2)
    centres.prepare(0, NAMES)
    assert begun.wait(20)
    closing = threading.Thread(target=centres.close)
    closing.start()
    # The first case is held at the gate until closing has cancelled the others.
    while not centres._pool._shutdown:
        pass
    gate.set()
    closing.join(20)
    assert not closing.is_alive()
    assert loaded[0] == "b"
    assert len(loaded) <= 2
