"""Questions with pictures and documents through the command line, against an endpoint that keeps what arrived."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from support.command import medbench, medbench_json
from support.endpoint import running_endpoint
from support.media import dicom, encoded, noise, pdf
from support.pictures import write_dataset, write_jsonl

MULTIMODAL = (
    "MedOCR", "MedClass", "MedDetect", "MedVQA", "MedGen", "MedQC", "MedDiffDx", "MedTherapy", "MedSeqIm", "MedCourse",
)  # fmt: skip


def rows(run_dir: Path, name: str) -> list[dict[str, object]]:
    return pq.read_table(run_dir / name).to_pylist()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def item(number: int, media: list[str]) -> dict[str, object]:
    question = {"question": f"What does picture {number} show?", "options": ["T", "U"], "answer": "T"}
    return {"id": f"m{number}", "dataset": "MedClass", "language": "en", "media": media, **question}


@pytest.fixture
def items(tmp_path) -> Path:
    """Five items of every kind of medium; one lacks a picture, one has a damaged one, one has none."""
    folder = tmp_path / "items"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(noise(60, 40), "PNG"))
    (folder / "b.jpg").write_bytes(encoded(noise(300, 40), "JPEG"))
    (folder / "cut.jpg").write_bytes(encoded(noise(90, 90), "JPEG")[:900])
    (folder / "c.pdf").write_bytes(pdf(2))
    (folder / "d.dcm").write_bytes(dicom(np.full((20, 30), 1064), WindowCenter=40, WindowWidth=80))
    lines = [
        item(1, ["b.jpg", "a.png", "b.jpg"]),
        item(2, ["c.pdf", "d.dcm"]),
        item(3, ["a.png", "absent.png"]),
        item(4, ["cut.jpg"]),
        item(5, []),
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "items.jsonl"


def ask(items: Path, url: str, out: Path, *more: object, expect: int = 0) -> dict[str, object]:
    return medbench_json(
        *("run", "--items", items, "--model", "openai:m", "--base-url", url, "--out", out, *more), expect=expect
    )


def test_images_arrive_in_order_before_the_text_and_are_recorded(items, tmp_path):
    with running_endpoint(text="T", record_pieces=True) as endpoint:
        done = ask(items, endpoint.url, tmp_path / "run", "--image-side", 200, "--concurrency", 1)
        sent = {pieces[-1][1].splitlines()[0]: pieces[:-1] for pieces in endpoint.pieces()}
    assert done["by_status"] == {"ok": 3, "media_missing": 2}
    assert done["by_error"] == {"media_absent": 1, "media_corrupt": 1}
    recorded = {row["id"]: msgspec.json.decode(row["images"] or "[]") for row in rows(tmp_path / "run", "responses")}
    assert [image["path"] for image in recorded["m1"]] == ["b.jpg", "a.png", "b.jpg"]
    pages = [(image["path"], image.get("page", 0)) for image in recorded["m2"]]
    assert pages == [("c.pdf", 1), ("c.pdf", 2), ("d.dcm", 0)]
    assert recorded["m3"] == recorded["m4"] == recorded["m5"] == []
    for name, question in (("m1", "What does picture 1 show?"), ("m2", "What does picture 2 show?")):
        assert sent[question] == [(f"image/{image['kind']}", image["sha256"]) for image in recorded[name]]
    assert sent["What does picture 5 show?"] == []
    first, second, third = recorded["m1"]
    assert first == third
    assert (first["how"], first["original"], first["width"], first["height"]) == ("converted", [300, 40], 200, 27)
    assert (second["how"], second["sha256"]) == ("as_is", digest((items.parent / "a.png").read_bytes()))
    assert recorded["m2"][2]["window"] == [40.0, 80.0]
    details = {row["id"]: (row["error_code"], row["error_detail"]) for row in rows(tmp_path / "run", "responses")}
    assert details["m3"] == ("media_absent", "absent.png: absent")
    assert details["m4"] == ("media_corrupt", "cut.jpg: corrupt")


@pytest.mark.parametrize(("language", "words"), [("en", "damaged or cut short"), ("zh", "损坏或不完整")])
def test_the_report_tells_what_was_sent_and_what_was_not(items, tmp_path, language, words):
    with running_endpoint(text="T") as endpoint:
        ask(items, endpoint.url, tmp_path / "run", "--image-side", 200)
    report = medbench_json("report", tmp_path / "run")
    assert report["media"]["by_how"] == {"as_is": 1, "converted": 2, "rendered": 3}
    assert (report["media"]["responses"], report["media"]["missing"], report["media"]["smaller"]) == (2, 2, 2)
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert words in page
    assert "300 × 40" in page
    assert "200 × 27, JPEG" in page
    assert "centre 40, width 80" in page
    assert "窗位 40，窗宽 80" in page
    assert "--image-side=200" in page


def test_no_image_is_inlined_anywhere(items, tmp_path):
    import base64

    with running_endpoint(faults=({"fault": "http", "status": 500, "probability": 0.5},), text="T") as endpoint:
        ask(items, endpoint.url, tmp_path / "run", "--cache", tmp_path / "cache.sqlite")
    assert sum(bool(row["images"]) for row in rows(tmp_path / "run", "responses")) == 2
    for name in ("a.png", "b.jpg"):
        content = (items.parent / name).read_bytes()
        for path in [*(tmp_path / "run").rglob("*"), *tmp_path.glob("cache.sqlite*")]:
            if path.is_file():
                stored = path.read_bytes()
                assert content[100:160] not in stored, path
                assert base64.b64encode(content)[120:180] not in stored, path


def test_a_resumed_run_prepares_nothing_again_and_a_cache_covers_what_is_sent(items, tmp_path):
    cache = ("--cache", tmp_path / "cache.sqlite")
    with running_endpoint(text="T", record_pieces=True) as endpoint:
        ask(items, endpoint.url, tmp_path / "first", *cache)
        kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache.sqlite.media").glob("??/*")}
        assert kept
        second = ask(items, endpoint.url, tmp_path / "second", *cache)
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache.sqlite.media").glob("??/*")} == kept
        assert second["requests"] == 0, "the same images to the same model are paid once"
        third = ask(items, endpoint.url, tmp_path / "third", *cache, "--image-side", 64)
        # Item 5 has no images, so its request is the same; the others are sent other bytes.
        assert third["requests"] == 2
    images = [row["images"] for row in rows(tmp_path / "first", "responses")]
    assert images == [row["images"] for row in rows(tmp_path / "second", "responses")]
    assert images != [row["images"] for row in rows(tmp_path / "third", "responses")]


def test_a_budget_sets_tokens_aside_for_images(items, tmp_path):
    with running_endpoint(text="T") as endpoint:
        done = ask(
            items, endpoint.url, tmp_path / "run", "--budget-tokens", 700, "--parameter", "max_tokens=10", expect=1
        )
        assert done["reason"]
        assert endpoint.totals()["requests"] < 3


def test_a_text_model_is_not_asked_about_pictures(items, tmp_path):
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(json.dumps({"dataset": "MedClass", "id": f"m{n}", "answer": "T"}) + "\n" for n in range(1, 6))
    )
    done = medbench_json("run", "--items", items, "--model", f"answers:{answers}", "--out", tmp_path / "answered")
    assert done["by_status"] == {"ok": 5}, "answers given elsewhere need no media"


@pytest.mark.local_model
def test_the_bundled_model_sees_nothing_and_says_so(items, tmp_path):
    pytest.importorskip("xllamacpp")
    done = medbench_json("run", "--items", items, "--model", "local:smollm2", "--out", tmp_path / "run")
    assert done["by_status"] == {"ok": 1, "media_missing": 4}
    assert done["by_error"] == {"media_text_only": 4}


def test_a_bank_and_an_archive_bring_their_media_along(items, tmp_path):
    medbench_json("items", "import", items, "--into", tmp_path / "bank")
    with running_endpoint(text="T", record_pieces=True) as endpoint:
        done = ask(tmp_path / "bank", endpoint.url, tmp_path / "run")
        kinds = Counter(kind for pieces in endpoint.pieces() for kind, _ in pieces)
    assert done["by_status"] == {"ok": 3, "media_missing": 2}
    assert kinds == {"text": 3, "image/jpeg": 2, "image/png": 4}


def test_a_suite_gives_each_endpoint_its_limits(items, tmp_path):
    with items.open("a") as file:
        file.write(json.dumps(item(6, ["a.png"])) + "\n")
    with running_endpoint(text="T") as endpoint:
        suite = {
            "items": str(items),
            "models": [
                {"name": "small", "model": "openai:a", "base_url": endpoint.url, "images": {"side": 64}},
                {"name": "few", "model": "openai:b", "base_url": endpoint.url, "images": {"count": 2}},
            ],
        }
        (tmp_path / "suite.yaml").write_text(json.dumps(suite))
        medbench_json("suite", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    small = [msgspec.json.decode(row["images"] or "[]") for row in rows(tmp_path / "out/runs/small", "responses")]
    assert max(max(image["width"], image["height"]) for images in small for image in images) == 64
    few = {row["id"]: row["error_code"] for row in rows(tmp_path / "out/runs/few", "responses")}
    assert few["m1"] == few["m2"] == "media_too_many_images"
    assert few["m5"] == few["m6"] == ""
    (tmp_path / "suite.yaml").write_text(json.dumps(suite | {"models": [suite["models"][0] | {"images": {"side": 1}}]}))
    refused = medbench("suite", tmp_path / "suite.yaml", "--out", tmp_path / "none")
    assert refused.returncode == 2
    assert "images" in refused.stderr


# ---- the public release


@pytest.fixture(scope="module")
def release(shared) -> Path:
    return shared / "data" / "medbench_v4_release" / "MedBench_VLM"


@pytest.fixture(scope="module")
def asked(release, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("media") / "run"
    with running_endpoint(text="T", record_pieces=True) as endpoint:
        done = ask(release, endpoint.url, run_dir, "--concurrency", 8)
        return run_dir, done, endpoint.pieces()


def official(release: Path) -> dict[str, list[tuple[list[str], str]]]:
    """Of each official file the media that each row names, in order, and its question: read here by hand."""
    found = {}
    for path in sorted(release.rglob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found[path.stem] = [
            ([row["img_path"]] if isinstance(row["img_path"], str) else row["img_path"], row["question"])
            for row in lines
        ]
    return found


def test_every_row_with_its_media_arrives_byte_for_byte(release, asked):
    run_dir, done, pieces = asked
    files = official(release)
    assert set(files) == set(MULTIMODAL)
    expected = Counter()
    absent = 0
    pages = 0
    for names, question in (row for lines in files.values() for row in lines):
        paths = [release / "images" / name for name in names]
        if not all(path.is_file() for path in paths):
            absent += 1
            continue
        images = []
        for path in paths:
            content = path.read_bytes()
            if path.suffix == ".pdf":
                pages += 1
                images.append(("image/png", "page"))
            else:
                assert content.startswith(b"\x89PNG")
                images.append(("image/png", digest(content)))
        expected[(*images, ("text", question))] += 1
    assert (absent, pages) == (142, 8)
    images = [image for row in rows(run_dir, "responses") for image in msgspec.json.decode(row["images"] or "[]")]
    rendered = {image["sha256"] for image in images if image["how"] == "rendered"}
    arrived = Counter(
        tuple((kind, "page" if content in rendered else content) for kind, content in message) for message in pieces
    )
    assert arrived == expected
    assert done["by_status"] == {"ok": 158, "media_missing": 142}
    assert done["by_error"] == {"media_absent": 142}
    several = [message for message in pieces if len(message) > 2]
    assert len(several) == 10, "items of MedDiffDx with two pictures"


def test_pages_are_what_the_document_shows(release, asked):
    run_dir, _, _ = asked
    import pypdfium2

    records = [
        image for row in rows(run_dir, "responses") for image in msgspec.json.decode(row["images"] or "[]")
        if image["how"] == "rendered"
    ]  # fmt: skip
    assert len(records) == 8
    for record in records:
        kept = (run_dir / "media" / record["sha256"][:2] / record["sha256"]).read_bytes()
        assert digest(kept) == record["sha256"]
        page = pypdfium2.PdfDocument(release / "images" / record["path"])[0]
        shown = page.render(scale=200 / 72).to_pil()
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept))), np.asarray(shown))


def test_all_ten_are_exported_and_read_back(release, asked, tmp_path):
    run_dir, _, _ = asked
    package = medbench_json("export", "submission", run_dir, "--track", "multimodal", "--out", tmp_path / "a.zip")
    assert package["files"] == {f"{name}.jsonl": 30 for name in MULTIMODAL}
    assert (package["rows"], package["empty"]) == (300, 142)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        for name, lines in official(release).items():
            written = [json.loads(line) for line in archive.read(f"{name}.jsonl").decode().splitlines()]
            media = [row["img_path"] if isinstance(row["img_path"], list) else [row["img_path"]] for row in written]
            assert media == [names for names, _ in lines]
    again = medbench_json(
        *("run", "--items", release, "--model", f"answers:{tmp_path / 'a.zip'}", "--out", tmp_path / "again")
    )
    assert again["by_status"] == {"ok": 300}
    medbench_json("export", "submission", tmp_path / "again", "--out", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_zip_of_the_release_gives_the_same_requests(release, asked, tmp_path):
    _, _, pieces = asked
    packed = tmp_path / "release.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(release.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(release.parent))
    with running_endpoint(text="T", record_pieces=True) as endpoint:
        ask(packed, endpoint.url, tmp_path / "run", "--concurrency", 8)
        assert sorted(map(str, endpoint.pieces())) == sorted(map(str, pieces))


# ---- VQA-RAD as items of one's own


def test_vqa_rad_runs_as_own_items(shared, tmp_path):
    source = shared / "data" / "multimodal" / "vqa_rad"
    questions = [json.loads(line) for line in (source / "test_subset.jsonl").read_text("utf-8").splitlines()]
    assert len(questions) == 179
    folder = tmp_path / "items"
    folder.mkdir()
    (folder / "images").symlink_to(source / "images")
    lines = [
        {
            "id": row["qid"], "dataset": "MedVQA", "question": row["question"], "answer": str(row["answer"]),
            "language": "en", "media": [f"images/{row['image_name']}"], "family": row["image_name"],
        }
        for row in questions
    ]  # fmt: skip
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused = medbench_json("items", "validate", folder / "items.jsonl")
    assert len(refused["media"]["missing"]) == 80, "a link that leads out of the folder is not followed"
    (folder / "images").unlink()
    (folder / "images").mkdir()
    for name in {row["image_name"] for row in questions}:
        (folder / "images" / name).write_bytes((source / "images" / name).read_bytes())
    with running_endpoint(text="yes", record_pieces=True) as endpoint:
        done = ask(folder / "items.jsonl", endpoint.url, tmp_path / "run", "--concurrency", 8)
        arrived = Counter(tuple(message[0]) for message in endpoint.pieces())
    assert done["by_status"] == {"ok": 179}
    assert arrived == Counter(
        ("image/jpeg", digest((source / "images" / row["image_name"]).read_bytes())) for row in questions
    )
    assert len(arrived) == 80
    assert not (tmp_path / "run" / "media").exists(), "what is sent as it is needs no copy"


@pytest.fixture
def two_kinds(tmp_path) -> Path:
    """Folder of a suite over a question of exams, and over questions about one picture and about two."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("One", "Two"):
        write_dataset(
            folder / "catalog", name, "visual_perception", "accuracy", '{ form = "label", labels = ["T", "U"] }'
        )
    exam = {"id": "e", "dataset": "MedExam", "question": "?", "options": ["T", "U"], "answer": "A", "language": "en"}
    lines = [exam]
    for number in range(4):
        (folder / f"{number}.png").write_bytes(encoded(noise(60, 40, seed=number), "PNG"))
        asked = {"id": f"{number}", "question": f"{number}?", "answer": "TTTU"[number], "language": "en"}
        lines += [{**asked, "dataset": "One", "media": [f"{number}.png"]}]
        lines += [{**asked, "dataset": "Two", "media": [f"{number}.png", "0.png"]}]
    write_jsonl(folder / "items.jsonl", lines)
    return folder


def suite_of(folder: Path, url: str, **selection: object) -> Path:
    models = [
        {"name": "many", "model": "openai:a", "base_url": url},
        {"name": "few", "model": "openai:b", "base_url": url, "images": {"count": 1}},
    ]
    suite = {"items": "items.jsonl", "catalog": "catalog", "models": models, "selection": selection}
    (folder / "suite.yaml").write_text(json.dumps(suite))
    return folder / "suite.yaml"


def test_a_suite_over_several_tracks_is_refused_before_anything_is_asked(two_kinds):
    with running_endpoint(text="T") as endpoint:
        refused = medbench("suite", suite_of(two_kinds, endpoint.url), "--out", two_kinds / "out")
        assert endpoint.totals()["requests"] == 0
    assert (refused.returncode, (two_kinds / "out").exists()) == (2, False)
    assert "selection.track: The items belong to several tracks (llm, multimodal)" in refused.stderr


def test_a_suite_excludes_what_a_model_can_not_take_and_does_not_rank_it(two_kinds):
    with running_endpoint(text="T") as endpoint:
        done = medbench_json("suite", suite_of(two_kinds, endpoint.url, track="multimodal"), "--out", two_kinds / "out")
    release = done["release"]
    assert (release["datasets"], release["left_out"], release["shared"]) == (["One"], ["Two"], 4)
    standings = {entry["name"]: entry["standing"] for entry in release["entries"]}
    assert {name: (each["score"], each["coverage"], each["ranked"]) for name, each in standings.items()} == {
        "many": (75.0, 1.0, True),
        "few": (75.0, 0.5, False),
    }
    excluded = [row["value"] for row in rows(two_kinds / "out/runs/few", "scores") if row["status"] == "excluded"]
    assert excluded == [None] * 4
    page = (two_kinds / "out/board.html").read_text("utf-8")
    assert page.count('">*</td>') == 2
    assert page.count('">50.0%</td>') == 2
    for text in ("not ranked", "不参与排名", "视觉感知"):
        assert text in page


def test_a_suite_whose_models_share_no_dataset_says_so_and_keeps_their_runs(two_kinds):
    with running_endpoint(text="T") as endpoint:
        suite = suite_of(two_kinds, endpoint.url, datasets=["Two"])
        done = medbench("suite", suite, "--out", two_kinds / "out")
    assert done.returncode == 1
    assert "There is no board: The runs have no scored item in common." in done.stderr
    assert medbench_json("report", two_kinds / "out/runs/many")["headline"]["value"] == 75.0
