"""Step 8: what to do where the colon is missing or implausible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.anatomy.balls import EVERY_NEIGHBOUR, dilated, eroded, largest_part
from agcrc.anatomy.groups import BODY, is_abdomen, is_limb, is_pelvis, is_upper_abdomen
from agcrc.anatomy.scene import GAS_HU, SKIN_MM, Scene
from agcrc.anatomy.settings import OoiSettings

LEAST_ORGAN_ML = 5.0
"""Less of an abdominal organ is no sign of an abdomen."""
LUNG_SHARE = 0.25
"""Planes with more gas than this share of the body are chest."""
LEAST_TRUNK_CM2 = 200.0
"""Planes with less body in one piece are neck, head or limbs."""
WHOLE_MAP_CLASSES = 10
"""A label map with this many classes in view shows how far the inside of the body reaches."""
HULL_MARGIN_MM = 30.0
"""Around the hull of the organs. Of two real colons taken out of their maps, the hull alone holds 50 and 72 %."""
MARGIN_MM = 20.0
"""The range of the organs in view is widened by this at either end."""


def abdomen_levels(scene: Scene) -> slice | None:
    """The planes that can hold colon; None where no abdomen is in view.

    With organs in the label map these decide: none of the abdomen with at least `LEAST_ORGAN_ML`, no abdomen. The range
    ends at the organs of the upper abdomen and the pelvis where some are in view, else at the end of the view. A label
    map without any organ leaves it to the CT: planes that are neither chest (gas) nor neck, head or limbs (area).
    """
    levels: slice | None = None
    if any(name != BODY for name in scene.organs.voxels):
        levels = _levels_by_organs(scene)
    elif scene.body is not None:
        levels = _levels_by_body(scene)
    return levels


def abdomen_region(scene: Scene, levels: slice) -> NDArray[np.bool_]:
    """The inside of the body over these planes without sure organs, shape (z, y, x).

    The convex hull of the organs of the trunk in each plane, widened, as far as it lies in the body; the whole body
    where it is known and the label map has only few classes.
    """
    organs = scene.organs
    classes = sum(name != BODY for name in organs.voxels)
    region = np.zeros(organs.grid.shape, dtype=np.bool_)
    region[levels] = ~scene.sure[levels]
    if scene.body is not None:
        region &= eroded(scene.body, SKIN_MM, scene.spacing_mm)
    if classes >= WHOLE_MAP_CLASSES or scene.body is None:
        trunk = organs.any(name for name in organs.voxels if not is_limb(name))
        region &= dilated(_hull(trunk, levels), HULL_MARGIN_MM, scene.spacing_mm)
    return region


def implausible(colon_ml: float, height_mm: float, settings: OoiSettings) -> str:
    """Why a colon of this volume can't be one, seen over this height of abdomen; empty if it can."""
    if colon_ml == 0.0:
        return f"the label map has no colon, or only crumbs of it, in {height_mm:.0f} mm of abdomen in view"
    least = max(settings.least_colon_ml, settings.least_colon_ml_per_cm * height_mm / 10.0)
    if colon_ml < least:
        return f"the colon has {colon_ml:.1f} mL, less than {least:.1f} mL for {height_mm:.0f} mm of abdomen in view"
    if colon_ml > settings.most_colon_ml:
        return f"the colon has {colon_ml:.0f} mL, more than {settings.most_colon_ml:.0f} mL"
    return ""


def _levels_by_organs(scene: Scene) -> slice | None:
    organs = scene.organs
    seen = [
        name
        for name in organs.voxels
        if is_abdomen(name) and name != BODY and organs.millilitres(name) >= LEAST_ORGAN_ML
    ]
    if not seen:
        return None
    size = organs.grid.shape[0]
    margin = round(MARGIN_MM / scene.spacing_mm)
    top, bottom = size, 0
    upper = np.flatnonzero(organs.any(filter(is_upper_abdomen, seen)).any(axis=(1, 2)))
    lower = np.flatnonzero(organs.any(filter(is_pelvis, seen)).any(axis=(1, 2)))
    if upper.size:
        top = min(size, int(upper[-1]) + 1 + margin)
    if lower.size:
        bottom = max(0, int(lower[0]) - margin)
    return slice(bottom, top)


def _levels_by_body(scene: Scene) -> slice | None:
    """The longest run of planes through a trunk that is not chest."""
    assert scene.body is not None
    area = scene.body.sum(axis=(1, 2)) * scene.spacing_mm**2 / 100.0
    one_piece = np.array([_largest_area(plane) for plane in scene.body]) * scene.spacing_mm**2 / 100.0
    good = one_piece >= LEAST_TRUNK_CM2
    if scene.hounsfield is not None:
        gas = (scene.body & (scene.hounsfield < GAS_HU)).sum(axis=(1, 2)) * scene.spacing_mm**2 / 100.0
        good &= gas <= LUNG_SHARE * np.maximum(area, 1e-9)
    labels, count = ndimage.label(good)
    if count == 0:
        return None
    longest = 1 + int(np.argmax(np.bincount(labels)[1:]))
    planes = np.flatnonzero(labels == longest)
    return slice(int(planes[0]), int(planes[-1]) + 1)


def _largest_area(plane: NDArray[np.bool_]) -> int:
    return int(largest_part(plane[None]).sum()) if plane.any() else 0


def _hull(mask: NDArray[np.bool_], levels: slice) -> NDArray[np.bool_]:
    """The convex hull of a mask in each of these axial planes, joined between planes by the planes beside it."""
    from skimage.morphology import convex_hull_image

    hull = np.zeros_like(mask)
    for level in range(levels.start, levels.stop):
        plane = mask[level]
        if plane.any():
            hull[level] = convex_hull_image(plane) if min(np.ptp(axis) for axis in np.nonzero(plane)) > 0 else plane
    closed: NDArray[np.bool_] = hull | ndimage.binary_closing(hull, EVERY_NEIGHBOUR)
    return closed
