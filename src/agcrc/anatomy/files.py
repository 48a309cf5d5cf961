"""The organ-of-interest mask from files to files."""

from __future__ import annotations

import json
from pathlib import Path

from agcrc.anatomy.ooi import OoiQuality, organ_of_interest
from agcrc.anatomy.organs import Organs, load_class_map
from agcrc.anatomy.overlay import draw_overlay
from agcrc.errors import WorkError
from agcrc.volumes import read_ct, read_labels, require_same_grid, write_volume


def ooi_files(labels: Path, ct: Path | None, lesion: Path | None, class_map: str, out: Path) -> OoiQuality:
    """Make an organ-of-interest mask; `NAME.nii.gz`, `NAME.json` and `NAME.png` are written once it is whole.

    Args:
        labels: Organ label map.
        ct: CT on its grid, or None.
        lesion: Lesion label on its grid, in training only.
        class_map: Name or JSON file.
        out: Mask to write, on the grid of the label map: 0 outside, 1 ring, 2 core.

    Raises:
        InputError: An input can't be used; nothing is written.
        WorkError: A file can't be written.
    """
    organs = Organs(read_labels(labels), load_class_map(class_map))
    volume = read_ct(ct) if ct is not None else None
    if volume is not None:
        require_same_grid(volume, organs.volume, (str(ct), str(labels)))
    truth = None
    if lesion is not None:
        found = read_labels(lesion)
        require_same_grid(found, organs.volume, (str(lesion), str(labels)))
        truth = found.array > 0
    ooi = organ_of_interest(organs, ct=volume, lesion=truth)
    stem = out.name.removesuffix(".gz").removesuffix(".nii")
    write_volume(out, ooi.mask, ooi.grid)
    try:
        record = json.dumps(ooi.quality.as_dict(), indent=2) + "\n"
        out.with_name(f"{stem}.json").write_text(record, "utf-8")
        draw_overlay(out.with_name(f"{stem}.png"), volume, organs, ooi)
    except OSError as error:
        raise WorkError(f"{out.parent}: can't be written: {error.strerror or error}") from error
    return ooi.quality
