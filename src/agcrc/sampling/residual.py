"""The residual map: what of the importance is still to be seen."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from agcrc.sampling.lattice import Lattice

Floats = NDArray[np.float64]

_SIGNS = np.array([(-1.0) ** (3 - sum(upper)) for upper in product((0, 1), repeat=3)])


class Residual:
    """R = w Π (1 - q k_p) over the patches taken so far, on cells, with its integral image.

    The gain of a further patch in the first term of F is q Σ_v R(v) k(v). The profile k has two levels, so the sum is
    that of two boxes, and each box is eight values of the integral image.

    Attributes:
        values: R, shape `lattice.cells`.
        evaluations: How many single gains were reckoned.
    """

    def __init__(self, values: Floats, lattice: Lattice, *, absorbed: float, margin_profile: float) -> None:
        """Start from a map.

        Args:
            values: Sums of importance over cells, 0 or more, shape `lattice.cells`; copied.
            lattice: The candidates.
            absorbed: q.
            margin_profile: k outside the central part of a patch.
        """
        self.values = values.astype(np.float64)
        self.evaluations = 0
        self._lattice = lattice
        self._taken = absorbed * lattice.profile(margin_profile)
        margin = lattice.margin_value(margin_profile)
        self._levels = absorbed * np.concatenate([margin * _SIGNS, (1 - margin) * _SIGNS])
        self._integral = np.zeros(tuple(size + 1 for size in lattice.cells))
        inner = self._integral[1:, 1:, 1:]
        inner[...] = self.values
        for axis in range(3):
            np.cumsum(inner, axis=axis, out=inner)

    def gains(self, candidates: NDArray[np.integer] | None = None) -> Floats:
        """Gain of each of the candidates (all if None) were it taken next; 0 or more."""
        corners = self._lattice.corners if candidates is None else self._lattice.corners[candidates]
        self.evaluations += len(corners)
        gains: Floats = self._integral.ravel().take(corners) @ self._levels
        return np.maximum(gains, 0.0, out=gains)

    def take(self, candidate: int) -> None:
        """Take a patch out of the map."""
        box = self._lattice.box(candidate)
        part = self.values[box]
        change = part * self._taken
        part -= change
        for axis in range(3):
            np.cumsum(change, axis=axis, out=change)
        # The integral image changes inside the box and, by what the box lost up to there, everywhere beyond it.
        inside = [(slice(b.start + 1, b.stop + 1), slice(None)) for b in box]
        beyond = [(slice(b.stop + 1, None), slice(-1, None)) for b in box]
        for (z, cz), (y, cy), (x, cx) in product(*zip(inside, beyond, strict=True)):
            self._integral[z, y, x] -= change[cz, cy, cx]


def exposure(
    lattice: Lattice, history: list[tuple[float, list[int]]], *, absorbed: float, margin_profile: float
) -> Floats:
    """Π (1 - q k_p)^share over earlier patches, shape `lattice.cells`, in (0, 1].

    Args:
        lattice: The candidates.
        history: For each earlier epoch the share that is still remembered, and its candidates.
        absorbed: q.
        margin_profile: k outside the central part of a patch.
    """
    logarithm = np.zeros(lattice.cells)
    lost = np.log1p(-absorbed * lattice.profile(margin_profile))
    for share, candidates in history:
        for candidate in candidates:
            logarithm[lattice.box(candidate)] += share * lost
    return np.exp(logarithm, out=logarithm)
