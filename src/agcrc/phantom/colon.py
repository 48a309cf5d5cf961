"""The colon itself: haustra, wall, content and collapsed spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.phantom.canvas import Canvas, Floats
from agcrc.phantom.labels import COLON
from agcrc.phantom.organs import GAS_HU
from agcrc.phantom.tubes import Near, Tube, voxels_near

NARROWEST_MM, WIDEST_MM = 12.0, 30.0
COLLAPSED_MM, PRESSED_MM = 8.5, 10.0
"""Radius of a collapsed span, and the least radius of a span that others press on."""
OPEN_AT_LESION_MM = 16.0
"""A lesion needs a lumen to grow into: the radius of the colon is at least this around one."""
SMALLEST_RADIUS_VOXELS = 1.25
"""A thinner tube would fall apart on the grid."""
FLUID_HU, STOOL_HU, STOOL_TEXTURE_HU = 14.0, 5.0, 110.0
CONTENTS = ("gas", "level", "fluid", "stool", "collapsed")
CONTENT_CHANCE = (0.30, 0.16, 0.12, 0.27, 0.15)


@dataclass(frozen=True, eq=False)
class Colon:
    """A colon on its voxels.

    Attributes:
        tube: Centreline, anus first, with the radius of its outside without haustra.
        near: Its voxels and those around it, as far as `margin_mm` beyond.
        outside: Signed distance to its outer surface for each of them, body mm.
        wall_hu: Grey value of its wall.
        wall_mm: Thickness of its wall in body mm.
    """

    tube: Tube
    near: Near
    outside: Floats
    wall_hu: float
    wall_mm: float

    @staticmethod
    def margin_mm(canvas: Canvas) -> float:
        """What lies further from the colon than this, in body mm, does not touch it: no neighbours, nor diagonally."""
        return max(8.0, 1.8 * canvas.voxel)


@dataclass(frozen=True, eq=False)
class Filling:
    """What fills the colon along its length; arrays of shape (n,), one value for each point of the curve."""

    content: NDArray[np.intp]
    level: NDArray[np.float64]


def draw_filling(line: Tube, rng: np.random.Generator, lesion_arcs: list[float]) -> Filling:
    """Spans of 50 to 180 mm of one content each; no collapsed span at a lesion."""
    arc = line.arc
    content = np.zeros(len(arc), dtype=np.intp)
    level = np.zeros(len(arc))
    start = 0.0
    while start < arc[-1]:
        end = start + rng.uniform(50.0, 180.0)
        kind = int(rng.choice(len(CONTENTS), p=CONTENT_CHANCE))
        if start == 0.0:
            kind, end = CONTENTS.index("collapsed"), 34.0  # the closed anal canal
        elif CONTENTS[kind] == "collapsed":
            end = min(end, start + 90.0)
            if any(start - 45.0 < place < end + 45.0 for place in lesion_arcs):
                kind = CONTENTS.index("fluid")
        here = (arc >= start) & (arc < end)
        content[here], level[here] = kind, rng.uniform(-0.45, 0.45)
        start = end
    return Filling(content, level)


def draw_radius(
    line: Tube, filling: Filling, canvas: Canvas, lesion_arcs: list[float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Radius of the outside along the curve, (n,) in body mm: 12 to 30, less where collapsed."""
    from scipy.ndimage import gaussian_filter1d

    arc = line.arc
    wobble = gaussian_filter1d(rng.standard_normal(len(arc)), 25.0, mode="nearest")
    radius = np.clip(line.radius * (1.0 + 0.09 * wobble / wobble.std()), NARROWEST_MM, WIDEST_MM)
    for place in lesion_arcs:
        radius = np.maximum(radius, OPEN_AT_LESION_MM * np.exp(-(((arc - place) / 60.0) ** 4)))
    radius[filling.content == CONTENTS.index("collapsed")] = COLLAPSED_MM
    smooth = gaussian_filter1d(radius, 5.0, mode="nearest")
    return np.asarray(np.maximum(smooth, SMALLEST_RADIUS_VOXELS * canvas.voxel), dtype=np.float64)


def lay_colon(canvas: Canvas, line: Tube, filling: Filling, rng: np.random.Generator) -> Colon:
    """Find the colon's voxels and the distance to its surface, with folds every 25 to 40 mm and three taeniae."""
    near = voxels_near(line, canvas, float(line.radius.max()) + Colon.margin_mm(canvas))
    arc = line.arc
    folds = 2.0 * np.pi * arc / rng.uniform(25.0, 40.0) + np.cumsum(rng.normal(0.0, 0.02, len(arc)))
    # Folds are deep on the right side, shallow in the sigmoid, absent in the rectum.
    depth = np.interp(arc / arc[-1], (0.0, 0.14, 0.2, 0.5, 1.0), (0.0, 0.0, 0.06, 0.13, 0.15))
    depth[filling.content == CONTENTS.index("collapsed")] = 0.02
    pinch = depth * np.exp(-4.0 * (1.0 - np.cos(folds)))
    angle = near.angle(line, canvas)
    taeniae = 1.0 + 0.35 * np.cos(3.0 * angle)
    radius = line.radius[near.nearest] * (1.0 - pinch[near.nearest] * taeniae)
    outside = near.distance - radius.astype(np.float32)
    return Colon(line, near, outside, float(rng.uniform(40.0, 55.0)), float(rng.uniform(3.0, 4.0)))


def paint_colon(canvas: Canvas, colon: Colon, filling: Filling, texture: Floats) -> None:
    """Paint wall and content.

    Args:
        canvas: Painted on.
        colon: Where.
        filling: What is inside.
        texture: Smooth noise of mean 0 and standard deviation 1, (z, y, x), that makes stool uneven.
    """
    near, inside = colon.near, colon.outside + np.float32(colon.wall_mm)
    canvas.fill(near.where, colon.outside, colon.wall_hu, COLON)
    kind = filling.content[near.nearest]
    lumen = np.flatnonzero((inside < canvas.voxel) & (kind != CONTENTS.index("collapsed")))
    where, kind, nearest = near.where[lumen], kind[lumen], near.nearest[lumen]
    rise = canvas.points(where)[:, 1] - colon.tube.points[nearest, 1]
    uneven = texture.reshape(-1)[where]
    stool = np.clip(STOOL_HU + STOOL_TEXTURE_HU * uneven, -700.0, 75.0)
    stool[uneven < -1.3] = -550.0  # bubbles
    height = np.select(
        [kind == CONTENTS.index("gas"), kind == CONTENTS.index("level")],
        [np.full(len(where), -0.75), filling.level[nearest]],
        default=9.0,
    ) * colon.tube.radius[nearest]  # fmt: skip
    filled = np.where(kind == CONTENTS.index("stool"), stool, FLUID_HU).astype(np.float32)
    share = np.clip(0.5 + (rise - height) / canvas.voxel, 0.0, 1.0).astype(np.float32)
    canvas.fill(where, inside[lumen], filled + share * (np.float32(GAS_HU) - filled), COLON)
