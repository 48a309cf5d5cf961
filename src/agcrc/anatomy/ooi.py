"""The organ-of-interest mask: where the colon is, was missed, or may be (spec, section 1)."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.balls import calibre_mm, dilated, distance_mm
from agcrc.anatomy.bridges import Bridge, bridge_parts, tubes, with_calibre
from agcrc.anatomy.dead_ends import bridges_between, close_dead_ends, colon_skeleton, open_ends
from agcrc.anatomy.fallback import abdomen_levels, abdomen_region, implausible
from agcrc.anatomy.groups import COLON
from agcrc.anatomy.organs import Organs
from agcrc.anatomy.parts import Parts, count_parts, faces_touched, parts_of
from agcrc.anatomy.rectum import rectum_prior
from agcrc.anatomy.scene import Scene, path_costs, scene_of, within_body
from agcrc.anatomy.settings import OoiSettings
from agcrc.anatomy.subtract import allowed_region
from agcrc.errors import InputError, Problem
from agcrc.volumes import Box, Grid, Triple, Volume, bounding_box, require_same_grid
from agcrc.volumes.grid import slabs
from agcrc.volumes.resample import resample, resample_labels

OUTSIDE, RING, CORE = 0, 1, 2
Mode = Literal["colon", "fallback", "absent"]


@dataclass(frozen=True, slots=True)
class OoiQuality:
    """What a person should know before trusting a mask.

    Attributes:
        mode: `colon`; `fallback`: the colon is missing or implausible, the region is the inside of the abdomen;
            `absent`: no abdomen in view, the mask is empty.
        reason: Why it is not `colon`.
        radius_mm: Dilation r.
        colon_ml: Volume of the colon as labelled.
        core_ml: Volume of the core.
        ooi_ml: Volume of core and ring.
        parts_before: Parts of the labelled colon of at least 0.5 mL.
        parts_after: Parts after bridging, before any dilation.
        bridges: Length in mm and mean cost of each bridge, those between dead ends last.
        dead_ends: Ends that are neither caecum nor anus nor bridged in step 2.
        rectum_added: Whether the rectum was added along the sacral curve.
        skeleton_mm: Length of the labelled colon's skeleton.
        field_of_view_contact: Faces of the field of view that the labelled colon reaches.
        lesion_coverage: Share of the lesion's voxels in the mask before the lesion itself was added; None without one.
        with_ct: Whether a CT was given.
        class_map: Name of the class map.
        seconds: Time that it took.
    """

    mode: Mode
    reason: str
    radius_mm: float
    colon_ml: float
    core_ml: float
    ooi_ml: float
    parts_before: int
    parts_after: int
    bridges: tuple[dict[str, float], ...]
    dead_ends: int
    rectum_added: bool
    skeleton_mm: float
    field_of_view_contact: tuple[str, ...]
    lesion_coverage: float | None
    with_ct: bool
    class_map: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Ooi:
    """An organ-of-interest mask.

    Attributes:
        mask: uint8, shape `grid.shape`: 2 core, 1 ring, 0 outside. The core is the repaired colon: labelled parts,
            tubes, balls and rectum, without sure organs; in the fallback the whole region. The ring is the rest of the
            dilation by r and, in training, the dilated lesion.
        core_distance_mm: float32, same shape: 0 in the core, else the Euclidean distance to it, accurate to half a
            voxel of the 3 mm copy; infinite everywhere where there is no core. Knows nothing of the lesion, so it may
            be shown to a network.
        grid: That of the label map.
        quality: See there.
    """

    mask: NDArray[np.uint8]
    core_distance_mm: NDArray[np.float32]
    grid: Grid
    quality: OoiQuality


@dataclass(frozen=True, eq=False)
class OoiRegion:
    """The region on the 3 mm copy, from which any grid is served: what is held does not grow with the voxels of a CT.

    Attributes:
        organs: The label map.
        copy: Grid of the arrays below: the working copy with one more voxel on every side, since rounding lets its
            field of view fall short by half a voxel.
        place: uint8: 2 core beyond the labelled colon, 1 may be ring, 0 outside.
        distance_mm: float32, distance to the core.
        radius_mm: Dilation r.
        quality: See there.
    """

    organs: Organs
    copy: Grid
    place: NDArray[np.uint8]
    distance_mm: NDArray[np.float32]
    radius_mm: float
    quality: OoiQuality

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look at."""
        return self.quality.mode == "absent"

    def on(self, grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Mask and distance to the core on a grid along the same axes, as in `Ooi`; memory is that of the result."""
        mask = np.zeros(grid.shape, dtype=np.uint8)
        if not np.isfinite(self.distance_mm).any():
            return mask, np.full(grid.shape, np.inf, dtype=np.float32)
        distance = resample(self.distance_mm, self.copy, grid, order=1, fill=np.inf).astype(np.float32, copy=False)
        mask[...] = resample_labels(self.place, self.copy, grid)
        colon = self.organs.class_map[COLON]
        own = self.organs.grid
        same = grid.shape == own.shape and np.array_equal(grid.affine, own.affine)
        labels = self.organs.volume.array if same else resample_labels(self.organs.volume.array, own, grid)
        least, reach = min(grid.spacing) / 2.0, self.copy.spacing[0]
        for part in slabs(mask.shape):
            here, near = mask[part], distance[part]
            # Where the colon is labelled, the core has the label's own surface, not that of the copy.
            here[(labels[part] == colon) & (near <= reach)] = CORE
            np.maximum(near, least, out=near)
            near[here == CORE] = 0.0
            here[(here == RING) & (near > self.radius_mm)] = OUTSIDE
        return mask, distance

    def box_on(self, grid: Grid, margin: Triple) -> Box | None:
        """The part of a grid along the same axes that holds the region, widened by `margin` voxels; None for none."""
        inside = (self.place > OUTSIDE) & (self.distance_mm <= self.radius_mm)
        found = bounding_box(inside, (1, 1, 1))
        if found is None:
            return None
        ends = np.array([[part.start - 0.5 for part in found], [part.stop - 0.5 for part in found]])
        low, high = np.sort(grid.to_index(self.copy.to_mm(ends)), axis=0)
        starts = [int(np.floor(place)) - more for place, more in zip(low, margin, strict=True)]
        stops = [int(np.ceil(place)) + 1 + more for place, more in zip(high, margin, strict=True)]
        z, y, x = (
            slice(max(0, start), min(size, stop)) for start, stop, size in zip(starts, stops, grid.shape, strict=True)
        )
        return z, y, x


@dataclass(frozen=True, eq=False)
class _Region:
    """The mask on the working copy."""

    mode: Mode
    reason: str
    core: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    parts: Parts
    parts_after: int = 0
    bridges: tuple[Bridge, ...] = field(default=())
    dead_ends: int = 0
    rectum_added: bool = False
    skeleton_mm: float = 0.0


def organ_of_interest(
    organs: Organs,
    *,
    ct: Volume | None = None,
    lesion: NDArray[np.bool_] | None = None,
    settings: OoiSettings | None = None,
) -> Ooi:
    """The region in which a colorectal lesion is looked for (spec, section 1, all eight steps).

    Args:
        organs: Label map with the class `colon`.
        ct: CT in HU on the same grid. It tells gas, fat and soft tissue for the bridges, and the body; without one,
            costs come from the labels alone (see `path_costs`).
        lesion: Lesion label on the same grid; in training only, since its surroundings are added to the ring.
        settings: Numbers of the method.

    Raises:
        InputError: CT or lesion on another grid, or a CT that shows no body.
    """
    start = time.perf_counter()
    settings = settings or OoiSettings()
    if lesion is not None and lesion.shape != organs.grid.shape:
        raise InputError(
            Problem(
                f"the lesion's shape (z, y, x) is {lesion.shape}, the label map's {organs.grid.shape}.",
                "Resample the lesion to the label map with nearest-neighbour interpolation.",
            )
        )
    region = region_of_interest(organs, ct=ct, settings=settings)
    mask, distance = region.on(organs.grid)
    coverage: float | None = None
    if lesion is not None and lesion.any():
        coverage = float((mask[lesion] > OUTSIDE).mean())
        _add_lesion(mask, lesion, region, settings)
    voxel_ml = organs.grid.voxel_ml
    quality = replace(
        region.quality,
        core_ml=int(np.count_nonzero(mask == CORE)) * voxel_ml,
        ooi_ml=int(np.count_nonzero(mask)) * voxel_ml,
        lesion_coverage=coverage,
        seconds=time.perf_counter() - start,
    )
    return Ooi(mask, distance, organs.grid, quality)


def region_of_interest(organs: Organs, *, ct: Volume | None = None, settings: OoiSettings | None = None) -> OoiRegion:
    """The same without a lesion and without arrays of the CT's size; volumes in its quality are those of the 3 mm copy.

    Args:
        organs: See `organ_of_interest`.
        ct: See there.
        settings: See there.

    Raises:
        InputError: The CT is on another grid, or shows no body.
    """
    start = time.perf_counter()
    settings = settings or OoiSettings()
    if ct is not None:
        require_same_grid(organs.volume, ct, ("the label map", "the CT"))
    scene = scene_of(organs, ct, settings)
    found = _region_of(scene, organs.millilitres(COLON), settings)
    added = found.core & ~found.parts.mask
    place = np.where(added, CORE, np.where(found.allowed, RING, OUTSIDE)).astype(np.uint8)
    distance = (
        distance_mm(found.core, scene.spacing_mm)
        if found.core.any()
        else np.full(place.shape, np.inf, dtype=np.float32)
    ).astype(np.float32, copy=False)
    inside = (found.core | found.allowed) & (distance <= settings.radius_mm)
    quality = OoiQuality(
        mode=found.mode,
        reason=found.reason,
        radius_mm=float(settings.radius_mm),
        colon_ml=organs.millilitres(COLON),
        core_ml=int(np.count_nonzero(found.core)) * scene.voxel_ml,
        ooi_ml=int(np.count_nonzero(inside)) * scene.voxel_ml,
        parts_before=found.parts.count,
        parts_after=found.parts_after,
        bridges=tuple({"length_mm": each.length_mm, "mean_cost": each.mean_cost} for each in found.bridges),
        dead_ends=found.dead_ends,
        rectum_added=found.rectum_added,
        skeleton_mm=found.skeleton_mm,
        field_of_view_contact=faces_touched(found.parts.mask),
        lesion_coverage=None,
        with_ct=ct is not None,
        class_map=organs.class_map.name,
        seconds=time.perf_counter() - start,
    )
    z, y, x = scene.organs.grid.shape
    framed = scene.organs.grid.cropped((slice(-1, z + 1), slice(-1, y + 1), slice(-1, x + 1)))
    return OoiRegion(
        organs,
        framed,
        np.pad(place, 1, mode="edge"),
        np.pad(distance, 1, mode="edge"),
        float(settings.radius_mm),
        quality,
    )


def _region_of(scene: Scene, labelled_ml: float, settings: OoiSettings) -> _Region:
    """Steps 1 to 4, 6 and 8; `labelled_ml` is the volume of the colon before it was copied."""
    labelled = scene.organs.mask(COLON)
    parts = parts_of(labelled, settings.least_part_ml, scene.voxel_ml)
    colon = parts.mask
    allowed = allowed_region(colon, scene)
    levels = abdomen_levels(scene)
    if levels is None:
        shown = ", ".join(list(scene.organs.voxels)[:5]) or "no organ at all"
        reason = f"no abdomen in view: the label map has {shown}"
        return _Region("absent", reason, np.zeros_like(colon), allowed, parts)
    height_mm = (levels.stop - levels.start) * scene.spacing_mm
    # The copy of a thin or coarse label may be larger or smaller than itself, the share that crumbs have is the same.
    kept_ml = labelled_ml * float(colon.sum()) / max(1, int(labelled.sum()))
    reason = implausible(kept_ml, height_mm, settings)
    if reason:
        core = abdomen_region(scene, levels) | colon
        return _Region("fallback", reason, core, allowed & core, parts, parts_after=parts.count)
    costs = path_costs(scene, settings)
    calibre = calibre_mm(colon, scene.spacing_mm)
    skeleton = colon_skeleton(parts, settings)
    ends = open_ends(skeleton, calibre, scene)
    pairs = bridges_between(ends, parts, costs, settings)
    found = bridge_parts(parts, [pair.bridge for pair in pairs], costs, settings)
    arcs = [pair.arc for pair in pairs if pair.arc is not None and pair.bridge in found]
    bridges = with_calibre([*found, *arcs], calibre, settings)
    core = colon | within_body(tubes(bridges, colon.shape, scene.spacing_mm), scene)
    parts_after = count_parts(core)
    dead = close_dead_ends(ends, pairs, bridges, calibre, settings)
    core |= within_body(tubes(dead.bridges, colon.shape, scene.spacing_mm) | dead.balls, scene)
    rectum = rectum_prior(core, scene, settings)
    return _Region(
        "colon",
        "",
        (core | rectum) & allowed,
        allowed,
        parts,
        parts_after,
        (*bridges, *dead.bridges),
        dead.count,
        bool(rectum.any()),
        skeleton.length_mm,
    )


def _add_lesion(mask: NDArray[np.uint8], lesion: NDArray[np.bool_], region: OoiRegion, settings: OoiSettings) -> None:
    """Step 7: the lesion and its surroundings join the ring. Lesions smaller than a voxel of the copy count as one."""
    copy, own = region.copy, region.organs.grid
    places = np.round(copy.to_index(own.to_mm(np.argwhere(lesion)))).astype(np.intp)
    near = np.zeros(copy.shape, dtype=np.bool_)
    near[tuple(np.clip(places, 0, np.array(copy.shape) - 1).T)] = True
    near = dilated(near, settings.lesion_margin_mm, copy.spacing[0])
    wide = resample_labels(near.astype(np.uint8), copy, own)
    mask[((wide > 0) | lesion) & (mask == OUTSIDE)] = RING
