"""The early look: curves so far, and the first validation case as the network sees it now."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agcrc.volumes.cases import PreparedCase

LOOK_FILE = "look.png"
WINDOW_HU = (-110.0, 190.0)


def draw_look(run: Path, case: PreparedCase, probability: NDArray[Any]) -> Path:
    """Draw `look.png` into the folder of a run.

    Args:
        run: Holds curves.csv.
        case: A validation case.
        probability: Of a lesion, shape of the case.
    """
    from matplotlib.figure import Figure

    with (run / "curves.csv").open(encoding="utf-8") as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, right, picture = figure.subplots(1, 3)
    left.plot(epochs, [row["loss"] for row in rows], color="#0072b2")
    left.set(title="Training loss", xlabel="epoch")
    right.plot(epochs, [row["validation_dice"] for row in rows], color="#d55e00")
    right.set(title="Dice of the validation cases", xlabel="epoch", ylim=(0, 1))
    lesion = np.asarray(case.lesion) > 0
    probability = np.where(np.asarray(case.ooi) > 0, probability, 0.0)
    plane = int(lesion.sum(axis=(1, 2)).argmax()) if lesion.any() else int(probability.sum(axis=(1, 2)).argmax())
    low, high = WINDOW_HU
    _, dy, dx = case.grid.spacing
    picture.imshow(np.asarray(case.ct[plane]), cmap="gray", vmin=low, vmax=high, origin="lower", aspect=dy / dx)
    picture.contour(np.asarray(case.ooi[plane]) > 0, levels=[0.5], colors="#56b4e9", linewidths=0.8)
    if lesion[plane].any():
        picture.contour(lesion[plane], levels=[0.5], colors="#009e73", linewidths=1.5)
    if (probability[plane] > 0.5).any():
        picture.contour(probability[plane] > 0.5, levels=[0.5], colors="#d55e00", linewidths=1.2)
    picture.set(xticks=[], yticks=[])
    picture.set_title(f"{case.name}: truth green, found orange,\norgan of interest blue", fontsize=9)
    picture.invert_xaxis()  # as a radiologist looks: the patient's right on the left
    path = run / LOOK_FILE
    figure.savefig(path, dpi=90)
    return path
