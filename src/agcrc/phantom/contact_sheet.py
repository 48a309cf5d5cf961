"""A picture of several phantom cases, one row each, for a person to judge them at a glance."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import WorkError
from agcrc.phantom.labels import BONES, COLON, LABELS, SMALL_BOWEL
from agcrc.volumes import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 8
WINDOW_HU = (-160.0, 240.0)
COLON_COLOUR, LESION_COLOUR, DISTRACTOR_COLOUR, LOST_COLOUR = "#3ddc84", "#ff4d4d", "#ffb000", "#ff66cc"
ORGAN_COLOURS = {
    "small_bowel": "#e6c229",
    "liver": "#8d6e63",
    "spleen": "#7e57c2",
    "kidney_left": "#42a5f5",
    "kidney_right": "#42a5f5",
    "stomach": "#ec8f5e",
    "urinary_bladder": "#4dd0e1",
}
OPACITY = 0.55

Picture = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane of a case: CT and masks as (row, column), lowest row first.

    Attributes:
        title: What plane.
        sides: Letters at the left and right edge.
        ct: HU.
        organs: True labels.
        damaged: Damaged labels.
        lesion: 0 and 1.
        distractors: 0 and 1.
    """

    title: str
    sides: tuple[str, str]
    ct: Picture
    organs: Picture
    damaged: Picture
    lesion: Picture
    distractors: Picture


@dataclass(frozen=True, eq=False)
class Row:
    """A case as the sheet shows it.

    Attributes:
        name: Of the case.
        note: One or two lines about it.
        slices: Coronal, axial and sagittal, through the lesion (through the colon's middle in a healthy case).
        from_front: Damaged labels of the bowel, seen from the front: 2 colon, 1 colon that is missing or has another
            label, 3 small bowel, 0 neither.
        shadow: Bright where there is bone, seen from the front.
        seen: Lesions and distractors seen from the front.
        spacing_mm: Edge of a pixel.
    """

    name: str
    note: str
    slices: tuple[Slice, Slice, Slice]
    from_front: Picture
    shadow: Picture
    seen: tuple[Picture, Picture]
    spacing_mm: float


def sheet_row(
    name: str,
    note: str,
    *,
    ct: Picture,
    organs_true: Picture,
    organs: Picture,
    lesion: Picture,
    distractors: Picture,
    grid: Grid,
) -> Row:
    """Cut a case, arrays (z, y, x), down to the few pictures that the sheet shows."""
    middle = _middle(_largest(lesion) if lesion.any() else organs_true == COLON)
    stack = (ct, organs_true, organs, lesion, distractors)
    z, y, x = middle
    height, front, right = grid.to_mm(np.array(middle, dtype=np.float64))[::-1]
    where = "lesion" if lesion.any() else "colon"
    # Radiological view: the patient's right hand side is on the left of the picture, the front on top or on the left.
    coronal = Slice(f"coronal, {where}, y {front:+.0f} mm", ("R", "L"), *(a[:, y, ::-1] for a in stack))
    axial = Slice(f"axial, {where}, z {height:+.0f} mm", ("R", "L"), *(a[z, :, ::-1] for a in stack))
    sagittal = Slice(f"sagittal, {where}, x {right:+.0f} mm", ("A", "P"), *(a[:, ::-1, x] for a in stack))
    return Row(
        name,
        note,
        (_kept(coronal), _kept(axial), _kept(sagittal)),
        _from_front(organs_true, organs),
        _depth(np.isin(organs_true, BONES)),
        (_depth(lesion) > 0, _depth(distractors) > 0),
        grid.spacing[0],
    )


def write_contact_sheet(path: Path, rows: Sequence[Row], title: str) -> None:
    """Draw up to eight rows of five pictures and write them as PNG, all or nothing.

    Raises:
        WorkError: It can't be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(rows[:MOST_ROWS])
    inches = 3.1
    height = inches * len(shown) + 1.1
    figure = Figure(figsize=(inches * 5 + 0.4, height), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), 5, squeeze=False)
    figure.subplots_adjust(
        left=0.03, right=0.995, top=1 - 0.85 / height, bottom=0.08 / height, wspace=0.02, hspace=0.09
    )
    for line, row in zip(axes, shown, strict=True):
        line[0].set_ylabel(f"{row.name}\n{row.note}", color="white", fontsize=8)
        _draw_slice(line[0], row.slices[0], row.spacing_mm, marked=False)
        for axis, each in zip(line[1:4], row.slices, strict=True):
            _draw_slice(axis, each, row.spacing_mm, marked=True)
        _draw_from_front(line[4], row)
    _legend(figure)
    figure.suptitle(title, color="white", fontsize=12, x=0.03, y=1 - 0.14 / height, ha="left", va="top")
    _save(figure, path)


def _largest(mask: Picture) -> Picture:
    """The largest part of a mask that hangs together."""
    from scipy import ndimage

    parts, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.reshape(-1))[1:]
    return np.asarray(parts == 1 + int(np.argmax(sizes)), dtype=bool)


def _middle(mask: Picture) -> tuple[int, int, int]:
    """The voxel of a mask through whose planes most of it can be seen."""
    z, y, x = (int(np.argmax(mask.sum(axis=others))) for others in ((1, 2), (0, 2), (0, 1)))
    return z, y, x


def _kept(plane: Slice) -> Slice:
    """A copy, so that the whole volume need not stay in memory."""
    return Slice(
        plane.title, plane.sides, plane.ct.copy(), plane.organs.copy(), plane.damaged.copy(), plane.lesion.copy(),
        plane.distractors.copy(),
    )  # fmt: skip


def _depth(mask: Picture) -> Picture:
    """How many voxels of a mask lie behind each other, seen from the front."""
    return np.asarray(mask.sum(axis=1)[:, ::-1], dtype=np.float32)


def _from_front(organs_true: Picture, organs: Picture) -> Picture:
    kept, lost = _depth(organs == COLON), _depth((organs_true == COLON) & (organs != COLON))
    rest = np.where(_depth(organs == SMALL_BOWEL) > 0, 3, 0)
    return np.where(lost > np.maximum(kept, 1), 1, np.where(kept > 0, 2, rest)).astype(np.uint8)


def _draw_slice(axis: Axes, plane: Slice, spacing: float, *, marked: bool) -> None:
    height, width = plane.ct.shape
    extent = (0.0, width * spacing, 0.0, height * spacing)
    axis.imshow(
        plane.ct, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], origin="lower", extent=extent,
        interpolation="bilinear",
    )  # fmt: skip
    _dress(axis, plane.title if marked else "coronal, as scanned", extent, plane.sides)
    if not marked:
        return
    axis.imshow(_tint(plane), origin="lower", extent=extent, interpolation="nearest")
    for mask, colour, width_points in (
        (plane.organs == COLON, COLON_COLOUR, 0.8),
        (plane.distractors > 0, DISTRACTOR_COLOUR, 1.1),
        (plane.lesion > 0, LESION_COLOUR, 1.3),
    ):
        _outline(axis, mask, colour, width_points, spacing)


def _tint(plane: Slice) -> Picture:
    """Damaged organ labels as a thin colour wash, RGBA."""
    from matplotlib.colors import to_rgba

    wash = np.zeros((*plane.damaged.shape, 4), dtype=np.float32)
    wash[plane.damaged == COLON] = (*to_rgba(COLON_COLOUR)[:3], 0.28)
    for name, colour in ORGAN_COLOURS.items():
        wash[plane.damaged == LABELS[name]] = (*to_rgba(colour)[:3], 0.22)
    return wash


def _draw_from_front(axis: Axes, row: Row) -> None:
    from matplotlib.colors import to_rgba

    height, width = row.from_front.shape
    extent = (0.0, width * row.spacing_mm, 0.0, height * row.spacing_mm)
    depth = np.clip(row.shadow * row.spacing_mm / 60.0, 0.0, 1.0)
    axis.imshow(depth, cmap="gray", vmin=0.0, vmax=1.6, origin="lower", extent=extent, interpolation="bilinear")
    wash = np.zeros((height, width, 4), dtype=np.float32)
    for number, colour in ((3, ORGAN_COLOURS["small_bowel"]), (2, COLON_COLOUR), (1, LOST_COLOUR)):
        wash[row.from_front == number] = (*to_rgba(colour)[:3], OPACITY * (0.5 if number == 3 else 1.3))
    axis.imshow(np.clip(wash, 0, 1), origin="lower", extent=extent, interpolation="nearest")
    _outline(axis, row.seen[1], DISTRACTOR_COLOUR, 1.1, row.spacing_mm)
    _outline(axis, row.seen[0], LESION_COLOUR, 1.3, row.spacing_mm)
    _dress(axis, "organ mask as given, from the front", extent, ("R", "L"))


def _outline(axis: Axes, mask: Picture, colour: str, width_points: float, spacing: float) -> None:
    if not mask.any():
        return
    rows, columns = ((np.arange(size) + 0.5) * spacing for size in mask.shape)
    axis.contour(columns, rows, mask.astype(np.float32), [0.5], colors=colour, linewidths=width_points)


def _dress(axis: Axes, title: str, extent: tuple[float, float, float, float], sides: tuple[str, str]) -> None:
    axis.set(xticks=[], yticks=[], facecolor="black", aspect="equal", xlim=(0, extent[1]), ylim=(0, extent[3]))
    axis.set_title(title, color="#cccccc", fontsize=8, pad=2)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for place, letter, side in ((0.02, sides[0], "left"), (0.98, sides[1], "right")):
        axis.text(place, 0.5, letter, transform=axis.transAxes, color="white", fontsize=8, ha=side, va="center")
    # A bar of 50 mm gives the scale.
    axis.plot((12, 62), (9, 9), color="white", linewidth=1.4)
    axis.text(66, 9, "50 mm", color="white", fontsize=6, va="center")


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=LESION_COLOUR, label="lesion"),
        Line2D([], [], color=DISTRACTOR_COLOUR, label="distractor (no lesion)"),
        Line2D([], [], color=COLON_COLOUR, label="true colon"),
        Patch(color=COLON_COLOUR, alpha=0.6, label="colon in the given mask"),
        Patch(color=LOST_COLOUR, alpha=0.8, label="colon that the given mask lacks"),
        Patch(color=ORGAN_COLOURS["small_bowel"], alpha=0.6, label="small bowel in the given mask"),
    ]
    legend = figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.025, 1 - 0.36 / figure.get_figheight()), ncols=6,
        fontsize=8, frameon=False,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_color("white")


def _save(figure: Figure, path: Path) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".png", dir=path.parent)
        os.close(handle)
        try:
            figure.savefig(name, dpi=110, facecolor="black")
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise WorkError(f"{path}: can't be written: {error.strerror or error}") from error
