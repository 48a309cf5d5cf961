"""The working copy: labels and CT on cubic voxels, the body, and what it costs a bridge to pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agcrc.anatomy.balls import dilated, eroded, largest_part, opened
from agcrc.anatomy.groups import BODY, COLON, SMALL_BOWEL, is_bone, is_sure
from agcrc.anatomy.organs import Organs
from agcrc.anatomy.settings import OoiSettings
from agcrc.errors import InputError, Problem
from agcrc.volumes import Volume
from agcrc.volumes.resample import resample

AIR_HU = -1000.0
BODY_HU = -300.0
"""Fat and all that is denser, skin included."""
GAS_HU = -150.0
"""Between this and fat lie voxels that gas fills in part, so the wall of a gas-filled bowel counts as gas."""
FAT_HU = -30.0
BONE_HU = 300.0
LUNG_HU = (-930.0, -500.0)
"""Aerated lung, mean of a voxel of 3 mm. Gas in the bowel is below; only its rim, one or two voxels, lies between."""
LUNG_THICKNESS_MM = 6.0
TABLE_THICKNESS_MM = 6.0
SKIN_MM = 12.0
"""No colon lies in this outer layer of the body, skin and wall of the thinnest patients; 15 mm on the example CT."""
LEAST_BODY_ML = 200.0


@dataclass(frozen=True, eq=False)
class Scene:
    """What the steps of the mask work on; arrays have shape `organs.grid.shape`.

    Attributes:
        organs: The label map on cubic voxels.
        spacing_mm: Their size.
        body: Where the body is; None where neither a CT nor a class `body` tells.
        hounsfield: float32, or None without a CT.
        sure: Organs that are no colon, without their outer layer.
    """

    organs: Organs
    spacing_mm: float
    body: NDArray[np.bool_] | None
    hounsfield: NDArray[np.float32] | None
    sure: NDArray[np.bool_]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL."""
        return self.organs.grid.voxel_ml


def scene_of(organs: Organs, ct: Volume | None, settings: OoiSettings) -> Scene:
    """Copy labels (nearest) and CT (averaged) to cubic voxels and find the body.

    Raises:
        InputError: The CT shows no body although the label map has organs.
    """
    grid = organs.grid.isotropic(settings.spacing_mm)
    copy = organs.resampled(grid)
    sure = eroded(copy.any(filter(is_sure, copy.voxels)), settings.organ_erosion_mm, settings.spacing_mm)
    body: NDArray[np.bool_] | None = None
    hounsfield: NDArray[np.float32] | None = None
    if ct is not None:
        hounsfield = resample(ct.array, ct.grid, grid, order=1, fill=AIR_HU).astype(np.float32, copy=False)
        body = _body_in_ct(hounsfield, settings.spacing_mm)
        if body.sum() * grid.voxel_ml < LEAST_BODY_ML:
            _refuse_without_body(hounsfield, organs)
        body |= copy.volume.array > 0
    elif copy.has(BODY):
        body = np.asarray(copy.volume.array > 0)
    return Scene(copy, settings.spacing_mm, body, hounsfield, sure)


def path_costs(scene: Scene, settings: OoiSettings) -> NDArray[np.float32]:
    """Cost of a path per mm in each voxel, infinite outside the body.

    Unlabelled tissue is told apart by its HU. Without a CT it costs `cost_unknown` everywhere, and where nothing tells
    the
    body the whole field of view counts as body: labels alone don't show the skin, and detours outside it are longer.
    """
    organs = scene.organs
    costs = np.full(organs.grid.shape, settings.cost_unknown, dtype=np.float32)
    hounsfield = scene.hounsfield
    if hounsfield is not None:
        costs[...] = settings.cost_soft
        costs[hounsfield < FAT_HU] = settings.cost_fat
        gas = hounsfield < GAS_HU
        costs[gas] = settings.cost_gas
        lung = (hounsfield > LUNG_HU[0]) & (hounsfield < LUNG_HU[1])
        costs[opened(lung, LUNG_THICKNESS_MM, scene.spacing_mm)] = settings.cost_organ
        if not any(map(is_bone, organs.voxels)):
            costs[hounsfield > BONE_HU] = settings.cost_bone
    bones = [name for name in organs.voxels if is_bone(name)]
    others = [name for name in organs.voxels if name not in (BODY, COLON, SMALL_BOWEL) and not is_bone(name)]
    costs[organs.any(others)] = settings.cost_organ
    costs[organs.any(bones)] = settings.cost_bone
    costs[organs.any([SMALL_BOWEL])] = settings.cost_bowel
    if scene.body is not None:
        costs[~scene.body] = np.inf
    costs[organs.mask(COLON)] = settings.cost_colon
    return costs


def within_body(mask: NDArray[np.bool_], scene: Scene) -> NDArray[np.bool_]:
    """What of a mask lies in the body, or one voxel outside it; all of it where the body is not known."""
    return mask if scene.body is None else mask & dilated(scene.body, scene.spacing_mm, scene.spacing_mm)


def _body_in_ct(hounsfield: NDArray[np.float32], spacing_mm: float) -> NDArray[np.bool_]:
    """The patient without table: the largest dense part, with the gas that it encloses in each axial plane."""
    body = largest_part(opened(hounsfield > BODY_HU, TABLE_THICKNESS_MM, spacing_mm))
    plane = np.zeros((1, 3, 3), dtype=np.bool_)
    plane[0, 1, :] = plane[0, :, 1] = True
    found: NDArray[np.bool_] = ndimage.binary_fill_holes(body, structure=plane)
    return found


def _refuse_without_body(hounsfield: NDArray[np.float32], organs: Organs) -> None:
    if organs.voxels:
        share = float((hounsfield > BODY_HU).mean())
        raise InputError(
            Problem(
                f"the CT shows no body ({share:.2%} of it above {BODY_HU:g} HU, from {hounsfield.min():.0f} to "
                f"{hounsfield.max():.0f} HU), yet the label map has {len(organs.voxels)} organs.",
                "Check that CT and labels are of the same scan and that the CT is in HU.",
            )
        )
