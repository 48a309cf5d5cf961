"""From the numbers of a file to HU or labels, plane by plane, so that memory above the result stays flat."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.volumes.grid import Grid
from agcrc.volumes.orientation import as_in_file

PADDING_HU = -1024.0
"""No tissue lies below; scanners and converters write less outside the round field of view."""
LOWEST_HU, HIGHEST_HU = -32768.0, 32767.0
LABEL_TOLERANCE = 1e-3
"""Labels that went through a float or a 16-bit scaled file come back this exactly."""
HIGHEST_LABEL = 65535

Planes = Iterable[tuple[slice, NDArray[Any]]]
"""A file's numbers in its own axes: planes of the last one, and what they hold, shape (first, second, planes)."""


def to_hounsfield(planes: Planes, grid: Grid, path: Path) -> NDArray[np.float32]:
    """HU, shape `grid.shape`; padding below -1024 HU becomes -1024.

    Args:
        planes: All of the file's, rescaled.
        grid: Where they belong.
        path: Named in errors.

    Raises:
        InputError: NaN or infinite numbers, or values that can't be HU.
    """
    values = np.empty(grid.shape, dtype=np.float32)
    file, _ = as_in_file(values, grid)
    good, low, high = 0, np.inf, -np.inf
    for part, found in planes:
        here = file[..., part]
        with np.errstate(over="ignore", invalid="ignore"):
            here[...] = found
        good += int(np.isfinite(here).sum())
        low, high = min(low, float(here.min())), max(high, float(here.max()))
        np.maximum(here, PADDING_HU, out=here)
    if good < values.size:
        raise InputError(
            Problem(
                f"{values.size - good:,} of {values.size:,} voxels are NaN or infinite.",
                "Convert the CT again; a CT has a number in every voxel.",
                str(path),
            )
        )
    if low < LOWEST_HU or high > HIGHEST_HU:
        raise InputError(
            Problem(
                f"values run from {low:g} to {high:g}, which are no HU.",
                "Apply the rescale slope and intercept of the DICOM files.",
                str(path),
            )
        )
    if low >= 0 < high:
        raise InputError(
            Problem(
                f"values run from {low:g} to {high:g}: nothing is below 0 HU, neither air nor fat, so these are no HU.",
                "Give the CT before any scaling for display or training, with rescale slope and intercept applied.",
                str(path),
            )
        )
    return values


def to_labels(planes: Planes, grid: Grid, path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Labels, shape `grid.shape`; arguments as `to_hounsfield`.

    Raises:
        InputError: Values that are no whole numbers from 0 to 65535.
    """
    labels: NDArray[np.uint8] | NDArray[np.uint16] = np.zeros(grid.shape, dtype=np.uint8)
    wrong, example, low, high = 0, 0.0, 0, 0
    for part, values in planes:
        # Written so that NaN and infinity, which compare as false, count as wrong.
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(values - np.rint(values)) <= LABEL_TOLERANCE)
        count = int(bad.sum())
        if count and not wrong:
            example = float(values[bad][0])
        wrong += count
        if wrong:
            continue
        low, high = min(low, round(float(values.min()))), max(high, round(float(values.max())))
        if low < 0 or high > HIGHEST_LABEL:
            continue
        if high > np.iinfo(labels.dtype).max:
            labels = labels.astype(np.uint16)
        as_in_file(labels, grid)[0][..., part] = np.rint(values)
    if wrong:
        raise InputError(
            Problem(
                f"{wrong:,} of {labels.size:,} voxels are no whole numbers (the first is {example:g}), "
                "so it is no label map.",
                "Save the labels with nearest-neighbour interpolation; a probability map has to be thresholded.",
                str(path),
            )
        )
    if low < 0 or high > HIGHEST_LABEL:
        raise InputError(
            Problem(
                f"labels run from {low} to {high}; 0 to {HIGHEST_LABEL} are possible.",
                "Renumber them; if it is a CT, it was given in place of a label map.",
                str(path),
            )
        )
    return labels
