"""Prediction from files to files: mask, probabilities, a JSON of the lesions and a picture; all or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agcrc.anatomy import Organs, load_class_map
from agcrc.errors import InputError, Problem
from agcrc.predict.case import Prediction, predict_case
from agcrc.train.look import WINDOW_HU
from agcrc.train.plan import Plan
from agcrc.train.windows import Mode
from agcrc.volumes import Box, Volume, read_ct, read_labels, require_same_grid, write_volume
from agcrc.volumes.nifti import SUFFIXES
from agcrc.volumes.together import appearing_together


def predict_files(
    net: torch.nn.Module,
    plan: Plan,
    ct: Path,
    labels: Path,
    out: Path,
    *,
    class_map: str | None = None,
    mode: Mode = "filtered",
    flips: bool = False,
    device: str = "cpu",
    force: bool = False,
    probability: bool = False,
) -> dict[str, Any]:
    """Predict one case and write it.

    Args:
        net: As `load_model` gives it.
        plan: Its plan.
        ct: CT in HU, NIfTI or the folder of a DICOM series.
        labels: Organ masks on its grid.
        out: Mask to write on the grid of the CT, `NAME.nii.gz`; `NAME.json` and `NAME.png` go beside it, with
            `probability` also `NAME_prob.nii.gz`.
        class_map: How the organ masks are numbered; by default as in training.
        mode: See `predict_case`.
        flips: See `predict_case`.
        device: See `predict_case`.
        force: See `predict_case`.
        probability: Write the probability map.

    Returns:
        What stands in the JSON.

    Raises:
        InputError: An input can't be used; nothing is written.
        WorkError: A file can't be written.
    """
    volume, organs = _inputs(ct, labels, class_map or plan.class_map, out)
    found = predict_case(net, plan, volume, organs, mode=mode, flips=flips, device=device, force=force)
    stem = out.name.removesuffix(".gz").removesuffix(".nii")
    result = {
        "ct": str(ct),
        "labels": str(labels),
        "mode": mode,
        "flips": flips,
        "lesions": [asdict(lesion) for lesion in found.lesions],
        "windows": found.windows,
        "seconds": {name: round(value, 3) for name, value in found.seconds.items()},
        "ooi": asdict(found.region.quality),
        "model": plan.model_hash(),
    }
    with appearing_together(out) as made:
        text = json.dumps(result, indent=2, ensure_ascii=False)
        (made / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
        draw_prediction(made / f"{stem}.png", volume, found)
        if probability:
            write_volume(made / f"{stem}_prob.nii.gz", found.probability_on(volume.grid), volume.grid)
        np.minimum(found.mask, 1, out=found.mask)  # in place: a copy would be as large as the scan
        write_volume(made / out.name, found.mask, volume.grid)
    return result


def _inputs(ct: Path, labels: Path, class_map: str, out: Path) -> tuple[Volume, Organs]:
    """Read everything; all that is wrong is told at once, before any work."""
    problems: list[Problem] = []
    if not out.name.endswith(SUFFIXES):
        problems.append(Problem("must end in .nii.gz or .nii.", "", str(out)))
    read: list[Any] = []
    for step in (lambda: read_ct(ct), lambda: read_labels(labels), lambda: load_class_map(class_map)):
        try:
            read.append(step())
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    volume, masks, names = read
    require_same_grid(volume, masks, (str(ct), str(labels)))
    return volume, Organs(masks, names)


def draw_prediction(path: Path, ct: Volume, found: Prediction) -> None:
    """A picture: each of the three surest lesions in an axial and a coronal plane; without one, the organ's middle."""
    from matplotlib.figure import Figure

    lesions = found.lesions[:3]
    places = [ct.grid.to_index(np.array(lesion.centre_mm)) for lesion in lesions]
    titles = [f"lesion {lesion.number}: {lesion.volume_ml:.1f} mL, {lesion.confidence:.2f}" for lesion in lesions]
    if not places:
        box = found.region.box_on(ct.grid, (0, 0, 0))
        ends = [(part.start, part.stop) for part in box] if box else [(0, size) for size in ct.grid.shape]
        places, titles = [np.array(ends).mean(axis=1)], ["nothing found"]
    figure = Figure(figsize=(3.4 * len(places), 7), layout="constrained")
    panels = figure.subplots(2, len(places), squeeze=False)
    low, high = WINDOW_HU
    dz, dy, dx = ct.grid.spacing
    for column, (place, title) in enumerate(zip(places, titles, strict=True)):
        z, y = (int(np.clip(round(place[axis]), 0, ct.grid.shape[axis] - 1)) for axis in (0, 1))
        depth, height, width = (slice(0, size) for size in ct.grid.shape)
        views: tuple[tuple[Box, float], ...] = (
            ((slice(z, z + 1), height, width), dy / dx),
            ((depth, slice(y, y + 1), width), dz / dx),
        )
        for row, (part, aspect) in enumerate(views):
            panel = panels[row][column]
            panel.imshow(ct.array[part].squeeze(row), cmap="gray", vmin=low, vmax=high, origin="lower", aspect=aspect)
            ooi = found.region.on(ct.grid.cropped(part))[0].squeeze(row)
            for mask, colour in ((ooi > 0, "#56b4e9"), (found.mask[part].squeeze(row) > 0, "#d55e00")):
                if mask.any() and not mask.all():
                    panel.contour(mask, levels=[0.5], colors=colour, linewidths=1)
            panel.set(xticks=[], yticks=[])
            panel.invert_xaxis()
        panels[0][column].set_title(title, fontsize=9)
    figure.suptitle("Found (orange) in the organ of interest (blue)", fontsize=10)
    figure.savefig(path, dpi=90)
