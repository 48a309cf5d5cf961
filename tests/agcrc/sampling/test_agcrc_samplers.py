"""What holds for every sampler, and the three simple ones."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from agcrc.errors import InputError
from agcrc.sampling import SamplerKind, SamplingCase, make_sampler, patch_box
from agcrc.sampling.baselines import OUTSIDE_WEIGHT

KINDS = get_args(SamplerKind)
SIDE = st.integers(1, 30)
SIDES = st.tuples(SIDE, SIDE, SIDE)


def random_case(shape: tuple[int, int, int], seed: int, name: str = "case") -> SamplingCase:
    random = np.random.default_rng(seed)
    ooi = random.integers(0, 3, shape).astype(np.uint8) * (random.random() < 0.7)
    distance = np.where(ooi == 2, 0.0, random.uniform(0, 15, shape))
    return SamplingCase(name, (3.0, 2.0, 2.0), random.random(shape) < 0.02, ooi.astype(np.uint8), distance)


def blank(shape: tuple[int, int, int]) -> SamplingCase:
    return SamplingCase(
        "blank", (1.0, 1.0, 1.0), np.zeros(shape, bool), np.zeros(shape, np.uint8), np.full(shape, np.inf)
    )


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), shape=SIDES, patch=SIDES, count=st.integers(0, 9), seed=st.integers(0, 99))
def test_a_patch_lies_inside_or_around_the_volume(
    kind: SamplerKind, shape: tuple[int, int, int], patch: tuple[int, int, int], count: int, seed: int
) -> None:
    sampler = make_sampler(kind, patch, seed=seed)
    for epoch in range(2):
        centres = sampler.centres(random_case(shape, seed), count, epoch)
        assert centres.shape == (count, 3)
        assert centres.dtype == np.int64
        starts = centres - np.array(patch) // 2
        for axis in range(3):
            if shape[axis] > patch[axis]:
                assert (starts[:, axis] >= 0).all()
                assert (starts[:, axis] + patch[axis] <= shape[axis]).all()
            else:
                assert (centres[:, axis] == shape[axis] // 2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_centres(kind: SamplerKind, tube: SamplingCase) -> None:
    def run(seed: int, case: SamplingCase = tube) -> bytes:
        sampler = make_sampler(kind, (16, 16, 16), seed=seed)
        return b"".join(sampler.centres(case, 5, epoch).tobytes() for epoch in range(3))

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert run(7) != run(7, replace(tube, name="another"))
    sampler = make_sampler(kind, (16, 16, 16), seed=7)
    assert sampler.centres(tube, 5, 0).tobytes() != sampler.centres(tube, 5, 1).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_look_elsewhere(kind: SamplerKind, tube: SamplingCase) -> None:
    ranks = [make_sampler(kind, (16, 16, 16), seed=3, rank=rank, ranks=3).centres(tube, 6, 2) for rank in range(3)]
    assert len({part.tobytes() for part in ranks}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_state_is_json_and_belongs_to_its_sampler(kind: SamplerKind, tube: SamplingCase) -> None:
    sampler = make_sampler(kind, (16, 16, 16), seed=3)
    sampler.centres(tube, 4, 0)
    state = json.loads(json.dumps(sampler.state()))
    fresh = make_sampler(kind, (16, 16, 16), seed=3)
    fresh.restore(state)
    assert fresh.centres(tube, 4, 1).tobytes() == sampler.centres(tube, 4, 1).tobytes()
    with pytest.raises(InputError, match="not 'uniform'" if kind != "uniform" else "not 'guided'"):
        make_sampler("uniform" if kind != "uniform" else "guided", (16, 16, 16), seed=3).restore(state)


@pytest.mark.parametrize("kind", ["uniform", "weighted"])
def test_without_anatomy_every_centre_is_equally_likely(kind: SamplerKind) -> None:
    case = blank((7, 6, 9))
    centres = make_sampler(kind, (4, 3, 6), seed=1).centres(case, 8000, 0)
    counts = np.zeros((4, 4, 4), int)
    np.add.at(counts, tuple((centres - (2, 1, 3)).T), 1)
    assert counts.sum() == 8000
    assert chisquare(counts.ravel()).pvalue > 0.001


def test_a_third_of_the_patches_rounded_up_lies_on_the_lesion(tube: SamplingCase) -> None:
    sampler = make_sampler("foreground", (16, 16, 16), seed=5)
    for count, wanted in ((1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (9, 3)):
        forced = sampler.centres(tube, count, count)[-wanted:]
        assert tube.lesion[tuple(forced.T)].all()
    on_lesion = [tube.lesion[tuple(sampler.centres(tube, 9, epoch).T)].sum() for epoch in range(100)]
    assert 3.0 <= np.mean(on_lesion) < 3.3  # the rest is uniform, and the lesion small
    # Every lesion voxel gets its turn.
    centres = np.concatenate([sampler.centres(tube, 300, epoch)[-100:] for epoch in range(20)])
    assert len(np.unique(centres, axis=0)) == tube.lesion.sum()


def test_a_lesion_at_the_edge_is_in_the_patch() -> None:
    lesion = np.zeros((20, 20, 20), bool)
    lesion[0, 19, 10] = True
    case = replace(blank((20, 20, 20)), lesion=lesion)
    centre = make_sampler("foreground", (8, 8, 8), seed=1).centres(case, 1, 0)[0]
    assert centre.tolist() == [4, 16, 10]
    assert lesion[patch_box(centre, (8, 8, 8), case.shape)].any()


def test_weighted_crop_has_the_share_that_its_weights_say(tube: SamplingCase) -> None:
    centres = make_sampler("weighted", (16, 16, 16), seed=2).centres(tube, 6000, 0)
    valid = tube.ooi[8:-7, 8:-7, 8:-7] > 0
    inside, outside = valid.sum(), OUTSIDE_WEIGHT * (~valid).sum()
    share = (tube.ooi[tuple(centres.T)] > 0).mean()
    assert share == pytest.approx(inside / (inside + outside), abs=0.025)


def test_bad_requests_are_named(tube: SamplingCase) -> None:
    with pytest.raises(InputError, match=r"no sampler 'magic'.*uniform, foreground, weighted, guided"):
        make_sampler("magic", (8, 8, 8), seed=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rank 2 of 2"):
        make_sampler("uniform", (8, 8, 8), seed=0, rank=2, ranks=2)
    with pytest.raises(InputError, match="seed -1"):
        make_sampler("guided", (8, 8, 8), seed=-1)
    with pytest.raises(InputError, match=r"Patch size \(8, 0, 8\)"):
        make_sampler("uniform", (8, 0, 8), seed=0)
    with pytest.raises(InputError, match="-1 patches"):
        make_sampler("uniform", (8, 8, 8), seed=0).centres(tube, -1, 0)
    with pytest.raises(InputError, match=r"ooi has shape \(2, 2, 2\), the lesion mask \(56, 44, 60\)"):
        replace(tube, ooi=np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(InputError, match="must be positive"):
        replace(tube, spacing=(1.0, 0.0, 1.0))
