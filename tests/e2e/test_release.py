"""The official release through the command line: asked whole, nothing claimed about gold, exported and read back."""

from __future__ import annotations

import json
import zipfile

import pyarrow.parquet as pq
import pytest

from support.command import medbench_json
from support.endpoint import running_endpoint


@pytest.fixture(scope="module")
def release(shared):
    return shared / "data" / "medbench_v4_release"


@pytest.fixture(scope="module")
def whole(release, tmp_path_factory):
    """A run over all three tracks, each prompt answered by a letter of its hash."""
    run_dir = tmp_path_factory.mktemp("release") / "run"
    with running_endpoint() as endpoint:
        done = medbench_json(
            *("run", "--items", release, "--model", "openai:m", "--base-url", endpoint.url, "--out", run_dir),
            *("--concurrency", 64),
        )
        totals = endpoint.totals()
    return run_dir, done, totals


def rows(run_dir, name: str) -> list[dict[str, object]]:
    return pq.read_table(run_dir / name).to_pylist()


def test_import_counts_the_release_and_names_what_is_missing(release):
    found = medbench_json("items", "import", release, "--format", "medbench-v4")
    assert (found["datasets"], found["items"], found["rows"], found["keys"]) == (60, 1_860, 2_340, 0)
    assert found["by_track"]["llm"] == {"datasets": 36, "items": 1_140, "rows": 1_620}
    assert found["by_track"]["agent"] == {"datasets": 14, "items": 420, "rows": 420}
    assert found["by_track"]["multimodal"] == {"datasets": 10, "items": 300, "rows": 300}
    assert len(found["media"]["missing"]) == 172
    assert all(isinstance(name, str) and name for name in found["media"]["missing"])


def test_every_row_is_asked_once_but_those_whose_pictures_are_absent(whole):
    run_dir, done, totals = whole
    assert (done["items"], done["rows"], done["responses"]) == (1_860, 2_340, 2_340)
    assert done["by_status"] == {"ok": 2_198, "media_missing": 142}
    assert totals["requests"] == done["requests"] == 2_198
    asked = rows(run_dir, "responses")
    assert len({(row["uid"], row["variant"]) for row in asked}) == 2_340
    assert all(row["status"] == "media_missing" for row in asked if row["error_code"] == "media_missing")


def test_nothing_is_claimed_without_gold(whole):
    run_dir, done, _ = whole
    report = medbench_json("report", run_dir)
    assert done["score"] is None
    assert report["headline"] is None
    assert set(report["overall"].values()) == {None}
    assert all(dataset["score"] is None and dataset["closed"] is None for dataset in report["datasets"])
    by_status = report["by_score_status"]
    assert set(by_status) == {"no_key", "awaiting_judge", "excluded"}
    assert by_status["excluded"] == 142, "questions whose pictures are absent"
    assert sum(by_status.values()) == 2_340
    why = {dataset["name"]: dataset["why"] for dataset in report["datasets"]}
    # An image that we could not show is ours, not a wrong answer.
    assert {why[name] for name in ("MedVQA", "MedGen", "MedSeqIm", "MedCourse")} == {"excluded"}
    assert why["MedExam"] == why["MedEthics"] == why["MedSafety"] == "no_key"
    assert report["coverage"] == pytest.approx(2_198 / 2_340)
    assert report["rankable"] is False
    assert all(row["value"] is None for row in rows(run_dir, "scores"))


def test_consistency_needs_no_key(whole):
    run_dir, _, _ = whole
    report = medbench_json("report", run_dir)
    circular = {
        (dataset["name"], part["name"]): part["circular"]
        for dataset in report["datasets"]
        for part in dataset["parts"]
        if part["circular"]
    }
    assert {name for name, _ in circular} == {"MedExam", "MedEthics", "MedSafety", "MedRxCheck"}
    for figures in circular.values():
        assert 0.0 <= figures["consistency"] < 0.5, "a letter by hash can't follow the option"
        assert figures["acc_mean"] is None
        assert figures["acc_origin"] is None


@pytest.mark.parametrize(("track", "count", "files"), [("llm", 1_620, 38), ("agent", 420, 14)])
def test_a_submission_read_back_gives_the_same_responses_and_the_same_bytes(
    whole, release, tmp_path, track, count, files
):
    run_dir, _, _ = whole
    package = medbench_json("export", "submission", run_dir, "--track", track, "--out", tmp_path / "a.zip")
    assert (package["rows"], len(package["files"]), package["empty"]) == (count, files, 0)
    again = medbench_json(
        *("run", "--items", release, "--model", f"answers:{tmp_path / 'a.zip'}", "--track", track),
        *("--out", tmp_path / "again"),
    )
    assert again["by_status"] == {"ok": count}

    def answers(folder) -> dict[tuple[object, object], object]:
        return {(row["uid"], row["variant"]): row["text"] for row in rows(folder, "responses")}

    second = answers(tmp_path / "again")
    first = answers(run_dir)
    assert len(second) == count
    assert second == {place: first[place] for place in second}
    medbench_json("export", "submission", tmp_path / "again", "--track", track, "--out", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_identical_shuffled_rows_and_repeated_ids_keep_their_own_answers(release, tmp_path):
    """Answers that differ by row also where rows and ids do not: only their place tells them apart."""
    package = tmp_path / "package"
    package.mkdir()
    names = ["MedExam.jsonl", "MedEthics.jsonl", "MedSafety.jsonl"]
    names += sorted(path.name for path in release.rglob("MedRxCheck*.jsonl"))
    assert len(names) > 4
    identical, ids = 0, []
    for name in names:
        content = [json.loads(line) for line in next(release.rglob(name)).read_text("utf-8").splitlines()]
        identical += len(content) - len({row["question"] for row in content})
        ids += {row["other"]["id"] for row in content} if name.startswith("MedRxCheck") else ()
        filled = [row | {"answer": f"{name} row {number}"} for number, row in enumerate(content, start=1)]
        (package / name).write_text("".join(json.dumps(row) + "\n" for row in filled), "utf-8")
    assert identical > 0
    assert len(set(ids)) < len(ids), "the release repeats ids across the MedRxCheck files"
    datasets = [part for name in ("MedExam", "MedEthics", "MedSafety", "MedRxCheck") for part in ("--dataset", name)]
    run_dir = tmp_path / "run"
    medbench_json("run", "--items", release, "--model", f"answers:{package}", *datasets, "--out", run_dir)
    texts = [row["text"] for row in rows(run_dir, "responses")]
    assert len(texts) == len(set(texts)) == 660
    medbench_json("export", "submission", run_dir, "--out", tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == sorted(names)
        for name in names:
            given = [json.loads(line) for line in (package / name).read_text("utf-8").splitlines()]
            assert [json.loads(line) for line in archive.read(name).decode().splitlines()] == given
