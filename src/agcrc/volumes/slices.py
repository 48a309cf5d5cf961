"""Axial slices as they are looked at: the patient's right on the left of the image, front on top."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BOX_LIMIT = 1000
"""Edges of boxes are thousandths of the image's width and height."""


def axial(array: NDArray[np.generic], index: int) -> NDArray[np.generic]:
    """One slice of an array (z, y, x) in RAS+ as a view, shape (rows, columns); index 0 is the lowest."""
    return array[index, ::-1, ::-1]


def slice_boxes(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Boxes around the parts of a mask that touch, corners included; the largest part first.

    Args:
        mask: Shape (rows, columns).

    Returns:
        x1, y1, x2, y2 in 0..1000 of width and height from top left, rounded outwards: x1 < x2 and y1 < y2.
    """
    from scipy import ndimage

    labelled, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=bool))
    sizes = np.bincount(labelled.ravel())[1:]
    found = ndimage.find_objects(labelled)
    height, width = mask.shape
    boxes = []
    for number in np.argsort(-sizes, kind="stable"):
        rows, columns = found[number]
        boxes.append(
            (
                math.floor(columns.start / width * BOX_LIMIT),
                math.floor(rows.start / height * BOX_LIMIT),
                math.ceil(columns.stop / width * BOX_LIMIT),
                math.ceil(rows.stop / height * BOX_LIMIT),
            )
        )
    return boxes
