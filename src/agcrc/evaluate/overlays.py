"""Pictures of cases: truth and prediction as outlines on the CT."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.evaluate.case import Case
from agcrc.evaluate.detection import components
from agcrc.evaluate.folders import read_mask
from agcrc.volumes import Spacing, Volume, read_ct, require_same_grid
from agcrc.volumes.nifti import SUFFIXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST_HU, HIGHEST_HU = -160.0, 240.0
"""The soft-tissue window of abdominal reading: level 40, width 400."""
SIDE_MM = 180.0
TRUTH, PREDICTION = "#f0e442", "#56b4e9"
"""Yellow and sky blue of Okabe & Ito; the prediction is dashed as well."""
CHANNEL = "_0000"


@dataclass(frozen=True, slots=True)
class Picture:
    """A case in three planes.

    Attributes:
        title: Why it is shown: `best`, `median`, `worst` or `healthy_worst`.
        case: What was measured of it.
        png: The image.
    """

    title: str
    case: Case
    png: bytes


def chosen_cases(cases: Sequence[Case]) -> list[tuple[str, Case]]:
    """The scan with the best, the median and the worst Dice, and the healthy one with most false positives."""
    ill = sorted((case for case in cases if case.dice is not None), key=lambda case: (-(case.dice or 0.0), case.name))
    found: dict[str, tuple[str, Case]] = {}
    if ill:
        for title, place in (("best", 0), ("worst", -1), ("median", len(ill) // 2)):
            found.setdefault(ill[place].name, (title, ill[place]))
    shown = sorted(found.values(), key=lambda item: ill.index(item[1]))
    healthy = max((case for case in cases if case.healthy), key=lambda case: case.false_positives, default=None)
    if healthy is not None and healthy.false_positives:
        shown.append(("healthy_worst", healthy))
    return shown


def find_images(images: Path, names: Sequence[str]) -> dict[str, Path]:
    """The CT of each case: `<case>.nii.gz`, or `<case>_0000.nii.gz` as nnU-Net calls it.

    Raises:
        InputError: A case has none.
    """
    found = {}
    missing = []
    for name in names:
        paths = [images / f"{name}{channel}{suffix}" for channel in ("", CHANNEL) for suffix in SUFFIXES]
        path = next((each for each in paths if each.is_file()), None)
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        raise InputError(
            Problem(
                f"has no CT of {', '.join(missing)}.",
                "Name them as the cases are named, or leave the images out.",
                str(images),
            )
        )
    return found


def draw_pictures(
    chosen: Sequence[tuple[str, Case]], images: Mapping[str, Path], truth: Mapping[str, Path], masks: Mapping[str, Path]
) -> list[Picture]:
    """Draw each chosen case; one CT is in memory at a time.

    Raises:
        InputError: A CT can't be read or stands on another grid than the truth.
    """
    pictures = []
    for title, case in chosen:
        ct, true, found = read_ct(images[case.name]), read_mask(truth[case.name]), read_mask(masks[case.name])
        require_same_grid(ct, true, (str(images[case.name]), f"the truth of {case.name}"))
        pictures.append(Picture(title, case, draw_planes(ct, true, found)))
    return pictures


def draw_planes(ct: Volume, truth: Volume, prediction: Volume) -> bytes:
    """PNG of the axial, coronal and sagittal plane through the largest lesion, or the largest false positive.

    As radiologists hang them: the patient's right on the left hand side, front of the sagittal plane to the left.
    """
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    true, found = (np.asarray(each.array, dtype=np.bool_) for each in (truth, prediction))
    spacing = ct.grid.spacing
    centre = _centre(true if true.any() else found)
    figure = Figure(figsize=(9.6, 3.3), layout="constrained", facecolor="black")
    panels = figure.subplots(1, 3)
    # Rows and columns of each plane, whether the columns run against the picture, and what its edges are.
    planes = (
        (0, 1, 2, True, ("R", "L", "P", "A")),
        (1, 0, 2, True, ("R", "L", "F", "H")),
        (2, 0, 1, True, ("A", "P", "F", "H")),
    )
    for panel, (across, row, column, mirrored, edges) in zip(panels, planes, strict=True):
        _plane(panel, ct.array, true, found, centre, spacing, (across, row, column))
        if mirrored:
            panel.invert_xaxis()
        panel.set(xticks=[], yticks=[], facecolor="black")
        for text, (x, y) in zip(edges, ((0.02, 0.5), (0.98, 0.5), (0.5, 0.03), (0.5, 0.97)), strict=True):
            letter = panel.text(x, y, text, transform=panel.transAxes, color="white", size=9, ha="center", va="center")
            letter.set_path_effects([withStroke(linewidth=2.0, foreground="black")])
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _plane(
    panel: Axes,
    hu: NDArray[np.generic],
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    centre: tuple[int, int, int],
    spacing: Spacing,
    axes: tuple[int, int, int],
) -> None:
    across, row, column = axes
    part: list[int | slice] = [slice(None)] * 3
    part[across] = centre[across]
    for axis in (row, column):
        size = min(hu.shape[axis], max(1, round(SIDE_MM / spacing[axis])))
        # Near a border the picture moves, it doesn't shrink.
        start = min(max(0, centre[axis] - size // 2), hu.shape[axis] - size)
        part[axis] = slice(start, start + size)
    cut = tuple(part)
    aspect = spacing[row] / spacing[column]
    panel.imshow(hu[cut], cmap="gray", vmin=LOWEST_HU, vmax=HIGHEST_HU, origin="lower", aspect=aspect)
    for mask, colour, line in ((truth[cut], TRUTH, "solid"), (prediction[cut], PREDICTION, "dashed")):
        if mask.any():
            # Padded, so that an outline closes where a mask reaches the edge of the picture.
            padded = np.pad(mask, 1).astype(np.float32)
            rows, columns = (np.arange(-1, size + 1) for size in mask.shape)
            panel.contour(columns, rows, padded, levels=[0.5], colors=colour, linewidths=1.4, linestyles=line)
    panel.set(xlim=(-0.5, hu[cut].shape[1] - 0.5), ylim=(-0.5, hu[cut].shape[0] - 0.5))


def _centre(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Where the planes cut most of the largest component; the array's middle for an empty mask."""
    if not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2, mask.shape[2] // 2
    labelled, _ = components(mask)
    largest = labelled == int(np.bincount(labelled[mask]).argmax())
    z, y, x = (int(largest.sum(axis=tuple(other for other in range(3) if other != axis)).argmax()) for axis in range(3))
    return z, y, x
