"""Small cases to segment, and a segmenter that nobody trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from agcrc.train.checkpoint import State, save_checkpoint
from agcrc.train.networks import build_network
from agcrc.train.plan import PLAN_FILE, write_plan
from agcrc.volumes import Grid, write_volume
from support.plans import small_plan

SHAPE = (20, 24, 20)
COLON, LESION = (slice(4, 16), slice(8, 16), slice(6, 14)), (slice(8, 12), slice(10, 14), slice(8, 12))
GRID = Grid.of(SHAPE, (4.0, 4.0, 4.0))


def filled(*parts) -> np.ndarray:
    array = np.zeros(SHAPE, dtype=np.uint8)
    for part in parts:
        array[part] = 1
    return array


def write_data(folder: Path, names: Sequence[str] = ("ill", "healthy")) -> Path:
    """A dataset folder with these test cases, of which `healthy` has no lesion; 5 is colon."""
    entries = []
    for seed, name in enumerate(names):
        lesion = filled() if name == "healthy" else filled(LESION)
        ct = np.random.default_rng(seed).normal(40.0, 10.0, SHAPE).astype(np.float32)
        ct[0] = -900.0
        arrays = {
            "image": ("images", ct + 60.0 * lesion),
            "label": ("labels", lesion),
            "organs": ("organs", filled(COLON) * 5),
        }
        for kind, array in arrays.values():
            write_volume(folder / f"{kind}Ts" / f"{name}.nii.gz", array, GRID)
        entries.append({key: f"{kind}Ts/{name}.nii.gz" for key, (kind, _) in arrays.items()})
    described = {
        "name": "phantom",
        "description": "simulated",
        "labels": {"background": 0, "lesion": 1},
        "test": entries,
    }
    (folder / "class_map.json").write_text(json.dumps({"colon": 5}))
    (folder / "dataset.json").write_text(json.dumps({**described, "training": [], "class_map": "class_map.json"}))
    return folder


def write_untrained(folder: Path, data: Path) -> Path:
    """A training run with weights that nobody trained."""
    torch.manual_seed(0)
    plan = small_plan(class_map=str(data / "class_map.json"))
    folder.mkdir()
    write_plan(folder / PLAN_FILE, plan)
    net = build_network(plan.network, plan.channels, plan.features, plan.blocks, plan.patch)
    save_checkpoint(folder / "best", State(plan.model_hash(), 1, 1, None, {}), net.state_dict())
    return folder
