from __future__ import annotations

import json
import zipfile

import pytest

from support.command import medbench, medbench_json, write_items
from support.endpoint import running_endpoint

NAMES = ("MedMC.jsonl", "MedHC.jsonl")


@pytest.fixture
def release(tmp_path):
    """Two files of a release, four rows each."""
    folder = tmp_path / "release" / "MedBench_LLM" / "TEST"
    folder.mkdir(parents=True)
    for name in NAMES:
        rows = (
            {"question": f"{name} 问题 {number}", "answer": "", "other": {"id": number, "source": "S"}}
            for number in range(1, 5)
        )
        (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return tmp_path / "release"


def ask(release, model, out, *more):
    return ("run", "--items", release, "--model", model, "--out", out, *more)


def rewrite(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            lines = change(name, old.read(name).decode().splitlines())
            if lines is not None:
                new.writestr(name, "".join(line + "\n" for line in lines))
    return target


@pytest.fixture
def package(release, tmp_path):
    with running_endpoint(echo=True) as endpoint:
        medbench_json(*ask(release, "openai:m", tmp_path / "run", "--base-url", endpoint.url))
    medbench_json("export", "submission", tmp_path / "run", "--out", tmp_path / "answers.zip")
    return tmp_path / "answers.zip"


def test_a_damaged_package_is_refused_whole_before_anything_is_written(release, package, tmp_path):
    def damage(name, lines):
        if name == "MedHC.jsonl":
            return None
        wrong_type = json.dumps(json.loads(lines[0]) | {"answer": 3})
        return [wrong_type, "{", lines[3], lines[2]]

    damaged = rewrite(package, tmp_path / "damaged.zip", damage)
    refused = medbench(*ask(release, f"answers:{damaged}", tmp_path / "again"))
    assert refused.returncode == 2
    assert refused.stdout == ""
    lines = refused.stderr.splitlines()
    assert len(lines) == 4, refused.stderr
    assert "MedMC.jsonl:1" in lines[0]
    assert "got `int`" in lines[0]
    assert "MedMC.jsonl:2" in lines[1]
    assert "MedMC.jsonl:3" in refused.stderr
    assert "MedHC.jsonl is missing" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "again").exists()


def test_a_changed_package_is_not_resumed(release, package, tmp_path):
    medbench_json(*ask(release, f"answers:{package}", tmp_path / "again"))
    rewrite(package, tmp_path / "other.zip", lambda _, lines: [line.replace("问题", "變更") for line in lines])
    (tmp_path / "other.zip").replace(package)
    refused = medbench("resume", tmp_path / "again")
    assert refused.returncode == 2
    assert "not the one that the run began with" in refused.stderr


def test_only_whole_runs_over_the_release_are_exported(release, package, tmp_path):
    there = medbench("export", "submission", tmp_path / "run", "--out", package)
    assert there.returncode == 2
    assert "is there already" in there.stderr
    other_track = medbench("export", "submission", tmp_path / "run", "--track", "agent", "--out", tmp_path / "x.zip")
    assert other_track.returncode == 2
    items = write_items(tmp_path / "items.jsonl", 4)
    with running_endpoint(faults=({"fault": "http", "status": 401},)) as endpoint:
        medbench_json("run", "--items", items, "--model", "openai:m", "--base-url", endpoint.url, "--out",
                      tmp_path / "own", expect=1)  # fmt: skip
        medbench_json(*ask(release, "openai:m", tmp_path / "half", "--base-url", endpoint.url), expect=1)
    own = medbench("export", "submission", tmp_path / "own", "--out", tmp_path / "x.zip")
    assert own.returncode == 2
    assert "not over the official release" in own.stderr
    half = medbench("export", "submission", tmp_path / "half", "--out", tmp_path / "x.zip")
    assert half.returncode == 2
    assert "8 rows have no response" in half.stderr
    nowhere = medbench("export", "submission", tmp_path / "run", "--out", tmp_path / "no" / "such" / "x.zip")
    assert nowhere.returncode == 1
    assert "can't be written" in nowhere.stderr
    assert not (tmp_path / "x.zip").exists()


def test_a_failed_response_is_an_empty_row_and_counted(release, tmp_path):
    with running_endpoint(text="T", faults=({"fault": "http", "status": 400, "contains": "问题 3"},)) as endpoint:
        medbench_json(*ask(release, "openai:m", tmp_path / "run", "--base-url", endpoint.url))
    done = medbench_json("export", "submission", tmp_path / "run", "--out", tmp_path / "answers.zip")
    assert (done["rows"], done["empty"], done["files"]) == (8, 2, {"MedHC.jsonl": 4, "MedMC.jsonl": 4})
    assert done["published"] == 1_620
    shown = medbench("--lang", "zh", "export", "submission", tmp_path / "run", "--out", tmp_path / "part.zip")
    assert "发布数据共 1620 行，此包含 8 行" in shown.stdout
    with zipfile.ZipFile(tmp_path / "answers.zip") as archive:
        answers = [json.loads(line)["answer"] for line in archive.read("MedMC.jsonl").decode().splitlines()]
    assert answers == ["T", "T", "", "T"]


def test_a_run_over_other_items_is_refused_and_nothing_else_is_said(tmp_path):
    items = write_items(tmp_path / "items.jsonl", 5)
    with running_endpoint() as endpoint:
        medbench_json(*ask(items, "openai:m", tmp_path / "run", "--base-url", endpoint.url))
    refused = medbench("export", "submission", tmp_path / "run", "--out", tmp_path / "out.zip")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
    assert not (tmp_path / "out.zip").exists()
