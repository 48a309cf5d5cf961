"""The course of colon and small bowel: curves through anatomical points that give way to organs and to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.phantom.body import Build
from agcrc.phantom.canvas import Canvas
from agcrc.phantom.tubes import STEP_MM, Tube, resampled, tube

Points = NDArray[np.float64]
"""(n, 3) as (x, y, z) in body mm."""

ROUNDS = 30
FAR_ALONG_MM = 55.0
"""Two places of a curve are different loops where they lie this far apart along it."""
LOOP_GAP_MM = 42.0
"""Distance that two loops' curves keep, where there is room."""

# Name, place (x, y, z) in a typical body, spread of its jitter, radius: all in mm; anus first.
COLON_COURSE = (
    ("anus", (0, -66, -186), 1.0, 12.0),
    ("anal canal", (0, -58, -170), 1.5, 12.0),
    ("anorectal junction", (0, -44, -150), 3.0, 16.0),
    ("lower rectum", (0, -56, -126), 4.0, 22.0),
    ("upper rectum", (0, -60, -98), 5.0, 20.0),
    ("rectosigmoid", (4, -36, -70), 7.0, 16.0),
    ("sigmoid, right limb", (34, -4, -72), 10.0, 15.0),
    ("sigmoid, right top", (46, 26, -44), 14.0, 16.0),
    ("sigmoid, top", (10, 44, -22), 16.0, 16.0),
    ("sigmoid, left limb", (-24, 26, -50), 12.0, 15.0),
    ("sigmoid, low", (-40, 40, -84), 9.0, 15.0),
    ("sigmoid, iliac fossa", (-66, 22, -66), 8.0, 14.0),
    ("descending, lower", (-88, 4, -38), 5.0, 14.0),
    ("descending, middle", (-102, -16, 10), 5.0, 15.0),
    ("descending, upper", (-104, -26, 62), 5.0, 16.0),
    ("splenic flexure", (-102, -10, 106), 6.0, 18.0),
    ("splenic flexure, front", (-90, 26, 98), 7.0, 19.0),
    ("transverse, left", (-58, 60, 66), 8.0, 20.0),
    ("transverse, middle left", (-20, 70, 36), 8.0, 20.0),
    ("transverse, middle right", (24, 70, 30), 8.0, 20.0),
    ("transverse, right", (64, 56, 46), 8.0, 21.0),
    ("hepatic flexure", (94, 20, 66), 6.0, 22.0),
    ("ascending, upper", (104, -12, 46), 5.0, 23.0),
    ("ascending, middle", (102, -16, 6), 5.0, 24.0),
    ("ascending, lower", (96, -4, -30), 5.0, 26.0),
    ("caecum", (84, 8, -58), 6.0, 26.0),
)


@dataclass(frozen=True, eq=False)
class Room:
    """How much room there is around a point.

    Attributes:
        distance: Signed distance in body mm to the nearest obstacle, positive in the open; on a grid of its own.
        origin: (x, y, z) of that grid's first voxel.
        step: Its spacing in body mm.
    """

    distance: NDArray[np.float32]
    origin: NDArray[np.float64]
    step: float

    @staticmethod
    def around(canvas: Canvas, build: Build) -> Room:
        """What is painted so far (bones, organs, muscles, vessels) and the abdominal wall are obstacles."""
        from scipy import ndimage

        every = max(1, round(3.5 / canvas.voxel))
        thin = slice(None, None, every)
        mesh = canvas.x[None, None, thin], canvas.y[None, thin, None], canvas.z[thin, None, None]
        free = (canvas.organs[thin, thin, thin] == 0) & (build.cavity(*mesh) < 0)
        step = every * canvas.voxel
        inside = ndimage.distance_transform_edt(free, sampling=step) - step / 2
        outside = ndimage.distance_transform_edt(~free, sampling=step) - step / 2
        origin = np.array((canvas.x[0], canvas.y[0], canvas.z[0]), dtype=np.float64)
        return Room(np.where(free, inside, -outside).astype(np.float32), origin, step)

    def at(self, points: Points) -> NDArray[np.float64]:
        """Room in mm at points, (n,)."""
        from scipy import ndimage

        index = ((points - self.origin) / self.step)[:, ::-1].T
        return np.asarray(ndimage.map_coordinates(self.distance, index, order=1, mode="nearest"), dtype=np.float64)

    def away(self, points: Points) -> Points:
        """Directions of growing room, (n, 3), at most 1 long."""
        shifts = np.eye(3) * self.step
        return np.stack([(self.at(points + d) - self.at(points - d)) / (2 * self.step) for d in shifts], axis=1)


def colon_curve(build: Build, room: Room, rng: np.random.Generator) -> Tube:
    """The colon's centreline, anus first, with the radius that it has where nothing presses on it."""
    typical = np.array([place for _, place, _, _ in COLON_COURSE], dtype=np.float64)
    spread = np.array([spread for _, _, spread, _ in COLON_COURSE])
    radii = np.array([radius for _, _, _, radius in COLON_COURSE])
    typical += rng.standard_normal(typical.shape) * spread[:, None]
    # The transverse colon hangs on a long mesentery: low in some people, high in others.
    hanging = np.array([name.startswith("transverse") for name, *_ in COLON_COURSE])
    typical[hanging, 2] += rng.uniform(-30.0, 18.0)
    radii = radii * rng.uniform(0.95, 1.25) * rng.uniform(0.92, 1.08, len(radii))
    line = tube(build.place(typical), radii)
    settled = settle(line.points, room, want_mm=15.0, held=round(70.0 / STEP_MM))
    return resampled(settled, line.radius)


def small_bowel_curve(build: Build, room: Room, colon: Tube, rng: np.random.Generator) -> Tube:
    """The small bowel: 5 to 8 loops, row below row in the middle of the abdomen, ending at the caecum."""
    loops = int(rng.integers(5, 9))
    rows = np.linspace(34.0, -98.0, loops)
    places: list[NDArray[np.float64]] = []
    for row, height in enumerate(rows):
        narrow = np.interp(height, (-98, -50), (36.0, 62.0))
        across = np.linspace(-narrow, narrow, 5) * (1 if row % 2 else -1)
        depth = 24.0 + 24.0 * np.sin(rng.uniform(0, 2 * np.pi) + np.arange(5) * rng.uniform(1.2, 2.4))
        heights = height + rng.normal(0.0, 7.0, 5)
        places.append(np.stack([across, depth, heights], axis=1))
    line = np.concatenate([[[-28.0, 8.0, 58.0]], *places, [[58.0, 4.0, -66.0]]])
    line[:, 0] += rng.normal(0.0, 6.0, len(line))
    start = tube(build.place(line), 12.0)
    settled = settle(start.points, room, want_mm=11.0, held=1, others=colon, gap_mm=24.0)
    radius = rng.uniform(11.0, 14.0) * (1.0 + 0.12 * np.sin(np.linspace(0, rng.uniform(30, 60), len(start.points))))
    return with_room(resampled(settled, radius), room, narrowest_mm=8.0, apart_mm=1.0)


def settle(
    points: Points, room: Room, *, want_mm: float, held: int, others: Tube | None = None, gap_mm: float = LOOP_GAP_MM
) -> Points:
    """Push a curve out of obstacles and its loops off each other, smoothly.

    Args:
        points: `STEP_MM` apart.
        room: Obstacles.
        want_mm: Room that every point should have.
        held: So many points at the start stay where they are.
        others: A tube to keep off as well: its radius and 12 mm.
        gap_mm: Distance of the curves of two loops.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.spatial import cKDTree

    moved = points.copy()
    count = len(points)
    far = round(FAR_ALONG_MM / STEP_MM)
    other_tree = None if others is None else cKDTree(others.points)
    loose = np.clip((np.arange(count) - held) / 10.0, 0.0, 1.0)[:, None]
    for _ in range(ROUNDS):
        push = np.clip(want_mm - room.at(moved), 0.0, 12.0)[:, None] * room.away(moved)
        pairs = cKDTree(moved[::2]).query_pairs(gap_mm, output_type="ndarray") * 2
        pairs = pairs[np.abs(pairs[:, 0] - pairs[:, 1]) > far]
        if len(pairs):
            apart = moved[pairs[:, 0]] - moved[pairs[:, 1]]
            length = np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1.0)
            shove = np.clip(gap_mm - length, 0.0, None) * apart / length / 2
            for end, sign in ((0, 1.0), (1, -1.0)):
                total = np.zeros_like(moved)
                np.add.at(total, pairs[:, end], sign * shove)
                times = np.maximum(np.bincount(pairs[:, end], minlength=count), 1)
                push += 2.0 * total / times[:, None]
        if others is not None and other_tree is not None:
            length, index = other_tree.query(moved)
            lack = np.clip(others.radius[index] + 12.0 - length, 0.0, None)
            push += lack[:, None] * (moved - others.points[index]) / np.maximum(length, 1.0)[:, None]
        # Smoothing the push, not the curve, keeps the curve's length.
        moved += 0.4 * loose * gaussian_filter1d(push, 10.0, axis=0, mode="nearest")
    return np.asarray(gaussian_filter1d(moved, 4.0, axis=0, mode="nearest"), dtype=np.float64)


def with_room(line: Tube, room: Room, *, narrowest_mm: float, apart_mm: float) -> Tube:
    """The tube with its radius cut where obstacles or other loops leave no room for it.

    Args:
        line: The tube.
        room: Obstacles; up to 3 mm of them give way.
        narrowest_mm: What is left of a radius in any case; a smaller one stays as it is.
        apart_mm: Width of the fat between two loops.
    """
    from scipy.ndimage import gaussian_filter1d, minimum_filter1d
    from scipy.spatial import cKDTree

    most = np.maximum(room.at(line.points) + 3.0, 0.0)
    pairs = cKDTree(line.points).query_pairs(2.0 * float(line.radius.max()), output_type="ndarray")
    pairs = pairs[np.abs(pairs[:, 0] - pairs[:, 1]) > round(FAR_ALONG_MM / STEP_MM)]
    half = np.linalg.norm(line.points[pairs[:, 0]] - line.points[pairs[:, 1]], axis=1) / 2 - apart_mm / 2
    for end in (0, 1):
        np.minimum.at(most, pairs[:, end], half)
    most = gaussian_filter1d(minimum_filter1d(most, 5), 3.0)
    return Tube(line.points, np.minimum(line.radius, np.maximum(most, narrowest_mm)))
