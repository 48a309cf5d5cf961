"""Which items are asked, the same each time; the same inputs give the same bytes."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from support.command import medbench, medbench_json, write_items
from support.endpoint import running_endpoint


@pytest.fixture(scope="module")
def endpoint():
    with running_endpoint() as running:
        yield running


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """30 items in a circular dataset, 30 in one that is not, 10 of another track."""
    folder = tmp_path_factory.mktemp("items")
    lines = write_items(folder / "a.jsonl", 30).read_text()
    for dataset, count in (("MedHC", 30), ("MedCOT", 10)):
        for number in range(count):
            item = {"id": f"q{number}", "dataset": dataset, "question": f"Open {dataset} question {number}?"}
            lines += json.dumps(item) + "\n"
    path = folder / "items.jsonl"
    path.write_text(lines)
    return path


def run(endpoint, items, out, *more: object, expect: int = 0):
    return medbench_json(
        *("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", out, *more),
        expect=expect,
    )


def uids(out) -> list[str]:
    return [row["uid"] for row in pq.read_table(out / "responses", columns=["uid"]).to_pylist()]


def test_track_dataset_and_limit(endpoint, items, tmp_path):
    assert run(endpoint, items, tmp_path / "agent", "--track", "agent")["items"] == 10
    assert set(Counter(uid.split("/")[0] for uid in uids(tmp_path / "agent"))) == {"MedCOT"}
    both = run(endpoint, items, tmp_path / "two", "--dataset", "MedHC", "--dataset", "MedCOT")
    assert (both["items"], both["rows"]) == (40, 40)
    run(endpoint, items, tmp_path / "few", "--dataset", "MedHC", "--limit", 4)
    assert uids(tmp_path / "few") == [f"MedHC/q{number}" for number in range(4)]


def test_a_sample_is_drawn_by_its_seed(endpoint, items, tmp_path):
    drawn = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = run(endpoint, items, tmp_path / name, "--sample", 20, "--seed", seed, "--orders", "first")
        assert (done["items"], done["responses"]) == (20, 20)
        drawn[name] = uids(tmp_path / name)
    assert drawn["a"] == drawn["b"]
    assert set(drawn["a"]) != set(drawn["c"])
    assert len(set(drawn["a"])) == 20


@pytest.mark.parametrize(("orders", "rows"), [("first", 30), ("rotate", 150), ("all", 3_600)])
def test_orders(endpoint, items, tmp_path, orders, rows):
    done = run(endpoint, items, tmp_path / "run", "--dataset", "MedExam", "--orders", orders, "--concurrency", 64)
    assert (done["items"], done["rows"], done["responses"]) == (30, rows, rows)
    report = medbench_json("report", tmp_path / "run")
    if orders == "rotate":
        (part,) = report["datasets"][0]["parts"]
        assert part["metric"] == "accuracy_circular"
        assert part["circular"]["consistency"] is not None


def test_the_run_file_pins_what_was_asked(endpoint, items, tmp_path):
    run(endpoint, items, tmp_path / "run", "--track", "llm", "--sample", 5, "--seed", 3, "--parameter", "top_p=0.5")
    pins = json.loads((tmp_path / "run" / "run.json").read_text())
    assert pins["model"]["spec"] == "openai:m"
    assert pins["model"]["endpoint"] == endpoint.url
    assert pins["model"]["parameters"] == {"temperature": 0, "max_tokens": 4096, "top_p": 0.5}
    assert pins["selection"] == {
        "track": "llm", "datasets": [], "limit": None, "sample": 5, "seed": 3, "orders": "rotate", "epochs": 1,
            "media_control": "none",
    }  # fmt: skip
    assert len(pins["items_fingerprint"]) == 64
    assert pins["n_items"] == 5
    assert {"catalog_version", "code_version", "python", "created", "disclosure"} <= set(pins)


def test_what_can_not_be_asked_is_refused_and_leaves_nothing(endpoint, items, tmp_path):
    common = ("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", tmp_path / "run")
    for more, words in (
        (("--dataset", "Nope"), "no dataset Nope"),
        (("--limit", 3, "--sample", 3), "exclude one another"),
        (("--track", "multimodal"), "asks for no item"),
        (("--concurrency", "0"), "no concurrency"),
        (("--parameter", "top_p"), "no parameter"),
        (("--parameter", "top_p={"), "no parameter"),
        (("--budget-cost", "1"), "needs the prices"),
        (("--api-key-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE is empty"),
    ):
        refused = medbench(*common, *more)
        assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
        assert words in refused.stderr
        assert refused.stderr.startswith("Error: ")
        assert not (tmp_path / "run").exists()


def test_limits_that_limit_nothing_are_told(endpoint, items, tmp_path):
    common = ("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--limit", 1)
    done = medbench(*common, "--out", tmp_path / "a", "--max-turns", 3, "--json")
    assert done.returncode == 0
    assert "Warning: No item of the selection has an environment" in done.stderr
    assert json.loads(done.stdout)["state"] == "scored"
    assert "environment" not in medbench(*common, "--out", tmp_path / "b").stderr


def without_time(path) -> dict[str, object]:
    figures = json.loads(path.read_text())
    del figures["totals"]["latencies"]
    return figures


def test_the_same_inputs_give_the_same_bytes(endpoint, items, tmp_path):
    for name, concurrency in (("a", 1), ("b", 32)):
        run(endpoint, items, tmp_path / name, "--concurrency", concurrency)
    first, second = (sorted((tmp_path / name / "scores").iterdir()) for name in ("a", "b"))
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert without_time(tmp_path / "a" / "figures.json") == without_time(tmp_path / "b" / "figures.json")
    before = {path: path.read_bytes() for path in (*first, tmp_path / "a" / "figures.json", tmp_path / "a/report.html")}
    medbench_json("score", tmp_path / "a")
    assert before == {path: path.read_bytes() for path in before}


def test_a_cached_answer_is_not_asked_again_and_said_so(items, tmp_path):
    with running_endpoint() as endpoint:
        for name, requests in (("a", 150), ("b", 150)):
            done = run(endpoint, items, tmp_path / name, "--dataset", "MedExam", "--cache", tmp_path / "cache.sqlite")
            assert endpoint.totals()["requests"] == requests
        assert (done["responses"], done["requests"]) == (150, 0)
        report = medbench_json("report", tmp_path / "b")
        assert (report["cached"], report["requests"]) == (150, 0)
        assert report["input_tokens"] == report["output_tokens"] == 0
        first, second = (pq.read_table(tmp_path / name / "responses").to_pylist() for name in ("a", "b"))
        assert [row["text"] for row in first] == [row["text"] for row in second]
        assert {row["cached"] for row in second} == {True}
        # Another model, or other parameters, is another question.
        run(endpoint, items, tmp_path / "c", "--dataset", "MedExam", "--cache", tmp_path / "cache.sqlite",
            "--parameter", "temperature=1")  # fmt: skip
        assert endpoint.totals()["requests"] == 300
