"""Items with pictures from the checks' data, written where a test wants them; nothing of the data is kept here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

REASONING = {"ABN", "OTHER"}
"""Question types of VQA-RAD that ask what follows from what is seen; our reading."""
_DATASET = """
name = "{name}"
track = "multimodal"
dimension = "{dimension}"
title = {{ zh = "{name}", en = "{name}" }}
description = {{ zh = "检验用", en = "For checks" }}
source = "{source}"
[[parts]]
metrics = ["{metric}"]
answer = {answer}
"""


def write_jsonl(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def write_dataset(catalog: Path, name: str, dimension: str, metric: str, answer: str, source: str = "Checks") -> None:
    catalog.mkdir(exist_ok=True)
    text = _DATASET.format(name=name, dimension=dimension, metric=metric, answer=answer, source=source)
    (catalog / f"{name.lower()}.toml").write_text(text, "utf-8")


def write_vqa_rad(data: Path, out: Path) -> tuple[Path, Path, dict[str, Mapping[str, object]]]:
    """179 questions about 80 radiographs: those with yes or no in `RadYesNo`, the others, for a judge, in `RadOpen`.

    Returns:
        Item file, catalog folder, and uid -> row of the source.
    """
    catalog = out / "catalog"
    yes_or_no = '{ form = "label", labels = ["yes", "no"] }'
    write_dataset(catalog, "RadYesNo", "visual_perception", "accuracy", yes_or_no, "VQA-RAD")
    write_dataset(catalog, "RadOpen", "cross_modal_reasoning", "llm_judge", '{ form = "text" }', "VQA-RAD")
    (out / "images").mkdir()
    found, rows = {}, []
    for line in (data / "test_subset.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        answer = str(row["answer"]).strip().lower()
        dataset = "RadYesNo" if answer in ("yes", "no") else "RadOpen"
        kinds = {kind.strip() for kind in row["question_type"].split(",")}
        found[f"{dataset}/{row['qid']}"] = {**row, "answer": answer}
        rows.append(
            {
                "id": row["qid"],
                "dataset": dataset,
                "question": row["question"],
                "answer": answer,
                "language": "en",
                "media": [f"images/{row['image_name']}"],
                "probe": "reasoning" if kinds & REASONING else "perception",
            }
        )
    for name in {row["media"][0] for row in rows}:
        (out / name).write_bytes((data / name).read_bytes())
    return write_jsonl(out / "items.jsonl", rows), catalog, found


def blood_cells(data: Path) -> Iterator[tuple[str, list[tuple[str, list[int]]]]]:
    """(name, [(class, edges in thousandths)]) of every annotated picture of BCCD."""
    for path in sorted((data / "Annotations").glob("*.xml")):
        root = ElementTree.parse(path).getroot()
        sizes = [float(root.findtext(f"size/{side}")) for side in ("width", "height")] * 2
        boxes = []
        for one in root.iter("object"):
            corners = [float(one.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")]
            edges = [min(1000, max(0, round(1000 * e / size))) for e, size in zip(corners, sizes, strict=True)]
            if edges[0] < edges[2] and edges[1] < edges[3]:
                boxes.append((one.findtext("name"), edges))
        yield path.stem, boxes


def official(boxes) -> str:
    """Boxes in the form that MedDetect asks for."""
    return json.dumps([{"类别": [name], "边界框": edges} for name, edges in boxes], ensure_ascii=False)


def write_blood_cells(data: Path, out: Path, *, count: int = 60) -> tuple[Path, Path]:
    """Item file and catalog folder of BCCD as the dataset `Cells`."""
    catalog = out / "catalog"
    form = '{ form = "boxes", labels = ["RBC", "WBC", "Platelets"], none_label = "none" }'
    write_dataset(catalog, "Cells", "visual_perception", "detection_iou", form, "BCCD")
    (out / "images").mkdir()
    rows = []
    for name, boxes in list(blood_cells(data))[:count]:
        (out / f"images/{name}.jpg").write_bytes((data / f"JPEGImages/{name}.jpg").read_bytes())
        rows.append(
            {
                "id": name,
                "dataset": "Cells",
                "question": "Find all blood cells.",
                "answer": official(boxes),
                "language": "en",
                "media": [f"images/{name}.jpg"],
            }
        )
    return write_jsonl(out / "items.jsonl", rows), catalog


YES_OR_NO = {
    "en": {"Yes": "Yes", "No": "No"},
    "zh": dict.fromkeys(("是", "是的", "包含", "有", "可以", "存在"), "是")
    | dict.fromkeys(("否", "不是", "不包含", "没有", "不可以"), "否"),
}
"""Language -> what SLAKE's closed answers say -> label; the answers that name one of two things stay open."""


def write_slake(data: Path, out: Path) -> tuple[Path, Path, Path, dict[str, Mapping[str, str]]]:
    """2,094 questions about 180 pictures, which are not there, in English and Chinese.

    Those with yes or no are in `SlakeClosedEn` and `SlakeClosedZh`, the others, for a judge, in `SlakeOpenEn` and
    `SlakeOpenZh`.

    Returns:
        Table of the source's own columns and the dataset's name, its mapping, catalog folder, and uid -> row.
    """
    catalog = out / "catalog"
    for language, said in YES_OR_NO.items():
        labels = json.dumps(sorted(set(said.values())), ensure_ascii=False)
        synonyms = ", ".join(f'"{other}" = "{label}"' for other, label in said.items() if other != label)
        form = f'{{ form = "label", labels = {labels}, synonyms = {{ {synonyms} }} }}'
        write_dataset(catalog, f"SlakeClosed{language.title()}", "visual_perception", "accuracy", form, "SLAKE")
        text = '{ form = "text" }'
        write_dataset(catalog, f"SlakeOpen{language.title()}", "cross_modal_reasoning", "llm_judge", text, "SLAKE")
    found, rows = {}, []
    for row in json.loads((data / "test.json").read_text("utf-8")):
        closed = row["answer_type"] == "CLOSED" and row["answer"].strip() in YES_OR_NO[row["q_lang"]]
        row["dataset"] = f"Slake{'Closed' if closed else 'Open'}{row['q_lang'].title()}"
        found[f"{row['dataset']}/{row['qid']}"] = row
        rows.append(row)
    mapping = out / "slake.toml"
    mapping.write_text(
        "[fields]\n"
        'id = "qid"\ndataset = "dataset"\nquestion = "question"\nanswer = "answer"\nlanguage = "q_lang"\n'
        'media = "img_name"\nmeta = ["modality", "content_type"]\n'
    )
    return write_jsonl(out / "slake.jsonl", rows), mapping, catalog, found
