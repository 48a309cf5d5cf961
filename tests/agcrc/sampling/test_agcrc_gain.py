"""Importance, gain and selection against their formulas, written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from agcrc.errors import InputError
from agcrc.sampling import GainSettings, SamplingCase, make_sampler, sight
from agcrc.sampling.importance import block_sums, importance
from agcrc.sampling.lattice import Lattice, lattice_of
from agcrc.sampling.patches import start_counts
from agcrc.sampling.residual import Residual, exposure
from agcrc.sampling.selection import Spread, draw_by_gain, lazy_greedy

Q, MARGIN = 0.6, 0.5
LATTICE = lattice_of((36, 40, 36), (16, 16, 24), 4, 0.5)


def profile_of(lattice: Lattice, candidate: int) -> np.ndarray:
    """k_p on all cells, by its definition."""
    profile = np.zeros(lattice.cells)
    start, extent, margin = (np.array(each) for each in (lattice.indices[candidate], lattice.extent, lattice.margin))
    for cell in np.ndindex(lattice.cells):
        if (start <= cell).all() and (cell < start + extent).all():
            inner = (start + margin <= cell).all() and (cell < start + extent - margin).all()
            profile[cell] = 1.0 if inner else lattice.margin_value(MARGIN)
    return profile


PROFILES = np.stack([profile_of(LATTICE, candidate) for candidate in range(LATTICE.size)])


def first_term(weights: np.ndarray, chosen: list[int]) -> float:
    """Σ_v w(v)(1 - Π_p (1 - q k_p(v)))."""
    return float((weights * (1 - np.prod(1 - Q * PROFILES[chosen], axis=0))).sum())


def second_term(chosen: list[int]) -> float:
    """Σ_p min(1, d(c_p, S without p) / D), with D = half a patch."""
    places = LATTICE.indices[chosen] * LATTICE.factor / (np.array(LATTICE.patch) / 2)
    total = 0.0
    for number in range(len(chosen)):
        others = np.delete(places, number, axis=0)
        total += min([1.0, *np.linalg.norm(others - places[number], axis=1)])
    return total


def random_weights(seed: int) -> np.ndarray:
    """A rough map with empty regions, as a tube gives."""
    random = np.random.default_rng(seed)
    return random.random(LATTICE.cells) ** 4 * (random.random(LATTICE.cells) < 0.4)


def residual_of(weights: np.ndarray, lattice: Lattice = LATTICE) -> Residual:
    return Residual(weights, lattice, absorbed=Q, margin_profile=MARGIN)


def test_the_lattice_fits_the_spec() -> None:
    lattice = lattice_of((192, 160, 192), (96, 96, 96), 4, 0.75)
    assert (lattice.cells, lattice.counts) == ((48, 40, 48), (25, 17, 25))
    assert (lattice.extent, lattice.margin) == ((24, 24, 24), (3, 3, 3))
    profile = lattice.profile(0.5)
    assert (profile == 1).sum() == 18**3
    assert set(np.unique(profile)) == {0.5, 1.0}
    assert LATTICE.size == 6 * 7 * 4


@pytest.mark.parametrize(("length", "size"), [(16, 50), (24, 50), (40, 50), (48, 50), (20, 12), (32, 28), (96, 12)])
def test_the_sum_of_the_profile_is_that_over_voxels(length: int, size: int) -> None:
    lattice = lattice_of((size,) * 3, (length,) * 3, 4, 0.75)
    offset = max(0, (length - size) // 2)
    share = np.zeros(length)
    share[round(length / 8) : length - round(length / 8)] = 1
    share = share[offset : offset + min(length, size)]
    central = np.multiply.outer(np.multiply.outer(share, share), share)
    assert lattice.profile(0.5).mean() == pytest.approx((0.5 + 0.5 * central).mean(), abs=0.04)


SIDE = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(shape=st.tuples(SIDE, SIDE, SIDE), patch=st.tuples(SIDE, SIDE, SIDE), factor=st.integers(1, 5))
def test_the_starts_of_the_candidates_are_all_starts_once(
    shape: tuple[int, int, int], patch: tuple[int, int, int], factor: int
) -> None:
    lattice = lattice_of(shape, patch, factor, 0.75)
    assert (lattice.indices.max(axis=0) + lattice.extent <= lattice.cells).all()
    assert (2 * np.array(lattice.margin) < lattice.extent).all()
    random = np.random.default_rng(0)
    for axis in range(3):
        # Candidates along one axis; the others stay at 0.
        stride = int(np.prod(lattice.counts[axis + 1 :]))
        along = np.arange(lattice.counts[axis]) * stride
        found = [set(lattice.jittered(np.full(60, each), random)[:, axis].tolist()) for each in along]
        assert sum(map(len, found)) == len(set().union(*found))
        assert set().union(*found) <= set(range(start_counts(shape, patch)[axis]))
        if factor <= 3:  # enough draws to have seen them all
            assert len(set().union(*found)) == start_counts(shape, patch)[axis]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), chosen=st.lists(st.integers(0, LATTICE.size - 1), unique=True, max_size=7))
def test_gains_are_the_differences_of_the_formula(seed: int, chosen: list[int]) -> None:
    weights = random_weights(seed)
    residual = residual_of(weights)
    for candidate in chosen:
        residual.take(candidate)
    before = first_term(weights, chosen)
    expected = [first_term(weights, [*chosen, candidate]) - before for candidate in range(LATTICE.size)]
    assert_allclose(residual.gains(), expected, atol=1e-9)
    assert_allclose(residual.gains(np.array([3, 1])), np.array(expected)[[3, 1]], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    small=st.lists(st.integers(0, LATTICE.size - 1), unique=True, max_size=4),
    more=st.lists(st.integers(0, LATTICE.size - 1), unique=True, max_size=4),
)
def test_the_first_term_is_monotone_and_submodular(seed: int, small: list[int], more: list[int]) -> None:
    residual = residual_of(random_weights(seed))
    for candidate in small:
        residual.take(candidate)
    gains = residual.gains()
    for candidate in more:
        residual.take(candidate)
    later = residual.gains()
    assert (later >= 0).all()
    assert (later <= gains + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(chosen=st.lists(st.integers(0, LATTICE.size - 1), unique=True, max_size=9))
def test_the_spread_is_that_of_the_formula(chosen: list[int]) -> None:
    spread = Spread(LATTICE)
    for candidate in chosen:
        spread.take(candidate)
    free = np.setdiff1d(np.arange(LATTICE.size), chosen)
    before = second_term(chosen)
    expected = [second_term([*chosen, int(candidate)]) - before for candidate in free]
    assert_allclose(spread.gains(free), expected, atol=1e-5)


@pytest.mark.parametrize("diversity", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_lazy_greedy_is_naive_greedy(seed: int, diversity: float) -> None:
    weights = random_weights(seed)
    scale = diversity * max(first_term(weights, [candidate]) for candidate in range(LATTICE.size))

    def total(chosen: list[int]) -> float:
        return first_term(weights, chosen) + (scale * second_term(chosen) if scale else 0.0)

    naive: list[int] = []
    for _ in range(8):
        free = [candidate for candidate in range(LATTICE.size) if candidate not in naive]
        naive.append(max(free, key=lambda candidate: total([*naive, candidate])))
    found = lazy_greedy(residual_of(weights), LATTICE, 8, diversity)
    assert found.candidates.tolist() == naive  # random weights: there are no ties
    assert found.gains.sum() == pytest.approx(first_term(weights, naive))


def test_lazy_greedy_reckons_a_fraction_of_the_gains(tube: SamplingCase) -> None:
    lattice = lattice_of(tube.shape, (16, 16, 16), 4, 0.75)
    weights = block_sums(importance(tube, GainSettings()), 4, lattice.cells)
    found = lazy_greedy(residual_of(weights, lattice), lattice, 32, 0.0)
    assert len(set(found.candidates.tolist())) == 32
    assert found.evaluations < 0.35 * 32 * lattice.size
    assert (np.diff(found.gains) <= 1e-9).all()


def test_greedy_does_not_choose_what_touches_nothing() -> None:
    weights = np.zeros(LATTICE.cells)
    weights[4, 5, 4] = 1.0
    reach = int((PROFILES[:, 4, 5, 4] > 0).sum())
    for found in (
        lazy_greedy(residual_of(weights), LATTICE, LATTICE.size, 0.5),
        draw_by_gain(
            residual_of(weights),
            LATTICE,
            LATTICE.size,
            0.5,
            choice="softmax",
            temperature=0.2,
            random=np.random.default_rng(1),
        ),
    ):
        assert sorted(found.candidates.tolist()) == np.flatnonzero(PROFILES[:, 4, 5, 4]).tolist()
        assert len(found.candidates) == reach < LATTICE.size


def test_a_cold_softmax_is_greedy() -> None:
    weights = random_weights(11)
    greedy = lazy_greedy(residual_of(weights), LATTICE, 6, 0.1)
    cold = draw_by_gain(
        residual_of(weights), LATTICE, 6, 0.1, choice="softmax", temperature=1e-6, random=np.random.default_rng(0)
    )
    assert cold.candidates.tolist() == greedy.candidates.tolist()


def test_earlier_patches_count_by_the_share_that_is_remembered() -> None:
    left = exposure(LATTICE, [(1.0, [3]), (0.25, [3, 40])], absorbed=Q, margin_profile=MARGIN)
    expected = (1 - Q * PROFILES[3]) ** 1.25 * (1 - Q * PROFILES[40]) ** 0.25
    assert_allclose(left, expected)


def test_importance_is_that_of_the_formula() -> None:
    shape, spacing = (10, 11, 12), (3.0, 2.0, 1.5)
    lesion = np.zeros(shape, bool)
    lesion[3:7, 4:8, 4:9] = True
    ooi = np.zeros(shape, np.uint8)
    ooi[:, :8] = 1
    ooi[:, :5] = 2
    distance = np.broadcast_to(np.maximum(0, np.arange(11) - 4)[None, :, None] * 2.0, shape).astype(np.float32)
    weights = GainSettings(lesion_weight=30, boundary_weight=5, organ_weight=2)
    found = importance(SamplingCase("case", spacing, lesion, ooi, distance), weights)
    places = np.indices(shape).reshape(3, -1).T * np.array(spacing)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    inside = lesion.ravel()
    outward, inward = apart[:, inside].min(axis=1), apart[:, ~inside].min(axis=1)
    boundary = np.where(inside, inward, outward)
    expected = 30.0 * (outward <= 5) + 5 * np.exp(-boundary / 10)
    expected += 2 * np.exp(-distance.ravel() / 15) * (ooi.ravel() > 0)
    assert_allclose(found.ravel(), expected, rtol=1e-5)


def test_the_boundary_term_is_left_out_only_where_it_is_nothing() -> None:
    shape = (4, 4, 120)
    lesion = np.zeros(shape, bool)
    lesion[:, :, :2] = True
    case = SamplingCase("case", (1.0, 1.0, 1.0), lesion, np.zeros(shape, np.uint8), np.full(shape, np.inf))
    weight = importance(case, GainSettings())[0, 0]
    assert_allclose(weight[7:61], 5 * np.exp(-np.arange(6, 60) / 10), rtol=1e-5)
    assert weight[62:].max() == 0.0
    assert weight[61] < 0.0025 * 5


def test_several_lesions_weigh_what_each_weighs_where_it_is_nearest() -> None:
    shape = (10, 10, 200)
    none, far = np.zeros(shape, np.uint8), np.full(shape, np.inf)
    settings = GainSettings(boundary_decay_mm=4)

    def weight(*places: int) -> np.ndarray:
        lesion = np.zeros(shape, bool)
        for place in places:
            lesion[4:6, 4:6, place : place + 3] = True
        return importance(SamplingCase("case", (1.0, 1.0, 1.0), lesion, none, far), settings)

    assert_allclose(weight(20, 35, 170), np.maximum(np.maximum(weight(20), weight(35)), weight(170)), rtol=1e-6)


def test_sums_over_blocks_keep_a_constant_constant() -> None:
    assert (block_sums(np.ones((9, 8, 10)), 4, (3, 2, 4)) == 64).all()
    values = np.random.default_rng(0).random((8, 12, 4))
    assert_allclose(block_sums(values, 4, (2, 3, 1))[1, 2, 0], values[4:, 8:, :].sum())


def test_measures_of_sight() -> None:
    shape = (8, 8, 16)
    lesion = np.zeros(shape, bool)
    lesion[0, 0, 0] = lesion[7, 7, 15] = True
    ooi = np.ones(shape, np.uint8)
    case = SamplingCase("case", (1.0, 1.0, 1.0), lesion, ooi, np.zeros(shape))
    centres = np.array([[4, 4, 4], [4, 4, 8], [4, 4, 12]])
    settings = GainSettings(lesion_weight=0, boundary_weight=0, central_share=1.0)
    seen = sight(case, centres, (8, 8, 8), settings)
    assert_allclose(seen.ooi_coverage, [0.5, 0.75, 1.0])
    assert_allclose(seen.lesion_visits, [0.5, 0.5, 1.0])
    assert_allclose(seen.overlap, [0, 0.25, 1 / 3])
    assert_allclose(seen.gain, [0.3, 0.25 * 0.84 + 0.5 * 0.6, 0.5 * 0.84 + 0.5 * 0.6], rtol=1e-5)


def test_the_gain_on_cells_is_close_to_that_on_voxels(tube: SamplingCase) -> None:
    sampler = make_sampler("guided", (16, 16, 16), seed=1)
    weights = importance(tube, GainSettings()).sum()
    chosen = sampler.select(tube, 16, 0)  # type: ignore[attr-defined]
    on_voxels = sight(tube, sampler.centres(tube, 16, 0), (16, 16, 16)).gain[-1]
    assert on_voxels == pytest.approx(chosen.gains.sum() / weights, abs=0.06)


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match=r"absorbed = 1\.0 must lie between 0 and 1"):
        GainSettings(absorbed=1.0)
    with pytest.raises(InputError) as caught:
        GainSettings(memory=1.0, coarsening=0, organ_decay_mm=float("nan"), choice="best")  # type: ignore[arg-type]
    assert len(caught.value.problems) == 4
    assert "lesion_weight" not in str(caught.value)
    with pytest.raises(InputError, match=r"lesion_weight = -1\.0"):
        replace(GainSettings(), lesion_weight=-1.0)
