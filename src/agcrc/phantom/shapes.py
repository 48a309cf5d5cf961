"""Lumpy ellipsoids, given by signed distance in mm: negative inside, positive outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.phantom.canvas import Canvas, Floats

Point = tuple[float, float, float]
"""(x, y, z) in body mm."""


@dataclass(frozen=True, eq=False)
class Waves:
    """A smooth field that takes regularity away: the mean of three plane waves, about -1 to 1.

    Attributes:
        vectors: (3, 3) wave vectors in radians per mm.
        phases: (3,).
    """

    vectors: NDArray[np.float64]
    phases: NDArray[np.float64]

    @staticmethod
    def draw(rng: np.random.Generator, shortest_mm: float, longest_mm: float) -> Waves:
        """Waves of random directions with lengths in a range."""
        directions = rng.standard_normal((3, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(shortest_mm, longest_mm, (3, 1))
        return Waves(directions * 2.0 * np.pi / lengths, rng.uniform(0.0, 2.0 * np.pi, 3))

    def __call__(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """The field at positions that broadcast with each other."""
        total = sum(
            np.sin(np.float32(k[0]) * x + np.float32(k[1]) * y + np.float32(k[2]) * z + np.float32(phase))
            for k, phase in zip(self.vectors, self.phases, strict=True)
        )
        return np.asarray(total, dtype=np.float32) / np.float32(1.7)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid.

    Attributes:
        centre: (x, y, z) in body mm.
        axes: Half-axes in mm.
        turn: (3, 3); its columns are the directions of the half-axes. None for those of the body.
        lumps: Waves that the surface follows, and their height in mm.
    """

    centre: Point
    axes: Point
    turn: NDArray[np.float64] | None = None
    lumps: tuple[Waves, float] | None = None

    def distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Signed distance in mm, to first order, at positions that broadcast with each other."""
        offset = [x - np.float32(self.centre[0]), y - np.float32(self.centre[1]), z - np.float32(self.centre[2])]
        if self.turn is not None:
            turn = self.turn.astype(np.float32)
            offset = [turn[0, i] * offset[0] + turn[1, i] * offset[1] + turn[2, i] * offset[2] for i in range(3)]
        axes = [np.float32(axis) for axis in self.axes]
        level = np.sqrt(sum((part / axis) ** 2 for part, axis in zip(offset, axes, strict=True)))
        slope = np.sqrt(sum((part / axis**2) ** 2 for part, axis in zip(offset, axes, strict=True)))
        # First-order distance f / |grad f| of f = level - 1; the floors keep the centre itself finite.
        level = np.maximum(level, np.float32(1e-3))
        found = level * (level - 1) / np.maximum(slope, np.float32(1e-3) / max(axes))
        if self.lumps is not None:
            waves, height = self.lumps
            found = found + np.float32(height) * waves(x, y, z)
        return np.asarray(found, dtype=np.float32)

    def paint(self, canvas: Canvas, hu: float, label: int | None = None) -> None:
        """Fill it with one grey value."""
        reach = max(self.axes) if self.turn is not None else np.array(self.axes)
        margin = 0.0 if self.lumps is None else 1.8 * self.lumps[1]
        box = canvas.box(np.array(self.centre) - reach - margin, np.array(self.centre) + reach + margin)
        canvas.fill(box, self.distance(*canvas.mesh(box)), hu, label)


def turned(*, about_x: float = 0.0, about_y: float = 0.0, about_z: float = 0.0) -> NDArray[np.float64]:
    """Directions of half-axes after turns about x, then y, then z, in degrees."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", [about_x, about_y, about_z], degrees=True).as_matrix())
