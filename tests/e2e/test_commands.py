"""Every command that prints a result prints one JSON object and nothing else on stdout, in either language."""

from __future__ import annotations

import json

import pytest

from support.command import medbench, write_items
from support.endpoint import running_endpoint


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    items = write_items(folder / "items.jsonl", 20)
    said = {}
    with running_endpoint(latency_ms=1) as endpoint, running_endpoint(text="A") as other:
        for name, url in (("a", endpoint.url), ("b", other.url)):
            arguments = ("run", "--items", items, "--model", "openai:m", "--base-url", url, "--out", folder / name)
            said[name] = medbench("--lang", "zh", *arguments, *(("--json",) if name == "a" else ()))
    return folder, items, said


def test_a_run_ends_with_one_object_or_one_line(runs):
    folder, _, said = runs
    assert said["a"].returncode == said["b"].returncode == 0, said["a"].stderr + said["b"].stderr
    done = json.loads(said["a"].stdout)
    assert said["a"].stdout.rstrip().endswith("}")
    assert done["run_dir"] == str(folder / "a")
    assert done["wall_s"] > 0
    assert done["report"] == str(folder / "a" / "report.html")
    assert said["b"].stdout.count("\n") == 1
    assert "得分" in said["b"].stdout
    page = (folder / "b" / "report.html").read_text("utf-8")
    assert page.index('lang="zh-Hans"') < page.index("<main")


@pytest.mark.parametrize(
    "command", [("status", "a"), ("report", "a"), ("compare", "a", "b"), ("items", "validate")], ids=" ".join
)
def test_json_and_plain(runs, command):
    folder, items, _ = runs
    places = [items] if command[0] == "items" else [folder / name for name in command[1:]]
    words = command if command[0] == "items" else command[:1]
    machine = medbench("--lang", "zh", *words, *places, "--json")
    assert (machine.returncode, machine.stderr) == (0, "")
    assert isinstance(json.loads(machine.stdout), dict)
    english, chinese = (medbench("--lang", language, *words, *places) for language in ("en", "zh"))
    assert english.returncode == chinese.returncode == 0
    assert english.stdout
    assert english.stdout != chinese.stdout


def test_scores_are_aggregated_from_a_file(tmp_path):
    (tmp_path / "scores.json").write_text('{"MedExam": 83.3}')
    done = medbench("board", "aggregate", tmp_path / "scores.json", "--track", "llm", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["overall"] is None
    assert "MedSafety" in found["incomplete"]
