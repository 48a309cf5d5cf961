from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from support.command import medbench, medbench_json, write_items
from support.endpoint import running_endpoint

MARK = "question 7:"


def run(endpoint, tmp_path, *more: object, count: int = 30, expect: int = 0):
    items = write_items(tmp_path / "items.jsonl", count)
    return medbench_json(
        *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--orders", "first"),
        *("--out", tmp_path / "run", *more),
        expect=expect,
    )


def row(tmp_path, uid: str) -> dict[str, object]:
    return next(row for row in pq.read_table(tmp_path / "run" / "responses").to_pylist() if row["uid"] == uid)


@pytest.mark.parametrize(
    ("fault", "status", "error_class", "code", "attempts"),
    [
        ({"fault": "http", "status": 429, "retry_after_s": 0}, "failed", "retryable", "http_429", 6),
        ({"fault": "http", "status": 400}, "failed", "submitter", "http_400", 1),
        ({"fault": "http", "status": 429, "retry_after_s": 9_999}, "failed", "retryable", "http_429", 1),
        ({"fault": "huge_body", "megabytes": 20}, "failed", "submitter", "body_too_large", 1),
        ({"fault": "finish_length"}, "truncated", None, "", 1),
        ({"fault": "finish_content_filter"}, "blocked", None, "", 1),
    ],
    ids=lambda value: f"{value['fault']}-{value.get('status', '')}" if isinstance(value, dict) else None,
)
def test_an_item_that_keeps_failing_ends_in_its_status_and_counts_as_wrong(
    fault, status, error_class, code, attempts, tmp_path
):
    with running_endpoint(faults=({**fault, "contains": MARK},), text="C") as endpoint:
        done = run(endpoint, tmp_path)
    assert done["responses"] == 30
    assert done["coverage"] == 1.0
    found = row(tmp_path, "MedExam/q7")
    assert (found["status"], found["error_class"], found["error_code"]) == (status, error_class, code)
    scores = {row["uid"]: row for row in pq.read_table(tmp_path / "run" / "scores").to_pylist()}
    assert scores["MedExam/q7"]["value"] in (0.0, 1.0)
    if status != "truncated":
        assert found["attempts"] == attempts
        assert scores["MedExam/q7"]["status"] == "unparsed"
        assert scores["MedExam/q7"]["value"] == 0.0


@pytest.mark.parametrize(
    "fault", ["reset", "reset_mid_body", "truncated_json", "invalid_json", "empty_choices", "html"]
)
def test_a_fault_that_passes_leaves_no_trace_in_the_score(fault, tmp_path):
    with running_endpoint(faults=({"fault": fault, "first_tries": 1, "contains": MARK},), text="C") as endpoint:
        done = run(endpoint, tmp_path)
    assert done["by_status"] == {"ok": 30}
    assert done["requests"] == 31
    assert row(tmp_path, "MedExam/q7")["attempts"] == 2


def test_a_hang_is_retried_and_then_answered(tmp_path):
    with running_endpoint(faults=({"fault": "hang", "first_tries": 1, "contains": MARK},)) as endpoint:
        assert run(endpoint, tmp_path, "--timeout", 1)["by_status"] == {"ok": 30}


def test_when_the_first_items_all_fail_nothing_more_is_asked(tmp_path):
    with running_endpoint(faults=({"fault": "http", "status": 401},)) as endpoint:
        done = run(endpoint, tmp_path, expect=1)
        assert endpoint.totals()["requests"] == 3
        assert done["responses"] == 0
        assert done["state"] == "stopped"
        assert "http_401" in done["reason"]
        endpoint.plan()
        assert medbench_json("resume", tmp_path / "run")["responses"] == 30


def test_an_endpoint_that_dies_stops_the_run_and_its_failures_are_asked_again(tmp_path):
    with running_endpoint() as endpoint:
        endpoint.plan({"fault": "http", "status": 404, "ordinals": list(range(41, 5_000))})
        done = run(endpoint, tmp_path, "--concurrency", 4, count=200, expect=1)
        assert done["state"] == "stopped"
        assert 36 <= done["responses"] <= 40
        assert done["by_status"] == {"ok": done["responses"]}
        endpoint.plan()
        assert medbench_json("resume", tmp_path / "run")["by_status"] == {"ok": 200}


def test_many_items_that_keep_failing_at_the_end_are_no_dead_endpoint(tmp_path):
    fault = {"fault": "http", "status": 400, "contains": "question 2"}  # 2, 20 to 29, and all from 200
    with running_endpoint(faults=(fault,)) as endpoint:
        done = run(endpoint, tmp_path, "--concurrency", 4, "--cache", tmp_path / "cache.sqlite", count=300)
        assert done["by_status"] == {"ok": 189, "failed": 111}
        # What was answered before is asked again at the endpoint, whatever the cache holds.
        assert 301 <= endpoint.totals()["requests"] <= 306


def test_a_run_that_was_stopped_ends_though_all_that_is_left_keeps_failing(tmp_path):
    with running_endpoint() as endpoint:
        endpoint.plan({"fault": "http", "status": 404, "ordinals": list(range(201, 5_000))})
        assert run(endpoint, tmp_path, "--concurrency", 4, count=300, expect=1)["state"] == "stopped"
        endpoint.plan({"fault": "http", "status": 400, "contains": "question 2"})
        assert medbench_json("resume", tmp_path / "run")["by_status"] == {"ok": 200, "failed": 100}


def test_throttling_slows_down_and_everything_is_answered(tmp_path):
    fault = {"fault": "http", "status": 429, "retry_after_s": 0, "above_in_flight": 6}
    with running_endpoint(latency_ms=5, faults=(fault,)) as endpoint:
        done = run(endpoint, tmp_path, count=300)
    assert done["by_status"] == {"ok": 300}


def test_a_token_budget_stops_before_it_is_passed_and_can_be_raised(tmp_path):
    with running_endpoint() as endpoint:
        done = run(endpoint, tmp_path, "--budget-tokens", 3_000, "--parameter", "max_tokens=16", count=200, expect=1)
        assert "budget" in done["reason"].lower()
        assert 0 < done["responses"] < 200
        assert done["input_tokens"] + done["output_tokens"] <= 3_000
        again = medbench_json("resume", tmp_path / "run", "--budget-tokens", 1_000_000)
        assert again["responses"] == 200


def test_a_changed_item_file_is_refused_on_resume(tmp_path):
    with running_endpoint(faults=({"fault": "http", "status": 401},)) as endpoint:
        run(endpoint, tmp_path, expect=1)
        endpoint.plan()
        write_items(tmp_path / "items.jsonl", 31)
        refused = medbench("resume", tmp_path / "run")
        assert refused.returncode == 2
        assert "not those that the run began with" in refused.stderr
        assert endpoint.totals()["requests"] == 3


def test_hostile_names_stay_text(tmp_path):
    name = '=HYPERLINK("http://x","y")<script>alert(1)</script>'
    items = write_items(tmp_path / "items.jsonl", 12)
    with running_endpoint() as endpoint:
        done = medbench_json(
            *("run", "--items", items, "--model", f"openai:{name}", "--base-url", endpoint.url),
            *("--out", tmp_path / "run"),
        )
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert done["responses"] == 60
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_key_is_in_no_file_and_no_output(tmp_path):
    key = "sk-marker-7f3a9c"
    items = write_items(tmp_path / "items.jsonl", 8)
    fault = {"fault": "http", "status": 400, "contains": "question 5:"}
    with running_endpoint(faults=(fault,)) as endpoint:
        done = medbench(
            *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", tmp_path / "run"),
            *("--api-key-env", "BENCH_TEST_SECRET", "--json"),
            BENCH_TEST_SECRET=key,
        )
        assert "authorization" in {header.lower() for header in endpoint.totals()["headers"]}
    assert done.returncode == 0, done.stderr
    assert key not in done.stdout + done.stderr
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
    assert json.loads((tmp_path / "run" / "run.json").read_text())["model"]["api_key_env"] == "BENCH_TEST_SECRET"
