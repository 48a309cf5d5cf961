"""Predicted boxes held against true ones (specs/scoring.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medbench.scoring.model import Box, BoxEvidence, BoxFault, Marking

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))


def overlaps(first: Sequence[Box], second: Sequence[Box]) -> NDArray[np.float64]:
    """Intersection over union of every box of one list with every box of another, shape (len(first), len(second))."""
    a = np.array([box.edges for box in first], dtype=np.float64).reshape(-1, 1, 4)
    b = np.array([box.edges for box in second], dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0.0, None).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (a, b)]
    iou: NDArray[np.float64] = shared / (areas[0] + areas[1] - shared)
    return iou


def match(given: Sequence[Box], true: Sequence[Box]) -> list[tuple[int, int, float]]:
    """Pairs (index in `given`, index in `true`, IoU), one to one within each class, with the largest sum of IoU.

    Boxes that do not touch are no pair. Source: Kuhn (1955), by `scipy.optimize.linear_sum_assignment`.
    """
    from scipy.optimize import linear_sum_assignment

    pairs = []
    for label in sorted({box.label for box in true}):
        ours = [index for index, box in enumerate(given) if box.label == label]
        theirs = [index for index, box in enumerate(true) if box.label == label]
        if ours:
            iou = overlaps([given[index] for index in ours], [true[index] for index in theirs])
            for row, column in zip(*linear_sum_assignment(iou, maximize=True), strict=True):
                if iou[row, column] > 0:
                    pairs.append((ours[row], theirs[column], float(iou[row, column])))
    return sorted(pairs)


def mark_boxes(given: Sequence[Box] | None, true: Sequence[Box], faults: Sequence[BoxFault] = ()) -> Marking:
    """Mark the boxes of one picture.

    The value is the mean over the IoU thresholds .50, .55 … .95 of F1 = 2tp/(2tp + fp + fn), where a pair counts from
    its threshold on, and 1 where there is no box on either side. The counts are those at .50. Details: `f1_50`, and
    `mean_iou` of the pairs where there are any.

    Args:
        given: Boxes of the answer; None: it could not be read, and is one false box at least.
        true: Boxes of the key; empty: no lesion.
        faults: Of the answer. A box that could not be used is a false one.
    """
    unusable = sum(fault.code != "unknown_label" for fault in faults)
    pairs = match(given or (), true)
    offered = max(unusable, 1) if given is None else len(given) + unusable
    counts = [sum(iou >= threshold for *_, iou in pairs) for threshold in THRESHOLDS]
    total = offered + len(true)
    f1 = [2 * hits / total if total else 1.0 for hits in counts]
    details = [("f1_50", f1[0])]
    if pairs:
        details.append(("mean_iou", sum(iou for *_, iou in pairs) / len(pairs)))
    return Marking(
        value=sum(f1) / len(f1),
        true_positives=counts[0],
        false_positives=offered - counts[0],
        false_negatives=len(true) - counts[0],
        details=tuple(details),
        evidence=BoxEvidence(tuple(true), tuple(given or ()), tuple(pairs), tuple(faults)),
    )
