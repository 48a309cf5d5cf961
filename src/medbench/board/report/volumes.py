"""Volumes to scroll through: true and predicted masks of the worst few cases of a run, slice by slice."""

from __future__ import annotations

import heapq
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from medbench.board.summary import Summary
from medbench.catalog.model import FILE_METRICS
from medbench.scoring.case_slices import Answered, show_cases
from medbench.scoring.file_metrics import CaseSlice, CaseSlices, FileFault
from medbench.store.artifacts import ARTIFACTS_FOLDER, Artifacts
from medbench.store.parquet import read_batches

MOST_CASES = 6
MOST_BYTES = 4_000_000
"""Of all volumes of a page, as text: those beyond it are named, and not shown."""
PNG = b"\x89PNG"


@dataclass(frozen=True, slots=True)
class DrawnSlice:
    """A slice as it stands in the page.

    Attributes:
        made: What it shows.
        image: Address of its image as data.
        true: Path of the outlines of the key, in mm.
        given: Likewise of the answer.
    """

    made: CaseSlice
    image: str
    true: str
    given: str


@dataclass(frozen=True, slots=True)
class VolumeCase:
    """One case.

    Attributes:
        uid: Of the item.
        value: Its score in [0, 1]; None: no lesion is there to be found.
        false_positives: Components of the answer that belong to no lesion.
        shown: What is said of its slices; None: it can't be shown.
        slices: To be drawn.
        why: The reason where it can't be shown, as a code.
    """

    uid: str
    value: float | None
    false_positives: int
    shown: CaseSlices | None
    slices: tuple[DrawnSlice, ...]
    why: str


class _Row(NamedTuple):
    """A scored answer; they sort as they are shown."""

    without_value: bool
    rank: float
    seq: int
    uid: str
    metric: str
    value: float | None
    false_positives: int


def worst_volumes(run_dir: Path, summary: Summary) -> list[VolumeCase]:
    """The volumes with the lowest scores, lowest first, then those without a lesion in which most was marked.

    None under hidden disclosure, and none of a media control. Of several epochs the first.

    Raises:
        InputError: The items are gone or changed; a summary of datasets of one's own can't be had without them either.
    """
    pins = summary.pins
    parts = [(dataset.name, part.metric) for dataset in summary.datasets for part in dataset.parts]
    metrics = {name: str(metric) for name, metric in parts if metric in FILE_METRICS}
    if not metrics or pins.disclosure == "hidden" or pins.selection.media_control != "none":
        return []
    rows = heapq.nsmallest(MOST_CASES, _rows(run_dir, metrics))
    artifacts = _artifacts(run_dir, {row.seq for row in rows})
    answers = [Answered(row.uid, row.metric, artifacts[row.seq]) for row in rows]
    cases: list[VolumeCase] = []
    left = MOST_BYTES
    for row, found in zip(rows, _shown(run_dir, summary, answers), strict=True):
        slices = () if isinstance(found, FileFault) else tuple(map(_drawn, found.slices))
        left -= sum(len(each.image) + len(each.true) + len(each.given) for each in slices)
        if isinstance(found, FileFault) or left < 0:
            why = found.code if isinstance(found, FileFault) else "too_many_bytes"
            cases.append(VolumeCase(row.uid, row.value, row.false_positives, None, (), why))
        else:
            cases.append(VolumeCase(row.uid, row.value, row.false_positives, found, slices, ""))
    return cases


def _rows(run_dir: Path, metrics: Mapping[str, str]) -> Iterator[_Row]:
    """Every answer that was read, but those that rightly mark nothing."""
    columns = ["dataset", "seq", "uid", "value", "false_positives", "epoch", "closed_status"]
    for batch in read_batches(run_dir / "scores", columns):
        lists = (batch[name].to_pylist() for name in columns)
        for dataset, seq, uid, value, false_positives, epoch, status in zip(*lists, strict=True):
            if dataset in metrics and epoch == 0 and status == "scored" and (value is not None or false_positives):
                rank = -false_positives if value is None else value
                yield _Row(value is None, rank, seq, uid, metrics[dataset], value, false_positives)


def _artifacts(run_dir: Path, wanted: set[int]) -> dict[int, tuple[str, ...]]:
    """References of the files of each answer."""
    decode = msgspec.json.Decoder(tuple[str, ...]).decode
    return {
        seq: decode(references) if references else ()
        for batch in read_batches(run_dir / "responses", ["seq", "artifacts"])
        for seq, references in zip(batch["seq"].to_pylist(), batch["artifacts"].to_pylist(), strict=True)
        if seq in wanted
    }


def _shown(run_dir: Path, summary: Summary, answers: Sequence[Answered]) -> Iterator[CaseSlices | FileFault]:
    from medbench.runs.execute import open_pinned

    return show_cases(
        answers,
        open_pinned(summary.pins),
        Artifacts(run_dir / ARTIFACTS_FOLDER),
        catalog_folder=summary.pins.own_catalog,
        keys_fingerprint=summary.keys_fingerprint,
    )


def _drawn(made: CaseSlice) -> DrawnSlice:
    kind = "png" if made.image.startswith(PNG) else "jpeg"
    image = f"data:image/{kind};base64,{b64encode(made.image).decode()}"
    return DrawnSlice(made, image, _path(made.true), _path(made.given))


def _path(outlines: Sequence[Sequence[tuple[float, float]]]) -> str:
    """Outlines as the path of an SVG."""
    return "".join(f"M{' '.join(f'{x:g},{y:g}' for x, y in outline)}Z" for outline in outlines)
