"""Items asked several times, through the command line: what is asked, kept, gone on with, shown and compared."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from medbench.stats import clustered_mean, pass_all_k, pass_at_k
from support.command import COMMAND, environment, medbench, medbench_json
from support.endpoint import running_endpoint

# Whether an attempt goes wrong hangs on item and attempt alone, not on the order of arrival.
SOMETIMES = {"fault": "prose", "probability": 0.4}


def write_items(path, count: int, *datasets: str):
    """Single choice; C is right in the order of the file."""
    with path.open("w", encoding="utf-8") as file:
        for dataset in datasets:
            for number in range(count):
                item = {"id": f"q{number}", "dataset": dataset, "answer": "C", "language": "en"}
                item["question"] = f"Synthetic question {number} of {dataset}: which option is right?"
                item["options"] = ["alpha", "beta", "gamma", "delta", "epsilon"]
                file.write(json.dumps(item) + "\n")
    return path


def command(items, endpoint, out, *more: object) -> tuple[object, ...]:
    return ("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out", out, *more)


def outcomes(run) -> dict[str, list[bool]]:
    """Item -> whether each attempt was right, by the responses alone."""
    rows = pq.read_table(run / "responses", columns=["uid", "variant", "text"]).to_pylist()
    found = defaultdict(list)
    for row in rows:
        assert row["variant"] == len(found[row["uid"]])
        found[row["uid"]].append(row["text"] == "C")
    return found


def hundred(estimate) -> dict[str, float]:
    return {name: pytest.approx(100 * getattr(estimate, name)) for name in ("value", "low", "high")}


def some(figure) -> dict[str, float]:
    return {name: figure[name] for name in ("value", "low", "high")}


def test_the_figures_are_the_closed_formulas_over_what_came_back(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 40, "MedExam", "MedSafety")
    run = tmp_path / "run"
    with running_endpoint(text="C", faults=(SOMETIMES,), seed=3) as endpoint:
        done = medbench_json(*command(items, endpoint, run, "--orders", "first", "--epochs", 4))
        counts = endpoint.counts()
    assert set(counts["by_prompt"].values()) == {4}
    assert (done["items"], done["epochs"], done["rows"], done["responses"], done["coverage"]) == (80, 4, 320, 320, 1.0)
    attempts = outcomes(run)
    summary = medbench_json("report", run)
    for dataset in summary["datasets"]:
        right = [sum(each) for uid, each in attempts.items() if uid.startswith(dataset["name"])]
        mean = clustered_mean([count / 4 for count in right], range(40))
        assert some(dataset["score"]) == hundred(mean)
        repeats = dataset["repeats"]
        assert some(repeats["pass_at_1"]) == hundred(mean)
        assert some(repeats["pass_at_k"]) == hundred(pass_at_k(right, 4, 4, range(40)))
        assert some(repeats["pass_all_k"]) == hundred(pass_all_k(right, 4, 4, range(40)))
        assert 0 < repeats["pass_all_k"]["value"] < mean.value * 100 < repeats["pass_at_k"]["value"]
        assert repeats["identical"] == pytest.approx(sum(count in (0, 4) for count in right) / 40)
    two = [dataset["repeats"]["pass_all_k"]["value"] for dataset in summary["datasets"]]
    assert summary["repeats"]["pass_all_k"]["value"] == pytest.approx(sum(two) / 2)
    page = (run / "report.html").read_text("utf-8")
    for text in ("pass^4", "pass@4", "Every item asked 4 times", "每题提问 4 轮", "--epochs=4"):
        assert text in page
    safety = page.split("Safety, ethics and compliance")[1].split("Answers and errors")[0]
    _, critical = (f"{dataset['repeats']['pass_all_k']['value']:.1f} (" for dataset in summary["datasets"])
    assert "pass^4" in safety
    assert critical in safety
    assert "the same words" not in page.split("warnings")[1].split("</section>")[0]


def test_a_circular_item_is_right_in_an_epoch_if_all_its_orders_are(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 12, "MedExam")
    run = tmp_path / "run"
    wrong = {"fault": "prose", "probability": 0.1}
    by_prompt = {}
    with running_endpoint(echo=True) as endpoint:
        medbench_json(*command(items, endpoint, tmp_path / "prompts"))
    for row in pq.read_table(tmp_path / "prompts" / "responses").to_pylist():
        letter = next(line[0] for line in row["text"].splitlines() if line.endswith(". gamma"))
        by_prompt[row["text"]] = letter
    with running_endpoint(by_prompt=by_prompt, faults=(wrong,), seed=1) as endpoint:
        done = medbench_json(*command(items, endpoint, run, "--epochs", 3))
    assert done["rows"] == 12 * 5 * 3
    rows = pq.read_table(run / "scores", columns=["uid", "variant", "epoch", "value"]).to_pylist()
    assert all(row["epoch"] == row["variant"] // 5 for row in rows)
    right = defaultdict(lambda: [1.0] * 3)
    for row in rows:
        right[row["uid"]][row["epoch"]] *= row["value"]
    counts = [int(sum(each)) for each in right.values()]
    assert len(set(counts)) > 1
    (dataset,) = medbench_json("report", run)["datasets"]
    assert dataset["score"]["value"] == pytest.approx(100 * sum(counts) / 36)
    assert some(dataset["repeats"]["pass_at_k"]) == hundred(pass_at_k(counts, 3, 3, range(12)))
    assert some(dataset["repeats"]["pass_all_k"]) == hundred(pass_all_k(counts, 3, 3, range(12)))
    circular = dataset["parts"][0]["circular"]
    first = [row["value"] for row in rows if row["variant"] % 5 == 0]
    assert circular["acc_origin"] == pytest.approx(sum(first) / len(first))
    assert circular["acc_mean"] == pytest.approx(sum(row["value"] for row in rows) / len(rows))
    assert circular["more_m"]["5"] == pytest.approx(sum(counts) / 36)
    assert list(circular["more_m"]) == list("12345")
    assert dataset["chance"] == pytest.approx(100 * 0.2**5)


def test_a_killed_run_goes_on_and_asks_every_item_as_often_as_it_should(tmp_path):
    count, epochs, concurrency = 150, 4, 8
    items = write_items(tmp_path / "items.jsonl", count, "MedHG")
    items.write_text(items.read_text().replace("MedHG", "DDx-advanced"))
    run = tmp_path / "run"
    with running_endpoint(text="C", latency_ms=40, faults=(SOMETIMES,)) as endpoint:
        arguments = (*command(items, endpoint, run, "--epochs", epochs), "--concurrency", concurrency)
        for asked in (60, 200):
            begun = (run / "run.json").exists()
            line = [*COMMAND, *map(str, ("resume", run) if begun else arguments)]
            with subprocess.Popen(line, env=environment(), stderr=subprocess.DEVNULL) as process:
                while endpoint.totals()["requests"] < asked:
                    time.sleep(0.02)
                process.send_signal(signal.SIGKILL)
        between = medbench_json("status", run)
        assert (between["state"], between["epochs"]) == ("stopped", epochs)
        assert 0 < between["responses"] < between["rows"] == count * epochs
        done = medbench_json("resume", run)
        counts = endpoint.counts()
    assert done["responses"] == count * epochs
    assert count * epochs <= counts["requests"] <= count * epochs + 2 * 2 * concurrency
    assert all(epochs <= often for often in counts["by_prompt"].values())
    with sqlite3.connect(run / "ledger.sqlite") as ledger:
        assert ledger.execute("SELECT COUNT(*), COUNT(DISTINCT key) FROM result").fetchone() == (600, 600)
    right = [sum(each) for each in outcomes(run).values()]
    assert len(right) == count
    found = medbench_json("report", run)["datasets"][0]["repeats"]
    assert some(found["pass_all_k"]) == hundred(pass_all_k(right, epochs, epochs, range(count)))


def test_the_cache_never_answers_an_epoch_with_the_answer_of_another(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 20, "DDx-advanced")
    cache = ("--cache", tmp_path / "cache.sqlite")
    with running_endpoint(text="C", faults=(SOMETIMES,)) as endpoint:
        for epochs, sent in ((2, 40), (2, 40), (3, 60)):
            run = tmp_path / f"run{sent}{epochs}{endpoint.totals()['requests']}"
            medbench_json(*command(items, endpoint, run, "--epochs", epochs, *cache))
            assert endpoint.totals()["requests"] == sent
        first, again = (outcomes(tmp_path / name) for name in ("run4020", "run40240"))
    assert first == again
    assert Counter(map(tuple, first.values())).keys() >= {(True, False), (False, True)}


def test_answers_that_never_differ_are_told(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 10, "DDx-advanced")
    run = tmp_path / "run"
    with running_endpoint() as endpoint:
        done = medbench(*command(items, endpoint, run, "--epochs", 3))
    assert "pass^3" in done.stdout
    repeats = medbench_json("report", run)["datasets"][0]["repeats"]
    assert repeats["identical"] == 1.0
    assert repeats["pass_at_1"]["value"] == repeats["pass_at_k"]["value"] == repeats["pass_all_k"]["value"]
    page = (run / "report.html").read_text("utf-8")
    assert "answered in the same words in all 3 epochs" in page
    assert "3 轮中的回答逐字相同" in page


def test_one_item_that_always_fails_is_no_dead_endpoint(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 6, "DDx-advanced")
    faults = ({"fault": "http", "status": 400, "contains": "question 0 "},)
    with running_endpoint(text="C", faults=faults) as endpoint:
        more = ("--epochs", 30, "--concurrency", 2)
        done = medbench_json(*command(items, endpoint, tmp_path / "run", *more))
    assert done["by_status"] == {"failed": 30, "ok": 150}
    assert done["score"] == pytest.approx(100 * 5 / 6)


def test_open_answers_have_their_best_and_worst_epoch(tmp_path):
    items = tmp_path / "items.jsonl"
    item = {"dataset": "MedShield", "answer": "x", "language": "en"}
    texts = [json.dumps({**item, "id": f"q{n}", "question": f"Synthetic question {n}: what now?"}) for n in range(12)]
    items.write_text("\n".join(texts) + "\n")
    run = tmp_path / "run"
    refused = {"fault": "finish_content_filter", "probability": 0.5}
    verdict = json.dumps({"reason": "Mostly right.", "overall": 7})
    with running_endpoint(text="Stop.", faults=(refused,), seed=2) as model, running_endpoint(text=verdict) as judge:
        medbench_json(
            *command(items, model, run, "--epochs", 2), *("--judge", "openai:j", "--judge-base-url", judge.url)
        )
        answered = [sum(row["status"] == "ok" for row in rows) for rows in by_item(run).values()]
        # Each answer is judged, also where another epoch gave the same.
        assert judge.totals()["requests"] == sum(answered)
    (dataset,) = medbench_json("report", run)["datasets"]
    repeats = dataset["repeats"]
    assert set(answered) == {0, 1, 2}
    assert dataset["score"]["value"] == pytest.approx(70 * sum(answered) / 24)
    assert repeats["pass_at_k"]["value"] == pytest.approx(70 * sum(n > 0 for n in answered) / 12)
    assert repeats["pass_all_k"]["value"] == pytest.approx(70 * sum(n == 2 for n in answered) / 12)


def by_item(run) -> dict[str, list[dict[str, object]]]:
    found = defaultdict(list)
    for row in pq.read_table(run / "responses").to_pylist():
        found[row["uid"]].append(row)
    return found


def test_answer_files_number_the_epochs_as_variants(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 2, "DDx-advanced")
    file = tmp_path / "answers.jsonl"
    given = {("q0", 0): "C", ("q0", 1): "A", ("q1", 0): "C"}

    def write() -> None:
        rows = ({"dataset": "DDx-advanced", "id": i, "variant": v, "answer": a} for (i, v), a in given.items())
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    write()
    ask = ("run", "--items", items, "--model", f"answers:{file}", "--epochs", 2, "--out", tmp_path / "run")
    refused = medbench(*ask)
    assert refused.returncode == 2
    assert "1 answers are missing, for example DDx-advanced/q1#1" in refused.stderr
    given["q1", 1] = "C"
    write()
    assert medbench_json(*ask)["score"] == pytest.approx(75.0)
    repeats = medbench_json("report", tmp_path / "run")["repeats"]
    assert (repeats["pass_at_k"]["value"], repeats["pass_all_k"]["value"]) == (100.0, 50.0)


def test_a_package_of_the_release_holds_the_first_epoch_and_answers_one_only(tmp_path):
    folder = tmp_path / "release" / "MedBench_LLM" / "TEST"
    folder.mkdir(parents=True)
    rows = ({"question": f"问题 {n}", "answer": "", "other": {"id": n, "source": "S"}} for n in range(1, 7))
    (folder / "MedMC.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    run, package = tmp_path / "run", tmp_path / "answers.zip"
    with running_endpoint(text="C", faults=(SOMETIMES,), seed=4) as endpoint:
        medbench_json(*command(tmp_path / "release", endpoint, run, "--epochs", 3))
    told = medbench("export", "submission", run, "--out", package)
    assert "first epoch" in told.stdout
    again = medbench("run", "--items", tmp_path / "release", "--model", f"answers:{package}", "--epochs", 2,
                     "--out", tmp_path / "again")  # fmt: skip
    assert again.returncode == 2
    assert "one answer per row" in again.stderr
    medbench_json("run", "--items", tmp_path / "release", "--model", f"answers:{package}", "--out", tmp_path / "again")
    first = [each[0] for each in outcomes(run).values()]
    assert [each for (each,) in outcomes(tmp_path / "again").values()] == first
    assert len(set(first)) == 2


class Cells(HTMLParser):
    """The cells of each row of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_a_suite_of_epochs_is_compared_and_ranked(tmp_path):
    write_items(tmp_path / "items.jsonl", 40, "DDx-advanced", "MedSafety")
    file, out = tmp_path / "suite.yaml", tmp_path / "suite"
    often = {"fault": "prose", "probability": 0.7}
    with running_endpoint(text="C", faults=(SOMETIMES,)) as good, running_endpoint(text="C", faults=(often,)) as bad:
        file.write_text(
            "items: items.jsonl\nselection: {epochs: 3, orders: first}\nmodels:\n"
            f"  - {{name: good, model: 'openai:g', base_url: '{good.url}'}}\n"
            f"  - {{name: bad, model: 'openai:b', base_url: '{bad.url}'}}\n"
        )
        release = medbench_json("suite", file, "--out", out)["release"]
        medbench_json(*command(tmp_path / "items.jsonl", good, tmp_path / "once", "--orders", "first"))
    assert release["epochs"] == 3
    runs = [out / "runs" / name for name in ("good", "bad")]
    compared = medbench_json("compare", *runs)
    own = [medbench_json("report", run) for run in runs]
    for place, dataset in enumerate(compared["datasets"]):
        for name in ("pass_at_k", "pass_all_k"):
            a, b = (each["datasets"][place]["repeats"][name]["value"] for each in own)
            found = dataset[name]
            assert (found["a"], found["b"]) == (pytest.approx(a), pytest.approx(b))
            assert found["low"] <= found["difference"] == pytest.approx(a - b)
            assert found["difference"] <= found["high"]
    overall = [each["repeats"]["pass_all_k"]["value"] for each in own]
    assert compared["pass_all_k"]["difference"] == pytest.approx(overall[0] - overall[1])
    standings = {entry["name"]: entry["standing"] for entry in release["entries"]}
    assert standings["good"]["pass_all_k"]["value"] == pytest.approx(overall[0])
    assert standings["good"]["pass_all_k"]["low"] < overall[0] < standings["good"]["pass_all_k"]["high"]
    assert "pass^3" in medbench("compare", *runs).stdout
    page = Cells()
    page.feed((out / "board.html").read_text("utf-8"))
    rows = [[cell.strip() for cell in row] for row in page.rows]
    header, best = (next(row for row in rows if row[1].startswith(name)) for name in ("model", "good"))
    safety = own[0]["datasets"][1]["repeats"]["pass_all_k"]["value"]
    assert best[header.index("Healthcare safety and ethics: pass^3")] == f"{safety:.1f}"
    assert best[header.index("pass^3 (95 %)")].startswith(f"{overall[0]:.1f} (")
    # A run that asked once can be compared by its mean, and by that alone.
    mixed = medbench_json("compare", runs[1], tmp_path / "once")
    assert mixed["pass_all_k"] is None
    assert {each["pass_at_k"] for each in mixed["datasets"]} == {None}
    assert any("3 epoch" in note for note in mixed["notes"])
    refused = medbench("compare", runs[0], tmp_path / "once", runs[1])
    assert refused.returncode == 0
    assert "pass^" not in refused.stdout


def test_under_hidden_disclosure_no_figure_tells_single_items(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 4, "DDx-advanced")
    with open(items, "a") as file:
        file.write(write_items(tmp_path / "more.jsonl", 6, "MedSafety").read_text())
    run = tmp_path / "run"
    with running_endpoint(text="C", faults=(SOMETIMES,)) as endpoint:
        more = ("--epochs", 2, "--orders", "first", "--disclosure", "hidden")
        medbench_json(*command(items, endpoint, run, *more))
    few, enough = medbench_json("report", run)["datasets"]
    assert few["parts"][0]["repeats"] is few["repeats"] is few["score"] is None
    assert 0 < enough["repeats"]["pass_all_k"]["value"] < 100
    assert set(pq.read_table(run / "scores", columns=["value"])["value"].to_pylist()) == {None}


@pytest.mark.parametrize("wrong", ["0", "-1", "many"])
def test_a_wrong_number_of_epochs_is_refused(wrong, tmp_path):
    items = write_items(tmp_path / "items.jsonl", 1, "MedExam")
    ask = ("run", "--items", items, "--model", "local:smollm2", "--out", tmp_path / "run", "--epochs", wrong)
    assert medbench(*ask).returncode == 2
    (tmp_path / "suite.yaml").write_text(
        f"items: items.jsonl\nselection: {{epochs: {wrong}}}\nmodels: [{{name: a, model: 'local:smollm2'}}]\n"
    )
    refused = medbench("suite", tmp_path / "suite.yaml", "--out", tmp_path / "suite")
    assert refused.returncode == 2
    assert "selection.epochs" in refused.stderr
    assert not (tmp_path / "suite").exists()
