"""The skeleton of a tube as a graph: its length and its ends.

Nodes are the connected pieces of the shells of equal geodesic distance from an extremity (A. Verroust, F. Lazarus:
Extracting
skeletal curves from 3D scattered data, The Visual Computer 16, 2000). Other than thinning, this puts no branch into
every
haustrum and no loop around every fold of a wide colon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from agcrc.anatomy.balls import EVERY_NEIGHBOUR, opened
from agcrc.anatomy.voxel_graph import VoxelGraph, nearest_distance
from agcrc.volumes import bounding_box

SHELL_VOXELS = 2.0
"""Thickness of a shell; more than a diagonal step, so that neighbours lie in the same or in adjoining shells."""
SURE_SLENDERNESS = 3.0
"""Length of a branch in its mean radii. Of wide colons at hand, haustra reach 2.9, ends of the tube begin at 3.8."""
POSSIBLE_SLENDERNESS = 1.5
"""A stump between a gap and the next loop that it touches may be as short as this."""
SAME_END_MM = 25.0
TANGENT_MM = 30.0
"""The direction of an end is taken over this length of its branch."""
CALIBRE_MM = 60.0
"""And its radius over this length."""


@dataclass(frozen=True)
class TubeEnd:
    """An end of a tube.

    Attributes:
        index: Voxel (z, y, x).
        outward: Unit vector (z, y, x) out of the tube.
        radius_mm: Mean radius of the tube near the end.
        sure: Whether the branch is slender enough to be no haustrum.
    """

    index: tuple[int, int, int]
    outward: tuple[float, float, float]
    radius_mm: float
    sure: bool


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A pruned skeleton.

    Attributes:
        length_mm: Length of all branches; a loop lacks its last step.
        ends: Ends of branches that are long enough, the sure ones first.
    """

    length_mm: float
    ends: tuple[TubeEnd, ...]


def skeleton_of(mask: NDArray[np.bool_], opening_mm: float, least_branch_mm: float, spacing_mm: float) -> Skeleton:
    """Open a mask, take its skeleton and cut branches that are too short or too stout, one by one.

    Haustra, folds and the corners of a wide tube's end are branches, too, but shorter than `SURE_SLENDERNESS` of their
    own
    mean radii; those of `POSSIBLE_SLENDERNESS` and more are ends that are not sure. Cutting one by one keeps the
    tube's end: the last prong of a fork is left and joined to the trunk.
    Where two shells meet, as in loops that touch, there is no end.

    Args:
        mask: Shape (z, y, x).
        opening_mm: Radius of the opening.
        least_branch_mm: Shorter branches, and tubes without a fork that are shorter, have no ends.
        spacing_mm: Size of the cubic voxels.
    """
    box = bounding_box(mask, (1, 1, 1))
    solid = None if box is None else _opened_whole(mask[box], opening_mm, spacing_mm)
    if box is None or solid is None or not solid.any():
        return Skeleton(0.0, ())
    voxels = VoxelGraph.of(solid, (spacing_mm,) * 3)
    thickness_mm = SHELL_VOXELS * spacing_mm
    shell_of, edges = _shells(voxels, thickness_mm)
    count = np.bincount(shell_of)
    sums = np.stack([np.bincount(shell_of, column) for column in voxels.places.T.astype(float)], axis=1)
    centres = sums / count[:, None]
    ways = centres[edges[:, 0]] - centres[edges[:, 1]]
    lengths: NDArray[np.float64] = np.sqrt(np.square(ways).sum(axis=1)) * spacing_mm
    volumes: NDArray[np.float64] = count.astype(np.float64) * spacing_mm**3
    branches = Branches(edges, lengths, volumes, thickness_mm)
    offset = np.array([part.start for part in box])

    def ends(sure: bool) -> list[TubeEnd]:
        branches.prune(least_branch_mm, SURE_SLENDERNESS if sure else POSSIBLE_SLENDERNESS)
        found: list[TubeEnd] = []
        for leaf in branches.leaves():
            members = voxels.places[shell_of == leaf]
            inner = members[int(np.argmin(np.linalg.norm(members - centres[leaf], axis=1)))] + offset
            way = centres[leaf] - centres[branches.trace(leaf, TANGENT_MM)[-1]]
            z, y, x = way / max(float(np.linalg.norm(way)), 1e-9)
            radius = branches.radius_mm(branches.trace(leaf, CALIBRE_MM))
            index = (int(inner[0]), int(inner[1]), int(inner[2]))
            found.append(TubeEnd(index, (float(z), float(y), float(x)), radius, sure))
        return found

    possible = ends(sure=False)
    sure = ends(sure=True)
    places = np.array([end.index for end in sure]).reshape(-1, 3)
    others = [
        end
        for end in possible
        if not (np.linalg.norm(places - np.array(end.index), axis=1) * spacing_mm <= SAME_END_MM).any()
    ]
    tree = branches.without_loops()
    tree.prune(least_branch_mm, SURE_SLENDERNESS)
    return Skeleton(tree.length_mm(), (*sure, *others))


def _opened_whole(mask: NDArray[np.bool_], opening_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """A mask after opening, with the thin pieces that hold it together: a collapsed span is no pair of ends."""
    wide = opened(mask, opening_mm, spacing_mm)
    parts, _ = ndimage.label(wide, EVERY_NEIGHBOUR)
    thin, count = ndimage.label(mask & ~wide, EVERY_NEIGHBOUR)
    # The parts that each thin piece touches; its own voxels look one step around.
    highest = ndimage.grey_dilation(parts, footprint=EVERY_NEIGHBOUR)
    lowest = ndimage.grey_dilation(np.where(parts > 0, -parts, -np.iinfo(np.int32).max), footprint=EVERY_NEIGHBOUR)
    numbers = np.arange(1, count + 1)
    first = ndimage.maximum(highest, thin, numbers)
    last = -np.asarray(ndimage.maximum(lowest, thin, numbers))
    joins = np.zeros(count + 1, dtype=np.bool_)
    joins[1:] = (first > 0) & (first != last)
    found: NDArray[np.bool_] = wide | joins[thin]
    return found


def _shells(voxels: VoxelGraph, thickness_mm: float) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The shell piece of each voxel, and which pieces adjoin, shape (m, 2)."""
    distance = nearest_distance(voxels.matrix(voxels.lengths), voxels.extremities())
    level = (distance / thickness_mm).astype(np.int64)
    first, second = voxels.edges.T
    same = level[first] == level[second]
    # Explicit ones: the matrix of a graph drops edges of weight 0.
    _, piece = csgraph.connected_components(
        sparse.csr_array((np.ones(int(same.sum())), (first[same], second[same])), shape=(len(level), len(level))),
        directed=False,
    )
    pairs = np.sort(np.stack([piece[first[~same]], piece[second[~same]]], axis=1), axis=1)
    return piece, np.unique(pairs, axis=0)


class Branches:
    """A graph of shells whose short and stout twigs can be cut.

    A branch is as long as it has shells of its own: the way from its foot to the middle of the trunk does not count.

    Args:
        edges: Pairs of nodes, shape (m, 2), each once.
        lengths: Between their centres in mm, shape (m,).
        volumes: Of each node in mm³.
        thickness_mm: Of a node.
    """

    def __init__(
        self,
        edges: NDArray[np.int64],
        lengths: NDArray[np.float64],
        volumes: NDArray[np.float64],
        thickness_mm: float,
    ) -> None:
        self.volumes = volumes
        self.thickness_mm = thickness_mm
        self.neighbours: dict[int, dict[int, float]] = {}
        for (one, other), length in zip(edges.tolist(), lengths.tolist(), strict=True):
            self.neighbours.setdefault(one, {})[other] = length
            self.neighbours.setdefault(other, {})[one] = length

    def leaves(self) -> list[int]:
        """Nodes with one neighbour."""
        return sorted(node for node, others in self.neighbours.items() if len(others) == 1)

    def length_mm(self) -> float:
        """Length of all branches, from centre to centre."""
        return sum(sum(others.values()) for others in self.neighbours.values()) / 2.0

    def radius_mm(self, nodes: list[int]) -> float:
        """Radius of the cylinder with the length and the volume of a chain of nodes."""
        return float(np.sqrt(self.volumes[nodes].sum() / (np.pi * self.thickness_mm * len(nodes))))

    def without_loops(self) -> Branches:
        """A minimum spanning forest."""
        entries = [(a, b, length) for a, others in self.neighbours.items() for b, length in others.items() if a < b]
        rows, columns, lengths = np.array(entries).T if entries else np.zeros((3, 0))
        places = (rows.astype(np.int64), columns.astype(np.int64))
        # The matrix of a graph drops edges of length 0.
        graph = sparse.csr_array((np.maximum(lengths, 1e-9), places), shape=(len(self.volumes), len(self.volumes)))
        tree = csgraph.minimum_spanning_tree(graph).tocoo()
        edges = np.stack([tree.row, tree.col], axis=1).astype(np.int64)
        return Branches(edges, tree.data, self.volumes, self.thickness_mm)

    def trace(self, leaf: int, longest_mm: float = np.inf) -> list[int]:
        """Nodes from a leaf up to and without the next fork, or up to the other end, at most this far."""
        nodes, before = [leaf], -1
        while (len(nodes) + 1) * self.thickness_mm <= longest_mm:
            onward = [node for node in self.neighbours[nodes[-1]] if node != before]
            if len(onward) != 1 or len(self.neighbours[onward[0]]) > 2:
                break
            before = nodes[-1]
            nodes.append(onward[0])
        return nodes

    def prune(self, least_mm: float, slenderness: float) -> None:
        """Cut the branch that falls shortest, in length or slenderness, until none does.

        A tube without a fork is not cut for being stout.
        """
        while True:
            worst, cut = 1.0, list[int]()
            for leaf in self.leaves():
                nodes = self.trace(leaf)
                length = len(nodes) * self.thickness_mm
                share = length / max(least_mm, 1e-9)
                if len(self.neighbours[nodes[-1]]) > 1:
                    share = min(share, length / (slenderness * self.radius_mm(nodes)))
                if share < worst:
                    worst, cut = share, nodes
            if not cut:
                return
            for node in cut:
                for other in self.neighbours.pop(node, {}):  # gone already where the whole tube is cut
                    if other in self.neighbours:
                        del self.neighbours[other][node]
                        if not self.neighbours[other]:
                            del self.neighbours[other]
