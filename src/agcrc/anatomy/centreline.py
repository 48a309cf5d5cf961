"""The colon's centreline from the anus to the caecum (spec, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from agcrc.anatomy.balls import calibre_mm, dilated
from agcrc.anatomy.parts import Parts, count_parts, parts_of
from agcrc.volumes import Grid, Spacing, bounding_box
from agcrc.volumes.resample import resample_labels

FINEST_MM = 2.0
"""Finer masks are thinned out to this; a mask with cubic voxels up to `COARSEST_MM` is taken as it is."""
COARSEST_MM = 3.5
EROSION_MM = 3.0
"""Parts loops that lie against each other."""
EPSILON_MM2 = 1.0
LONGEST_GAP_MM = 60.0
LEAST_PART_ML = 0.5
CRUMB_SHARE = 0.01
STEP_MM = 3.0
SMOOTHING_MM = 6.0
LEAST_LENGTH_MM = 600.0
LONGEST_JUMP_MM = 6.0
FAR_MM = 40.0
"""More than the radius of a wide colon: the line of a whole colon leaves none of it further away."""
FAR_SHARE = 0.05
NOT_AN_END_MM = 50.0
"""The lowest place is no end of the colon where another lies this much further from the far end."""


@dataclass(frozen=True, eq=False)
class Centreline:
    """A centreline, anus first.

    Attributes:
        points: Float indices (z, y, x) into the mask, shape (n, 3), about 3 mm apart; n = 0 without a colon.
        length_mm: Its length.
        radius_mm: Distance to the mask's surface at each point, shape (n,).
        reliable: Whether positions along it can be trusted.
        reason: Why not.
    """

    points: NDArray[np.float64]
    length_mm: float
    radius_mm: NDArray[np.float64]
    reliable: bool
    reason: str


def centreline(colon: NDArray[np.bool_], spacing: Spacing) -> Centreline:
    """The minimal path between the two ends of a colon, cost 1 / (dt² + ε) per mm.

    dt is the distance to the surface after an erosion by 3 mm, which parts loops that touch. The far end, the caecum,
    is the voxel with the longest way
    through the colon from its lowest place. That place is the anus, unless it is no end at all because another lies
    `NOT_AN_END_MM` further from the far end: then the anus is the lower of those two. What the erosion or a gap in the
    mask parts is joined by the shortest line, up to `LONGEST_GAP_MM`.

    It is not reliable where it is shorter than 0.6 m or jumps over a gap in the mask, where it passes by a twentieth of
    the colon (loops that are fused more widely than the erosion parts give it a shortcut), or where the colon leaves
    the field of view at the feet in two places, so that the anus is not in view.

    Args:
        colon: Shape (z, y, x).
        spacing: mm, (z, y, x).
    """
    grid = Grid.of((colon.shape[0], colon.shape[1], colon.shape[2]), spacing)
    work = _working_grid(grid)
    mask = colon if work is grid else resample_labels(colon.astype(np.uint8), grid, work) > 0
    step = float(np.mean(work.spacing))
    box = bounding_box(parts_of(mask, LEAST_PART_ML, work.voxel_ml).mask, (1, 1, 1))
    if box is None:
        return Centreline(np.zeros((0, 3)), 0.0, np.zeros(0), False, "there is no colon")
    # Holes are not filled: some are the walls between loops that touch, and are all that parts these.
    inside = np.asarray(mask[box])
    core = calibre_mm(inside, step) > EROSION_MM
    # A collapsed span has no inside left: it stays as it is where it lies apart from what has.
    core |= inside & ~dilated(core, EROSION_MM + 2.0 * step, step)
    parts = parts_of(core, 0.0, work.voxel_ml)
    lines, lost_ml = _joined(parts, step, work.voxel_ml)
    depth = ndimage.distance_transform_edt(parts.mask, sampling=step)
    domain = np.where(parts.mask | lines, 1.0 / (depth**2 + EPSILON_MM2), -1.0)
    anus, far = _ends(parts.mask, domain, step)
    path = _cheapest(domain, anus, far, step)
    start = np.array([part.start for part in box])
    calibre = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=step)[1:-1, 1:-1, 1:-1]
    smooth = _smoothed(path.astype(np.float64) * step)
    length_mm = float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum())
    radius = calibre[tuple(np.round(smooth / step).astype(int).T)]
    jump_mm = _longest_run(~inside[tuple(path.T)], path, step)
    away, _ = cKDTree(smooth).query(np.argwhere(inside) * step, distance_upper_bound=FAR_MM)
    reason = _doubts(length_mm, jump_mm, lost_ml, float(np.isinf(away).mean()), count_parts(colon[:1]))
    points = grid.to_index(work.to_mm(smooth / step + start))
    return Centreline(points, length_mm, radius, not reason, reason)


def _working_grid(grid: Grid) -> Grid:
    sizes = grid.spacing
    cubic = max(sizes) / min(sizes) < 1.05
    return grid if cubic and FINEST_MM <= min(sizes) <= COARSEST_MM else grid.isotropic(FINEST_MM)


def _joined(parts: Parts, step_mm: float, voxel_ml: float) -> tuple[NDArray[np.bool_], float]:
    """Straight lines that join each part to the nearest joined one, and the volume in mL of parts too far away.

    Crumbs of less than a hundredth of the largest part stay apart and don't count.
    """
    volumes = np.bincount(parts.labels.ravel())[1:]
    surface = [
        np.argwhere((parts.labels == part) & ~ndimage.binary_erosion(parts.labels == part))
        for part in range(1, parts.count + 1)
        if volumes[part - 1] >= CRUMB_SHARE * volumes[0]
    ]
    lines = np.zeros(parts.labels.shape, dtype=np.bool_)
    joined, waiting = [surface[0]], list(enumerate(surface[1:], start=1))
    while waiting:
        tree = cKDTree(np.concatenate(joined))
        nearest = [tree.query(points) for _, points in waiting]
        best = int(np.argmin([distances.min() for distances, _ in nearest]))
        distances, partners = nearest[best]
        row = int(np.argmin(distances))
        if distances[row] * step_mm > LONGEST_GAP_MM:
            break
        one, other = waiting[best][1][row], tree.data[partners[row]]
        line = np.round(np.linspace(one, other, int(np.abs(one - other).max()) + 1)).astype(int)
        lines[tuple(line.T)] = True
        joined.append(waiting.pop(best)[1])
    return lines, float(sum(volumes[number] for number, _ in waiting)) * voxel_ml


def _ends(
    inside: NDArray[np.bool_], domain: NDArray[np.float64], step_mm: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The anus and the far end."""
    way = np.where(domain > 0, 1.0, -1.0)
    # The largest part alone may hold no line; what it does not reach is out of play.
    places = np.argwhere(inside)
    lowest = tuple(int(each) for each in places[np.lexsort((domain[tuple(places.T)], places[:, 0]))[0]])
    far, _ = _furthest(way, lowest, step_mm)
    other, distances = _furthest(way, far, step_mm)
    if distances[other] <= distances[lowest] + NOT_AN_END_MM:
        return lowest, far
    return (other, far) if other[0] <= far[0] else (far, other)


def _furthest(
    way: NDArray[np.float64], start: tuple[int, ...], step_mm: float
) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    from skimage.graph import MCP_Geometric

    distances, _ = MCP_Geometric(way, fully_connected=True, sampling=(step_mm,) * 3).find_costs([start])
    z, y, x = np.unravel_index(int(np.argmax(np.where(np.isfinite(distances), distances, -1.0))), way.shape)
    return (int(z), int(y), int(x)), distances


def _cheapest(
    domain: NDArray[np.float64], start: tuple[int, ...], end: tuple[int, ...], step_mm: float
) -> NDArray[np.int64]:
    from skimage.graph import MCP_Geometric

    front = MCP_Geometric(domain, fully_connected=True, sampling=(step_mm,) * 3)
    front.find_costs([start], [end])
    return np.array(front.traceback(end), dtype=np.int64)


def _smoothed(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """A path in mm at even steps, without the corners of the voxel grid; its ends stay."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    if along[-1] < STEP_MM:
        return path
    even = np.linspace(0.0, along[-1], max(2, round(along[-1] / STEP_MM) + 1))
    points = np.stack([np.interp(even, along, column) for column in path.T], axis=1)
    softened = ndimage.gaussian_filter1d(points, SMOOTHING_MM / STEP_MM, axis=0, mode="nearest")
    softened[[0, -1]] = points[[0, -1]]
    return np.asarray(softened)


def _longest_run(jumps: NDArray[np.bool_], path: NDArray[np.int64], step_mm: float) -> float:
    """Length in mm of the longest stretch of a path through voxels that are marked."""
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1)]) * step_mm
    runs, count = ndimage.label(jumps)
    return float(max(ndimage.sum(lengths, runs, range(1, count + 1)), default=0.0))


def _doubts(length_mm: float, jump_mm: float, lost_ml: float, passed_by: float, exits_below: int) -> str:
    found: list[str] = []
    if length_mm < LEAST_LENGTH_MM:
        found.append(f"it is {length_mm / 1000.0:.2f} m long, less than {LEAST_LENGTH_MM / 1000.0:.1f} m")
    if jump_mm > LONGEST_JUMP_MM:
        found.append(f"it jumps over {jump_mm:.0f} mm without colon")
    if lost_ml > 0:
        found.append(f"{lost_ml:.0f} mL of the colon are more than {LONGEST_GAP_MM:.0f} mm away from the rest")
    if passed_by > FAR_SHARE:
        found.append(f"{passed_by:.0%} of the colon lie more than {FAR_MM:.0f} mm from it: it takes a shortcut")
    if exits_below > 1:
        found.append(f"the colon leaves the field of view at the feet in {exits_below} places: the anus is not in view")
    return "; ".join(found)
