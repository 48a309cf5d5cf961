"""From the numbers of a file to HU or labels, slab by slab, so that memory above the result stays flat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.volumes.grid import slabs

PADDING_HU = -1024.0
"""No tissue lies below; scanners and converters write less outside the round field of view."""
LOWEST_HU, HIGHEST_HU = -32768.0, 32767.0
LABEL_TOLERANCE = 1e-3
"""Labels that went through a float or a 16-bit scaled file come back this exactly."""
HIGHEST_LABEL = 65535


def to_hounsfield(raw: NDArray[Any], slope: float, intercept: float, path: Path) -> NDArray[np.float32]:
    """`raw * slope + intercept` as HU, shape (z, y, x); padding below -1024 HU becomes -1024.

    Raises:
        InputError: NaN or infinite numbers, or values that can't be HU.
    """
    values = np.empty(raw.shape, dtype=np.float32)
    good, low, high = 0, np.inf, -np.inf
    for part in slabs(raw.shape):
        with np.errstate(over="ignore", invalid="ignore"):
            values[part] = _scaled(raw[part], slope, intercept)
        good += int(np.isfinite(values[part]).sum())
        low, high = min(low, float(values[part].min())), max(high, float(values[part].max()))
        np.maximum(values[part], PADDING_HU, out=values[part])
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


def to_labels(raw: NDArray[Any], slope: float, intercept: float, path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """`raw * slope + intercept` as labels, shape (z, y, x).

    Raises:
        InputError: Values that are no whole numbers from 0 to 65535.
    """
    wrong, example, low, high = 0, 0.0, np.inf, -np.inf
    for part in slabs(raw.shape):
        values = _scaled(raw[part], slope, intercept)
        # Written so that NaN and infinity, which compare as false, count as wrong.
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(values - np.rint(values)) <= LABEL_TOLERANCE)
        count = int(bad.sum())
        if count and not wrong:
            example = float(values[bad][0])
        wrong += count
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if wrong:
        raise InputError(
            Problem(
                f"{wrong:,} of {raw.size:,} voxels are no whole numbers (the first is {example:g}), "
                "so it is no label map.",
                "Save the labels with nearest-neighbour interpolation; a probability map has to be thresholded.",
                str(path),
            )
        )
    low, high = round(low), round(high)
    if low < 0 or high > HIGHEST_LABEL:
        raise InputError(
            Problem(
                f"labels run from {low} to {high}; 0 to {HIGHEST_LABEL} are possible.",
                "Renumber them; if it is a CT, it was given in place of a label map.",
                str(path),
            )
        )
    labels = np.empty(raw.shape, dtype=np.uint8 if high < 256 else np.uint16)
    for part in slabs(raw.shape):
        labels[part] = np.rint(_scaled(raw[part], slope, intercept))
    return labels


def _scaled(raw: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    if slope == 1.0 and intercept == 0.0:
        return raw
    return raw.astype(np.float64) * slope + intercept
