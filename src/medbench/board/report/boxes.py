"""Pictures of true and predicted boxes: the worst few of a run, drawn over the image where it can be had."""

from __future__ import annotations

import heapq
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import msgspec

from medbench.board.summary import Summary
from medbench.errors import InputError
from medbench.items.model import Media
from medbench.scoring.model import Box, BoxEvidence
from medbench.store.parquet import read_batches

MOST_CASES = 6
SIDE = 480
"""Pixels of the longer side as embedded: with `JPEG_QUALITY` some 40 kB a picture."""
JPEG_QUALITY = 75
MOST_PIXELS = 25_000_000
"""A larger image is not decoded: of a picture from anywhere only its frame is shown."""
LARGEST_FILE = 32 * 1024 * 1024
MOST_DRAWN = 60
"""Boxes of an answer that are drawn in one picture."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A box in units of its drawing, `SIDE` along the longer side."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BoxCase:
    """One picture.

    Attributes:
        uid: Of the item.
        value: Its score in [0, 1].
        image: Address of the image as data; empty: it can't be had, and the frame stays empty.
        width: Of the drawing.
        height: Of the drawing.
        true: Boxes of the key.
        given: Boxes of the answer, the first `MOST_DRAWN`.
        answered: Number of all its boxes, those that could not be used included.
        pairs: IoU of the boxes that belong together.
        faults: Boxes of the answer that could not be used or match nothing: (place, code).
    """

    uid: str
    value: float
    image: str
    width: float
    height: float
    true: tuple[Rectangle, ...]
    given: tuple[Rectangle, ...]
    answered: int
    pairs: tuple[float, ...]
    faults: tuple[tuple[int, str], ...]


def worst_boxes(run_dir: Path, summary: Summary) -> list[BoxCase]:
    """The items with the lowest scores whose boxes could be read, worst first, in the order of the plan where equal.

    None under hidden disclosure, and none of a media control, whose boxes are not those of its pictures.
    """
    pins = summary.pins
    boxes = any(part.metric == "detection_iou" for dataset in summary.datasets for part in dataset.parts)
    if not boxes or pins.disclosure == "hidden" or pins.selection.media_control != "none":
        return []
    rows = heapq.nsmallest(MOST_CASES, _rows(run_dir), key=lambda row: row[:2])
    decode = msgspec.json.Decoder(BoxEvidence).decode
    images = _images(summary, {uid for *_, uid, _ in rows})
    return [_case(uid, value, decode(evidence), images.get(uid)) for value, _, uid, evidence in rows]


def _rows(run_dir: Path) -> Iterator[tuple[float, int, str, str]]:
    """Value, place in the plan, name and evidence of every answer whose boxes were read."""
    columns = ["value", "seq", "uid", "evidence", "closed_status"]
    for batch in read_batches(run_dir / "scores", columns):
        for value, seq, uid, evidence, status in zip(*(batch[name].to_pylist() for name in columns), strict=True):
            if evidence and value is not None and status == "scored":
                yield value, seq, uid, evidence


def _images(summary: Summary, wanted: set[str]) -> dict[str, Path]:
    """The file of the first medium of each item; not those that can't be had any more."""
    from medbench.runs.execute import open_pinned

    try:
        source = open_pinned(summary.pins)
    except InputError:
        return {}
    # No further than the last of them: reading all questions of a large bank takes longer than the report.
    pictured = (question for question in source.questions() if question.uid in wanted)
    media: dict[str, Media] = {each.uid: each.media[0] for each in islice(pictured, len(wanted)) if each.media}
    return {uid: path for uid, medium in media.items() if (path := source.media_path(medium)) is not None}


def _case(uid: str, value: float, evidence: BoxEvidence, file: Path | None) -> BoxCase:
    image, width, height = _embedded(file) if file is not None else ("", 1, 1)
    scale = SIDE / max(width, height)
    width, height = round(width * scale, 1), round(height * scale, 1)
    return BoxCase(
        uid=uid,
        value=value,
        image=image,
        width=width,
        height=height,
        true=tuple(_rectangle(box, width, height) for box in evidence.true),
        given=tuple(_rectangle(box, width, height) for box in evidence.given[:MOST_DRAWN]),
        answered=len(evidence.given) + sum(fault.code != "unknown_label" for fault in evidence.faults),
        pairs=tuple(iou for *_, iou in evidence.pairs),
        faults=tuple((fault.place, fault.code) for fault in evidence.faults),
    )


def _rectangle(box: Box, width: float, height: float) -> Rectangle:
    left, top, right, bottom = box.edges
    sides = (left * width, top * height, (right - left) * width, (bottom - top) * height)
    return Rectangle(box.label, *(round(side / 1000, 2) for side in sides))


def _embedded(file: Path) -> tuple[str, float, float]:
    """Address of a small copy of an image as data, empty where none can be made, and the size of the image itself.

    Only PNG and JPEG are opened: what else there is may be decoded in many ways by many libraries.
    """
    try:
        from PIL import Image
    except ImportError:
        return "", 1, 1
    width = height = 1
    try:
        if file.stat().st_size > LARGEST_FILE:
            return "", width, height
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                return "", width, height
            image.draft("RGB", (SIDE, SIDE))
            image.thumbnail((SIDE, SIDE))
            stream = BytesIO()
            image.convert("RGB").save(stream, "JPEG", quality=JPEG_QUALITY)
    except Exception:  # noqa: BLE001 - decoders raise whatever they like; the boxes are shown without the image
        return "", width, height
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}", width, height
