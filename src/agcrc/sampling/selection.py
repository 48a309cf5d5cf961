"""Choosing a set of patches: lazy greedy, and draws by gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.sampling.lattice import Lattice
from agcrc.sampling.residual import Floats, Residual
from agcrc.sampling.settings import Choice

_FIRST_BLOCK, _GROWTH = 256, 2
"""Of the bounds that are looked at together."""
_NOTHING = 1e-9
"""Gains below this share of the largest are rounding errors of the integral image."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Chosen candidates in the order of choice, all different.

    Attributes:
        candidates: Shape (count,).
        gains: What each added to the first term of F, shape (count,).
        evaluations: Gains that were reckoned for it.
    """

    candidates: NDArray[np.int64]
    gains: Floats
    evaluations: int


class Spread:
    """The diversity term Σ_p min(1, d(c_p, S without p) / D); distances in half patches along each axis, so D = 1."""

    def __init__(self, lattice: Lattice) -> None:
        half = np.array(lattice.patch) / 2.0
        self._places = (lattice.indices * (lattice.factor / half)).astype(np.float32)
        self._nearest = np.ones(lattice.size, dtype=np.float32)
        self._loss = np.zeros(lattice.size, dtype=np.float32)
        self._rows: list[NDArray[np.float32]] = []
        self._own: list[float] = []

    def gains(self, candidates: NDArray[np.integer] | slice = slice(None)) -> NDArray[np.float32]:
        """What the candidates would add, at most 1; negative where they come close to chosen ones."""
        return self._nearest[candidates] - self._loss[candidates]

    def take(self, candidate: int) -> None:
        """Add a candidate to the set."""
        row = np.minimum(1.0, np.sqrt(((self._places - self._places[candidate]) ** 2).sum(axis=1)))
        for number, (other, own) in enumerate(zip(self._rows, self._own, strict=True)):
            nearer = float(other[candidate])
            if nearer < own:
                self._loss += np.maximum(0.0, nearer - other) - np.maximum(0.0, own - other)
                self._own[number] = nearer
        own = float(self._nearest[candidate])
        self._loss += np.maximum(0.0, own - row)
        self._rows.append(row)
        self._own.append(own)
        np.minimum(self._nearest, row, out=self._nearest)


def lazy_greedy(residual: Residual, lattice: Lattice, count: int, diversity: float) -> Selection:
    """The greedy set: each time the candidate that adds most to F, among those that touch any importance.

    Gains of the first term can only fall as the set grows (submodularity), so an old gain is an upper bound and most
    candidates need no new one: CELF (Leskovec et al., KDD 2007). Instead of one candidate after the other from the
    top of a heap, a growing block of the best is reckoned in one numpy call, until no bound beats the best gain: about
    as many gains in a tenth of the time or less (bench/sampling_speed.py). The spread term is not submodular; it is
    cheap and always exact.

    Args:
        residual: Changed: the chosen patches are taken out of it.
        lattice: The candidates.
        count: How many; fewer come back when no more touch any importance.
        diversity: See `GainSettings`; 0 gives at least 1 - 1/e of the best set's F.
    """
    before = residual.evaluations
    bounds = residual.gains()
    spread = Spread(lattice) if diversity > 0 else None
    scale = diversity * bounds.max()
    bounds[bounds <= _NOTHING * bounds.max()] = -np.inf
    chosen: list[int] = []
    gains: list[float] = []
    for number in range(min(count, int(np.isfinite(bounds).sum()))):
        extra = np.zeros(lattice.size) if spread is None else scale * spread.gains()
        best = int((bounds + extra).argmax()) if number == 0 else _best(residual, bounds, extra)
        chosen.append(best)
        gains.append(float(bounds[best]))
        bounds[best] = -np.inf
        residual.take(best)
        if spread is not None:
            spread.take(best)
    return Selection(np.array(chosen, dtype=np.int64), np.array(gains), residual.evaluations - before)


def _best(residual: Residual, bounds: Floats, extra: Floats) -> int:
    """The candidate with the largest total once the gains that could matter are reckoned anew.

    Args:
        residual: Gives the gains.
        bounds: Upper bounds of the gains; those that are reckoned become exact.
        extra: What comes to them for the total.
    """
    totals = bounds + extra
    block, value, best = _FIRST_BLOCK, -np.inf, -1
    while (promising := np.flatnonzero(totals > value)).size:
        if promising.size > block:
            promising = promising[np.argpartition(totals[promising], -block)[-block:]]
        bounds[promising] = residual.gains(promising)
        totals[promising] = bounds[promising] + extra[promising]
        place = int(promising[totals[promising].argmax()])
        if totals[place] > value:
            value, best = float(totals[place]), place
        block *= _GROWTH
    return best


def draw_by_gain(
    residual: Residual,
    lattice: Lattice,
    count: int,
    diversity: float,
    *,
    choice: Choice,
    temperature: float,
    random: np.random.Generator,
) -> Selection:
    """A random set: each time a candidate with a probability that grows with its gain, never the same twice.

    Args:
        residual: Changed: the chosen patches are taken out of it.
        lattice: The candidates.
        count: How many; fewer come back when no more touch any importance.
        diversity: See `GainSettings`.
        choice: `softmax`: probability ~ exp(gain / (temperature * largest gain)); `proportional`: ~ gain.
        temperature: Of the softmax.
        random: The random numbers; one per patch.
    """
    before = residual.evaluations
    cover = residual.gains()
    spread = Spread(lattice) if diversity > 0 else None
    scale = diversity * cover.max()
    free = cover > _NOTHING * cover.max()
    chosen: list[int] = []
    gains: list[float] = []
    for number in range(min(count, int(free.sum()))):
        cover = residual.gains() if number else cover
        totals = cover if spread is None else cover + scale * spread.gains()
        largest = totals[free].max()
        if choice == "softmax" and largest > 0:
            mass = np.exp((totals / largest - 1.0) / temperature, where=free, out=np.zeros_like(totals))
        else:
            mass = np.where(free, np.maximum(totals, 0.0), 0.0)
        mass = mass if mass.any() else free.astype(np.float64)
        ends = np.cumsum(mass)
        # Not beyond the last candidate with any mass, whatever rounding does.
        place = min(int(np.searchsorted(ends, random.random() * ends[-1], side="right")), int(np.flatnonzero(mass)[-1]))
        chosen.append(place)
        gains.append(float(cover[place]))
        free[place] = False
        residual.take(place)
        if spread is not None:
            spread.take(place)
    return Selection(np.array(chosen, dtype=np.int64), np.array(gains), residual.evaluations - before)
