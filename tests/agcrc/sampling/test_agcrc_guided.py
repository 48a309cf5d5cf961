"""The guided sampler: limits, ranks, memory over epochs, cases without anatomy, real anatomy."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, uniform_filter
from scipy.stats import chisquare

from agcrc.errors import InputError
from agcrc.sampling import GainSettings, SamplerKind, SamplingCase, make_sampler, sight
from agcrc.sampling.guided import GuidedSampler
from agcrc.volumes import read_labels

PATCH, WIDE = (16, 16, 16), (24, 24, 24)
SHAPE = (14, 12, 13)
SMALL = (6, 6, 6)
NEARLY_NOTHING = 1e-9
PLAIN = GainSettings(boundary_weight=0, lesion_margin_mm=0, diversity=0, coarsening=1, memory=0, choice="proportional")


def plain_case(lesion: np.ndarray | None = None, ooi: int = 2) -> SamplingCase:
    none = np.zeros(SHAPE, bool)
    return SamplingCase(
        "case", (1.0, 1.0, 1.0), none if lesion is None else lesion, np.full(SHAPE, ooi, np.uint8), np.zeros(SHAPE)
    )


def histogram(sampler: GuidedSampler, case: SamplingCase, draws: int, count: int = 1) -> np.ndarray:
    """How often each start was drawn, over epochs that know nothing of each other."""
    counts = np.zeros(tuple(size - length + 1 for size, length in zip(SHAPE, SMALL, strict=True)), int)
    for epoch in range(draws):
        starts = sampler.centres(case, count, epoch) - np.array(SMALL) // 2
        np.add.at(counts, tuple(starts.T), 1)
    return counts


@pytest.mark.parametrize("choice", ["proportional", "softmax"])
def test_constant_importance_and_no_absorption_is_uniform(choice: str) -> None:
    settings = replace(PLAIN, absorbed=NEARLY_NOTHING, choice=choice)
    counts = histogram(GuidedSampler(SMALL, seed=5, settings=settings), plain_case(), 250, count=16)
    assert counts.sum() == 4000
    assert chisquare(counts.ravel()).pvalue > 0.001


def test_constant_importance_is_uniform_on_a_coarse_grid_too() -> None:
    # 9 starts along each axis in steps of 4: candidates stand for 2, 4 and 3 of them.
    settings = replace(PLAIN, absorbed=NEARLY_NOTHING, coarsening=4)
    case = SamplingCase(
        "case", (1.0,) * 3, np.zeros((16,) * 3, bool), np.full((16,) * 3, 2, np.uint8), np.zeros((16,) * 3)
    )
    sampler = GuidedSampler((8, 8, 8), seed=5, settings=settings)
    starts = np.concatenate([sampler.centres(case, 9, epoch) - 4 for epoch in range(600)])
    candidate = (starts + 2) // 4
    counts = np.zeros((3, 3, 3), int)
    np.add.at(counts, tuple(candidate.T), 1)
    assert chisquare(counts.ravel()).pvalue > 0.001
    assert set(starts.ravel().tolist()) == set(range(9))


def test_importance_of_the_lesion_alone_follows_its_box_smoothed_map() -> None:
    lesion = np.zeros(SHAPE, bool)
    lesion[2:6, 3:6, 7:9] = lesion[9, 8, 4] = True
    settings = replace(PLAIN, organ_weight=0, central_share=1.0)
    counts = histogram(GuidedSampler(SMALL, seed=2, settings=settings), plain_case(lesion), 2500)
    sums = uniform_filter(lesion.astype(float), 6, mode="constant", origin=-3)  # box [start, start + 6)
    expected = sums[tuple(slice(0, size) for size in counts.shape)]
    expected = np.round(expected * 216) / np.round(expected * 216).sum() * 2500
    assert counts[expected == 0].sum() == 0
    assert (expected > 0).sum() > 60
    many = expected >= 5
    observed = [*counts[many], counts[~many].sum()]
    wanted = [*expected[many], expected[~many].sum()]
    pairs = [(o, w) for o, w in zip(observed, wanted, strict=True) if w > 0]
    assert chisquare([o for o, _ in pairs], [w for _, w in pairs]).pvalue > 0.001


@pytest.mark.parametrize("choice", ["greedy", "softmax", "proportional"])
def test_ranks_share_nothing_and_together_are_the_whole(choice: str, tube: SamplingCase) -> None:
    settings = GainSettings(choice=choice)  # type: ignore[arg-type]
    ranks = [GuidedSampler(PATCH, seed=1, rank=rank, ranks=4, settings=settings) for rank in range(4)]
    whole = GuidedSampler(PATCH, seed=1, settings=settings)
    for epoch in range(3):
        chosen = whole.select(tube, 20, epoch).candidates
        whole.centres(tube, 20, epoch)
        parts = [sampler.centres(tube, 5, epoch) for sampler in ranks]
        assert len(np.unique(np.concatenate(parts), axis=0)) == 20
        assert len(set(chosen.tolist())) == 20
        assert all(sampler.state() == whole.state() for sampler in ranks)


def test_state_resumes_exactly(tube: SamplingCase) -> None:
    settings = GainSettings(choice="softmax", memory=0.5)
    other = replace(tube, name="other")
    sampler = GuidedSampler(PATCH, seed=9, settings=settings)
    for epoch in range(12):
        for case in (tube, other):
            sampler.centres(case, 4, epoch)
    state = json.dumps(sampler.state())
    expected = [sampler.centres(case, 4, epoch).tobytes() for epoch in range(12, 15) for case in (tube, other)]
    resumed = GuidedSampler(PATCH, seed=9, settings=settings)
    resumed.restore(json.loads(state))
    found = [resumed.centres(case, 4, epoch).tobytes() for epoch in range(12, 15) for case in (tube, other)]
    assert found == expected
    fresh = GuidedSampler(PATCH, seed=9, settings=settings)
    assert fresh.centres(tube, 4, 12).tobytes() != expected[0], "what came before must matter"


def test_an_epoch_that_was_prepared_ahead_comes_out_the_same(tube: SamplingCase) -> None:
    sampler = GuidedSampler(PATCH, seed=9)
    expected = [sampler.centres(tube, 4, epoch).tobytes() for epoch in range(30)]
    # The state was written when 29 was ready, and the run goes on from 27.
    resumed = GuidedSampler(PATCH, seed=9)
    resumed.restore(json.loads(json.dumps(sampler.state())))
    assert [resumed.centres(tube, 4, epoch).tobytes() for epoch in range(27, 30)] == expected[27:]


def test_memory_of_epochs_is_bounded_and_its_end_is_said(tube: SamplingCase) -> None:
    sampler = GuidedSampler(PATCH, seed=1, settings=GainSettings(memory=0.5))
    for epoch in range(40):
        sampler.centres(tube, 2, epoch)
    size = len(json.dumps(sampler.state()))
    for epoch in range(40, 60):
        sampler.centres(tube, 2, epoch)
    assert len(json.dumps(sampler.state())) < size + 20
    for epoch in (3, 30):
        with pytest.raises(InputError, match=f"Epoch {epoch} of case tube is asked for after epoch 59"):
            sampler.centres(tube, 2, epoch)


def test_coverage_spreads_over_the_whole_organ(tube: SamplingCase) -> None:
    def follow(kind: SamplerKind) -> list[NDArray[np.int64]]:
        sampler = make_sampler(kind, WIDE, seed=1)
        return [sampler.centres(tube, 6, epoch) for epoch in range(6)]

    epochs = follow("guided")
    coverage = sight(tube, np.concatenate(epochs), WIDE).ooi_coverage
    assert coverage[-1] == 1.0
    assert coverage[11] > 0.97  # two epochs
    for kind in ("uniform", "weighted"):
        assert sight(tube, np.concatenate(follow(kind)), WIDE).ooi_coverage[11] < coverage[11] - 0.05
    # The lesion, under 1 % of the organ, is seen in every epoch.
    assert all(sight(tube, centres, WIDE).lesion_visits[-1] >= 1 for centres in epochs)


def test_without_memory_each_epoch_starts_anew(tube: SamplingCase) -> None:
    sampler = GuidedSampler(PATCH, seed=1, settings=GainSettings(memory=0))
    chosen = []
    for epoch in range(3):
        chosen.append(sampler.select(tube, 5, epoch).candidates.tolist())
        sampler.centres(tube, 5, epoch)
    assert chosen[0] == chosen[1] == chosen[2]


def test_empty_lesion_still_covers_the_organ(tube: SamplingCase) -> None:
    healthy = replace(tube, lesion=np.zeros(tube.shape, bool))
    sampler = make_sampler("guided", WIDE, seed=1)
    centres = np.concatenate([sampler.centres(healthy, 6, epoch) for epoch in range(6)])
    assert sight(healthy, centres, WIDE).ooi_coverage[-1] == 1.0


def test_no_anatomy_at_all_is_uniform() -> None:
    settings = replace(PLAIN, choice="greedy")
    counts = histogram(GuidedSampler(SMALL, seed=4, settings=settings), plain_case(ooi=0), 600, count=10)
    assert chisquare(counts.ravel()).pvalue > 0.001


def test_lesion_without_organ_gets_the_patches_around_it_first(tube: SamplingCase) -> None:
    case = replace(tube, ooi=np.zeros(tube.shape, np.uint8))
    first = make_sampler("guided", PATCH, seed=1).centres(case, 1, 0)
    assert sight(case, first, PATCH).lesion_visits[0] > 0.95


def test_hard_negatives_draw_patches_and_may_change(tube: SamplingCase) -> None:
    hard = np.zeros(tube.shape, np.float32)
    hard[40:46, 30:36, 8:14] = 1.0
    sampler = make_sampler("guided", PATCH, seed=1, settings=GainSettings(hard_weight=200.0))
    sampler.centres(tube, 2, 0)
    first = sampler.centres(replace(tube, hard=hard), 1, 1)[0]
    assert np.abs(first - np.array([43, 33, 11])).max() < 8
    with pytest.raises(InputError, match=r"hard negatives lie outside \[0, 1\]"):
        sampler.centres(replace(tube, hard=hard * np.nan), 1, 2)
    with pytest.raises(InputError, match=r"hard negatives lie outside \[0, 1\]"):
        sampler.centres(replace(tube, hard=hard - 1), 1, 2)


def test_a_volume_with_fewer_places_than_patches_repeats_them() -> None:
    case = SamplingCase("case", (1.0,) * 3, np.zeros((8,) * 3, bool), np.ones((8,) * 3, np.uint8), np.zeros((8,) * 3))
    assert make_sampler("guided", (8, 8, 8), seed=1).centres(case, 3, 0).tolist() == [[4, 4, 4]] * 3


def test_damage_is_named(tube: SamplingCase) -> None:
    sampler = GuidedSampler(PATCH, seed=1)
    sampler.centres(tube, 2, 0)
    state = sampler.state()
    with pytest.raises(InputError, match=r"patches of \[16, 16, 16\] voxels, not \[8, 8, 8\]"):
        GuidedSampler((8, 8, 8), seed=1).restore(state)
    with pytest.raises(InputError, match="state is damaged"):
        sampler.restore({**state, "history": {"tube": 3}})
    sampler.restore({**state, "history": {"tube": [[0, [10**6]]]}})
    with pytest.raises(InputError, match=r"case tube of shape \(56, 44, 60\) does not have"):
        sampler.centres(tube, 2, 1)
    small = (slice(0, 20),) * 3
    namesake = SamplingCase("tube", tube.spacing, tube.lesion[small], tube.ooi[small], tube.core_distance_mm[small])
    with pytest.raises(InputError, match="Two cases are called tube"):
        sampler.centres(namesake, 1, 0)
    broken = replace(tube, core_distance_mm=np.full(tube.shape, np.nan))
    with pytest.raises(InputError, match="distance to the core is not a number"):
        GuidedSampler(PATCH, seed=1).centres(broken, 1, 0)


def test_memory_stays_below_a_few_volumes() -> None:
    shape = (120, 96, 120)
    lesion = np.zeros(shape, bool)
    lesion[50:60, 50:60, 50:60] = True
    ooi = np.zeros(shape, np.uint8)
    ooi[20:100, 30:70, 20:100] = 2
    case = SamplingCase("case", (2.0, 2.0, 2.0), lesion, ooi, np.zeros(shape, np.float32))
    sampler = GuidedSampler((48, 48, 48), seed=1)
    tracemalloc.start()
    sampler.centres(case, 8, 0)
    first = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    kept = tracemalloc.get_traced_memory()[0]
    sampler.centres(case, 8, 1)
    later = tracemalloc.get_traced_memory()[1] - kept
    tracemalloc.stop()
    volume = lesion.size * 4
    assert first < 6 * volume  # a distance transform needs much, but only around the lesion
    assert kept < volume / 2
    assert later < volume


def test_real_colon_is_covered_sooner_than_by_chance(shared: Path) -> None:
    labels = read_labels(
        shared / "data" / "ct" / "totalsegmentator_dataset_masks" / "subjB" / "totalseg_v2_labels.nii.gz"
    )
    step = 2
    core = np.asarray(labels.array)[::step, ::step, ::step] == 20
    spacing = tuple(size * step for size in labels.grid.spacing)
    distance = distance_transform_edt(~core, sampling=spacing).astype(np.float32)
    ooi = np.where(core, 2, distance <= 15).astype(np.uint8)
    case = SamplingCase("subjB", spacing, np.zeros(core.shape, bool), ooi, distance)
    coverage = {}
    for kind in ("uniform", "weighted", "guided"):
        sampler = make_sampler(kind, (32, 32, 32), seed=1)
        centres = np.concatenate([sampler.centres(case, 4, epoch) for epoch in range(6)])
        coverage[kind] = sight(case, centres, (32, 32, 32)).ooi_coverage
    assert coverage["guided"][-1] > 0.99
    assert coverage["guided"][11] > max(coverage["uniform"][11], coverage["weighted"][11]) + 0.05
