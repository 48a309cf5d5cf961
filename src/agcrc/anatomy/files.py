"""From files to an organ-of-interest mask in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agcrc.anatomy.ooi import OoiQuality, organ_of_interest
from agcrc.anatomy.organs import Organs, load_class_map
from agcrc.anatomy.overlay import draw_overlay
from agcrc.anatomy.settings import OoiSettings
from agcrc.errors import InputError, Problem
from agcrc.volumes import Volume, read_ct, read_labels, require_same_grid, write_volume
from agcrc.volumes.nifti import SUFFIXES
from agcrc.volumes.together import appearing_together


def ooi_files(
    labels: Path,
    ct: Path | None,
    lesion: Path | None,
    class_map: str,
    out: Path,
    settings: OoiSettings | None = None,
) -> OoiQuality:
    """Read a label map, make its organ-of-interest mask and write OUT, OUT's .json and OUT's .png.

    OUT is uint8 NIfTI on the grid of the label map (2 core, 1 ring, 0 outside), the JSON its `OoiQuality`, the PNG an
    overlay. All three appear together at the end, or none.

    Args:
        labels: Organ label map, NIfTI.
        ct: CT on the same grid.
        lesion: Lesion label on the same grid; every label but 0 is lesion. For training only.
        class_map: A bundled class map's name or a JSON file; see `load_class_map`.
        out: Ends in .nii.gz or .nii.
        settings: Numbers of the method.

    Raises:
        InputError: Files that can't be read, differ in grid or have labels that the class map does not name; all
            files' problems at once.
        WorkError: The output can't be written.
    """
    problems: list[Problem] = []
    if not str(out).endswith(SUFFIXES):
        problems.append(Problem(f"must end in {' or '.join(SUFFIXES)}.", "", str(out)))
    with _collect(problems):
        names = load_class_map(class_map)
    volumes: dict[str, Volume] = {}
    for name, path, read in (("labels", labels, read_labels), ("CT", ct, read_ct), ("lesion", lesion, read_labels)):
        if path is not None:
            with _collect(problems):
                volumes[name] = read(path)
    for name, path in (("CT", ct), ("lesion", lesion)):
        if name in volumes and "labels" in volumes:
            with _collect(problems):
                require_same_grid(volumes["labels"], volumes[name], (str(labels), str(path)))
    if problems:
        raise InputError(*problems)
    organs = Organs(volumes["labels"], names)
    tumour = volumes["lesion"].array > 0 if "lesion" in volumes else None
    ooi = organ_of_interest(organs, ct=volumes.get("CT"), lesion=tumour, settings=settings)
    stem = out.name.removesuffix(next(suffix for suffix in SUFFIXES if str(out).endswith(suffix)))
    with appearing_together(out) as made:
        write_volume(made / out.name, ooi.mask, ooi.grid)
        text = json.dumps(ooi.quality.as_dict(), indent=2, ensure_ascii=False)
        (made / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
        draw_overlay(made / f"{stem}.png", volumes.get("CT"), organs, ooi)
    return ooi.quality


@contextmanager
def _collect(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of an input error to a list in place of raising it."""
    try:
        yield
    except InputError as error:
        problems.extend(error.problems)
