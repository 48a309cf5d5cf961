"""The agent track of the official release, all of it: a plain model and the reference agent on it, and the package."""

from __future__ import annotations

import json
import zipfile
import zlib
from itertools import zip_longest

import pyarrow.parquet as pq
import pytest

from medbench.agents.orchestration.events import Answered, Noted, Skipped, Triaged, decode_trace
from support.agents import last_user, of
from support.command import medbench_json
from support.scripted import scripted_endpoint

LONGEST_PROMPT = 24_000
SAID = "先核实患者身份，再查询检验结果；如有危急值，立即通知医师。"
OVERHEAD = 2_000
"""Most characters that the agent's own words put around a task."""
REFUSED = frozenset({"MedDefend.jsonl", "MedShield.jsonl"})
"""Attacks and unethical requests: the agent's guard may answer in the model's place."""


def said(text: str) -> str:
    """An answer of its own to each prompt, so that none can stand in another's row."""
    return f"{SAID}（{zlib.crc32(text.encode()):08x}）"


@pytest.fixture(scope="module")
def release(shared):
    return shared / "data" / "medbench_v4_release"


@pytest.fixture(scope="module", params=["base", "agent"])
def whole(request, release, tmp_path_factory):
    """A run over the track, its package, and the characters of each request."""
    folder = tmp_path_factory.mktemp(request.param)
    file = folder / "agent.yaml"
    file.write_text(f"backbone: {{model: 'openai:m', longest_prompt: {LONGEST_PROMPT}}}\n", "utf-8")
    model = f"agent:{file}" if request.param == "agent" else "openai:m"
    with scripted_endpoint(lambda body: said(last_user(body["messages"]))) as (url, requests):
        done = medbench_json("run", "--items", release, "--track", "agent", "--model", model, "--base-url", url,
                             "--out", folder / "run", "--concurrency", 8, timeout=500)  # fmt: skip
    package = medbench_json("export", "submission", folder / "run", "--track", "agent", "--out", folder / "answers.zip")
    sizes = [sum(len(message["content"] or "") for message in body["messages"]) for body in requests]
    return request.param, folder, done, package, sizes


def official(release) -> dict[str, list[dict]]:
    return {
        path.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in (release / "MedBench_Agent" / "TEST").glob("*.jsonl")
    }


def test_every_row_of_the_fourteen_datasets_is_answered(whole, release):
    _, _, done, package, _ = whole
    rows = official(release)
    assert len(rows) == 14
    total = sum(map(len, rows.values()))
    assert (done["responses"], done["by_status"]) == (total, {"ok": total})
    assert package["files"] == {name: len(several) for name, several in rows.items()}
    assert (package["rows"], package["published"], package["empty"]) == (total, total, 0)


def test_the_package_is_the_release_row_by_row_with_the_answers_filled_in(whole, release):
    kind, folder, _, _, _ = whole
    texts = {(row["dataset"], row["id"]): row["text"] for row in pq.read_table(folder / "run/responses").to_pylist()}
    with zipfile.ZipFile(folder / "answers.zip") as archive:
        assert sorted(archive.namelist()) == sorted(official(release))
        for name, rows in official(release).items():
            lines = archive.read(name).decode().splitlines()
            for row, line in zip_longest(rows, lines):
                written = json.loads(line)
                text = texts[name.removesuffix(".jsonl"), str(row["other"]["id"])]
                assert list(written.items()) == list((row | {"answer": text}).items())
                if kind == "base":
                    assert text == said(row["question"])
                elif name not in REFUSED:
                    assert text.startswith(SAID)


def test_the_package_read_back_is_answered_alike(whole, release, tmp_path):
    _, folder, done, _, _ = whole
    model = f"answers:{folder / 'answers.zip'}"
    medbench_json("run", "--items", release, "--track", "agent", "--model", model, "--out", tmp_path / "again")
    first, again = (
        pq.read_table(run / "responses", columns=["uid", "text"]).to_pylist()
        for run in (folder / "run", tmp_path / "again")
    )
    assert len(first) == done["responses"]
    assert first == again


def test_the_longest_item_is_asked_whole_or_read_in_parts(whole, release):
    kind, folder, _, _, sizes = whole
    longest = max((row for rows in official(release).values() for row in rows), key=lambda row: len(row["question"]))
    characters = len(longest["question"])
    assert characters > 32_000
    if kind == "base":
        assert max(sizes) == characters
        return
    assert max(sizes) <= LONGEST_PROMPT + OVERHEAD
    traces = [decode_trace(path.read_bytes()) for path in (folder / "run" / "artifacts").glob("*.trace.json")]
    (trace,) = (each for each in traces if each.prompt == longest["question"])
    (triaged,) = of(trace, Triaged)
    assert (triaged.characters, triaged.long) == (characters, True)
    noted = of(trace, Noted)
    assert [each.part for each in noted] == list(range(1, noted[0].parts + 1))
    assert not of(trace, Skipped)
    assert of(trace, Answered)[0].text.startswith(SAID)
