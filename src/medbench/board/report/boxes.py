"""Pictures of true and predicted boxes: the worst few of a run, drawn over the image where it can be had."""

from __future__ import annotations

import heapq
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from medbench.board.summary import Summary
from medbench.errors import InputError
from medbench.items.model import Media
from medbench.models.image_header import image_header
from medbench.models.images import ImageLimits
from medbench.models.preparation import LARGEST_MEDIUM, MediaWorker
from medbench.scoring.model import Box, BoxEvidence
from medbench.store.parquet import read_batches

MOST_CASES = 6
SIDE = 480
"""Pixels of the longer side as embedded."""
EMBEDDED = ImageLimits(side=SIDE, size=60_000, count=1)
TIME_LIMIT_S = 10.0
"""For one picture; of one that takes longer only the frame is shown."""
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
    worker = MediaWorker()
    try:
        return [
            _case(uid, value, decode(evidence), _embedded(worker, images.get(uid))) for value, _, uid, evidence in rows
        ]
    finally:
        worker.end()


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


def _case(uid: str, value: float, evidence: BoxEvidence, embedded: tuple[str, int, int]) -> BoxCase:
    image, width, height = embedded
    scale = SIDE / max(width, height)
    sides = round(width * scale, 1), round(height * scale, 1)
    return BoxCase(
        uid=uid,
        value=value,
        image=image,
        width=sides[0],
        height=sides[1],
        true=tuple(_rectangle(box, *sides) for box in evidence.true),
        given=tuple(_rectangle(box, *sides) for box in evidence.given[:MOST_DRAWN]),
        answered=len(evidence.given) + sum(fault.code != "unknown_label" for fault in evidence.faults),
        pairs=tuple(iou for *_, iou in evidence.pairs),
        faults=tuple((fault.place, fault.code) for fault in evidence.faults),
    )


def _rectangle(box: Box, width: float, height: float) -> Rectangle:
    left, top, right, bottom = box.edges
    sides = (left * width, top * height, (right - left) * width, (bottom - top) * height)
    return Rectangle(box.label, *(round(side / 1000, 2) for side in sides))


def _embedded(worker: MediaWorker, file: Path | None) -> tuple[str, int, int]:
    """Address of a small copy of a picture as data, empty where none can be made, and width and height of the picture.

    It is encoded anew even where it is small enough, so that nothing but its pixels gets into the page.
    """
    try:
        data = file.read_bytes() if file is not None and file.stat().st_size <= LARGEST_MEDIUM else b""
    except OSError:
        data = b""
    made = worker.make(data, EMBEDDED, TIME_LIMIT_S) if data else []
    if isinstance(made, str) or not made:
        header = image_header(data)
        return ("", header.width, header.height) if header else ("", 1, 1)
    sent, content = made[0]
    width, height = (max(1, side) for side in sent.original)
    return f"data:image/{sent.kind};base64,{b64encode(content).decode()}", width, height
