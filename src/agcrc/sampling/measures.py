"""What a set of patches sees: coverage, visits, overlap, gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.sampling.case import Centres, SamplingCase
from agcrc.sampling.importance import importance
from agcrc.sampling.patches import patch_box
from agcrc.sampling.settings import GainSettings
from agcrc.volumes import Triple

Curve = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sight:
    """What the first 1, 2, ... patches see; all curves have one value per patch.

    Attributes:
        ooi_coverage: Share of OOI voxels that lie in at least one patch, in [0, 1]; NaN without OOI.
        lesion_visits: Number of patches that hold a lesion voxel, mean over these; NaN for a healthy case.
        overlap: Share of the patches' voxels that lie in an earlier patch, in [0, 1).
        gain: First term of F over Σ w, in [0, 1], on the voxel grid; NaN where all importance is 0.
    """

    ooi_coverage: Curve
    lesion_visits: Curve
    overlap: Curve
    gain: Curve


def sight(
    case: SamplingCase,
    centres: Centres,
    patch: Triple,
    settings: GainSettings = GainSettings(),  # noqa: B008 - frozen
) -> Sight:
    """Follow patches through a case; memory: three arrays of its size.

    Args:
        case: The case.
        centres: Shape (count, 3).
        patch: Voxels (z, y, x).
        settings: Of the gain.
    """
    ooi = case.ooi > 0
    seen = np.zeros(case.shape, dtype=np.bool_)
    left = importance(case, settings)
    whole, organ, lesion = float(left.sum(dtype=np.float64)), int(ooi.sum()), int(case.lesion.sum())
    covered = visits = twice = total = 0
    taken = 0.0
    rows: list[tuple[float, float, float, float]] = []
    for centre in centres:
        box = patch_box(centre, patch, case.shape)
        central = patch_box(centre, patch, case.shape, settings.central_share)
        twice += int(np.count_nonzero(seen[box]))
        total += seen[box].size
        visits += int(np.count_nonzero(case.lesion[box]))
        covered += int(np.count_nonzero(ooi[box] & ~seen[box]))
        seen[box] = True
        before = float(left[box].sum(dtype=np.float64))
        inner = left[central] * (1 - settings.absorbed)
        left[box] *= 1 - settings.absorbed * settings.margin_profile
        left[central] = inner
        taken += before - float(left[box].sum(dtype=np.float64))
        rows.append(
            (
                covered / organ if organ else np.nan,
                visits / lesion if lesion else np.nan,
                twice / total,
                taken / whole if whole else np.nan,
            )
        )
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Sight(columns[0], columns[1], columns[2], columns[3])
