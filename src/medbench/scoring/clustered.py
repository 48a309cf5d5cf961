"""Values of items, and of which cluster each is, as plain numbers: all that a tally keeps of an item."""

from __future__ import annotations

from array import array
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medbench.stats import Estimate, clustered_mean


class ClusteredValues:
    """Values with the code of their cluster, 16 bytes each."""

    def __init__(self) -> None:
        self._values, self._clusters = array("d"), array("q")

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float, cluster: int) -> None:
        """Take a value; the code of its cluster is a 64-bit integer."""
        self._values.append(value)
        self._clusters.append(cluster)

    @property
    def clusters(self) -> NDArray[np.int64]:
        """The clusters in the order of the values."""
        return np.frombuffer(self._clusters, dtype=np.int64)

    def mean(self, *, bounded: bool = True) -> Estimate | None:
        """Clustered mean; None without values.

        Args:
            bounded: The values lie in [0, 1]. Of others the mean is clipped to that, and its limits with it.
        """
        if not self._values:
            return None
        found = clustered_mean(np.frombuffer(self._values), self.clusters, bounded=bounded)
        if bounded:
            return found
        low, high = (None if limit is None else clip(limit) for limit in (found.low, found.high))
        return replace(found, value=clip(found.value), low=low, high=high)


def clip(value: float) -> float:
    """The value, or the end of [0, 1] that is nearest."""
    return min(max(value, 0.0), 1.0)
