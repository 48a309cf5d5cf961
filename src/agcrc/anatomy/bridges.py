"""Step 2: join the parts of the colon along the cheapest ways between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.anatomy.balls import dilated, distance_mm
from agcrc.anatomy.parts import Parts
from agcrc.anatomy.settings import OoiSettings
from agcrc.anatomy.voxel_graph import FORWARD, shifted
from agcrc.volumes import Box, bounding_box

GUIDE_DISCOUNT = 0.3
"""So soft tissue along a guide is cheaper than gas beside it, and bone along it is still dearer than soft tissue."""


@dataclass(frozen=True, eq=False)
class Bridge:
    """A way between two places.

    Attributes:
        path: Voxels, shape (n, 3), (z, y, x).
        length_mm: Length of the path.
        mean_cost: Cost per mm of it.
        radius_mm: Radius of the tube that is carved along it.
    """

    path: NDArray[np.int64]
    length_mm: float
    mean_cost: float
    radius_mm: float = 0.0


def bridge_parts(
    parts: Parts, between_ends: Sequence[Bridge], costs: NDArray[np.float32], settings: OoiSettings
) -> list[Bridge]:
    """The minimum spanning tree of the parts over geodesic paths, as far as its bridges are short and cheap enough.

    A single front starts from all parts at once. Where the fronts of two parts meet lies the cheapest path between
    them;
    a minimum spanning tree over such meetings is one over all paths (Mehlhorn, Inf. Process. Lett. 1988). Only voxels
    that
    a bridge of legal length can reach take part. Paths between facing ends compete at a discount: the cheapest way
    between
    two parts often runs between their flanks, where a loop passes close by.

    Args:
        parts: Parts of the colon.
        between_ends: Acceptable paths between ends that face each other, first and last voxel in a part.
        costs: Cost per mm, infinite where no path may run; same shape.
        settings: Longest bridge, highest mean cost.
    """
    if parts.count < 2:
        return []
    reach = int(np.ceil(settings.bridge_longest_mm / 2.0 / settings.spacing_mm))
    box = bounding_box(parts.mask, (reach, reach, reach))
    assert box is not None
    labels = parts.labels[box]
    meetings = _meetings(labels, _reachable(labels, costs[box], settings), settings.spacing_mm)
    offset = np.array([part.start for part in box])
    candidates: list[tuple[float, tuple[int, int], Bridge]] = []
    for bridge in between_ends:
        pair = int(parts.labels[tuple(bridge.path[0])]), int(parts.labels[tuple(bridge.path[-1])])
        candidates.append((bridge.mean_cost * bridge.length_mm * settings.dead_end_discount, pair, bridge))
    for meeting in meetings:
        bridge = Bridge(meeting.path + offset, meeting.length_mm, meeting.cost / max(meeting.length_mm, 1e-9))
        if acceptable(bridge, settings):
            candidates.append((meeting.cost, meeting.parts, bridge))
    joined = _Groups(parts.count + 1)
    return [bridge for _, pair, bridge in sorted(candidates, key=lambda each: each[:2]) if joined.join(*pair)]


def bridge_places(
    start: Sequence[int],
    end: Sequence[int],
    costs: NDArray[np.float32],
    settings: OoiSettings,
    guide: NDArray[np.int64] | None = None,
) -> Bridge | None:
    """The cheapest path between two voxels inside their surroundings; None if there is none that is acceptable.

    Along the voxels of a guide, shape (n, 3), it is searched at `GUIDE_DISCOUNT` of the costs.
    """
    from skimage.graph import MCP_Geometric

    margin = int(np.ceil(settings.bridge_longest_mm / 4.0 / settings.spacing_mm))
    box = _box_around(start, end, margin, costs.shape)
    offset = np.array([part.start for part in box])
    first, last = np.array(start) - offset, np.array(end) - offset
    domain = costs[box].astype(np.float64)
    domain[tuple(first)] = domain[tuple(last)] = settings.cost_soft
    guided = domain
    if guide is not None:
        inner = guide[((guide >= offset) & (guide - offset < domain.shape)).all(axis=1)] - offset
        near = np.zeros(domain.shape, dtype=np.bool_)
        near[tuple(inner.T)] = True
        guided = np.where(dilated(near, settings.spacing_mm, settings.spacing_mm), domain * GUIDE_DISCOUNT, domain)
    front = MCP_Geometric(guided, fully_connected=True, sampling=(settings.spacing_mm,) * 3)
    totals, _ = front.find_costs([tuple(first)], [tuple(last)])
    if not np.isfinite(totals[tuple(last)]):
        return None
    path = np.array(front.traceback(tuple(last)))
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1) * settings.spacing_mm
    on_path = domain[tuple(path.T)]
    cost = float(steps @ (on_path[1:] + on_path[:-1])) / 2.0
    length = path_length_mm(path, settings.spacing_mm)
    bridge = Bridge(path + offset, length, cost / max(length, 1e-9))
    return bridge if acceptable(bridge, settings) else None


def acceptable(bridge: Bridge, settings: OoiSettings) -> bool:
    """Whether a bridge is short and cheap enough."""
    return bridge.length_mm <= settings.bridge_longest_mm and bridge.mean_cost <= settings.bridge_mean_cost


def with_calibre(bridges: Sequence[Bridge], calibre: NDArray[np.float32], settings: OoiSettings) -> tuple[Bridge, ...]:
    """Give each bridge a radius after the thinner of the two tubes that it joins, within the limits of the settings.

    The thinner one, since one end of a bridge may lie on the flank of a wide loop.

    Args:
        bridges: Paths from one part of the colon to another.
        calibre: Distance to the colon's surface, mm, 0 outside; shape (z, y, x).
        settings: Limits.
    """
    reach = int(np.ceil(settings.bridge_radius_mm / settings.spacing_mm))
    low, high = settings.bridge_least_radius_mm, settings.bridge_radius_mm
    found: list[Bridge] = []
    for bridge in bridges:
        ends = [bridge.path[0], bridge.path[-1]]
        widths = [float(calibre[_box_around(end, end, reach, calibre.shape)].max()) for end in ends]
        found.append(
            replace(bridge, radius_mm=float(np.clip(settings.bridge_calibre * min(widths), low, max(low, high))))
        )
    return tuple(found)


def tubes(bridges: Sequence[Bridge], shape: tuple[int, ...], spacing_mm: float) -> NDArray[np.bool_]:
    """All voxels within a bridge's radius of its path, for any of the bridges."""
    carved = np.zeros(shape, dtype=np.bool_)
    for bridge in bridges:
        line = np.zeros(shape, dtype=np.bool_)
        line[tuple(bridge.path.T)] = True
        carved |= dilated(line, bridge.radius_mm, spacing_mm)
    return carved


def path_length_mm(path: NDArray[np.int64], spacing_mm: float) -> float:
    """Length of a path of voxels, shape (n, 3)."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) * spacing_mm


@dataclass(frozen=True, eq=False)
class _Meeting:
    parts: tuple[int, int]
    cost: float
    length_mm: float
    path: NDArray[np.int64]


class _Groups:
    """Which parts are joined already (union-find)."""

    def __init__(self, count: int) -> None:
        self.group = list(range(count))

    def join(self, one: int, other: int) -> bool:
        """Join two; False if they were."""
        first, second = self.group[one], self.group[other]
        if first == second:
            return False
        self.group = [first if each == second else each for each in self.group]
        return True


def _reachable(labels: NDArray[np.int32], costs: NDArray[np.float32], settings: OoiSettings) -> NDArray[np.float64]:
    """Costs with -1, which stops a front, where no bridge of legal length can pass and in the inside of parts.

    On a bridge of length L every voxel is within L / 2 of some part, and within L of one that is not the largest; the
    distances to the two parts that it joins sum to at most L.
    """
    longest, spacing = settings.bridge_longest_mm, settings.spacing_mm
    mask = labels > 0
    to_largest, to_others = distance_mm(labels == 1, spacing), distance_mm(labels > 1, spacing)
    near = np.minimum(to_largest, to_others) <= longest / 2.0
    far = to_largest + to_others <= longest
    if labels.max() > 2:
        # A bridge may also join two of the smaller parts.
        far |= to_others <= longest / 2.0
    domain = costs.astype(np.float64)
    domain[~np.isfinite(domain) | ~(near & far)] = -1.0
    domain[mask] = settings.cost_colon
    domain[ndimage.binary_erosion(mask)] = -1.0
    return domain


def _meetings(labels: NDArray[np.int32], domain: NDArray[np.float64], spacing_mm: float) -> list[_Meeting]:
    """The cheapest path between any two parts whose fronts meet."""
    from skimage.graph import MCP_Geometric

    front = MCP_Geometric(domain, fully_connected=True, sampling=(spacing_mm,) * 3)
    starts = np.argwhere((labels > 0) & (domain >= 0))
    totals, traceback = front.find_costs(starts)
    owner = _owners(labels, traceback, np.asarray(front.offsets), np.isfinite(totals))
    best = _cheapest_contacts(owner, totals, domain, spacing_mm)
    meetings: list[_Meeting] = []
    for (one, other), (cost, here, there) in best.items():
        path = np.array([*front.traceback(here), *reversed(front.traceback(there))])
        meetings.append(_Meeting((one, other), cost, path_length_mm(path, spacing_mm), path))
    return meetings


def _owners(
    labels: NDArray[np.int32], traceback: NDArray[Any], offsets: NDArray[Any], reached: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """The part that the front came from in each voxel: follow all predecessors at once, twice as far each time."""
    strides = np.array([labels.shape[1] * labels.shape[2], labels.shape[2], 1])
    parent = np.arange(labels.size)
    moved = np.flatnonzero((traceback.ravel() >= 0) & reached.ravel() & (labels.ravel() == 0))
    parent[moved] -= (offsets @ strides)[traceback.ravel()[moved]]
    while True:
        further = parent[parent]
        if np.array_equal(further, parent):
            break
        parent = further
    return np.where(reached, labels.ravel()[parent].reshape(labels.shape), 0).astype(np.int32)


def _cheapest_contacts(
    owner: NDArray[np.int32], totals: NDArray[np.float64], domain: NDArray[np.float64], spacing_mm: float
) -> dict[tuple[int, int], tuple[float, tuple[int, ...], tuple[int, ...]]]:
    """For each pair of parts: cost of the cheapest path, and the two voxels where the fronts meet on it."""
    best: dict[tuple[int, int], tuple[float, tuple[int, ...], tuple[int, ...]]] = {}
    count = int(owner.max()) + 1
    for offset in FORWARD:
        here, there = shifted(offset, owner.shape)
        first, second = owner[here], owner[there]
        places = np.argwhere((first != second) & (first > 0) & (second > 0))
        if len(places) == 0:
            continue
        one = places + np.array([part.start for part in here])
        other = one + np.array(offset)
        step = spacing_mm * float(np.linalg.norm(offset))
        a, b = tuple(one.T), tuple(other.T)
        costs = totals[a] + totals[b] + step * (domain[a] + domain[b]) / 2.0
        pairs = np.minimum(owner[a], owner[b]) * count + np.maximum(owner[a], owner[b])
        order = np.lexsort((costs, pairs))
        for row in order[np.unique(pairs[order], return_index=True)[1]]:
            key = (int(pairs[row]) // count, int(pairs[row]) % count)
            if key not in best or costs[row] < best[key][0]:
                best[key] = (float(costs[row]), tuple(map(int, one[row])), tuple(map(int, other[row])))
    return best


def _box_around(one: Sequence[int], other: Sequence[int], margin: int, shape: tuple[int, ...]) -> Box:
    ends = [
        slice(max(0, min(a, b) - margin), min(size, max(a, b) + margin + 1))
        for a, b, size in zip(one, other, shape, strict=True)
    ]
    return ends[0], ends[1], ends[2]
