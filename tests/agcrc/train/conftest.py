from __future__ import annotations

import numpy as np
import pytest
import torch

from agcrc.train.plan import Plan
from agcrc.volumes import Grid
from agcrc.volumes.cases import open_case, write_case
from support.plans import small_plan


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def plan() -> Plan:
    return small_plan(patches_per_case=2, epochs=4, learning_rate=5e-3, validation_cases=("ball_0",))


@pytest.fixture
def cases(tmp_path):
    """A bright ball on a tube, in noise; one of the three cases is for validation."""
    made = []
    for number in range(3):
        draw = np.random.default_rng(number)
        z, y, x = np.indices((24, 28, 20))
        tube = np.hypot(y - 14, x - 10)
        lesion = (z - 8 - 3 * number) ** 2 + (y - 16) ** 2 + (x - 10) ** 2 <= 16
        ct = (40 + 80 * lesion + draw.normal(0, 10, lesion.shape)).astype(np.float32)
        distance = np.maximum(0.0, tube * 4.0 - 16.0)
        ooi = (distance <= 15).astype(np.uint8) + (distance == 0)
        name = f"ball_{number}"
        folder = tmp_path / "prepared" / name
        write_case(folder, name, Grid.of(lesion.shape, (4.0, 4.0, 4.0)), ct, lesion, ooi, distance, {})
        made.append(open_case(folder))
    return made
