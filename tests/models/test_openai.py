from __future__ import annotations

import asyncio
import json

import pytest

from medbench.errors import InputError
from medbench.models.model import CallError, Completion
from medbench.models.openai import OpenAIModel, retry_after_s
from support.endpoint import running_endpoint

KEY = "sk-very-secret-0123456789"


def send(url: str, *, timeout_s: float = 5.0, api_key_env: str | None = None) -> Completion:
    async def go() -> Completion:
        model = OpenAIModel("m", url, timeout_s=timeout_s, api_key_env=api_key_env)
        await model.open()
        try:
            return await model.send(
                json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
            )
        finally:
            await model.close()

    return asyncio.run(go())


def failure(fault: dict[str, object], **options: object) -> CallError:
    with running_endpoint(faults=(fault,)) as endpoint, pytest.raises(CallError) as caught:
        send(endpoint.url, **options)
    return caught.value


def test_a_plain_answer():
    with running_endpoint(text="B", reasoning="because") as endpoint:
        completion = send(endpoint.url)
    assert (completion.status, completion.text, completion.reasoning) == ("ok", "B", "because")
    assert completion.usage.input_tokens > 0
    assert not completion.usage.estimated


@pytest.mark.parametrize(
    ("fault", "error_class", "code", "throttled"),
    [
        ({"fault": "http", "status": 429}, "retryable", "http_429", True),
        ({"fault": "http", "status": 429, "code": "insufficient_quota"}, "submitter", "http_429", True),
        ({"fault": "http", "status": 500}, "retryable", "http_500", False),
        ({"fault": "http", "status": 503}, "retryable", "http_503", False),
        ({"fault": "http", "status": 400}, "submitter", "http_400", False),
        ({"fault": "http", "status": 401}, "submitter", "http_401", False),
        ({"fault": "http", "status": 404}, "submitter", "http_404", False),
        ({"fault": "reset"}, "retryable", "connection_lost", False),
        ({"fault": "reset_mid_body"}, "retryable", None, False),
        ({"fault": "truncated_json"}, "retryable", "invalid_json", False),
        ({"fault": "invalid_json"}, "retryable", "invalid_json", False),
        ({"fault": "empty_choices"}, "retryable", "empty_choices", False),
        ({"fault": "html"}, "retryable", "wrong_content_type", False),
        ({"fault": "null_content"}, "retryable", "no_content", False),
        ({"fault": "huge_body", "megabytes": 40}, "submitter", "body_too_large", False),
    ],
    ids=lambda value: str(value.get("status", value["fault"])) if isinstance(value, dict) else None,
)
def test_each_fault_has_its_class_and_code(fault, error_class, code, throttled):
    error = failure(fault)
    assert error.error_class == error_class
    assert error.code in ({"connection_lost", "truncated_body"} if code is None else {code})
    assert error.throttled == throttled


def test_a_hang_ends_at_the_timeout():
    error = failure({"fault": "hang"}, timeout_s=0.3)
    assert (error.error_class, error.code) == ("retryable", "timeout")


def test_nobody_listens():
    with pytest.raises(CallError) as caught:
        send("http://127.0.0.1:9/v1")
    assert (caught.value.error_class, caught.value.code) == ("retryable", "no_connection")


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_read_in_both_forms(form):
    error = failure({"fault": "http", "status": 429, "retry_after_s": 20, "retry_after_form": form})
    assert error.retry_after_s == pytest.approx(20, abs=2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("3", 3.0), ("-3", 0.0), ("nan", None), ("inf", None), ("soon", None), ("1e9", None)],
)
def test_retry_after_that_makes_no_sense_is_ignored(value, expected):
    assert retry_after_s(value) == expected


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"fault": "finish_length"}, "truncated"),
        ({"fault": "finish_content_filter"}, "blocked"),
        ({"fault": "http", "status": 400, "code": "content_filter"}, "blocked"),
        ({"fault": "slow_body", "duration_ms": 300}, "ok"),
    ],
)
def test_endings_that_are_no_errors(fault, status):
    with running_endpoint(faults=(fault,)) as endpoint:
        assert send(endpoint.url).status == status


def test_missing_usage_is_marked_as_not_counted():
    with running_endpoint(faults=({"fault": "no_usage"},)) as endpoint:
        assert send(endpoint.url).usage.estimated


def test_tool_calls_are_kept():
    with running_endpoint(faults=({"fault": "tool_calls"},)) as endpoint:
        completion = send(endpoint.url)
    assert len(completion.tool_calls) == 1
    assert completion.tool_calls[0].name


def test_the_key_is_sent_and_shown_nowhere(monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    model = OpenAIModel("m", "https://host.example/v1", api_key_env="THE_KEY")
    assert KEY not in repr(vars(model))
    assert model.identity.api_key_env == "THE_KEY"
    assert KEY not in str(model.identity)
    assert model._detail(f"wrong key {KEY} given") == "wrong key *** given"


def test_what_an_endpoint_quotes_of_an_image_is_left_out():
    model = OpenAIModel("m", "https://host.example/v1")
    quoted = "bad: data:image/png;base64," + "Qk0+" * 900_000
    assert model._detail(quoted) == "bad: data:image/png;base64,…"
    assert model._detail("bad: data:image/png;base64," + "Qk0+" * 90 + ", see") == "bad: data:image/png;base64,…, see"


@pytest.mark.parametrize(
    "url", ["host/v1", "ftp://host/v1", "https://user:pass@host/v1", "https://host/v1?key=1", "http://"]
)
def test_addresses_that_cannot_be_used_are_refused(url):
    with pytest.raises(InputError):
        OpenAIModel("m", url)


@pytest.mark.parametrize("value", ["", "two words", "line\nend"])
def test_keys_that_cannot_be_used_are_refused(monkeypatch, value):
    monkeypatch.setenv("THE_KEY", value)
    with pytest.raises(InputError, match="THE_KEY"):
        OpenAIModel("m", "https://host/v1", api_key_env="THE_KEY")


def test_null_removes_a_default_parameter():
    model = OpenAIModel("m", "https://host/v1", parameters={"max_tokens": None, "max_completion_tokens": 64})
    assert model.identity.parameters == {"temperature": 0, "max_completion_tokens": 64}
