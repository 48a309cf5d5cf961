"""Damage to the organ mask, after what organ segmentation really does to a colon with a tumour (specs/agcrc.md, 7A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.phantom.labels import COLON, SMALL_BOWEL
from agcrc.phantom.settings import Degradation, Range
from agcrc.volumes import Grid, bounding_box

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Interval = tuple[float, float]

JITTER_LENGTH_MM = 9.0
GAP_AT_LESION_CHANCE = 0.5
"""Half of the cases with a lesion lose the colon there: organ networks learn from healthy colons, and fail at tumours.
"""
MOST_GAPS, GAPS_APART_MM = 2, 80.0
ENDS_KEPT_MM = 60.0
RELABELLED_MM: Range = (20.0, 60.0)
MOST_LEAKS = 3
LEAK_RADIUS_MM: Range = (14.0, 24.0)
LEAK_NEAREST_SHARE = 0.05


@dataclass(frozen=True)
class Damage:
    """What was done to a case's organ mask; intervals are arc lengths along the centreline in mm, anus = 0.

    Attributes:
        dropped_mm: Intervals without colon.
        relabelled_mm: Interval that carries the label of small bowel; None for none.
        leak_ml: Small bowel that is called colon.
        tumour_dropped: Share of the lesion voxels that are not colon in the end.
        colon_missing: There is no colon at all.
    """

    dropped_mm: tuple[Interval, ...] = ()
    relabelled_mm: Interval | None = None
    leak_ml: float = 0.0
    tumour_dropped: float = 0.0
    colon_missing: bool = False


def degrade_organs(
    organs: Labels,
    lesion: Labels,
    centreline: NDArray[np.float64],
    lesion_arcs: Sequence[float],
    grid: Grid,
    wanted: Degradation,
    rng: np.random.Generator,
) -> tuple[Labels, Damage]:
    """Damage a true organ mask. Each kind has a random stream of its own, so one switch does not change the others.

    Args:
        organs: True labels, (z, y, x).
        lesion: 0 and 1, (z, y, x); its voxels are colon in the truth.
        centreline: (n, 3) as (x, y, z) in RAS+ mm, anus first.
        lesion_arcs: Places of the lesions along it, mm.
        grid: Of the masks.
        wanted: Which damage.
        rng: Its spawned children draw.

    Returns:
        Labels of the same shape, and what was done.
    """
    jitter, leak, relabel, drop, tumour, missing = rng.spawn(6)
    damaged = organs.copy()
    if missing.random() < wanted.colon_missing:
        damaged[damaged == COLON] = 0
        return damaged, Damage(colon_missing=True, tumour_dropped=1.0 if lesion.any() else 0.0)
    if wanted.boundary_jitter_mm > 0:
        _jitter(damaged, wanted.boundary_jitter_mm, grid, jitter)
    leak_ml = _leak(damaged, grid, leak) if wanted.leaks else 0.0
    length = _length(centreline)
    relabelled: Interval | None = None
    if wanted.part_called_small_bowel:
        size = float(relabel.uniform(*RELABELLED_MM))
        relabelled = _interval(size, _anywhere(size, length, relabel), length)
        _replace(damaged, [relabelled], SMALL_BOWEL, centreline, grid)
    dropped: tuple[Interval, ...] = ()
    if wanted.dropped_segments_mm is not None:
        dropped = _draw_gaps(wanted.dropped_segments_mm, lesion_arcs, length, drop)
        _replace(damaged, dropped, 0, centreline, grid)
    if wanted.tumour_drop > 0:
        _drop_tumour(damaged, lesion, wanted.tumour_drop, grid, tumour)
    lost = float((damaged[lesion > 0] != COLON).mean()) if lesion.any() else 0.0
    return damaged, Damage(dropped, relabelled, leak_ml, lost)


def _length(centreline: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(centreline, axis=0), axis=1).sum())


def _interval(size: float, middle: float, length: float) -> Interval:
    """An interval of that size around a place, moved so that some colon stays at both ends."""
    start = float(np.clip(middle - size / 2, ENDS_KEPT_MM, max(ENDS_KEPT_MM, length - ENDS_KEPT_MM - size)))
    return start, start + size


def _anywhere(size: float, length: float, rng: np.random.Generator) -> float:
    """The middle of an interval that lies anywhere between the ends that are kept."""
    first = ENDS_KEPT_MM + size / 2
    return float(rng.uniform(first, max(first, length - first)))


def _draw_gaps(
    sizes: Range, lesion_arcs: Sequence[float], length: float, rng: np.random.Generator
) -> tuple[Interval, ...]:
    wanted = int(rng.integers(1, MOST_GAPS + 1))
    gaps: list[Interval] = []
    for _ in range(50):
        if len(gaps) == wanted:
            break
        size = float(rng.uniform(*sizes))
        middle = _anywhere(size, length, rng)
        if not gaps and lesion_arcs and rng.random() < GAP_AT_LESION_CHANCE:
            middle = float(rng.choice(np.asarray(lesion_arcs))) + float(rng.normal(0.0, 8.0))
        gap = _interval(size, middle, length)
        if all(gap[0] > end + GAPS_APART_MM or gap[1] < start - GAPS_APART_MM for start, end in gaps):
            gaps.append(gap)
    return tuple(sorted(gaps))


def _replace(
    organs: Labels, intervals: Sequence[Interval], label: int, centreline: NDArray[np.float64], grid: Grid
) -> None:
    """Give the colon voxels whose nearest point of the centreline lies in an interval another label."""
    from scipy.spatial import cKDTree

    places = np.argwhere(organs == COLON)
    _, nearest = cKDTree(centreline).query(grid.to_mm(places.astype(np.float64)))
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(centreline, axis=0), axis=1))])[nearest]
    hit = np.zeros(len(places), dtype=bool)
    for start, end in intervals:
        hit |= (arc >= start) & (arc <= end)
    organs[tuple(places[hit].T)] = label


def _jitter(organs: Labels, jitter_mm: float, grid: Grid, rng: np.random.Generator) -> None:
    """Move the colon's surface in and out by smooth noise; other organs but small bowel keep their voxels."""
    from scipy import ndimage

    margin = 1 + round(3 * jitter_mm / min(grid.spacing))
    box = bounding_box(organs == COLON, (margin, margin, margin))
    if box is None:
        return
    part = organs[box]
    colon = part == COLON
    half = min(grid.spacing) / 2
    surface = np.where(
        colon,
        half - ndimage.distance_transform_edt(colon, sampling=grid.spacing),
        ndimage.distance_transform_edt(~colon, sampling=grid.spacing) - half,
    )
    moved = surface <= jitter_mm * _smooth_noise(part.shape, JITTER_LENGTH_MM, grid, rng)
    part[colon & ~moved] = 0
    part[moved & ((part == 0) | (part == SMALL_BOWEL))] = COLON


def _leak(organs: Labels, grid: Grid, rng: np.random.Generator) -> float:
    """Call small bowel colon where both lie close; returns the volume in mL."""
    from scipy.spatial import cKDTree

    small, colon = np.argwhere(organs == SMALL_BOWEL), np.argwhere(organs == COLON)
    if not len(small) or not len(colon):
        return 0.0
    small_mm, colon_mm = grid.to_mm(small.astype(np.float64)), grid.to_mm(colon.astype(np.float64))
    distance, nearest = cKDTree(colon_mm).query(small_mm)
    close = np.flatnonzero(distance <= np.quantile(distance, LEAK_NEAREST_SHARE))
    leaked = np.zeros(len(small), dtype=bool)
    for start in rng.choice(close, int(rng.integers(1, MOST_LEAKS + 1))):
        leaked |= np.linalg.norm(small_mm - small_mm[start], axis=1) <= rng.uniform(*LEAK_RADIUS_MM)
        # The way between the two belongs to the leak.
        steps = np.linspace(small_mm[start], colon_mm[nearest[start]], 2 + int(distance[start] / min(grid.spacing)))
        way = tuple(np.rint(grid.to_index(steps)).astype(int).T)
        organs[way] = np.where(organs[way] == 0, COLON, organs[way])
    organs[tuple(small[leaked].T)] = COLON
    return float(leaked.sum()) * grid.voxel_ml


def _drop_tumour(organs: Labels, lesion: Labels, share: float, grid: Grid, rng: np.random.Generator) -> None:
    """Take that share of each lesion's voxels from the colon, in coherent pieces: each voxel goes with p = share."""
    from scipy import ndimage

    parts, count = ndimage.label(lesion, np.ones((3, 3, 3)))
    for number, box in enumerate(ndimage.find_objects(parts, count), start=1):
        here = parts[box] == number
        noise = _smooth_noise(here.shape, JITTER_LENGTH_MM, grid, rng)
        places = np.flatnonzero(here)
        order = np.argsort(noise.reshape(-1)[places], kind="stable")[: round(share * len(places))]
        gone = np.zeros(here.size, dtype=bool)
        gone[places[order]] = True
        part = organs[box]
        part[gone.reshape(here.shape) & (part == COLON)] = 0


def _smooth_noise(
    shape: tuple[int, ...], length_mm: float, grid: Grid, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise of mean 0 and standard deviation 1 that is smooth over a length."""
    from scipy.ndimage import gaussian_filter

    # A rim as wide as the kernel keeps the noise of a small box as rich as that of a large one.
    sigma = [length_mm / size for size in grid.spacing]
    rim = [round(2 * each) for each in sigma]
    wide = rng.standard_normal(tuple(size + 2 * edge for size, edge in zip(shape, rim, strict=True)), dtype=np.float32)
    smooth = gaussian_filter(wide, sigma, mode="wrap")
    smooth = (smooth - smooth.mean()) / smooth.std()
    inner = tuple(slice(edge, edge + size) for size, edge in zip(shape, rim, strict=True))
    return np.asarray(smooth[inner], dtype=np.float32)
