"""Everything that is wrong with the volumes of a dataset, in one report before any work is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agcrc.errors import InputError, Problem
from agcrc.volumes.ct import read_ct
from agcrc.volumes.dataset import Case, Dataset
from agcrc.volumes.grid import Volume
from agcrc.volumes.nifti import read_labels, require_same_grid

LESION_LABEL = 1
AIR_HU = -500.0
"""No lesion is as dark on average."""


@dataclass(frozen=True, slots=True)
class Remark(Problem):
    """Worth knowing, and no reason to stop."""


def check_dataset(dataset: Dataset) -> list[Problem]:
    """Read every volume of a dataset, one case at a time, and tell all that is wrong with any of them.

    Returns:
        Problems that make a case useless: files that are missing, cut or no NIfTI, 4-D, NaN, no HU, grids that differ
        (with numbers), labels other than 0 and 1, a training case without label. Among them, as `Remark`: an empty
        lesion mask (a healthy case), an empty or missing organ mask, a CT of nothing but air, lesions that lie in air.
    """
    problems: list[Problem] = []
    for part, cases in (("training", dataset.training), ("test", dataset.test)):
        for case in cases:
            problems += _case_problems(case, part == "training")
    return problems


def _case_problems(case: Case, training: bool) -> list[Problem]:
    problems: list[Problem] = []
    ct = _read(case.image, problems)
    if ct is not None and ct.array.max() < AIR_HU:
        problems.append(Remark("holds nothing but air.", "Look at it: is it the right series?", str(case.image)))
    if case.label is None:
        if training:
            problems.append(
                Problem(
                    "has no lesion label.", "Put one into labelsTr under its name, empty if healthy.", str(case.image)
                )
            )
    elif (label := _read(case.label, problems, labels=True)) is not None:
        problems += _grid_problems(ct, label, case.image, case.label)
        problems += _lesion_problems(ct, label, case.label)
    if case.organs is None:
        problems.append(Remark("has no organ mask.", "Make one with `agcrc mos`.", str(case.image)))
    elif (organs := _read(case.organs, problems, labels=True)) is not None:
        problems += _grid_problems(ct, organs, case.image, case.organs)
        if not organs.array.any():
            problems.append(
                Remark("holds no organ.", "Look at it: did TotalSegmentator see the right CT?", str(case.organs))
            )
    return problems


def _lesion_problems(ct: Volume | None, label: Volume, path: Path) -> list[Problem]:
    others = [int(number) for number in np.unique(label.array) if number > LESION_LABEL]
    if others:
        numbers = ", ".join(map(str, others[:10])) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        return [Problem(f"holds unknown labels: {numbers}.", "0 is background and 1 is lesion.", str(path))]
    lesion = label.array == LESION_LABEL
    if not lesion.any():
        return [Remark("holds no lesion.", "A healthy case: it counts as one.", str(path))]
    if ct is not None and ct.grid.shape == label.grid.shape:
        mean = float(ct.array[lesion].mean(dtype=np.float64))
        if mean < AIR_HU:
            return [
                Remark(
                    f"marks lesions with a mean of {mean:.0f} HU, which is air.",
                    "Look at both: is the label map flipped?",
                    str(path),
                )
            ]
    return []


def _read(path: Path, problems: list[Problem], *, labels: bool = False) -> Volume | None:
    try:
        return read_labels(path) if labels else read_ct(path)
    except InputError as error:
        problems += error.problems
        return None


def _grid_problems(ct: Volume | None, other: Volume, image: Path, path: Path) -> list[Problem]:
    if ct is None:
        return []
    try:
        require_same_grid(ct, other, (str(image), str(path)))
    except InputError as error:
        return list(error.problems)
    return []
