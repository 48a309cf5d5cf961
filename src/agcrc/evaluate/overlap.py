"""How much of a lesion mask and its truth lies in the same place: Dice of a case and of each lesion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dice(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    """Dice coefficient 2·|P ∩ T| / (|P| + |T|) of a case, in [0, 1].

    A case without a lesion in the truth has no Dice (None), whether or not anything was predicted: 1 for an empty
    prediction would let healthy cases lift the mean, 0 for a single voxel would let one false positive wipe out a
    case. Healthy cases are judged by their false positives instead. An empty prediction of a true lesion is 0.

    Args:
        prediction: Shape (z, y, x).
        truth: Shape (z, y, x).
    """
    if not truth.any():
        return None
    shared = int(np.count_nonzero(prediction & truth))
    return 2.0 * shared / (int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth)))


def lesion_dice(
    sizes: NDArray[np.intp], predicted_sizes: NDArray[np.intp], shared: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Dice of each true lesion with all predicted components that share a voxel with it, taken together.

    A lesion that nothing touches has 0; false positives elsewhere don't count here. A predicted component that
    touches two lesions counts in full against both.

    Args:
        sizes: Voxels of each true lesion, shape (L,).
        predicted_sizes: Voxels of each predicted component, shape (P,).
        shared: Voxels that a lesion and a component share, shape (L, P).

    Returns:
        Shape (L,), in [0, 1].
    """
    touching = (shared > 0) @ predicted_sizes
    values: NDArray[np.float64] = 2.0 * shared.sum(axis=1) / (sizes + touching)
    return values


def ceiling(truth: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> float | None:
    """The best Dice that a prediction inside `allowed` can have: Dice(T ∩ allowed, T); None without a true lesion.

    Source: specs/agcrc.md section 7, "an unrepaired OOI caps attainable Dice".
    """
    return dice(truth & allowed, truth)
