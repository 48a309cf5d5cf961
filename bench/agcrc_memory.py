"""Memory of a prediction above its input arrays and its result, for scans of 200, 500 and 1,000 slices.

    python bench/agcrc_memory.py

The scan is a phantom's CT at 512 x 512 pixels of 0.75 mm; the slices are 5 mm, 2 mm and 1 mm apart over the same half
metre, so the anatomy stays and only the voxels become more. An untrained network looks: memory does not depend on what
it finds. Each length runs in a process of its own; input arrays and mask are counted out, the network is not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from _common import markdown_table, report, write_json

SLICES = (200, 500, 1000)
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slices", type=int, help="measure one length in this process")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.slices:
        print(json.dumps(one(options.slices)))
        return
    rows = []
    for slices in SLICES:
        command = [sys.executable, __file__, "--slices", str(slices)]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    if options.json:
        write_json(options.json, report("bench/agcrc_memory.py", {}, {"rows": rows}))
    header = list(rows[0])
    print(markdown_table(header, [[row[key] for key in header] for row in rows]))


def one(slices: int) -> dict[str, object]:
    import torch

    from agcrc.anatomy import Organs, load_class_map
    from agcrc.phantom import PhantomSettings, tier_named
    from agcrc.phantom.make import make_case
    from agcrc.predict import predict_case
    from agcrc.train.networks import build_network
    from agcrc.train.plan import Intensity, Plan
    from agcrc.volumes import Grid, Volume
    from agcrc.volumes.resample import resample, resample_labels

    torch.set_num_threads(1)
    case = make_case(PhantomSettings(tier_named("cpu")), 1900)
    grid = Grid.of((slices, 512, 512), (500.0 / slices, 0.75, 0.75), (-192.0, -192.0, -250.0))
    ct = Volume(resample(case.ct, case.grid, grid, order=1, fill=-1024.0), grid)
    labels = Volume(resample_labels(case.organs, case.grid, grid), grid)
    organs = Organs(labels, load_class_map("totalsegmentator_v2"))
    plan = Plan(
        dataset="phantom",
        class_map="totalsegmentator_v2",
        spacing_mm=(2.0, 2.0, 2.0),
        patch=(64, 64, 64),
        batch=1,
        features=(8, 16),
        blocks=(1, 1),
        intensity=Intensity(-150.0, 400.0, 0.0, 90.0),
        ooi_radius_mm=15.0,
    )
    net = build_network("resenc", 1, plan.features, plan.blocks, plan.patch).eval()
    net(torch.zeros(1, 1, *plan.patch))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    held = resident("VmRSS")
    found = predict_case(net, plan, ct, organs, mode="fast")
    above = resident("VmHWM") - held - found.mask.nbytes
    return {
        "slices": slices,
        "CT and labels MiB": round((ct.array.nbytes + labels.array.nbytes) / MIB),
        "mask MiB": round(found.mask.nbytes / MIB),
        "above these MiB": round(above / MIB),
        "windows": found.windows,
        "seconds": round(found.seconds["all"], 1),
    }


def resident(field: str) -> int:
    """Resident memory of this process in bytes: `VmRSS` now, `VmHWM` the largest (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    main()
