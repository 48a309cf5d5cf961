"""Organ masks: by TotalSegmentator where it is installed, or from a label map that exists."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from agcrc.anatomy.organs import Organs, load_class_map
from agcrc.errors import InputError, Problem, WorkError
from agcrc.volumes import read_ct, read_labels, write_volume

PROGRAM = "TotalSegmentator"
ADVICE = (
    "Install TotalSegmentator with its weights (they can't be downloaded offline), or give a label map that you have "
    "with --labels and --class-map."
)


def multi_organ_segmentation(ct: Path, out: Path) -> None:
    """Segment the organs of a CT with TotalSegmentator; one label map in its numbers.

    Raises:
        InputError: The CT can't be used, or TotalSegmentator or its weights are not here.
        WorkError: It failed, or wrote nothing.
    """
    read_ct(ct)
    program = shutil.which(PROGRAM)
    if program is None:
        raise InputError(Problem(f"{PROGRAM} is not installed.", ADVICE))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "organs.nii.gz")
        command = [program, "-i", str(ct.resolve()), "-o", str(made), "--ml"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
        said = (done.stderr or done.stdout).strip().splitlines()
        last = said[-1][:300] if said else "no message"
        if done.returncode != 0 and any(word in done.stderr.lower() for word in ("download", "weights", "connection")):
            raise InputError(Problem(f"{PROGRAM} has no weights here: {last}", ADVICE))
        if done.returncode != 0 or not made.exists():
            raise WorkError(f"{PROGRAM} failed with status {done.returncode}: {last}")
        organs = read_labels(made)
    write_volume(out, organs.array, organs.grid)


def use_label_map(labels: Path, class_map: str, out: Path) -> None:
    """Bring a label map into TotalSegmentator v2's numbers, class by class by its name.

    Classes that TotalSegmentator v2 does not have are left out.

    Raises:
        InputError: The label map or the class map can't be used.
        WorkError: The file can't be written.
    """
    organs = Organs(read_labels(labels), load_class_map(class_map))
    target = load_class_map("totalsegmentator_v2")
    table = np.zeros(int(organs.volume.array.max()) + 1, dtype=np.uint8)
    for name, number in organs.class_map.numbers.items():
        if name in target and number < table.size:
            table[number] = target[name]
    write_volume(out, table[organs.volume.array], organs.grid)
