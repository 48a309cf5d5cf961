"""Organ label maps from a CT by TotalSegmentator, or from any other label map by the names of its classes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from agcrc.anatomy.organs import Organs, load_class_map
from agcrc.errors import InputError, Problem, WorkError
from agcrc.volumes import Volume, read_ct, read_labels, require_same_grid, write_volume
from agcrc.volumes.grid import slabs
from agcrc.volumes.nifti import SUFFIXES

COMMAND = "TotalSegmentator"
TARGET = "totalsegmentator_v2"
OUTPUT_LINES = 5
OTHER_NAMES = {
    "heart_myocardium": "heart",
    "heart_atrium_left": "heart",
    "heart_ventricle_left": "heart",
    "heart_atrium_right": "heart",
    "heart_ventricle_right": "heart",
}
"""Classes of version 1 that version 2 knows by another name."""
ADVICE = (
    "Its weights can't be had offline: run it where there is a network, or give an existing label map together with "
    "its class map."
)


def multi_organ_segmentation(ct_path: Path, out_path: Path) -> Organs:
    """Label the organs of a CT with the TotalSegmentator command and write them in the numbering of version 2.

    The command runs its task `total` as a process of its own; it decides between CPU and GPU. It would try to download
    missing weights, so these are looked for before.

    Args:
        ct_path: CT as NIfTI.
        out_path: Label map to write, .nii.gz or .nii.

    Raises:
        InputError: The command or its weights are missing, or the CT can't be read.
        WorkError: The command failed, or wrote labels on another grid.
    """
    _require_suffix(out_path)
    command = shutil.which(COMMAND)
    if command is None:
        raise InputError(
            Problem(f"the command {COMMAND} is not installed.", f"Install it with pip install {COMMAND}. {ADVICE}")
        )
    weights = _weights_folder()
    if not any(weights.glob("Dataset29*")):
        raise InputError(Problem("has no weights of TotalSegmentator's task total.", ADVICE, str(weights)))
    ct = read_ct(ct_path)
    with tempfile.TemporaryDirectory(prefix="agcrc-mos-") as folder:
        made = Path(folder) / "labels.nii.gz"
        arguments = [command, "-i", str(ct_path.resolve()), "-o", str(made), "--ml", "--task", "total"]
        done = subprocess.run(  # noqa: S603
            arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0 or not made.is_file():
            last = " / ".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-OUTPUT_LINES:])
            raise WorkError(f"{COMMAND} ended with status {done.returncode} and no label map: {last or 'no output'}")
        labels = read_labels(made)
        try:
            require_same_grid(ct, labels, ("the CT", f"the labels of {COMMAND}"))
        except InputError as error:
            raise WorkError(str(error)) from error
        organs = Organs(Volume(labels.array, ct.grid), load_class_map(TARGET))
    write_volume(out_path, organs.volume.array, ct.grid)
    return organs


def use_label_map(labels_path: Path, class_map: str, out_path: Path) -> tuple[Organs, tuple[str, ...]]:
    """Write any label map in the numbering of TotalSegmentator version 2, class by class name.

    Args:
        labels_path: Label map, NIfTI.
        class_map: A bundled class map's name or a JSON file; see `load_class_map`.
        out_path: Label map to write, .nii.gz or .nii.

    Returns:
        The new map, and the classes with voxels that version 2 has no place for (such as `body`); these became 0.

    Raises:
        InputError: The map or its class map can't be used.
        WorkError: The output can't be written.
    """
    _require_suffix(out_path)
    source = Organs(read_labels(labels_path), load_class_map(class_map))
    target = load_class_map(TARGET)
    table = np.zeros(int(source.volume.array.max(initial=0)) + 1, dtype=np.uint8)
    dropped: list[str] = []
    for name in source.voxels:
        known = OTHER_NAMES.get(name, name)
        if known in target:
            table[source.class_map[name]] = target[known]
        else:
            dropped.append(name)
    mapped = np.empty(source.grid.shape, dtype=np.uint8)
    for part in slabs(mapped.shape):
        mapped[part] = table[source.volume.array[part].astype(np.intp)]
    organs = Organs(Volume(mapped, source.grid), target)
    write_volume(out_path, mapped, source.grid)
    return organs, tuple(dropped)


def _require_suffix(path: Path) -> None:
    if not str(path).endswith(SUFFIXES):
        raise InputError(Problem(f"must end in {' or '.join(SUFFIXES)}.", "", str(path)))


def _weights_folder() -> Path:
    """Where TotalSegmentator keeps its weights, by the environment variables that it reads itself."""
    if "TOTALSEG_WEIGHTS_PATH" in os.environ:
        return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    home = os.environ.get("TOTALSEG_HOME_DIR")
    return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"
