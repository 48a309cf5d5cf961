"""Step 6: organs that are surely no colon leave the region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.balls import eroded
from agcrc.anatomy.scene import SKIN_MM, Scene


def allowed_region(colon: NDArray[np.bool_], scene: Scene) -> NDArray[np.bool_]:
    """Where the region may lie: in the body below the skin, outside sure organs, and wherever the colon is.

    The outer layers count as the organs do: sure organs lose theirs, the body its skin.

    Args:
        colon: The colon as labelled; it always stays.
        scene: Working copy.
    """
    allowed = ~scene.sure
    if scene.body is not None:
        allowed &= eroded(scene.body, SKIN_MM, scene.spacing_mm)
    return allowed | colon
