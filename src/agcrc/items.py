"""A dataset folder as items of medbench: volumes to segment, and slices on which to find lesions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy import Organs, load_class_map
from agcrc.anatomy.organs import BUNDLED
from agcrc.errors import InputError, Problem
from agcrc.evaluate.folders import read_mask, write_whole
from agcrc.evaluate.run import dataset_note
from agcrc.train.look import WINDOW_HU
from agcrc.volumes import Case, Dataset, Volume, open_dataset, read_ct, read_labels, require_same_grid
from agcrc.volumes.slices import axial, slice_boxes

VOLUMES = "ColorectalCT"
"""Dataset of the volume items; its definition is written beside them."""
SLICES = "MedDetect"
LESION, NONE = "结肠癌", "无病变"
CATALOG_FOLDER, SLICE_FOLDER = "catalog", "slices"
DEFINITION = """name = "ColorectalCT"
track = "imaging"
dimension = "lesion_segmentation"
title = { zh = "结直肠肿瘤分割", en = "Segmentation of colorectal tumours" }
description = { zh = "在腹部 CT 中分割结直肠肿瘤，给出与 CT 同网格的标注体。", \
en = "Segment colorectal tumours in an abdominal CT as a label volume on its grid." }
source = "agcrc items"

[[parts]]
metrics = ["lesion_dice"]

[parts.answer]
form = "mask"
"""
ASK_VOLUME = "Segment every colorectal tumour in this CT: a label volume on its grid, 1 for tumour and 0 elsewhere."
ASK_SLICE = "请检出这张腹部 CT 断层影像上的结肠癌病灶。"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        items: The item file.
        catalog: Folder with the definition of the volume dataset.
        volumes: Volume items.
        slices: Slice items.
    """

    items: Path
    catalog: Path
    volumes: int
    slices: int


def write_items(
    data: Path, out: Path, *, slices: bool = False, progress: Callable[[int, int], None] | None = None
) -> Written:
    """Write the test cases of a dataset folder as item JSONL.

    A volume item asks for a label volume; its media are CT and organ masks, its answer is the path of the true label
    volume. A slice item asks for boxes on one axial slice; its media are the picture of the slice, CT and organ masks,
    and `meta` names volume, organ masks, axis and slice. Of each case with a lesion, the slice with most of it becomes
    an item, and of each case the slice without any that shows most colon.

    Args:
        data: The dataset folder, with labels and organ masks of its test cases.
        out: Item file to write; `catalog/` and `slices/` go beside it. The dataset must lie in its folder or below.
        slices: Write slice items too.
        progress: Called with the number of cases done and in all.

    Raises:
        InputError: No dataset, a test case without label or organ masks, or files outside the item file's folder.
        WorkError: A file can't be written.
    """
    dataset = open_dataset(data)
    root = out.resolve().parent
    problems = [
        Problem(f"test case {case.name} has no {what}.", "Items need the truth and organ masks.", str(data))
        for case in dataset.test
        for what, path in (("label", case.label), ("organ masks", case.organs))
        if path is None
    ]
    if not dataset.test:
        problems.append(Problem("has no test cases.", "Items are made of test cases only.", str(data)))
    outside = [
        path
        for case in dataset.test
        for path in (case.image, case.label, case.organs)
        if path is not None and not path.resolve().is_relative_to(root)
    ]
    if outside:
        advice = "Write the items into the dataset folder or above it; a link must not lead out of it."
        problems.append(Problem(f"{outside[0]} and others lie outside the item file's folder.", advice, str(out)))
    if problems:
        raise InputError(*problems)
    note = dataset_note(data)
    shown: dict[str, Any] = {"class_map": dataset.class_map} if dataset.class_map in BUNDLED else {}
    if note is not None and note.simulation:
        shown["illustrative"] = True
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(dataset.test, start=1):
        rows.append(_volume_item(case, dataset, root, shown))
        if slices:
            rows += _slice_items(case, dataset, root, shown)
        if progress is not None:
            progress(number, len(dataset.test))
    write_whole(out.parent / CATALOG_FOLDER / f"{VOLUMES}.toml", DEFINITION)
    write_whole(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return Written(out, out.parent / CATALOG_FOLDER, len(dataset.test), len(rows) - len(dataset.test))


def _volume_item(case: Case, dataset: Dataset, root: Path, shown: dict[str, Any]) -> dict[str, Any]:
    assert case.label is not None
    volume, organs, truth = (_named(path, root) for path in (case.image, case.organs, case.label))
    return {
        "id": case.name,
        "dataset": VOLUMES,
        "question": ASK_VOLUME,
        "language": "en",
        "answer": truth,
        "media": [volume, organs],
        "source": dataset.name,
        "meta": {**shown, "volume": volume, "organs": organs},
    }


def _slice_items(case: Case, dataset: Dataset, root: Path, shown: dict[str, Any]) -> list[dict[str, Any]]:
    assert case.label is not None
    assert case.organs is not None
    ct, truth, labels = read_ct(case.image), read_mask(case.label), read_labels(case.organs)
    require_same_grid(ct, truth, (str(case.image), str(case.label)))
    require_same_grid(ct, labels, (str(case.image), str(case.organs)))
    volume, organs = _named(case.image, root), _named(case.organs, root)
    colon = Organs(labels, load_class_map(dataset.class_map)).mask("colon")
    rows = []
    for index in _chosen(truth.array, colon):
        name = f"{case.name}_{index}"
        picture = root / SLICE_FOLDER / f"{name}.png"
        _draw(picture, ct, index)
        boxes = slice_boxes(axial(truth.array, index).astype(np.bool_))
        meta = {**shown, "volume": volume, "organs": organs, "axis": "axial", "slice": index}
        rows.append(
            {
                "id": name,
                "dataset": SLICES,
                "question": ASK_SLICE,
                "language": "zh",
                "answer": boxes_answer(boxes),
                "media": [_named(picture, root), volume, organs],
                "source": dataset.name,
                "family": case.name,
                "meta": meta,
            }
        )
    return rows


def boxes_answer(boxes: list[tuple[int, int, int, int]]) -> list[dict[str, object]]:
    """Boxes in the form that MedDetect asks for; without any, the entry that says so."""
    if not boxes:
        return [{"类别": [NONE], "边界框": []}]
    return [{"类别": [LESION], "边界框": list(box)} for box in boxes]


def _chosen(truth: NDArray[np.bool_], colon: NDArray[np.bool_]) -> list[int]:
    """The slice with most lesion, where there is any, and the one without that shows most colon, where there is one."""
    lesion = np.count_nonzero(truth, axis=(1, 2))
    shown = np.where(lesion > 0, -1, np.count_nonzero(colon, axis=(1, 2)))
    chosen = [int(lesion.argmax())] if lesion.any() else []
    return chosen + ([int(shown.argmax())] if shown.max() >= 0 else [])


def _draw(path: Path, ct: Volume, index: int) -> None:
    from matplotlib.image import imsave

    path.parent.mkdir(parents=True, exist_ok=True)
    low, high = WINDOW_HU
    imsave(path, axial(ct.array, index), cmap="gray", vmin=low, vmax=high)


def _named(path: Path | None, root: Path) -> str:
    assert path is not None
    return (path.parent.resolve() / path.name).relative_to(root).as_posix()
