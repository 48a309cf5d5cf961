"""One case from CT and organ masks to lesions: only the organ of interest is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agcrc.anatomy import OoiRegion, OoiSettings, Organs, region_of_interest
from agcrc.errors import InputError, Problem
from agcrc.predict.lesions import Lesion, find_lesions
from agcrc.train.loop import network_input
from agcrc.train.plan import Plan
from agcrc.train.prepare import near
from agcrc.train.windows import Mode, infer, window_starts
from agcrc.volumes import Box, Grid, Volume, require_same_grid
from agcrc.volumes.resample import resample


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one CT.

    Attributes:
        mask: uint8 lesions on the CT's grid, numbered from 1 as in `lesions`.
        probability: float16 in [0, 1] on `grid`, 0 where nothing was looked at.
        grid: The box that was looked at, in the plan's spacing.
        lesions: Surest first.
        region: The organ of interest that was looked at.
        windows: Windows that the network saw.
        seconds: Of the organ of interest, the network, and all.
    """

    mask: NDArray[np.uint8]
    probability: NDArray[np.float16]
    grid: Grid
    lesions: tuple[Lesion, ...]
    region: OoiRegion
    windows: int
    seconds: dict[str, float]

    def probability_on(self, grid: Grid) -> NDArray[np.float32]:
        """The probability on another grid along the same axes, such as the CT's; 0 outside the box."""
        return resample(self.probability, self.grid, grid, order=1, fill=0.0).astype(np.float32, copy=False)


def predict_case(
    net: torch.nn.Module,
    plan: Plan,
    ct: Volume,
    organs: Organs,
    *,
    mode: Mode = "filtered",
    flips: bool = False,
    device: str = "cpu",
    force: bool = False,
    masked: bool = True,
    region: OoiRegion | None = None,
) -> Prediction:
    """Find lesions in one CT.

    The CT is resampled over the box of the organ of interest only (the whole CT with `full`). What is found outside the
    organ of interest is dropped: a network that was trained with a masked loss is untrained there. Apart from the
    result, memory depends on the size of the abdomen and not on the number of slices, but for `full`.

    Args:
        net: As `load_model` gives it.
        plan: Its plan.
        ct: HU.
        organs: On the CT's grid.
        mode: `filtered`, `fast` or `full`; see `agcrc.train.windows.window_starts`.
        flips: Average over mirror images; eight times the work.
        device: Where to compute.
        force: Predict even where no abdomen is in view.
        masked: Drop what is found outside the organ of interest; without it only for experiments.
        region: The organ of interest where it is known already; else it is made with the plan's radius.

    Raises:
        InputError: Grids differ, or no abdomen is in view.
    """
    started = time.perf_counter()
    require_same_grid(ct, organs.volume, ("the CT", "the organ masks"))
    region = region or region_of_interest(organs, ct=ct, settings=OoiSettings(radius_mm=plan.ooi_radius_mm))
    if region.empty and not force:
        raise InputError(
            Problem(
                "no colon and no abdomen are in view, so there is nothing to look at.",
                "Give a CT of the abdomen, or --force to look everywhere.",
            )
        )
    seconds = {"ooi": time.perf_counter() - started}
    whole: Box = (slice(0, ct.grid.shape[0]), slice(0, ct.grid.shape[1]), slice(0, ct.grid.shape[2]))
    box = None if mode == "full" else region.box_on(ct.grid, _margin(plan, ct.grid))
    source = ct.grid.cropped(box or whole)
    target = source.with_spacing(plan.spacing_mm)
    hu = resample(ct.array[box or whole], source, target, order=1, fill=-1024.0)
    ooi, distance = region.on(target)
    distance, inside = near(distance), ooi > 0
    starts = window_starts(target.shape, plan.patch, mode if box is not None else "full", inside)

    def cut(start: NDArray[np.int64]) -> Tensor:
        part = tuple(slice(int(first), int(first) + side) for first, side in zip(start, plan.patch, strict=True))
        return network_input(hu[part], distance[part], plan)

    before = time.perf_counter()
    found = infer(net.to(device), cut, starts, target.shape, plan.patch, batch=plan.batch, device=device, flips=flips)
    seconds["network"] = time.perf_counter() - before
    masked = masked and not region.empty
    if masked:
        found[~inside] = 0.0
    mask, lesions = find_lesions(found, target, ct.grid, region, masked=masked)
    seconds["all"] = time.perf_counter() - started
    return Prediction(mask, found, target, lesions, region, len(starts), seconds)


def _margin(plan: Plan, grid: Grid) -> tuple[int, int, int]:
    """Half a patch around the organ of interest, in voxels of the CT: what a window at its edge wants to see."""
    sizes = [
        int(np.ceil(0.5 * side * spacing / own))
        for side, spacing, own in zip(plan.patch, plan.spacing_mm, grid.spacing, strict=True)
    ]
    return sizes[0], sizes[1], sizes[2]
