from __future__ import annotations

import asyncio
import random

import pytest

from medbench.engine.cache import ResponseCache
from medbench.engine.limits import Limits
from medbench.engine.meter import Meter, RetryPolicy, uncached
from medbench.engine.progress import Progress
from medbench.models.model import CallError, Completion, Identity, Usage

FAST = RetryPolicy(attempts=4, base_s=0.001, cap_s=0.002)


def scripted(*outcomes):
    remaining = list(outcomes)

    async def send(_request: bytes) -> Completion:
        outcome = remaining.pop(0)
        if isinstance(outcome, CallError):
            raise outcome
        return outcome

    return send


def call(meter: Meter, send, request: bytes = b"{}"):
    return asyncio.run(meter.call(request, send, output_limit=10, variant=0, attachments=()))


def ok(text: str = "A") -> Completion:
    return Completion(status="ok", text=text, usage=Usage(input_tokens=3, output_tokens=1))


def test_retryable_errors_are_tried_again_and_counted():
    progress = Progress(1)
    meter = Meter(Limits(concurrency=2), progress, retry=FAST)
    completion, attempts, cached = call(meter, scripted(CallError("retryable", "http_500"), ok()))
    assert (completion.text, attempts, cached) == ("A", 2, False)
    assert progress.retries == {"http_500": 1}


def test_gives_up_after_the_last_attempt_and_says_how_many():
    meter = Meter(Limits(concurrency=2), Progress(1), retry=FAST)
    with pytest.raises(CallError) as caught:
        call(meter, scripted(*[CallError("retryable", "timeout")] * 9))
    assert (caught.value.code, caught.value.attempts) == ("timeout", 4)


def test_the_submitters_errors_are_not_tried_again():
    meter = Meter(Limits(concurrency=2), Progress(1), retry=FAST)
    with pytest.raises(CallError) as caught:
        call(meter, scripted(CallError("submitter", "http_401"), ok()))
    assert caught.value.attempts == 1


def test_retry_after_is_a_lower_bound_of_the_delay():
    error = CallError("retryable", "http_429", retry_after_s=7.5)
    chance = random.Random(1)
    assert all(RetryPolicy().delay_s(1, error, chance) >= 7.5 for _ in range(100))
    plain = CallError("retryable", "http_500")
    delays = [RetryPolicy(base_s=1.0, cap_s=4.0).delay_s(9, plain, chance) for _ in range(500)]
    assert 0.0 <= min(delays) < 0.5
    assert 3.5 < max(delays) <= 4.0


def test_an_endless_retry_after_fails_the_call():
    meter = Meter(Limits(concurrency=2), Progress(1), retry=FAST)
    with pytest.raises(CallError):
        call(meter, scripted(CallError("retryable", "http_429", retry_after_s=86_400.0, throttled=True), ok()))


def test_the_cache_answers_the_same_request_to_the_same_model_only(tmp_path):
    identity = Identity(spec="openai:m", name="m", revision="1")
    cache = ResponseCache(tmp_path / "cache.sqlite", identity)
    meter = Meter(Limits(concurrency=2), Progress(1), cache=cache, retry=FAST)
    assert call(meter, scripted(ok("B")))[1:] == (1, False)
    completion, attempts, cached = call(meter, scripted())
    assert (completion.text, attempts, cached) == ("B", 0, True)
    with uncached():
        assert call(meter, scripted(ok("C")))[0].text == "C"
    assert call(meter, scripted())[0].text == "B"
    cache.close()
    newer = ResponseCache(tmp_path / "cache.sqlite", Identity(spec="openai:m", name="m", revision="2"))
    meter = Meter(Limits(concurrency=2), Progress(1), cache=newer, retry=FAST)
    assert call(meter, scripted(ok("C")))[0].text == "C"


def test_what_is_cut_or_blocked_is_not_cached(tmp_path):
    cache = ResponseCache(tmp_path / "cache.sqlite", Identity(spec="openai:m", name="m"))
    meter = Meter(Limits(concurrency=2), Progress(1), cache=cache, retry=FAST)
    call(meter, scripted(Completion(status="truncated", text="A")))
    assert call(meter, scripted(ok("B")))[0].text == "B"
