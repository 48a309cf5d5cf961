"""Masses of three shapes that grow on the wall of a tube: lesions of the colon, and distractors anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.phantom.canvas import Canvas, Floats, Indices
from agcrc.phantom.shapes import Waves
from agcrc.phantom.tubes import Near, Tube
from agcrc.volumes import Grid

SHAPES = ("polypoid", "plaque", "annular")
INVASION_MM = 3.0
"""How far a mass reaches beyond the outside of its tube."""
HALF_SPAN_MM = 60.0
"""A mass stays within so much of its tube, to either side."""
PLAQUE_HALF_ANGLE = 1.9
"""A plaque leaves a part of the circumference free; an annular mass does not."""
STRETCH = 1.4
"""A plaque is longer along its tube than across it."""


@dataclass(frozen=True, eq=False)
class Bed:
    """A tube in whose coordinates a mass grows; arrays hold one value for each voxel of `near`.

    Attributes:
        tube: Its curve and radius.
        near: Its voxels, to `INVASION_MM` beyond its radius at least.
        angle: Angle around the curve in radians.
    """

    tube: Tube
    near: Near
    angle: Floats

    @staticmethod
    def of(tube: Tube, near: Near, canvas: Canvas) -> Bed:
        """The bed of a tube whose voxels are known."""
        return Bed(tube, near, near.angle(tube, canvas))


@dataclass(frozen=True)
class Seat:
    """Where on a tube a mass sits and what it is like.

    Attributes:
        shape: One of `SHAPES`.
        point: Index of the curve's point.
        angle: Around the curve, radians.
        thickness_mm: Of a plaque or an annular mass, from the outside of the tube towards its axis; body mm.
        ml: Volume.
    """

    shape: str
    point: int
    angle: float
    thickness_mm: float
    ml: float


def grow(bed: Bed, seat: Seat, allowed: NDArray[np.bool_], canvas: Canvas, rng: np.random.Generator) -> Indices | None:
    """A connected mass of the wanted volume, to the voxel.

    A field that grows with the distance from the seat is cut at the level that holds the volume. Its measure gives the
    shape: distance in space (polypoid), on the wall (plaque), or along the tube (annular).

    Args:
        bed: The tube.
        seat: Where and what.
        allowed: Voxels of the bed that the mass may take, (k,).
        canvas: Its grid.
        rng: Draws the unevenness of the margin.

    Returns:
        Flat indices; None where there is no room.
    """
    near, line = bed.near, bed.tube
    along = (line.arc[near.nearest] - line.arc[seat.point]).astype(np.float32)
    radius = line.radius[near.nearest].astype(np.float32)
    kept = allowed & (near.distance <= radius + INVASION_MM) & (np.abs(along) <= HALF_SPAN_MM)
    turn = np.abs((bed.angle - seat.angle + np.pi) % (2 * np.pi) - np.pi)
    if seat.shape != "polypoid":
        kept &= near.distance >= radius - seat.thickness_mm
    if seat.shape == "plaque":
        kept &= turn <= PLAQUE_HALF_ANGLE
    count = max(1, round(seat.ml / canvas.grid.voxel_ml))
    inside = np.flatnonzero(kept)
    if len(inside) < count:
        return None
    points = canvas.points(near.where[inside])
    if seat.shape == "polypoid":
        field = np.linalg.norm(points - _on_wall(line, seat).astype(np.float32), axis=1)
    elif seat.shape == "plaque":
        field = np.hypot(along[inside] / STRETCH, radius[inside] * turn[inside])
    else:
        field = np.abs(along[inside])
    margin = Waves.draw(rng, 14.0, 32.0)(points[:, 0], points[:, 1], points[:, 2])
    order = np.argsort(field * (1.0 + 0.16 * margin), kind="stable")[:count]
    mass = np.sort(near.where[inside[order]])
    return mass if _connected(mass, canvas.grid) else None


def core(bed: Bed, seat: Seat, mass: Indices) -> Indices:
    """The inside of an annular mass, as far as the mass reaches along the tube."""
    near = bed.near
    arc = bed.tube.arc[near.nearest]
    reach = arc[np.isin(near.where, mass)]
    hollow = near.distance < bed.tube.radius[near.nearest] - seat.thickness_mm
    inside: Indices = near.where[hollow & (arc >= reach.min()) & (arc <= reach.max())]
    return inside


def _on_wall(line: Tube, seat: Seat) -> NDArray[np.float64]:
    normal, binormal = line.frames()
    outward = np.cos(seat.angle) * normal[seat.point] + np.sin(seat.angle) * binormal[seat.point]
    # The middle of a polyp lies inside the lumen, its foot on the wall.
    return np.asarray(line.points[seat.point] + 0.75 * line.radius[seat.point] * outward, dtype=np.float64)


def _connected(mass: Indices, grid: Grid) -> bool:
    """Whether voxels hang together by their faces."""
    from scipy import ndimage

    places = np.stack(np.unravel_index(mass, grid.shape), axis=1)
    low = places.min(axis=0)
    small = np.zeros(places.max(axis=0) - low + 1, dtype=bool)
    small[tuple((places - low).T)] = True
    return int(ndimage.label(small)[1]) == 1
