"""`agcrc mos` and `agcrc ooi`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import Json, print_json, say


def mos(
    out: Annotated[Path, typer.Option(help="Label map to write, in TotalSegmentator v2's numbers.")],
    ct: Annotated[Path | None, typer.Option(help="CT to segment with TotalSegmentator: NIfTI or DICOM folder.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label map that exists already.")] = None,
    class_map: Annotated[
        str, typer.Option(help="Numbering of --labels: a name or a JSON file.")
    ] = "totalsegmentator_v2",
    as_json: Json = False,
) -> None:
    """Organ masks: from TotalSegmentator where it is installed, or from a label map that you have.

    TotalSegmentator and its weights are not part of this package, and its weights can't be downloaded offline.

    \b
    Examples:
      agcrc mos --ct ct.nii.gz --out organs.nii.gz
      agcrc mos --labels mine.nii.gz --class-map mine.json --out organs.nii.gz
    """
    from agcrc.anatomy.mos import multi_organ_segmentation, use_label_map
    from agcrc.errors import InputError

    if (ct is None) == (labels is None):
        raise InputError("Give either --ct or --labels.")
    if ct is not None:
        multi_organ_segmentation(ct, out)
    elif labels is not None:
        use_label_map(labels, class_map, out)
    if as_json:
        print_json({"labels": str(out)})
    else:
        say(f"organ masks: {out}")


def ooi(
    labels: Annotated[Path, typer.Option(help="Organ label map.")],
    out: Annotated[Path, typer.Option(help="Mask to write: 0 outside, 1 ring, 2 core; .json and .png go beside it.")],
    ct: Annotated[
        Path | None, typer.Option(help="CT on the same grid (NIfTI or DICOM folder); makes bridges better.")
    ] = None,
    lesion: Annotated[Path | None, typer.Option(help="Lesion label, in training only.")] = None,
    class_map: Annotated[str, typer.Option(help="Numbering: a name or a JSON file.")] = "totalsegmentator_v2",
    as_json: Json = False,
) -> None:
    """The organ-of-interest mask: the colon, repaired where its mask is broken, and what lies around it.

    \b
    Examples:
      agcrc ooi --labels organs.nii.gz --ct ct.nii.gz --out ooi.nii.gz
      agcrc ooi --labels organs.nii.gz --class-map totalsegmentator_v1 --out ooi.nii.gz --json
    """
    from agcrc.anatomy import ooi_files

    quality = ooi_files(labels, ct, lesion, class_map, out)
    if as_json:
        print_json({"ooi": str(out), **asdict(quality)})
    else:
        say(
            f"{out}: {quality.mode}, colon {quality.colon_ml:.0f} mL in {quality.parts_before} parts, now "
            f"{quality.parts_after}; organ of interest {quality.ooi_ml:.0f} mL, {quality.seconds:.1f} s"
        )
