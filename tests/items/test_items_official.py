from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from medbench.errors import InputError
from medbench.items.importing import ImportRequest, import_items
from medbench.items.keys import open_keys
from medbench.items.official import official_rows
from medbench.items.source import open_source

CIRCULAR = ("MedExam", "MedEthics", "MedSafety", "MedRxCheck/SCQ")
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def row(identifier: object, question: str, answer: object = "", source: str = "S", **more: object) -> dict[str, object]:
    return {"question": question, "answer": answer, **more, "other": {"id": identifier, "source": source}}


def release(folder: Path, **files: list[dict[str, object]]) -> Path:
    for name, rows in files.items():
        track = "MedBench_VLM/MedBench_VLM_QA" if name in ("MedQC", "MedGen") else "MedBench_LLM/TEST"
        path = folder / track / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), "utf-8")
    return folder


def shuffled(identifier: object, *orders: str, answers: str = "") -> list[dict[str, object]]:
    texts = {"a": "甲", "b": "乙", "c": "丙"}
    return [
        row(
            identifier,
            "题\n" + "\n".join(f"{'ABC'[place]}. {texts[name]}" for place, name in enumerate(order)),
            answers[index : index + 1],
        )
        for index, order in enumerate(orders)
    ]


@pytest.fixture(scope="module")
def official(shared):
    return open_source(shared / "data/medbench_v4_release")


@pytest.fixture(scope="module")
def rows_in_files(shared):
    files = {}
    for path in (shared / "data/medbench_v4_release").rglob("*.jsonl"):
        files[path.name] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return files


def test_the_whole_release(shared):
    summary = import_items(ImportRequest(path=shared / "data/medbench_v4_release", format="medbench-v4")).summary
    assert (summary.datasets, summary.items, summary.rows, summary.keys) == (60, 1860, 2340, 0)
    assert summary.by_track == {
        "llm": {"datasets": 36, "items": 1140, "rows": 1620},
        "agent": {"datasets": 14, "items": 420, "rows": 420},
        "multimodal": {"datasets": 10, "items": 300, "rows": 300},
    }
    assert summary.variants == 600
    assert summary.by_dataset["MedRxCheck"] == {"items": 90, "rows": 210}
    assert len(summary.media.missing) == 172
    assert "MedOCR/20241126-US/图文报告/144735.pdf" in summary.media.missing
    assert all(problem.severity == "warning" and problem.field == "img_path" for problem in summary.problems)
    assert summary.skipped == 0
    assert summary.into is None


def test_all_circular_items_have_one_option_set_in_all_orders(official):
    count = 0
    for question in official.questions():
        if not question.uid.startswith(CIRCULAR):
            continue
        count += 1
        assert len(question.variants) == 5
        assert len(question.options) in (4, 5)
        for variant in question.variants:
            order = variant.order or tuple(range(len(question.options)))
            assert sorted(order) == list(range(len(question.options)))
            # The options stand in the prompt in just this order.
            position = len(question.text)
            for index in order:
                position = variant.prompt.index(question.options[index], position) + len(question.options[index])
    assert count == 120


def test_identical_shuffled_rows_are_kept_in_file_order(official, rows_in_files):
    identical = 0
    for question in official.questions():
        if question.dataset in ("MedExam", "MedEthics", "MedSafety"):
            rows = rows_in_files[question.meta["file"]]
            assert [variant.row for variant in question.variants] == sorted(
                variant.row for variant in question.variants
            )
            assert [rows[variant.row - 1]["question"] for variant in question.variants] == [
                variant.prompt for variant in question.variants
            ]
            identical += len(question.variants) - len({variant.prompt for variant in question.variants})
    assert identical > 0


def test_every_row_of_every_file_can_be_rebuilt_verbatim(official, rows_in_files):
    rebuilt: dict[str, dict[int, object]] = {name: {} for name in rows_in_files}
    for question in official.questions():
        for number, content in official_rows(question):
            rebuilt[question.meta["file"]][number] = content
    for name, rows in rows_in_files.items():
        assert [rebuilt[name][number + 1] for number in range(len(rows))] == rows
        assert [json.dumps(rebuilt[name][number + 1]) for number in range(len(rows))] == [
            json.dumps(one) for one in rows
        ]


def test_questions_are_asked_verbatim_and_ids_repeat_only_across_parts(official):
    uids = Counter(question.uid for question in official.questions())
    assert max(uids.values()) == 1
    assert len({question.id for question in official.questions() if question.dataset == "MedRxCheck"}) < 90
    for question in official.questions():
        assert question.source == question.meta["other"]["source"]
        if not question.uid.startswith(CIRCULAR):
            assert [variant.prompt for variant in question.variants] == [question.text]


def test_lists_out_of_the_questions(official):
    by_dataset: dict[str, list] = {}
    for question in official.questions():
        by_dataset.setdefault(f"{question.dataset}/{question.part}".rstrip("/"), []).append(question)
    assert all(len(question.options) >= 10 for question in by_dataset["DDx-advanced"])
    assert all(4 <= len(question.options) <= 5 for question in by_dataset["MedRxCheck/MSQ"])
    assert all(len(question.options) > 5 for question in by_dataset["MedHG"])
    assert all(2 <= len(question.options) <= 6 for question in by_dataset["MedClass"])
    assert by_dataset["MedClass"][0].options == ("胰腺囊性肿瘤", "慢性胰腺炎", "胰腺癌")
    assert len(by_dataset["SMDoc"]) == 30
    for question in by_dataset["SMDoc"]:
        listed = question.text.split("需要提取的实体字段：\n- ")[1].strip().split("\n- ")
        assert list(question.fields) == [field.strip() for field in listed]


def test_media_are_found_hashed_and_served(official):
    media = [medium for question in official.questions() for medium in question.media]
    found = [medium for medium in media if medium.sha256]
    assert (len(media), len(found)) == (378, 168)
    assert {medium.missing for medium in media} == {"", "absent"}
    for medium in found[:20]:
        assert official.media_path(medium).stat().st_size == medium.size
    assert official.media_path(next(medium for medium in media if medium.missing)) is None


def test_there_is_one_key_per_question_without_gold(official, shared):
    keys = list(open_keys(shared / "data/medbench_v4_release").keys())
    assert [key.uid for key in keys] == [question.uid for question in official.questions()]
    assert all(key.answer is None and not key.rubric for key in keys)


def test_a_zip_gives_the_same_items_as_the_folder(official, shared, tmp_path):
    folder = shared / "data/medbench_v4_release"
    path = tmp_path / "release.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path("release") / file.relative_to(folder))
    zipped = open_source(path)
    assert (zipped.count, zipped.rows, zipped.fingerprint) == (official.count, official.rows, official.fingerprint)
    medium = next(medium for question in zipped.questions() for medium in question.media if medium.sha256)
    assert zipped.media_path(medium).read_bytes() == official.media_path(medium).read_bytes()


def test_one_track_alone_is_whole(shared):
    source = open_source(shared / "data/medbench_v4_release/MedBench_LLM/TEST")
    assert (source.count, source.rows) == (1140, 1620)
    assert not source.warnings


def test_answers_become_keys_in_the_first_rows_order(tmp_path):
    folder = release(tmp_path, MedExam=shuffled(7, "abc", "cab", "abc", answers="BCB"), MedHC=[row("x", "问", "答")])
    source = open_source(folder)
    assert [question.id for question in source.questions()] == ["7", "x"]
    keys = list(open_keys(folder).keys())
    assert keys[0].answer == ["B"]
    assert keys[1].answer == "答"


def test_wrong_rows_are_all_told(tmp_path):
    folder = release(
        tmp_path,
        MedExam=shuffled(1, "abc", "cab", answers="BB") + shuffled(2, "abc", "ab") + [row(3, "没有选项")],
        MedHC=[row(1, "甲"), row(1, "乙"), {"question": "甲", "other": {"id": True}}, {"question": "甲"}],
        MedHG=[row(1, "请推荐科室")],
        SMDoc=[row(1, "请提取")],
    )
    with pytest.raises(InputError) as refused:
        open_source(folder)
    found = {(Path(problem.file).name, problem.line, problem.field) for problem in refused.value.problems}
    assert found == {
        ("MedExam.jsonl", 2, "answer"),
        ("MedExam.jsonl", 4, "question"),
        ("MedExam.jsonl", 5, "question"),
        ("MedHC.jsonl", 2, "other.id"),
        ("MedHC.jsonl", 3, "other.id"),
        ("MedHC.jsonl", 4, None),
        ("MedHG.jsonl", 1, "question"),
        ("SMDoc.jsonl", 1, "question"),
    }


def test_img_path_as_string_or_list_and_what_can_go_wrong_with_it(tmp_path):
    folder = release(
        tmp_path / "release",
        MedQC=[row(1, "问", img_path="MedQC/a.png"), row(2, "问", img_path="../../../../secret.png")],
        MedGen=[
            row(1, "问", img_path=["MedGen/a.png", "/etc/passwd", "MedGen/b.png", "MedGen/c.png", "MedGen/link.png"])
        ],
    )
    images = folder / "MedBench_VLM/images"
    for name, content in {
        "MedQC/a.png": PNG,
        "MedGen/a.png": PNG,
        "MedGen/b.png": b"",
        "MedGen/c.png": b"text",
    }.items():
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(content)
    (tmp_path / "secret.png").write_bytes(PNG)
    (images / "MedGen/link.png").symlink_to(tmp_path / "secret.png")
    questions = {question.uid: question for question in open_source(folder).questions()}
    assert [medium.missing for medium in questions["MedQC/1"].media] == [""]
    assert [medium.missing for medium in questions["MedQC/2"].media] == ["outside"]
    assert [medium.missing for medium in questions["MedGen/1"].media] == [
        "",
        "outside",
        "empty",
        "other_kind",
        "absent",
    ]
    assert questions["MedQC/1"].meta["img_path"] == "MedQC/a.png"


def test_a_folder_that_is_no_release_is_refused_with_advice(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"MedExam\.jsonl"):
        open_source(tmp_path)


def test_the_same_file_twice_is_refused(tmp_path):
    release(tmp_path / "one", MedHC=[row(1, "问")])
    release(tmp_path / "two", MedHC=[row(1, "问")])
    with pytest.raises(InputError, match="more than once"):
        open_source(tmp_path)
