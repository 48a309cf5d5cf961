"""The voxels of a mask as a graph: neighbours are those that share a corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from agcrc.volumes import Box

FORWARD = [
    offset for offset in ((z, y, x) for z in (0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)) if offset > (0, 0, 0)
]
"""One of each pair of opposite steps to the 26 neighbours, (z, y, x)."""


@dataclass(frozen=True, eq=False)
class VoxelGraph:
    """Nodes are voxels.

    Attributes:
        places: (n, 3), (z, y, x).
        edges: (m, 2), nodes that are neighbours; each pair once.
        lengths: (m,), mm.
    """

    places: NDArray[np.int64]
    edges: NDArray[np.int64]
    lengths: NDArray[np.float64]

    @staticmethod
    def of(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> VoxelGraph:
        """The graph of a mask, shape (z, y, x), with voxels of `spacing` mm."""
        number = np.full(mask.shape, -1, dtype=np.int64)
        number[mask] = np.arange(int(mask.sum()))
        edges, lengths = [], []
        for offset in FORWARD:
            here, there = shifted(offset, mask.shape)
            first, second = number[here], number[there]
            both = (first >= 0) & (second >= 0)
            edges.append(np.stack([first[both], second[both]], axis=1))
            lengths.append(np.full(len(edges[-1]), float(np.linalg.norm(np.multiply(offset, spacing)))))
        return VoxelGraph(np.argwhere(mask), np.concatenate(edges), np.concatenate(lengths))

    def matrix(self, weights: NDArray[np.float64]) -> sparse.csr_array:
        """Sparse matrix (n, n) with a weight per edge, stored once."""
        count = len(self.places)
        return sparse.csr_array((weights, (self.edges[:, 0], self.edges[:, 1])), shape=(count, count))

    def extremities(self) -> NDArray[np.intp]:
        """One voxel of each connected part, at an extremity: the one furthest from the part's lowest voxel."""
        matrix = self.matrix(self.lengths)
        count, part = csgraph.connected_components(matrix, directed=False)
        first = np.unique(part, return_index=True)[1]
        distance = nearest_distance(matrix, first)
        order = np.lexsort((-distance, part))
        return order[np.searchsorted(part[order], np.arange(count))]


def nearest_distance(matrix: sparse.csr_array, sources: NDArray[Any]) -> NDArray[np.float64]:
    """Length of the shortest path to the nearest of some nodes, infinite where there is none."""
    found: NDArray[np.float64] = csgraph.dijkstra(matrix, directed=False, indices=sources, min_only=True)
    return found


def shifted(offset: tuple[int, int, int], shape: tuple[int, ...]) -> tuple[Box, Box]:
    """Boxes of all voxels that have a neighbour at an offset, and of those neighbours."""
    here, there = [], []
    for step, size in zip(offset, shape, strict=True):
        here.append(slice(max(0, -step), max(0, size - max(0, step))))
        there.append(slice(max(0, step), max(0, size - max(0, -step))))
    return (here[0], here[1], here[2]), (there[0], there[1], there[2])
