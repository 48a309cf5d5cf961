"""A picture of an organ-of-interest mask: what was given, what was repaired, what will be looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agcrc.anatomy.ooi import CORE, Ooi
from agcrc.anatomy.organs import Organs
from agcrc.volumes import Volume, bounding_box

WINDOW_HU = (-160.0, 240.0)
GIVEN, REPAIRED, EDGE = "#56b4e9", "#d55e00", "#f0e442"


def draw_overlay(path: Path, ct: Volume | None, organs: Organs, ooi: Ooi) -> None:
    """Draw the mask from the front, from the left, and in three axial planes; the numbers stand below.

    Args:
        path: PNG to write.
        ct: CT on the same grid; without it the organs stand for it.
        organs: As given.
        ooi: As made of them.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    given = organs.mask("colon")
    repaired = (ooi.mask == CORE) & ~given
    dz, dy, dx = ooi.grid.spacing
    low, high = WINDOW_HU
    ground = (np.clip(ct.array, low, high) - low) / (high - low) if ct is not None else 0.35 * (organs.volume.array > 0)
    box = bounding_box(ooi.mask > 0)
    heights = [int(box[0].start + share * (box[0].stop - box[0].start)) for share in (0.2, 0.5, 0.8)] if box else []
    figure = Figure(figsize=(3.1 * (2 + len(heights)), 4.4), layout="constrained", facecolor="white")
    panels = figure.subplots(1, 2 + len(heights), squeeze=False)[0]
    for panel, axis, aspect, title in (
        (panels[0], 1, dz / dx, "from the front"),
        (panels[1], 2, dz / dy, "from the side"),
    ):
        picture = np.repeat(0.8 * ground.mean(axis=axis)[..., None], 3, axis=-1)
        for mask, colour in ((given, GIVEN), (repaired, REPAIRED)):
            seen = mask.any(axis=axis)
            picture[seen] = 0.35 * picture[seen] + 0.65 * np.array(to_rgb(colour))
        panel.imshow(picture, origin="lower", aspect=aspect)
        if ooi.mask.any():
            panel.contour((ooi.mask > 0).any(axis=axis), levels=[0.5], colors=EDGE, linewidths=1)
        panel.set_title(title, fontsize=9)
    for panel, z in zip(panels[2:], heights, strict=True):
        panel.imshow(ground[z], cmap="gray", vmin=0, vmax=1, origin="lower", aspect=dy / dx)
        for mask, colour in ((given[z], GIVEN), (repaired[z], REPAIRED), (ooi.mask[z] > 0, EDGE)):
            if mask.any() and not mask.all():
                panel.contour(mask, levels=[0.5], colors=colour, linewidths=1)
        panel.set_title(f"axial, {ooi.grid.to_mm(np.array([z, 0, 0]))[2]:.0f} mm", fontsize=9)
    for panel in panels:
        panel.set(xticks=[], yticks=[])
    for panel in (panels[0], *panels[2:]):
        panel.invert_xaxis()  # as a radiologist looks: the patient's right on the left
    quality = ooi.quality
    figure.suptitle(
        f"Colon as given (blue), repaired (orange), organ of interest (yellow). Mode {quality.mode}"
        f"{f': {quality.reason}' if quality.reason else ''}; parts {quality.parts_before} → {quality.parts_after}; "
        f"colon {quality.colon_ml:.0f} mL, organ of interest {quality.ooi_ml:.0f} mL; r = {quality.radius_mm:g} mm",
        fontsize=9,
    )
    figure.savefig(path, dpi=100)
