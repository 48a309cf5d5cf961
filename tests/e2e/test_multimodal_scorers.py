"""The scorers of multimodal datasets: boxes, fields, label sets, reports; and the boxes in the report."""

from __future__ import annotations

import base64
import json
import random
import re
import struct
import subprocess
import sys
import zlib

import pyarrow.parquet as pq
import pytest

from conftest import shared_folder
from support.command import medbench, medbench_json
from support.endpoint import running_endpoint
from support.media import deflated_dicom_bomb
from support.pictures import blood_cells, official, write_blood_cells, write_jsonl

VERDICT = json.dumps(
    {
        "reason": "Mostly right.",
        "overall": 8,
        "points": [{"point": 1, "found": "hit", "span": "未见"}, {"point": 2, "found": "miss", "span": ""}],
    }
)
HOSTILE = "</text><script>alert(1)</script>"


def score_rows(run):
    return pq.read_table(run / "scores").to_pylist()


def test_boxes_fields_label_sets_and_reports_of_the_official_datasets_are_scored(tmp_path):
    none = '[{"类别": ["无病变"], "边界框": []}]'
    box = [{"类别": ["肺癌"], "边界框": [100, 100, 200, 200]}]
    fields = {"影像描述": "两肺纹理增多", "影像诊断": "支气管炎"}
    points = [{"text": "未见实变"}, {"text": "心影正常"}]
    items = [
        ("MedDetect", "1", box, json.dumps(box), {}),
        ("MedDetect", "2", [], none, {}),
        ("MedDetect", "3", none, '[{"类别": ["肺癌"], "边界框": [300, 1, 200, 2]}]', {}),
        ("MedDetect", "4", box, "右肺结节", {}),
        ("MedOCR", "1", fields, json.dumps(fields, ensure_ascii=False).replace("增多", "增"), {}),
        ("MedQC", "1", ["体位不正", "偏中心"], "体位不正", {}),
        ("MedQC", "2", [], "无问题", {}),
        ("MedGen", "1", "未见异常。", "影像表现：未见实变。诊断意见：正常。", {"key_points": points}),
    ]
    write_jsonl(
        tmp_path / "items.jsonl",
        [{"id": i, "dataset": d, "question": f"看图 {i}", "answer": a, **more} for d, i, a, _, more in items],
    )
    write_jsonl(tmp_path / "answers.jsonl", [{"dataset": d, "id": i, "answer": said} for d, i, _, said, _ in items])
    run = tmp_path / "run"
    with running_endpoint(text=VERDICT) as judge:
        medbench_json(
            *("run", "--items", tmp_path / "items.jsonl", "--model", f"answers:{tmp_path / 'answers.jsonl'}"),
            *("--out", run, "--judge", "openai:j", "--judge-base-url", judge.url),
        )
    rows = {row["uid"]: row for row in score_rows(run)}
    assert {uid: (row["status"], row["reason"]) for uid, row in rows.items() if row["dataset"] == "MedDetect"} == {
        "MedDetect/1": ("scored", ""),
        "MedDetect/2": ("scored", ""),
        "MedDetect/3": ("unparsed", "box_order"),
        "MedDetect/4": ("unparsed", "not_json"),
    }
    assert [rows[f"MedDetect/{number}"]["value"] for number in (1, 2, 3, 4)] == [1.0, 1.0, 0.0, 0.0]
    assert json.loads(rows["MedDetect/3"]["evidence"])["faults"] == [{"place": 1, "code": "box_order"}]
    assert json.loads(rows["MedOCR/1"]["details"]) == {"character_error_rate": pytest.approx(0.1)}
    assert rows["MedOCR/1"]["value"] == pytest.approx(2 * 9 / 19)
    assert rows["MedQC/1"]["value"] == pytest.approx(2 / 3)
    assert (rows["MedQC/2"]["status"], rows["MedQC/2"]["value"]) == ("scored", None)
    report = rows["MedGen/1"]
    assert (report["judge_value"], report["key_point_value"], report["value"]) == (0.8, 0.5, pytest.approx(0.65))
    overlap = {"bleu": pytest.approx(0.0607, abs=1e-4), "rouge_l": pytest.approx(2 * 4 / 23)}
    assert json.loads(report["details"]) == overlap
    figures = json.loads((run / "figures.json").read_text())
    details = {each["dataset"]: each["parts"][0]["details"] for each in figures["datasets"]}
    assert details["MedDetect"]["f1_50"]["value"] == 0.5
    assert details["MedDetect"]["mean_iou"]["n"] == 1
    assert {name: each["value"] for name, each in details["MedGen"].items()} == overlap
    page = (run / "report.html").read_text("utf-8")
    for text in (
        "character error rate",
        "字符错误率",
        "The image is not shown",
        "未显示图像",
        "BLEU against",
        "参考文本的 BLEU",
    ):
        assert text in page


def png(width: int, height: int, data: bytes | None = None, comment: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress((b"\0" + b"\x80" * width) * height) if data is None else data
    text = chunk(b"tEXt", b"Comment\0" + comment)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + text + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A run over 24 pictures of blood cells, with answers that are moved, mislabelled, broken or hostile."""
    folder = tmp_path_factory.mktemp("cells")
    data = shared_folder("data/multimodal/bccd_detection")
    items, catalog = write_blood_cells(data, folder, count=24)
    draw = random.Random(2)
    answers = []
    for number, (name, boxes) in enumerate(list(blood_cells(data))[:24]):
        spread = 10 + 3 * number
        moved = []
        for label, edges in boxes:
            around = [min(1000, max(0, edge + draw.randint(-spread, spread))) for edge in edges]
            moved.append((HOSTILE if draw.random() < 0.1 else label, around))
        answers.append({"dataset": "Cells", "id": name, "answer": official(moved)})
    write_jsonl(folder / "answers.jsonl", answers)
    medbench_json(
        *("run", "--items", items, "--catalog", catalog, "--model", f"answers:{folder / 'answers.jsonl'}"),
        *("--out", folder / "run"),
    )
    return folder


def report_of(run) -> str:
    assert medbench("report", run).returncode == 0
    return (run / "report.html").read_text("utf-8")


def test_the_worst_boxes_are_drawn_once_for_both_languages_in_a_small_page(cells):
    page = report_of(cells / "run")
    worst = sorted(score_rows(cells / "run"), key=lambda row: (row["value"], row["seq"]))[:6]
    shown = re.findall(r"<figcaption><strong>([^<]+)</strong>", page)
    assert shown == [row["uid"] for row in worst] * 2
    assert len(re.findall("data:image/(?:png|jpeg);base64,", page)) == page.count("<symbol ") == 6
    assert page.count("<use ") == 12
    assert len(page) < 700_000
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "a class that is not listed" in page


def test_images_that_can_not_be_decoded_leave_their_frame(cells):
    worst = sorted(score_rows(cells / "run"), key=lambda row: (row["value"], row["seq"]))[:6]
    names = [row["uid"].partition("/")[2] for row in worst]
    contents = [
        png(8_000, 4_000, b""),
        png(50_000, 50_000, zlib.compress(b"\0" * 100)),
        (cells / f"images/{names[2]}.jpg").read_bytes()[:3000],
        deflated_dicom_bomb(1_200),
        b"\xff\xd8\xff" + b"\0" * 1000,
        png(300, 200, comment=b"Patient: Doe"),
    ]
    folder = cells / "hostile"
    folder.mkdir()
    (folder / "images").mkdir()
    for path in (cells / "images").iterdir():
        (folder / "images" / path.name).write_bytes(path.read_bytes())
    for name, content in zip(names, contents, strict=True):
        (folder / f"images/{name}.jpg").write_bytes(content)
    (folder / "items.jsonl").write_bytes((cells / "items.jsonl").read_bytes())
    medbench_json(
        *("run", "--items", folder / "items.jsonl", "--catalog", cells / "catalog"),
        *("--model", f"answers:{cells / 'answers.jsonl'}", "--out", folder / "run"),
    )
    page = (folder / "run" / "report.html").read_text("utf-8")
    drawings = re.findall(r'<symbol id="boxes-\d" viewBox="0 0 ([\d.]+) ([\d.]+)">\s*<(\w+)', page)
    assert [drawing for *_, drawing in drawings] == ["rect"] * 5 + ["image"]
    assert drawings[0] == ("480.0", "240.0", "rect")
    assert drawings[5] == ("480.0", "320.0", "image")
    (data,) = re.findall('data:image/png;base64,([^"]+)', page)
    assert b"Doe" not in base64.b64decode(data), "what a picture says beside its pixels stays out of the page"
    script = "import sys; from medbench.cli.main import main; sys.argv[1:] = ['report', sys.argv[1]]; main()"
    checked = f"import atexit, sys; atexit.register(lambda: print('PIL' in sys.modules)); {script}"
    done = subprocess.run([sys.executable, "-c", checked, folder / "run"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False", "the process that makes the report decodes nothing"
    assert (folder / "run" / "report.html").read_text("utf-8") == page


def test_without_its_items_a_report_still_shows_the_boxes(tmp_path):
    box = [{"类别": ["肺癌"], "边界框": [100, 100, 200, 200]}]
    (tmp_path / "a.png").write_bytes(png(300, 200))
    item = {"id": "1", "dataset": "MedDetect", "question": "?", "answer": box, "media": ["a.png"]}
    items = write_jsonl(tmp_path / "items.jsonl", [item])
    answers = write_jsonl(tmp_path / "answers.jsonl", [{"dataset": "MedDetect", "id": "1", "answer": json.dumps(box)}])
    medbench_json("run", "--items", items, "--model", f"answers:{answers}", "--out", tmp_path / "run")
    assert "data:image/png" in report_of(tmp_path / "run")
    items.unlink()
    page = report_of(tmp_path / "run")
    assert "data:image/" not in page
    assert page.count('class="given" x=') == 2


def test_under_hidden_disclosure_no_true_box_leaves_the_scorer(cells, tmp_path):
    run = tmp_path / "run"
    medbench_json(
        *("run", "--items", cells / "items.jsonl", "--catalog", cells / "catalog", "--disclosure", "hidden"),
        *("--model", f"answers:{cells / 'answers.jsonl'}", "--out", run),
    )
    rows = score_rows(run)
    assert {(row["value"], row["details"], row["evidence"], row["true_positives"]) for row in rows} == {
        (None, "", "", 0)
    }
    figures = json.loads((run / "figures.json").read_text())["datasets"][0]["parts"][0]
    assert figures["details"]["f1_50"]["n"] == 24
    assert "<symbol" not in (run / "report.html").read_text("utf-8")
