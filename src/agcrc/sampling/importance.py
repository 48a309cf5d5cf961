"""Importance w(v) of a voxel (specs/agcrc.md, section 2)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.sampling.case import SamplingCase
from agcrc.sampling.settings import GainSettings
from agcrc.volumes import Box, Triple, bounding_box

_DECAYS = 6.0
"""How far the boundary term reaches, in decay lengths: beyond them it is below .25 % of its peak and left out, so that
distances are needed in a box around the lesion only."""


def importance(case: SamplingCase, settings: GainSettings) -> NDArray[np.float32]:
    """w(v) of all voxels but for the hard negatives, shape (z, y, x), 0 or more.

    Distances go from voxel centre to voxel centre; the one to the lesion's boundary is, inside, that to the nearest
    voxel outside, and outside, that to the nearest voxel inside.

    Raises:
        InputError: A distance to the core that is not a number.
    """
    weight = np.zeros(case.shape, dtype=np.float32)
    inside = case.ooi > 0
    np.divide(case.core_distance_mm, -settings.organ_decay_mm, out=weight, where=inside, casting="same_kind")
    np.exp(weight, out=weight, where=inside)
    weight *= settings.organ_weight
    if np.isnan(weight.sum()):
        raise InputError(
            Problem(f"Case {case.name}: the distance to the core is not a number in places.", "Make the OOI anew.")
        )
    _add_lesion(weight, case, settings)
    return weight


def block_sums(values: NDArray[np.floating], factor: int, cells: Triple) -> NDArray[np.float64]:
    """Sums over blocks of factor³ voxels, shape `cells`.

    Where the blocks reach beyond the volume its last voxels are repeated, so that a constant stays a constant.
    """
    excess = [count * factor - size for count, size in zip(cells, values.shape, strict=True)]
    if any(excess):
        values = np.pad(values, [(0, extra) for extra in excess], mode="edge")
    z, y, x = cells
    # One axis after the other: numpy sums long runs and short ones apart far faster than all three at once.
    partial = values.reshape(z, factor, y * factor, x * factor).sum(axis=1)
    partial = partial.reshape(z, y, factor, x * factor).sum(axis=2)
    sums: NDArray[np.float64] = partial.reshape(z, y, x, factor).sum(axis=3, dtype=np.float64)
    return sums


def _add_lesion(weight: NDArray[np.float32], case: SamplingCase, settings: GainSettings) -> None:
    from scipy.ndimage import distance_transform_edt

    lesion_weight = np.zeros_like(weight)
    for box in _lesion_boxes(case, max(settings.lesion_margin_mm, _DECAYS * settings.boundary_decay_mm)):
        lesion = case.lesion[box]
        outside = distance_transform_edt(~lesion, sampling=case.spacing)
        boundary = (
            np.full(lesion.shape, np.inf) if lesion.all() else distance_transform_edt(lesion, sampling=case.spacing)
        )
        boundary += outside
        boundary = settings.boundary_weight * np.exp(-boundary / settings.boundary_decay_mm)
        boundary += settings.lesion_weight * (outside <= settings.lesion_margin_mm)
        # Where boxes overlap, the one with the nearer lesion in it is right.
        np.maximum(lesion_weight[box], boundary, out=lesion_weight[box], casting="same_kind")
    weight += lesion_weight


def _lesion_boxes(case: SamplingCase, reach_mm: float) -> list[Box]:
    """A box around each lesion, or one around all where that is smaller than these together."""
    from scipy.ndimage import find_objects, label

    tight = bounding_box(case.lesion)
    if tight is None:
        return []
    margin = [math.ceil(reach_mm / size) for size in case.spacing]

    def widened(found: Box) -> Box:
        z, y, x = (
            slice(max(0, place.start + part.start - more), min(size, place.start + part.stop + more))
            for place, part, more, size in zip(tight, found, margin, case.shape, strict=True)
        )
        return z, y, x

    parts = [widened(found) for found in find_objects(label(case.lesion[tight])[0])]
    depth, height, width = case.lesion[tight].shape
    whole = widened((slice(0, depth), slice(0, height), slice(0, width)))
    return parts if sum(map(_size, parts)) < _size(whole) else [whole]


def _size(box: Box) -> int:
    return math.prod(part.stop - part.start for part in box)
