"""From a dataset folder to prepared cases: organ of interest, resampling, cropping; done once, read memory-mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy import OoiSettings, load_class_map, region_of_interest
from agcrc.errors import InputError, Problem
from agcrc.train.plan import Plan, Progress, read_case
from agcrc.volumes import bounding_box
from agcrc.volumes.cases import PreparedCase, open_case, write_case
from agcrc.volumes.dataset import Case
from agcrc.volumes.resample import resample

BODY_HU = -500.0
MARGIN_VOXELS = 2
FAR_MM = 200.0


def near(distance_mm: NDArray[np.floating]) -> NDArray[np.float32]:
    """Distances as a network sees them: at most `FAR_MM`, also where there is no core at all (infinity)."""
    found: NDArray[np.float32] = np.minimum(distance_mm, FAR_MM).astype(np.float32)
    return found


def prepare_cases(
    cases: Sequence[Case], plan: Plan, out: Path, *, progress: Progress | None = None
) -> list[PreparedCase]:
    """Prepare every case that is not there yet.

    A prepared case is the body on the plan's spacing: CT, lesions, organ of interest, distance from the organ's core.
    The lesions are not used for the organ of interest, so that training sees what prediction will.

    Args:
        cases: With organ masks.
        plan: Its class map, spacing and radius count.
        out: Folder of the prepared cases; those made with other settings are replaced.
        progress: Called with (done, of).

    Raises:
        InputError: Cases that can't be used; all of them are named.
        WorkError: The disk is full.
    """
    made: list[PreparedCase] = []
    problems: list[Problem] = []
    for number, case in enumerate(cases):
        folder = out / case.name
        try:
            made.append(_prepared(folder, plan) or _prepare(case, plan, folder))
        except InputError as error:
            problems += error.problems
        if progress:
            progress(number + 1, len(cases))
    if problems:
        raise InputError(*problems)
    return made


def _prepared(folder: Path, plan: Plan) -> PreparedCase | None:
    if not folder.exists():
        return None
    try:
        case = open_case(folder)
    except InputError:
        return None  # cut off while it was written by an older version: made again
    return case if case.info.get("settings") == plan.prepared_hash() else None


def _prepare(case: Case, plan: Plan, folder: Path) -> PreparedCase:
    ct, organs, lesion = read_case(case, load_class_map(plan.class_map))
    region = region_of_interest(organs, ct=ct, settings=OoiSettings(radius_mm=plan.ooi_radius_mm))
    body = bounding_box(ct.array > BODY_HU, (MARGIN_VOXELS,) * 3) or tuple(slice(0, size) for size in ct.grid.shape)
    source = ct.grid.cropped(body)  # type: ignore[arg-type]
    target = source.with_spacing(plan.spacing_mm)
    ooi, distance = region.on(target)
    write_case(
        folder,
        case.name,
        target,
        resample(ct.array[body], source, target, order=1, fill=-1024.0).astype(np.float32),
        np.greater(resample(lesion[body].astype(np.uint8), source, target, order=0, fill=0), 0),
        ooi,
        near(distance),
        {"settings": plan.prepared_hash(), "ooi": asdict(region.quality)},
    )
    return open_case(folder)
