"""A picture of an organ-of-interest mask, to see at a glance whether it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.groups import COLON, is_bone
from agcrc.anatomy.ooi import CORE, OUTSIDE, Ooi
from agcrc.anatomy.organs import Organs
from agcrc.errors import WorkError
from agcrc.volumes import Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLON_COLOUR, ADDED_COLOUR, REGION_COLOUR = "#e8a33d", "#e0457b", "#38b6c9"
WINDOW_HU = (-160.0, 240.0)
PROJECTION_HU = (-100.0, 700.0)
FIGURE_INCHES = (13.5, 9.0)
DPI = 100
LONGEST_SIDE = 400
"""Larger planes are thinned out: a picture needs no more."""


def draw_overlay(path: Path, ct: Volume | None, organs: Organs, ooi: Ooi) -> None:
    """Write a PNG: coronal and sagittal projection, three axial planes and the quality numbers.

    The colon as labelled is filled, so is what the repair added to it; the region is outlined. Planes are shown as
    radiologists do: the patient's right is on the left. The grey background is the CT (its brightest values in
    projection), or organs and bones of the label map where there is no CT. One axial plane is that where the repair
    added most.

    Raises:
        WorkError: The file can't be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    background = None if ct is None else np.asarray(ct.array, dtype=np.float32)
    colon = organs.mask(COLON)
    added = (ooi.mask == CORE) & ~colon
    region = np.asarray(ooi.mask > OUTSIDE)
    bones = organs.any(name for name in organs.voxels if is_bone(name))
    labels = organs.volume.array
    z, y, x = organs.grid.spacing
    figure = Figure(figsize=FIGURE_INCHES, dpi=DPI, layout="constrained")
    axes = figure.subplot_mosaic([["coronal", "sagittal", "text"], ["first", "second", "third"]])
    for name, axis, aspect, sides in (
        ("coronal", 1, z / x, ("R", "L")),
        ("sagittal", 2, z / y, ("front", "back")),
    ):
        if background is None:
            grey = 0.2 * (labels.max(axis=axis) > 0) + 0.5 * bones.any(axis=axis)
        else:
            grey = _stretched(background.max(axis=axis), PROJECTION_HU)
        depths = colon.sum(axis=axis, dtype=np.int32), added.sum(axis=axis, dtype=np.int32)
        plane = _Plane(grey, *depths, region.max(axis=axis))
        _draw(axes[name], plane, aspect, sides, name)
    for name, level in zip(("first", "second", "third"), _levels(colon, added, region), strict=True):
        if background is None:
            grey = 0.35 * (labels[level] > 0) + 0.6 * bones[level]
        else:
            grey = _stretched(background[level], WINDOW_HU)
        plane = _Plane(grey, colon[level], added[level], region[level])
        height = float(organs.grid.to_mm(np.array([level, 0, 0]))[2])
        _draw(axes[name], plane, y / x, ("R", "L"), f"axial, plane {level} (z = {height:.0f} mm)")
    axes["text"].axis("off")
    axes["text"].text(0.02, 0.98, _summary(ooi), va="top", family="monospace", fontsize=9.5, wrap=True)
    axes["text"].legend(
        handles=[
            Patch(color=COLON_COLOUR, label="colon as labelled"),
            Patch(color=ADDED_COLOUR, label="added: bridges, balls, rectum, fallback"),
            Patch(facecolor="none", edgecolor=REGION_COLOUR, label="region (core and ring)"),
        ],
        loc="lower left",
        frameon=False,
        fontsize=9.5,
    )
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise WorkError(f"{path}: can't be written: {error.strerror or error}") from error


@dataclass(frozen=True, eq=False)
class _Plane:
    """Images (rows, columns), rows up and columns to the patient's right or front.

    Attributes:
        grey: 0 to 1.
        colon: Amount of labelled colon behind each pixel.
        added: Amount of what the repair added.
        region: Whether the region is behind it.
    """

    grey: NDArray[np.floating[Any]]
    colon: NDArray[Any]
    added: NDArray[Any]
    region: NDArray[np.bool_]


def _draw(axes: Axes, plane: _Plane, aspect: float, sides: tuple[str, str], title: str) -> None:
    from matplotlib.colors import to_rgb

    thin = max(1, -(-max(plane.grey.shape) // LONGEST_SIDE))
    grey, colon, added, region = (
        # Rows: head or front at the top. Columns: the patient's right, or front, on the left.
        image[::thin, ::thin][::-1, ::-1]
        for image in (plane.grey, plane.colon, plane.added, plane.region)
    )
    picture = np.repeat((grey * 0.75)[..., None], 3, axis=2)
    for amount, colour in ((colon, COLON_COLOUR), (added, ADDED_COLOUR)):
        # Deep structures are a little denser than shallow ones, yet one voxel is seen.
        share = np.where(amount > 0, 0.35 + 0.4 * np.sqrt(amount / max(1, amount.max())), 0.0)[..., None]
        picture = picture * (1.0 - share) + np.array(to_rgb(colour)) * share
    axes.imshow(picture, aspect=aspect, interpolation="nearest")
    if region.any() and not region.all() and min(region.shape) > 1:
        axes.contour(region, levels=[0.5], colors=[REGION_COLOUR], linewidths=1.3)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    for place, side in ((0.02, sides[0]), (0.98, sides[1])):
        axes.text(
            place, 0.5, side, transform=axes.transAxes, color="white", fontsize=10,
            ha="left" if place < 0.5 else "right", va="center",
        )  # fmt: skip


def _stretched(values: NDArray[np.floating[Any]], window: tuple[float, float]) -> NDArray[np.floating[Any]]:
    return np.asarray(np.clip((values - window[0]) / (window[1] - window[0]), 0.0, 1.0))


def _levels(colon: NDArray[np.bool_], added: NDArray[np.bool_], region: NDArray[np.bool_]) -> list[int]:
    """Three axial planes: a quarter and three quarters up the colon or region, and where most was added, or halfway."""
    shown = next((mask for mask in (colon, region) if mask.any()), np.ones_like(region))
    planes = np.flatnonzero(shown.any(axis=(1, 2)))
    quarter, half, three = (int(planes[int(share * (len(planes) - 1))]) for share in (0.25, 0.5, 0.75))
    if added.any() and colon.any():
        half = int(np.argmax(added.sum(axis=(1, 2))))
    return sorted((quarter, half, three))


def _summary(ooi: Ooi) -> str:
    quality = ooi.quality
    lines = [
        f"mode           {quality.mode}",
        f"parts          {quality.parts_before} before, {quality.parts_after} after bridging",
        f"colon          {quality.colon_ml:,.0f} mL as labelled",
        f"core           {quality.core_ml:,.0f} mL",
        f"region         {quality.ooi_ml:,.0f} mL, r = {quality.radius_mm:g} mm",
        f"skeleton       {quality.skeleton_mm:,.0f} mm",
        f"dead ends      {quality.dead_ends}",
        f"rectum added   {'yes' if quality.rectum_added else 'no'}",
        f"leaves view    {', '.join(quality.field_of_view_contact) or 'no'}",
        f"CT             {'yes' if quality.with_ct else 'no'}, {quality.class_map}",
    ]
    lines += [
        f"bridge {number}       {bridge['length_mm']:.0f} mm, mean cost {bridge['mean_cost']:.1f}"
        for number, bridge in enumerate(quality.bridges[:6], start=1)
    ]
    if len(quality.bridges) > 6:
        lines.append(f"and {len(quality.bridges) - 6} more bridges")
    if quality.lesion_coverage is not None:
        lines.append(f"lesion held    {quality.lesion_coverage:.1%}, before it was added")
    if quality.reason:
        lines += ["", *_wrapped(quality.reason)]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 48)
