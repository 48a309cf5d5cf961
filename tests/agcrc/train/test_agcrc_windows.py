"""Windows see every voxel they must, and their sum is what the network says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agcrc.train.windows import CENTRAL, infer, window_starts


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


SIDES = st.integers(3, 40)


@st.composite
def regions(draw):
    shape = draw(st.tuples(SIDES, SIDES, SIDES))
    ooi = np.zeros(shape, dtype=bool)
    for _ in range(draw(st.integers(1, 3))):
        start = [draw(st.integers(0, side - 1)) for side in shape]
        size = [draw(st.integers(1, 12)) for _ in shape]
        ooi[tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))] = True
    patch = draw(st.tuples(*[st.sampled_from([8, 12, 16])] * 3))
    return ooi, patch


def covered(ooi, patch, starts, central):
    seen = np.zeros(ooi.shape, dtype=bool)
    for start in starts:
        part = []
        for first, side, whole in zip(start, patch, ooi.shape, strict=True):
            margin = int(side * (1 - central) / 2)
            begin = first if first == 0 else first + margin
            end = whole if first + side >= whole else first + side - margin
            part.append(slice(begin, end))
        seen[tuple(part)] = True
    return seen


@settings(max_examples=60, deadline=None)
@given(regions())
def test_every_voxel_of_the_organ_is_seen(case):
    ooi, patch = case
    full = window_starts(ooi.shape, patch, "full")
    filtered = window_starts(ooi.shape, patch, "filtered", ooi)
    fast = window_starts(ooi.shape, patch, "fast", ooi)
    assert covered(ooi, patch, full, 1.0).all()
    assert (covered(ooi, patch, filtered, 1.0) >= ooi).all()
    assert (covered(ooi, patch, fast, CENTRAL) >= ooi).all()
    for starts in (full, filtered, fast):
        assert (starts >= 0).all()
        assert (starts <= np.maximum(0, np.array(ooi.shape) - patch)).all()


def test_an_empty_organ_needs_no_window():
    assert len(window_starts((20, 20, 20), (8, 8, 8), "fast", np.zeros((20, 20, 20), dtype=bool))) == 0


def test_a_tube_needs_fewer_windows_than_the_volume():
    ooi = np.zeros((64, 64, 64), dtype=bool)
    ooi[8:56, 28:36, 28:36] = True
    counts = {mode: len(window_starts(ooi.shape, (16, 16, 16), mode, ooi)) for mode in ("full", "filtered", "fast")}
    assert counts["fast"] < counts["filtered"] < counts["full"] / 4


class Says(torch.nn.Module):
    """Calls a voxel a lesion by its value."""

    def forward(self, x):
        return torch.cat([torch.zeros_like(x[:, :1]), 4 * x[:, :1]], dim=1)


@pytest.mark.parametrize("flips", [False, True])
def test_the_windows_together_say_what_the_network_says(flips):
    image = torch.randn(1, 20, 26, 17, generator=torch.Generator().manual_seed(1))
    patch = (8, 12, 16)
    starts = window_starts((20, 26, 17), patch, "full")

    def cut(start):
        z, y, x = (int(value) for value in start)
        return image[:, z : z + 8, y : y + 12, x : x + 16]

    found = infer(Says(), cut, starts, (20, 26, 17), patch, batch=3, device="cpu", flips=flips)
    expected = torch.sigmoid(4 * image[0]).numpy()
    assert found.dtype == np.float16
    assert np.abs(found - expected).max() < 5e-3


def test_where_no_window_is_the_probability_is_zero():
    starts = np.array([[0, 0, 0]])
    found = infer(Says(), lambda _: torch.ones(1, 8, 8, 8), starts, (16, 8, 8), (8, 8, 8), batch=1, device="cpu")
    assert (found[:8] > 0.9).all()
    assert (found[8:] == 0).all()
