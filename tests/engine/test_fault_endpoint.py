"""The endpoint that other tests lean on: each fault is what it says, as a plain aiohttp client sees it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import endpoint as endpoint_module
from support.endpoint import Endpoint, running_endpoint
from support.faults import Fault, Plan, PlanState, draw


@pytest.fixture(scope="module")
def shared_endpoint() -> Iterator[Endpoint]:
    with running_endpoint(text="The answer is B.") as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(shared_endpoint: Endpoint) -> Endpoint:
    shared_endpoint.plan()
    shared_endpoint.reset()
    return shared_endpoint


def body_of(prompt: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": prompt}]}


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def choice(self) -> Any:
        return self.json["choices"][0]


async def post(session: aiohttp.ClientSession, endpoint: Endpoint, prompt: str = "hello") -> Reply:
    async with session.post(f"{endpoint.url}/chat/completions", json=body_of(prompt)) as reply:
        return Reply(reply.status, dict(reply.headers), await reply.read())


def with_session(work: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, Any]], timeout: float = 10) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session:
            return await work(session)

    return asyncio.run(run())


def ask(endpoint: Endpoint, *prompts: str) -> list[Reply]:
    async def work(session: aiohttp.ClientSession) -> list[Reply]:
        return [await post(session, endpoint, prompt) for prompt in prompts]

    replies: list[Reply] = with_session(work)
    return replies


def test_plain_answer_and_counts(endpoint: Endpoint) -> None:
    first, second, third = ask(endpoint, "hello", "hello", "世界")
    assert first.status == 200
    assert first.headers["Content-Type"] == "application/json"
    assert first.choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "The answer is B."},
        "finish_reason": "stop",
    }
    assert first.json["model"] == "m"
    assert first.json["usage"] == {"prompt_tokens": 5, "completion_tokens": 16, "total_tokens": 21}
    assert first.body == second.body != third.body
    counts = endpoint.counts()
    assert counts["requests"] == 3
    assert counts["by_prompt"] == {
        hashlib.sha256(b"hello").hexdigest(): 2,
        hashlib.sha256("世界".encode()).hexdigest(): 1,
    }
    totals = endpoint.totals()
    assert totals["distinct_prompts"] == 2
    assert set(counts) - set(totals) == {"by_prompt"}
    assert counts["in_flight"] == 0
    assert counts["last_request"] == body_of("世界")
    assert "content-length" in counts["headers"]
    assert "authorization" not in counts["headers"]
    endpoint.reset()
    assert endpoint.counts()["requests"] == 0


def test_one_connection_is_kept_alive(endpoint: Endpoint) -> None:
    before = endpoint.counts()["connections"]
    ask(endpoint, *"abcdefgh")
    # One for the eight requests, one for reading the counts.
    assert endpoint.counts()["connections"] - before == 2


def test_models(endpoint: Endpoint) -> None:
    async def work(session: aiohttp.ClientSession) -> Any:
        async with session.get(f"{endpoint.url}/models") as reply:
            return await reply.json()

    assert with_session(work)["data"][0]["id"] == "bench"


def test_header_values_are_not_kept(endpoint: Endpoint) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": "Bearer canary"}
        async with session.post(f"{endpoint.url}/chat/completions", json=body_of("a"), headers=headers) as reply:
            await reply.read()

    with_session(work)
    counts = endpoint.counts()
    assert "authorization" in counts["headers"]
    assert "canary" not in json.dumps(counts)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_request_error"),
        (401, "invalid_api_key"),
        (404, "model_not_found"),
        (429, "rate_limit_exceeded"),
        (500, "internal_error"),
        (503, "service_unavailable"),
    ],
)
def test_http_errors(endpoint: Endpoint, status: int, code: str) -> None:
    endpoint.plan({"fault": "http", "status": status})
    (reply,) = ask(endpoint, "hello")
    assert reply.status == status
    assert reply.json["error"]["code"] == code
    assert "Retry-After" not in reply.headers


def test_blocked_by_a_content_filter_as_error(endpoint: Endpoint) -> None:
    endpoint.plan({"fault": "http", "status": 400, "code": "content_filter"})
    (reply,) = ask(endpoint, "hello")
    assert (reply.status, reply.json["error"]["code"]) == (400, "content_filter")


def test_retry_after(endpoint: Endpoint) -> None:
    limited: dict[str, object] = {"fault": "http", "status": 429, "retry_after_s": 0.5}
    endpoint.plan({**limited, "contains": "seconds"}, {**limited, "retry_after_form": "date", "retry_after_s": 3})
    seconds, date = ask(endpoint, "seconds", "date")
    assert seconds.headers["Retry-After"] == "0.5"
    assert 2 < parsedate_to_datetime(date.headers["Retry-After"]).timestamp() - time.time() <= 4


@pytest.mark.parametrize(
    ("fault", "text", "finish"),
    [
        ("null_content", None, "stop"),
        ("finish_length", "The answ", "length"),
        ("finish_content_filter", "", "content_filter"),
        ("tool_calls", None, "tool_calls"),
    ],
)
def test_answers_with_a_catch(endpoint: Endpoint, fault: str, text: str | None, finish: str) -> None:
    endpoint.plan({"fault": fault})
    (reply,) = ask(endpoint, "hello")
    assert reply.status == 200
    assert (reply.choice["message"]["content"], reply.choice["finish_reason"]) == (text, finish)
    assert ("tool_calls" in reply.choice["message"]) == (fault == "tool_calls")


def test_bodies_that_are_not_a_completion(endpoint: Endpoint) -> None:
    names = ("truncated_json", "invalid_json", "html", "empty_choices", "no_usage")
    endpoint.plan(*({"fault": name, "contains": name} for name in names))
    truncated, invalid, html, empty, no_usage = ask(endpoint, *names)
    assert {reply.status for reply in (truncated, invalid, html, empty, no_usage)} == {200}
    assert truncated.body.startswith(b'{"id":"chatcmpl-')
    for reply in (truncated, invalid):
        with pytest.raises(json.JSONDecodeError):
            reply.json  # noqa: B018
    assert html.headers["Content-Type"] == "text/html"
    assert empty.json["choices"] == []
    assert "usage" not in no_usage.json
    assert no_usage.choice["message"]["content"] == "The answer is B."


def test_hang_until_the_client_gives_up(endpoint: Endpoint) -> None:
    endpoint.plan({"fault": "hang"})
    with pytest.raises(TimeoutError):
        with_session(lambda session: post(session, endpoint), timeout=2)
    deadline = time.monotonic() + 5
    while endpoint.counts()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    counts = endpoint.counts()
    assert (counts["in_flight"], counts["max_in_flight"]) == (0, 1)


def test_resets(endpoint: Endpoint) -> None:
    endpoint.plan({"fault": "reset", "contains": "before"}, {"fault": "reset_mid_body", "contains": "middle"})
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        ask(endpoint, "before")

    async def middle(session: aiohttp.ClientSession) -> int:
        async with session.post(f"{endpoint.url}/chat/completions", json=body_of("middle")) as reply:
            with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
                await reply.read()
            return reply.status

    assert with_session(middle) == 200
    assert endpoint.counts()["in_flight"] == 0


def test_slow_body(endpoint: Endpoint) -> None:
    endpoint.plan({"fault": "slow_body", "duration_ms": 3000})

    async def timed(session: aiohttp.ClientSession) -> tuple[float, float, Any]:
        started = time.perf_counter()
        async with session.post(f"{endpoint.url}/chat/completions", json=body_of("a")) as reply:
            head = time.perf_counter() - started
            answer = await reply.json()
            return head, time.perf_counter() - started, answer

    head, whole, answer = with_session(timed)
    assert head < 1.5 < 2.5 < whole
    assert answer["choices"][0]["message"]["content"] == "The answer is B."


def test_huge_body_is_valid_streamed_and_unannounced(endpoint: Endpoint) -> None:
    endpoint.plan({"fault": "huge_body", "megabytes": 3.5})
    (reply,) = ask(endpoint, "a")
    assert "Content-Length" not in reply.headers
    assert len(reply.choice["message"]["content"]) == 3_500_000
    endpoint.plan({"fault": "huge_body", "megabytes": 100_000})

    async def leave_early(session: aiohttp.ClientSession) -> int:
        async with session.post(f"{endpoint.url}/chat/completions", json=body_of("a")) as reply:
            return len(await reply.content.readexactly(1_000_000))

    assert with_session(leave_early) == 1_000_000
    pages = int(Path(f"/proc/{endpoint.pid}/statm").read_text().split()[1])
    assert pages * os.sysconf("SC_PAGE_SIZE") < 150e6


def test_latency_and_what_is_in_flight() -> None:
    with running_endpoint(latency_ms=1000) as endpoint:
        endpoint.plan({"fault": "http", "status": 429, "above_in_flight": 8})

        async def together(session: aiohttp.ClientSession) -> list[Reply]:
            return await asyncio.gather(*(post(session, endpoint, str(number)) for number in range(20)))

        started = time.perf_counter()
        replies = with_session(together)
        assert 1.0 <= time.perf_counter() - started < 10
        assert sorted(reply.status for reply in replies) == [200] * 8 + [429] * 12
        assert endpoint.counts()["max_in_flight"] == 20


def test_ways_to_answer() -> None:
    with running_endpoint(echo=True, reasoning="hm") as endpoint:
        (reply,) = ask(endpoint, "say this 世界")
        assert reply.choice["message"] == {
            "role": "assistant",
            "content": "say this 世界",
            "reasoning_content": "hm",
        }
        assert reply.json["usage"]["completion_tokens"] == 13
    with running_endpoint(by_prompt={"问": "答"}) as endpoint:
        mapped, *letters = ask(endpoint, "问", *(str(number) for number in range(40)))
        assert mapped.choice["message"]["content"] == "答"
        assert {reply.choice["message"]["content"] for reply in letters} == set("ABCDE")


def test_content_in_parts(endpoint: Endpoint) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        content = [{"type": "text", "text": "hel"}, image, {"type": "text", "text": "lo"}]
        request = {"model": "m", "messages": [{"role": "user", "content": content}]}
        async with session.post(f"{endpoint.url}/chat/completions", json=request) as reply:
            assert reply.status == 200

    with_session(work)
    assert list(endpoint.counts()["by_prompt"]) == [hashlib.sha256(b"hello").hexdigest()]


def test_bad_requests_and_bad_plans_are_told_so(endpoint: Endpoint) -> None:
    async def status(session: aiohttp.ClientSession, path: str, data: object) -> int:
        async with session.post(endpoint.root + path, data=data) as reply:
            return reply.status

    async def chunks() -> Any:
        yield b"{}"

    async def work(session: aiohttp.ClientSession) -> list[int]:
        return [
            await status(session, "/v1/chat/completions", b"{"),
            await status(session, "/_plan", b'{"faults": [{"fault": "flood"}]}'),
            await status(session, "/v1/embeddings", b"{}"),
            await status(session, "/v1/chat/completions", chunks()),
        ]

    assert with_session(work) == [400, 400, 404, 411]
    assert endpoint.counts()["in_flight"] == 0


def test_as_a_script_with_a_plan(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"faults": [{"fault": "http", "status": 503, "ordinals": [2]}]}', encoding="utf-8")
    command = [sys.executable, str(endpoint_module.__file__), "--port", "0", "--plan", str(plan)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        endpoint = Endpoint(json.loads(process.stdout.readline())["port"], process.pid)
        assert [reply.status for reply in ask(endpoint, "a", "a", "a")] == [200, 503, 200]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_the_endpoint_ends_with_the_block() -> None:
    with running_endpoint() as endpoint:
        pid = endpoint.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_endpoint_ends_with_a_killed_owner() -> None:
    code = "import support.endpoint as s\nwith s.running_endpoint() as e:\n print(e.pid, flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": str(Path(str(endpoint_module.__file__)).parents[1])}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    deadline = time.monotonic() + 5
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(pid)


def running(pid: int) -> bool:
    try:
        # An orphan stays as a zombie where nothing reaps it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def digest_of(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode()).digest()


def test_choice_by_tries_ordinals_and_order() -> None:
    state = PlanState(
        Plan((Fault("hang", ordinals=frozenset({1})), Fault("reset", first_tries=2), Fault("html", contains="x")))
    )
    asked = ["a", "a", "a", "b", "ax", "ax", "ax"]
    chosen = [state.choose(prompt, digest_of(prompt), 1) for prompt in asked]
    names = [fault.fault if fault else None for fault in chosen]
    assert names == ["hang", "reset", None, "reset", "reset", "reset", "html"]


@given(st.integers(0, 2**32), st.lists(st.text(min_size=1), min_size=2, max_size=20, unique=True), st.randoms())
def test_chance_does_not_depend_on_the_order_of_arrival(seed: int, prompts: list[str], random: Any) -> None:
    plan = Plan((Fault("hang", probability=0.5),), seed)

    def struck(order: list[str]) -> set[str]:
        state = PlanState(plan)
        return {prompt for prompt in order if state.choose(prompt, digest_of(prompt), 1)}

    shuffled = list(prompts)
    random.shuffle(shuffled)
    assert struck(prompts) == struck(shuffled)


def test_chance_has_its_share() -> None:
    draws = [draw(7, 0, digest_of(str(number)), 1) for number in range(2000)]
    assert all(0 <= value < 1 for value in draws)
    # Binomial(2000, 0.3): six standard deviations are 0.061.
    assert abs(sum(value < 0.3 for value in draws) / 2000 - 0.3) < 0.061
