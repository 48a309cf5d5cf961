"""Step 3: ends of the colon that are neither caecum nor anus: pair those that face, look around the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.balls import dilated
from agcrc.anatomy.bridges import Bridge, bridge_places, with_calibre
from agcrc.anatomy.groups import BODY, COLON, SACRUM
from agcrc.anatomy.parts import Parts
from agcrc.anatomy.scene import Scene
from agcrc.anatomy.settings import OoiSettings
from agcrc.anatomy.skeleton import Skeleton, TubeEnd, skeleton_of

CAECUM_LATERAL_MM = 20.0
"""The caecum lies at least this far to the right of the midline."""
CAECUM_RADIUS_MM = 20.0
"""An end as wide as this on the right is the caecum wherever it lies; on the example CT it lies below the liver."""
BALL_MARGIN_MM = 15.0
"""A ball is as wide as the tube at its end and this much wider, so that it reaches out of the end."""
ANUS_LATERAL_MM = 50.0
"""The anal end lies at most this far from the midline."""
MOST_PARTNERS = 4
BRIDGE_START_MM = 12.0
"""A bridge starts at an end if it does so within the tube's radius and this much of it."""
BRIDGE_AWAY_MM = 18.0
BRIDGE_OUTWARD = 0.5
"""And leaves by it if it leads outward, by this cosine, over that distance; if not, it starts at the tube's flank."""


@dataclass(frozen=True, eq=False)
class DeadEnds:
    """What step 3 adds.

    Attributes:
        bridges: Between ends that face each other.
        balls: Voxels around the ends that found no partner.
        count: Number of dead ends, partners included.
    """

    bridges: tuple[Bridge, ...]
    balls: NDArray[np.bool_]
    count: int


@dataclass(frozen=True, eq=False)
class EndPair:
    """Two ends that may belong together.

    Attributes:
        one: An end.
        other: Another.
        facing: Whether they point at each other.
        bridge: From one to the other.
        arc: A second way, for two that do not: where what is lost turned as the ends do.
    """

    one: TubeEnd
    other: TubeEnd
    facing: bool
    bridge: Bridge
    arc: Bridge | None

    @property
    def ways(self) -> tuple[Bridge, ...]:
        """The bridge, and the arc where there is one."""
        return (self.bridge,) if self.arc is None else (self.bridge, self.arc)


def open_ends(skeleton: Skeleton, calibre: NDArray[np.float32], scene: Scene) -> list[TubeEnd]:
    """The ends that are neither caecum nor anus and do not leave the field of view."""
    natural = natural_ends(skeleton, scene)
    return [end for end in skeleton.ends if end not in natural and not _leaves_view(end, calibre, scene.spacing_mm)]


def bridges_between(
    ends: Sequence[TubeEnd], parts: Parts, costs: NDArray[np.float32], settings: OoiSettings
) -> list[EndPair]:
    """Acceptable paths between ends that may belong together, the nearest pair first.

    Two ends of one part have to point at each other, and one has to be sure. Those of different parts need not point:
    what is lost between them may be a loop, and with it their directions turn, as on the example CT. Such a pair gets a
    second path that prefers the arc that continues both ends to the chord. Each end tries its nearest few partners
    only, so that a label in many crumbs costs no more than it is worth.
    """
    likely: list[tuple[float, TubeEnd, TubeEnd, bool]] = []
    for one, other in combinations(ends, 2):
        apart = float(np.linalg.norm(np.subtract(one.index, other.index))) * settings.spacing_mm
        facing = _facing(one, other, settings.spacing_mm) >= settings.dead_end_facing
        same = parts.labels[one.index] == parts.labels[other.index]
        if apart <= settings.dead_end_gap_mm and (not same or (facing and (one.sure or other.sure))):
            likely.append((apart, one, other, facing))
    # A path back through the colon's own lumen would be the cheapest of all.
    outside = np.where(parts.mask, settings.cost_soft, costs).astype(np.float32)
    tried = dict.fromkeys(ends, 0)
    found: list[EndPair] = []
    for _, one, other, facing in sorted(likely, key=lambda each: each[0]):
        if max(tried[one], tried[other]) >= MOST_PARTNERS:
            continue
        tried[one] += 1
        tried[other] += 1
        bridge = bridge_places(one.index, other.index, outside, settings)
        if bridge is not None:
            arc = None if facing else bridge_places(one.index, other.index, outside, settings, _arc(one, other))
            found.append(EndPair(one, other, facing, bridge, arc))
    return found


def close_dead_ends(
    ends: Sequence[TubeEnd],
    pairs: Sequence[EndPair],
    bridges: Sequence[Bridge],
    calibre: NDArray[np.float32],
    settings: OoiSettings,
) -> DeadEnds:
    """Pair the sure ends at which no bridge of step 2 starts and put a ball on each that stays alone.

    An end with such a bridge may still be the partner of one that points at it: that bridge may have missed the true
    way.
    """
    sure = [end for end in ends if end.sure]
    dead = [end for end in sure if not any(_leaves_by(end, bridge, settings.spacing_mm) for bridge in bridges)]
    found: list[Bridge] = []
    paired: set[TubeEnd] = set()
    for pair in pairs:
        ends_of = {pair.one, pair.other}
        lonely = len(ends_of.intersection(dead))
        if not paired.intersection(ends_of) and (lonely == 2 or (lonely == 1 and pair.facing)):
            found += pair.ways
            paired |= ends_of
    balls = np.zeros(calibre.shape, dtype=np.bool_)
    for end in dead:
        if end not in paired:
            ball = np.zeros(calibre.shape, dtype=np.bool_)
            ball[end.index] = True
            radius_mm = min(end.radius_mm + BALL_MARGIN_MM, settings.dead_end_ball_mm)
            balls |= dilated(ball, radius_mm, settings.spacing_mm)
    return DeadEnds(with_calibre(found, calibre, settings), balls, len(dead))


def colon_skeleton(parts: Parts, settings: OoiSettings) -> Skeleton:
    """The skeleton of the colon after opening."""
    return skeleton_of(parts.mask, settings.opening_mm, settings.dead_end_branch_mm, settings.spacing_mm)


def natural_ends(skeleton: Skeleton, scene: Scene) -> tuple[TubeEnd, ...]:
    """The ends that may be anus and caecum, by position.

    The anus is the lowest end near the midline, if it is lower than the middle of the colon. The caecum is the widest
    other
    end on the right that is in the lower two thirds of the colon's height or wide. The middle plane goes through the
    sacrum,
    else the body, else the colon.
    """
    ends = sorted((end for end in skeleton.ends if end.sure), key=lambda end: end.index[0])
    if not ends:
        return ()
    spacing = scene.spacing_mm
    middle = midplane(scene)
    colon = np.flatnonzero(scene.organs.mask(COLON).any(axis=(1, 2)))
    low, height = int(colon[0]), int(colon[-1] - colon[0] + 1)
    found: list[TubeEnd] = []
    for end in ends:
        if abs(end.index[2] - middle) * spacing <= ANUS_LATERAL_MM and end.index[0] < low + height / 2.0:
            found.append(end)
            break
    for end in sorted(ends, key=lambda end: -end.radius_mm):
        right = (end.index[2] - middle) * spacing
        likely = end.index[0] < low + height * 2.0 / 3.0 or end.radius_mm >= CAECUM_RADIUS_MM
        if end not in found and right >= CAECUM_LATERAL_MM and likely:
            found.append(end)
            break
    return tuple(found)


def midplane(scene: Scene) -> float:
    """The x index of the middle plane of the body."""
    organs = scene.organs
    for name in (SACRUM, "vertebrae_L5", "vertebrae_L3", "vertebrae_L1", BODY):
        if organs.has(name):
            return float(np.average(np.arange(organs.grid.shape[2]), weights=organs.mask(name).sum(axis=(0, 1))))
    mask = scene.body if scene.body is not None else organs.mask(COLON)
    places = np.flatnonzero(mask.any(axis=(0, 1)))
    return float(places[0] + places[-1]) / 2.0


def _leaves_by(end: TubeEnd, bridge: Bridge, spacing_mm: float) -> bool:
    """Whether a bridge is the continuation of the tube beyond an end."""
    for path in (bridge.path, bridge.path[::-1]):
        if tuple(path[0]) == end.index:
            return True
        from_end = float(np.linalg.norm(path[0] - end.index)) * spacing_mm
        if from_end > end.radius_mm + BRIDGE_START_MM:
            continue
        away = np.linalg.norm(path - path[0], axis=1) * spacing_mm
        way = (path[min(int(np.searchsorted(away, BRIDGE_AWAY_MM)), len(path) - 1)] - path[0]).astype(np.float64)
        if float(way @ np.array(end.outward)) >= BRIDGE_OUTWARD * float(np.linalg.norm(way)):
            return True
    return False


def _leaves_view(end: TubeEnd, calibre: NDArray[np.float32], spacing_mm: float) -> bool:
    """Whether the tube reaches the border of the field of view at this end."""
    to_border = min(min(place, size - 1 - place) for place, size in zip(end.index, calibre.shape, strict=True))
    return bool(to_border * spacing_mm <= float(calibre[end.index]) + 2.0 * spacing_mm)


def _facing(one: TubeEnd, other: TubeEnd, spacing_mm: float) -> float:
    """Cosine between the direction of an end and the way to the other, of the two the smaller.

    The way is taken from one radius inside each end, or it would have no direction where they nearly touch.
    """
    outward = np.array([one.outward, other.outward])
    inner = np.array([one.index, other.index]) * spacing_mm - outward * np.array([[one.radius_mm], [other.radius_mm]])
    way = inner[1] - inner[0]
    way /= max(float(np.linalg.norm(way)), 1e-9)
    return min(float(outward[0] @ way), float(outward[1] @ -way))


def _arc(one: TubeEnd, other: TubeEnd) -> NDArray[np.int64]:
    """Voxels along the arc that leaves both ends along their directions, shape (n, 3): a circle's where they allow it.

    A cubic Bézier curve; the arms of one that follows a circle over an angle θ are 1 / (3 cos²(θ / 4)) of its chord.
    """
    ends, outward = np.array([one.index, other.index], dtype=np.float64), np.array([one.outward, other.outward])
    chord = float(np.linalg.norm(ends[1] - ends[0]))
    turn = float(np.arccos(np.clip(-outward[0] @ outward[1], -1.0, 1.0)))
    arms = ends + outward * chord / (3.0 * np.cos(turn / 4.0) ** 2)
    t = np.linspace(0.0, 1.0, max(2, round(4.0 * chord)))[:, None]
    curve = (1 - t) ** 3 * ends[0] + 3 * (1 - t) ** 2 * t * arms[0] + 3 * (1 - t) * t**2 * arms[1] + t**3 * ends[1]
    voxels: NDArray[np.int64] = np.round(curve).astype(np.int64)
    return voxels
