"""Windows and time that looking only at the organ of interest saves, on real organ masks.

    python bench/agcrc_windows.py --shared ../shared/data/ct --json docs/results/agcrc_windows.json

Full tiling, filtered and set cover of the same volume at 1.5 mm with 96³ patches; an untrained network of CPU size is
timed on one window in the same run, so times are windows × that. Nothing of the data is written.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from _common import markdown_table, report, write_json
from agcrc.anatomy import Organs, load_class_map, organ_of_interest
from agcrc.train.networks import build_network
from agcrc.train.windows import window_starts
from agcrc.volumes import read_labels
from agcrc.volumes.resample import resample_labels

PATCH = (96, 96, 96)
SPACING = (1.5, 1.5, 1.5)
CASES = {
    "TotalSegmentator example": ("totalsegmentator_example/mask_variants/v2_fast_force_split_1.nii.gz"),
    "subjB": "totalsegmentator_dataset_masks/subjB/totalseg_v2_labels.nii.gz",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder of the CTs and masks")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = build_network("resenc", 1, (16, 32, 64, 128), (1, 1, 2, 2), PATCH).eval()
    window = torch.zeros(1, 1, *PATCH)
    with torch.no_grad():
        net(window)
        started = time.perf_counter()
        net(window)
        per_window = time.perf_counter() - started
    rows = []
    for name, file in CASES.items():
        organs = Organs(read_labels(options.shared / file), load_class_map("totalsegmentator_v2"))
        ooi = organ_of_interest(organs)
        target = ooi.grid.with_spacing(SPACING)
        region = np.greater(resample_labels(ooi.mask, ooi.grid, target), 0)
        row: dict[str, object] = {"case": name, "shape": target.shape, "ooi_ml": round(ooi.quality.ooi_ml)}
        for mode in ("full", "filtered", "fast"):
            started = time.perf_counter()
            count = len(window_starts(target.shape, PATCH, mode, region))
            row[mode] = count
            row[f"{mode}_s"] = round(time.perf_counter() - started + count * per_window, 1)
        rows.append(row)
    if options.json:
        write_json(options.json, report("bench/agcrc_windows.py", {}, {"per_window_s": per_window, "cases": rows}))
    header = list(rows[0])
    print(markdown_table(header, [[row[key] for key in header] for row in rows]))


if __name__ == "__main__":
    main()
