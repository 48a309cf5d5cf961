"""Step 4: the rectum along the sacral curve, where the colon ends too high."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.balls import dilated, distance_mm
from agcrc.anatomy.groups import SACRUM
from agcrc.anatomy.scene import Scene, within_body
from agcrc.anatomy.settings import OoiSettings

ANUS_BELOW_TIP_MM = 20.0
"""The anal level, here the upper end of the anal canal, where segmenters let the rectum end, lies this far below the
tip of the coccyx (which the sacrum's label includes): 21 mm on one of the two whole pelves at hand. On the other the
label ends 16 mm above the tip, which is within the gap that step 4 forgives."""
ANUS_BEFORE_TIP_MM = 45.0
"""And this far in front of it: 46 and 47 mm there."""
RECTUM_BEFORE_SACRUM_MM = 25.0
"""The rectum's axis runs this far in front of the sacrum's front face."""
RECTUM_RADIUS_MM = 15.0
"""Of the tube."""
MIDLINE_MM = 15.0
"""The front face is taken this near to the middle plane."""
CORRIDOR_MM = 40.0
"""Colon this near to the curve is rectum; loops of sigmoid that hang lower in front of it are not."""
TIP_PLANES_MM = 6.0


def rectum_prior(colon: NDArray[np.bool_], scene: Scene, settings: OoiSettings) -> NDArray[np.bool_]:
    """A tube along the sacral curve from where the colon leaves it down to the anal level.

    Args:
        colon: Repaired so far, shape (z, y, x).
        scene: Working copy; without a sacrum, or with its tip or the anal level out of view, nothing is added.
        settings: The gap that is forgiven.

    Returns:
        Same shape; empty where the colon comes down far enough.
    """
    nothing = np.zeros_like(colon)
    curve = sacral_curve(scene)
    if curve is None:
        return nothing
    line = np.zeros_like(colon)
    line[tuple(curve.T)] = True
    rectum = np.argwhere(colon & dilated(line, CORRIDOR_MM, settings.spacing_mm))
    spacing = settings.spacing_mm
    if len(rectum):
        lowest = int(rectum[:, 0].min())
    else:
        # Nothing of the rectum is there: begin where the colon comes nearest.
        near = distance_mm(colon, spacing)[tuple(curve.T)]
        if float(near.min()) > settings.bridge_longest_mm:
            return nothing
        lowest = int(curve[int(np.argmin(near)), 0])
    if (lowest - int(curve[-1, 0])) * spacing <= settings.rectum_gap_mm:
        return nothing
    line[lowest + 1 :] = False
    return within_body(dilated(line, RECTUM_RADIUS_MM, spacing), scene)


def sacral_curve(scene: Scene) -> NDArray[np.int64] | None:
    """The rectum's expected axis, shape (n, 3), from the promontory to the anal level; None if it can't be told."""
    organs, spacing = scene.organs, scene.spacing_mm
    if not organs.has(SACRUM):
        return None
    sacrum = np.argwhere(organs.mask(SACRUM))
    tip_level = int(sacrum[:, 0].min())
    anus_level = tip_level - round(ANUS_BELOW_TIP_MM / spacing)
    if tip_level == 0 or anus_level < 0:
        return None
    middle = float(np.median(sacrum[:, 2]))
    near = sacrum[np.abs(sacrum[:, 2] - middle) * spacing <= MIDLINE_MM]
    tip = sacrum[sacrum[:, 0] <= tip_level + TIP_PLANES_MM / spacing].mean(axis=0)
    levels = np.unique(near[:, 0])[::-1]
    front = np.array([near[near[:, 0] == level, 1].max() for level in levels], dtype=np.float64)
    anus = (anus_level, tip[1] + ANUS_BEFORE_TIP_MM / spacing, middle)
    knots_z = np.array([*levels, anus[0]], dtype=np.float64)
    knots_y = np.array([*(front + RECTUM_BEFORE_SACRUM_MM / spacing), anus[1]])
    z = np.arange(int(levels[0]), anus_level - 1, -1)
    # np.interp wants rising positions.
    y = np.interp(z, knots_z[::-1], knots_y[::-1])
    curve = np.stack([z, np.round(y).astype(int), np.full(len(z), round(middle))], axis=1)
    limits = np.array(organs.grid.shape) - 1
    clipped: NDArray[np.int64] = np.clip(curve, 0, limits).astype(np.int64)
    return clipped
