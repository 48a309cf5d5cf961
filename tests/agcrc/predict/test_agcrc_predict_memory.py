"""Memory of a prediction: apart from its mask it has the abdomen's size and not that of the scan."""

from __future__ import annotations

import sys
import tracemalloc

import torch

from agcrc.anatomy import Organs, load_class_map, region_of_interest
from agcrc.phantom import PhantomSettings, tier_named
from agcrc.phantom.make import make_case
from agcrc.predict import lesions, predict_case
from agcrc.train.networks import build_network
from agcrc.volumes import Volume, resample, resample_labels
from support.plans import small_plan

MIB = 2**20


def test_memory_above_input_and_mask_does_not_grow_with_the_slices(monkeypatch):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # Slabs as small beside this scan as they are beside a real one.
    monkeypatch.setattr(sys.modules["agcrc.volumes.resample"], "SLAB_VOXELS", 2**18)
    # The centreline's copy of 2 mm is as large as this scan; it is no larger for a real one.
    monkeypatch.setattr(lesions, "_line", lambda _: None)
    case = make_case(PhantomSettings(tier_named("smoke")), 1900)
    plan = small_plan(spacing_mm=(6.0, 6.0, 6.0), patch=(32, 32, 32), batch=1)
    net = build_network("resenc", 1, plan.features, plan.blocks, plan.patch).eval()
    height = case.grid.shape[0] * case.grid.spacing[0]

    def above(slices: int) -> float:
        """The same body in more and thinner slices, in MiB."""
        _, y, x = case.grid.spacing
        grid = case.grid.with_spacing((height / slices, y / 4, x / 4))
        ct = Volume(resample(case.ct, case.grid, grid, order=1, fill=-1024.0), grid)
        labels = Volume(resample_labels(case.organs, case.grid, grid), grid)
        organs = Organs(labels, load_class_map(plan.class_map))
        # Made before, since its fixed cost on the 3 mm copy would hide what this small scan adds.
        region = region_of_interest(organs, ct=ct)
        tracemalloc.start()
        found = predict_case(net, plan, ct, organs, region=region)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.mask.any()
        return (peak - found.mask.nbytes) / MIB

    few, many = 60, 240
    plane = (4 * case.grid.shape[1]) * (4 * case.grid.shape[2]) / MIB
    above(few)  # imports
    # A quarter of a byte for each further voxel: less than any array of the scan's size.
    assert above(many) - above(few) < 0.25 * (many - few) * plane
