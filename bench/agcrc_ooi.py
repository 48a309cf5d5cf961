"""What the organ of interest finds again of 50 mm of colon that the mask has lost, on real organ masks.

    python bench/agcrc_ooi.py --shared ../shared/data/ct --json docs/results/agcrc_ooi.json

From each whole colon a piece of 50 mm is cut at nine places, .1 to .9 of its centreline from the anus. Told are the
share of the cut voxels in the organ of interest (r = 15 mm) with the repair and with dilation alone, and the volume
against that of the organ of interest of the whole colon. Nothing of the data is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from _common import markdown_table, report, write_json
from agcrc.anatomy import Organs, centreline, load_class_map, organ_of_interest
from agcrc.anatomy.balls import dilated
from agcrc.anatomy.settings import OoiSettings
from agcrc.volumes import Volume, read_ct, read_labels

CUT_MM = 50.0
TUBE_MM = 40.0
SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
EXAMPLE = "totalsegmentator_example"
CASES = {
    "TotalSegmentator example": (f"{EXAMPLE}/mask_variants/v2_fast_force_split_1.nii.gz", "totalsegmentator_v2"),
    "subjB": ("totalsegmentator_dataset_masks/subjB/totalseg_v2_labels.nii.gz", "totalsegmentator_v2"),
    "EdinGCA 00020": ("gca_colon_models/EdinGCA_3D_00020/labels.nii.gz", "gca"),
    "EdinGCA 00060": ("gca_colon_models/EdinGCA_3D_00060/labels.nii.gz", "gca"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder of the CTs and masks")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name, (file, class_map) in CASES.items():
        organs = Organs(read_labels(options.shared / file), load_class_map(class_map))
        # The working copy's 3 mm for all: finer masks are worth no more here.
        organs = organs.resampled(organs.grid.isotropic(OoiSettings().spacing_mm))
        ct = read_ct(options.shared / EXAMPLE / "example_ct.nii.gz") if EXAMPLE in file else None
        nothing = organs.class_map["body"] if organs.has("body") else 0
        whole_ml = organ_of_interest(organs, ct=ct).quality.ooi_ml
        for share, lost in zip(SHARES, pieces(organs), strict=True):
            array = np.where(lost, nothing, organs.volume.array).astype(organs.volume.array.dtype)
            cut = Organs(Volume(array, organs.grid), organs.class_map)
            ooi = organ_of_interest(cut, ct=ct)
            plain = dilated(cut.mask("colon"), ooi.quality.radius_mm, organs.grid.spacing[0])
            rows.append(
                {
                    "case": name,
                    "cut at": share,
                    "parts": f"{ooi.quality.parts_before} → {ooi.quality.parts_after}",
                    "dilation alone": round(float(plain[lost].mean()), 2),
                    "found again": round(float((ooi.mask[lost] > 0).mean()), 2),
                    "volume": f"{ooi.quality.ooi_ml / whole_ml - 1.0:+.1%}",
                }
            )
    if options.json:
        write_json(options.json, report("bench/agcrc_ooi.py", {"cut_mm": CUT_MM}, {"cuts": rows}))
    header = list(rows[0])
    print(markdown_table(header, [[row[key] for key in header] for row in rows]))


def pieces(organs: Organs) -> list[NDArray[np.bool_]]:
    """The voxels of each piece to cut: those nearest to its stretch of the centreline.

    Voxels further than `TUBE_MM` from the line are of loops that it passes by, and stay.
    """
    colon, spacing = organs.mask("colon"), np.array(organs.grid.spacing)
    points = centreline(colon, organs.grid.spacing).points * spacing
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    places = np.argwhere(colon)
    away, nearest = cKDTree(points).query(places * spacing)
    found: list[NDArray[np.bool_]] = []
    for share in SHARES:
        lost = np.zeros_like(colon)
        cut = (np.abs(along[nearest] - share * along[-1]) <= CUT_MM / 2.0) & (away <= TUBE_MM)
        lost[tuple(places[cut].T)] = True
        found.append(lost)
    return found


if __name__ == "__main__":
    main()
