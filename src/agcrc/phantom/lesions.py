"""Lesions on the colon's wall, and distractors of the same kind outside the colon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import WorkError
from agcrc.phantom.body import Build
from agcrc.phantom.canvas import Canvas, Indices
from agcrc.phantom.colon import FLUID_HU, Colon
from agcrc.phantom.labels import BONES, COLON, LABELS, SMALL_BOWEL
from agcrc.phantom.masses import INVASION_MM, SHAPES, Bed, Seat, core, grow
from agcrc.phantom.settings import PhantomSettings
from agcrc.phantom.tubes import STEP_MM, Tube, voxels_near
from agcrc.volumes import bounding_box

SECOND_LESION_AWAY_MM = 150.0
FIRST_PLACE, LAST_PLACE = 0.05, 0.94
"""Where lesions sit, as a share of the colon's length: neither in the anal canal nor in the very end of the caecum."""
DISTAL_SHARE, DISTAL_END = 0.55, 0.42
"""More than half of all colorectal cancers lie in rectum and sigmoid."""
SITES = ("bowel", "mesentery", "organ")
SITE_CHANCE = (0.4, 0.3, 0.3)
TRIES = 400
TRIES_AT_ONE_SIZE = 25
KEPT_FREE = (
    *BONES,
    COLON,
    *(LABELS[name] for name in ("aorta", "inferior_vena_cava", "heart", "spinal_cord", "portal_vein_and_splenic_vein")),
    *(LABELS[f"lung_lower_lobe_{side}"] for side in ("left", "right")),
    *(LABELS[f"iliac_{kind}_{side}"] for kind in ("artery", "vena") for side in ("left", "right")),
)
SOLID = tuple(
    LABELS[name]
    for name in ("liver", "spleen", "kidney_left", "kidney_right", "pancreas", "stomach", "duodenum", "urinary_bladder")
)


@dataclass(frozen=True)
class Lesion:
    """A lesion of the truth.

    Attributes:
        shape: `polypoid`, `plaque` or `annular`.
        volume_ml: Of its voxels.
        position: Place along the colon, 0 at the anus and 1 at the end of the caecum.
        position_mm: The same as length of the centreline.
        centre_mm: (x, y, z) in RAS+ mm.
    """

    shape: str
    volume_ml: float
    position: float
    position_mm: float
    centre_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Distractor:
    """A mass outside the colon that looks like a lesion.

    Attributes:
        shape: `polypoid`, `plaque` or `annular`.
        volume_ml: Of its voxels.
        site: `bowel` (on the wall of small bowel), `mesentery` (in fat) or `organ` (beside or in a solid organ).
        centre_mm: (x, y, z) in RAS+ mm.
    """

    shape: str
    volume_ml: float
    site: str
    centre_mm: tuple[float, float, float]


def draw_places(settings: PhantomSettings, length_mm: float, rng: np.random.Generator) -> list[float]:
    """Arc lengths of the lesions in body mm; none for a healthy case."""
    if rng.random() < settings.healthy_share:
        return []
    wanted = int(rng.integers(settings.lesions[0], settings.lesions[1] + 1))
    places: list[float] = []
    for _ in range(TRIES):
        distal = rng.random() < DISTAL_SHARE
        share = rng.uniform(FIRST_PLACE, DISTAL_END) if distal else rng.uniform(DISTAL_END, LAST_PLACE)
        place = float(share) * length_mm
        if all(abs(place - other) > SECOND_LESION_AWAY_MM for other in places):
            places.append(place)
        if len(places) == wanted:
            return places
    raise WorkError(f"{wanted} lesions {SECOND_LESION_AWAY_MM:g} mm apart do not fit a colon of {length_mm:.0f} mm.")


def grow_lesions(
    canvas: Canvas, colon: Colon, places: list[float], settings: PhantomSettings, hu: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[Lesion]]:
    """Paint lesions on the colon's wall; their voxels belong to the colon.

    Args:
        canvas: With the colon painted.
        colon: The colon.
        places: Arc lengths in body mm.
        settings: Volumes.
        hu: Grey value of a mass before texture and noise.
        rng: Draws shape, size and place around the wall.

    Returns:
        Mask (z, y, x) of 0 and 1, and the list.
    """
    mask = np.zeros(canvas.grid.shape, dtype=np.uint8)
    if not places:
        return mask, []
    bed = Bed.of(colon.tube, colon.near, canvas)
    # The wall itself, the lumen, and fat or small bowel just outside.
    allowed = np.isin(canvas.organs.reshape(-1)[bed.near.where], (0, COLON, SMALL_BOWEL))
    length = float(colon.tube.arc[-1])
    found: list[Lesion] = []
    for place in places:
        mass, shape, at = _lesion_near(bed, place, allowed, canvas, settings, rng)
        mask.reshape(-1)[mass] = 1
        allowed &= ~_grown(mask).reshape(-1)[bed.near.where]
        canvas.ct.reshape(-1)[mass] = hu
        canvas.organs.reshape(-1)[mass] = COLON
        position = float(colon.tube.arc[at])
        found.append(
            Lesion(shape, _volume(canvas, mass), position / length, position * canvas.scale, _centre(canvas, mass))
        )
    return mask, found


def grow_distractors(
    canvas: Canvas,
    build: Build,
    colon: Colon,
    small_bowel: Tube,
    settings: PhantomSettings,
    hu: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], list[Distractor]]:
    """Paint masses outside the colon, none of which touches it, a lesion or another one.

    They grow by the same function as lesions, on small bowel or on a tube that is not there; labels stay as they are.

    Returns:
        Mask (z, y, x) of 0 and 1, and the list.

    Raises:
        WorkError: There is no room for as many.
    """
    from scipy import ndimage

    room = _room_for_distractors(canvas, build, colon)
    bowel = Bed.of(small_bowel, voxels_near(small_bowel, canvas, float(small_bowel.radius.max()) + 4.0), canvas)
    beside = ndimage.binary_dilation(np.isin(canvas.organs, SOLID), iterations=2) & room
    sites = {"mesentery": np.flatnonzero(room & (canvas.organs == 0)), "organ": np.flatnonzero(beside)}
    mask = np.zeros(canvas.grid.shape, dtype=np.uint8)
    found: list[Distractor] = []
    for _ in range(int(rng.integers(settings.distractors[0], settings.distractors[1] + 1))):
        shape, site, ml = str(rng.choice(SHAPES)), "", 0.0
        for attempt in range(TRIES):
            # A site with little room gets many tries, or the roomy ones would take its share.
            if attempt % TRIES_AT_ONE_SIZE == 0:
                site, ml = str(rng.choice(SITES, p=SITE_CHANCE)), _draw_ml(settings, rng)
            bed = bowel if site == "bowel" else _free_bed(canvas, sites[site], rng)
            point = int(rng.integers(len(bed.tube.points))) if site == "bowel" else len(bed.tube.points) // 2
            seat = Seat(shape, point, float(rng.uniform(-np.pi, np.pi)), _thickness(canvas, rng), ml)
            mass = grow(bed, seat, room.reshape(-1)[bed.near.where], canvas, rng)
            if mass is not None:
                break
        else:
            raise WorkError(f"there is no room for distractor {len(found) + 1}; ask for fewer, or take another seed.")
        if shape == "annular" and site != "bowel":
            hollow = core(bed, seat, mass)
            canvas.ct.reshape(-1)[hollow[room.reshape(-1)[hollow]]] = FLUID_HU
        canvas.ct.reshape(-1)[mass] = hu
        mask.reshape(-1)[mass] = 1
        box = bounding_box(mask > 0, (2, 2, 2)) or canvas.everywhere
        room[box] &= ~_grown(mask[box])
        found.append(Distractor(shape, _volume(canvas, mass), site, _centre(canvas, mass)))
    return mask, found


def _lesion_near(
    bed: Bed,
    place: float,
    allowed: NDArray[np.bool_],
    canvas: Canvas,
    settings: PhantomSettings,
    rng: np.random.Generator,
) -> tuple[Indices, str, int]:
    last = len(bed.tube.points) - 1
    shape = str(rng.choice(SHAPES))
    ml = _draw_ml(settings, rng)
    for attempt in range(TRIES):
        if attempt % TRIES_AT_ONE_SIZE == TRIES_AT_ONE_SIZE - 1:
            ml = _draw_ml(settings, rng)
        moved = place / STEP_MM + rng.normal(0.0, 1.0) * min(attempt, 20) * 0.5
        at = int(np.clip(round(moved), 0.04 * last, 0.96 * last))
        seat = Seat(shape, at, float(rng.uniform(-np.pi, np.pi)), _thickness(canvas, rng), ml)
        mass = grow(bed, seat, allowed, canvas, rng)
        if mass is not None:
            return mass, shape, at
    raise WorkError(f"no lesion of {ml:.1f} mL finds room at {place:.0f} mm; take another seed.")


def _room_for_distractors(canvas: Canvas, build: Build, colon: Colon) -> NDArray[np.bool_]:
    room = (build.cavity(*canvas.mesh(canvas.everywhere)) < -2.0) & ~np.isin(canvas.organs, KEPT_FREE)
    room.reshape(-1)[colon.near.where[colon.outside < Colon.margin_mm(canvas)]] = False
    # Distances jump where the radius of the colon changes, so its voxels and those of the lesions count as well.
    room &= ~_grown(canvas.organs == COLON)
    return np.asarray(room)


def _grown(mask: NDArray[np.generic]) -> NDArray[np.bool_]:
    """A mask with two voxels around it, diagonals included: what keeps off it does not touch it."""
    from scipy import ndimage

    return np.asarray(ndimage.maximum_filter(mask.astype(bool), 5))


def _free_bed(canvas: Canvas, places: Indices, rng: np.random.Generator) -> Bed:
    """A straight tube through the body that only serves as a mould; its wall passes through a drawn voxel."""
    wall = canvas.points(rng.choice(places, 1))[0].astype(np.float64)
    along, across = np.linalg.qr(rng.standard_normal((3, 2)))[0].T
    radius = float(rng.uniform(13.0, 22.0))
    steps = np.arange(-40.0, 40.0 + STEP_MM, STEP_MM)
    points = wall + radius * across + steps[:, None] * along
    line = Tube(points, np.full(len(points), radius))
    return Bed.of(line, voxels_near(line, canvas, radius + INVASION_MM), canvas)


def _draw_ml(settings: PhantomSettings, rng: np.random.Generator) -> float:
    """Log-uniform: small lesions are more frequent than large ones."""
    low, high = settings.tier.lesion_ml
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _thickness(canvas: Canvas, rng: np.random.Generator) -> float:
    return max(float(rng.uniform(9.0, 14.0)), 2.2 * canvas.voxel)


def _volume(canvas: Canvas, mass: Indices) -> float:
    return len(mass) * canvas.grid.voxel_ml


def _centre(canvas: Canvas, mass: Indices) -> tuple[float, float, float]:
    x, y, z = (canvas.points(mass).mean(axis=0, dtype=np.float64) * canvas.scale).tolist()
    return x, y, z
