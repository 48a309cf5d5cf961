"""What looking only at the organ of interest costs and saves: full, filtered and set-cover windows of one network.

    python bench/agcrc_modes.py --model bench/out/ablation/runs/NAME --data bench/out/ablation/data-tune

Dice is compared after masking all by the organ of interest, since a network that was trained with a masked loss is
untrained outside; what full inference finds there is counted apart. All times come from one run, one case after the
other, each case in all modes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from _common import markdown_table, report, write_json
from agcrc.anatomy import OoiSettings, Organs, load_class_map, region_of_interest
from agcrc.evaluate.detection import components
from agcrc.evaluate.overlap import dice
from agcrc.predict import predict_case
from agcrc.train import load_model
from agcrc.train.windows import Mode
from agcrc.volumes import read_ct, read_labels
from agcrc.volumes.dataset import open_dataset
from medbench.stats import paired_difference

MODES: tuple[Mode, ...] = ("full", "filtered", "fast")


def main() -> None:
    options = _parse()
    torch.set_num_threads(options.threads)
    net, plan = load_model(options.model)
    classes = load_class_map(plan.class_map)
    scores: dict[Mode, list[float]] = {mode: [] for mode in MODES}
    windows: dict[Mode, int] = dict.fromkeys(MODES, 0)
    seconds: dict[Mode, float] = dict.fromkeys(MODES, 0.0)
    outside = scans = 0
    for case in open_dataset(options.data).test:
        assert case.organs is not None
        ct, organs = read_ct(case.image), Organs(read_labels(case.organs), classes)
        truth = read_labels(case.image.parent.parent / "labelsTs" / case.image.name).array > 0
        region = region_of_interest(organs, ct=ct, settings=OoiSettings(radius_mm=plan.ooi_radius_mm))
        inside = region.on(ct.grid)[0] > 0
        scans += 1
        for mode in MODES:
            found = predict_case(net, plan, ct, organs, mode=mode, masked=False, region=region, force=True)
            windows[mode] += found.windows
            seconds[mode] += found.seconds["network"]
            if truth.any():
                scores[mode].append(dice((found.mask > 0) & inside, truth) or 0.0)
            if mode == "full":
                outside += components((found.mask > 0) & ~inside)[1]
    rows = []
    for mode in MODES:
        apart = paired_difference(scores[mode], scores["full"], list(range(len(scores["full"]))))
        rows.append(
            {
                "mode": mode,
                "windows per scan": round(windows[mode] / scans, 1),
                "network s per scan": round(seconds[mode] / scans, 2),
                "times faster": round(seconds["full"] / seconds[mode], 2),
                "Dice": round(float(np.mean(scores[mode])), 4),
                "Dice − full": round(apart.value, 4),
                "interval": [round(apart.low or 0.0, 4), round(apart.high or 0.0, 4)],
            }
        )
    result = {"scans": scans, "found_outside_per_scan_by_full": round(outside / scans, 2), "modes": rows}
    if options.json:
        held = {"model": options.model.name, "data": options.data.name, "threads": options.threads}
        write_json(options.json, report("bench/agcrc_modes.py", held, result))
    header = list(rows[0])
    print(markdown_table(header, [[row[key] for key in header] for row in rows]))
    print(f"{scans} scans; full inference finds {outside / scans:.2f} parts per scan outside the organ of interest")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of a training run")
    parser.add_argument("--data", type=Path, required=True, help="dataset folder with test cases")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the result here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
