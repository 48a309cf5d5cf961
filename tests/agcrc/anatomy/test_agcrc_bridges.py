from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agcrc.anatomy.bridges import bridge_parts, bridge_places, tubes, with_calibre
from agcrc.anatomy.parts import count_parts, faces_touched, parts_of
from agcrc.anatomy.settings import OoiSettings

SETTINGS = OoiSettings()


def blob(shape, place, size=3):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(start, start + size) for start in place)] = True
    return mask


def test_parts_are_ordered_by_size_and_crumbs_are_dropped():
    mask = blob((20, 20, 20), (1, 1, 1), 2) | blob((20, 20, 20), (6, 6, 6), 6) | blob((20, 20, 20), (15, 15, 15), 4)
    mask[0, 19, 0] = True
    parts = parts_of(mask, least_ml=0.2, voxel_ml=0.027)
    assert parts.count == 3
    assert np.bincount(parts.labels.ravel())[1:].tolist() == [216, 64, 8]
    assert not parts.mask[0, 19, 0]
    assert count_parts(mask) == 4


def test_no_voxel_makes_no_part():
    assert parts_of(np.zeros((3, 4, 5), dtype=bool), 0.5, 0.027).count == 0


def test_faces_of_the_field_of_view():
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[0, 2, 5] = True
    assert faces_touched(mask) == ("feet", "right")
    mask[:] = True
    assert faces_touched(mask) == ("feet", "head", "back", "front", "left", "right")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_one_front_finds_the_minimum_spanning_tree_over_all_pairs(seed):
    from scipy.sparse.csgraph import minimum_spanning_tree
    from skimage.graph import MCP_Geometric

    rng = np.random.default_rng(seed)
    shape = (14, 14, 14)
    mask = np.zeros(shape, dtype=bool)
    for place in rng.integers(0, 12, size=(4, 3)):
        mask |= blob(shape, place, 2)
    parts = parts_of(mask, 0.0, 0.027)
    costs = rng.choice(np.array([0.5, 1.0, 3.0], dtype=np.float32), size=shape)
    costs[mask] = SETTINGS.cost_colon
    bridges = bridge_parts(parts, [], costs, SETTINGS)
    pairs = np.zeros((parts.count, parts.count))
    for one, other in combinations(range(parts.count), 2):
        front = MCP_Geometric(costs.astype(float), fully_connected=True, sampling=(3.0, 3.0, 3.0))
        totals, _ = front.find_costs(np.argwhere(parts.labels == one + 1))
        pairs[one, other] = totals[parts.labels == other + 1].min()
    # Paths through a third part are as good as two bridges: the trees weigh the same.
    expected = minimum_spanning_tree(pairs).sum()
    found = sum(bridge.mean_cost * bridge.length_mm for bridge in bridges)
    assert len(bridges) == parts.count - 1
    assert found == pytest.approx(expected, rel=0.02, abs=0.5)


def test_long_and_dear_bridges_are_refused():
    shape = (70, 7, 7)
    two = blob(shape, (1, 2, 2)) | blob(shape, (60, 2, 2))
    parts = parts_of(two, 0.0, 0.027)
    costs = np.ones(shape, dtype=np.float32)
    assert bridge_parts(parts, [], costs, SETTINGS) == []
    near = parts_of(blob(shape, (1, 2, 2)) | blob(shape, (21, 2, 2)), 0.0, 0.027)
    (bridge,) = bridge_parts(near, [], costs, SETTINGS)
    assert bridge.length_mm == pytest.approx(54.0, abs=3.1)
    assert bridge_parts(near, [], np.full(shape, 4.5, dtype=np.float32), SETTINGS) == []


def test_bridges_go_around_bone_and_never_outside_the_body():
    shape = (30, 20, 5)
    parts = parts_of(blob(shape, (2, 2, 1)) | blob(shape, (20, 2, 1)), 0.0, 0.027)
    costs = np.ones(shape, dtype=np.float32)
    costs[11, :12] = 20.0
    (bridge,) = bridge_parts(parts, [], costs, SETTINGS)
    assert (costs[tuple(bridge.path.T)] == 1.0).all()
    costs[11] = np.inf
    assert bridge_parts(parts, [], costs, SETTINGS) == []


def test_a_path_between_ends_wins_over_a_shorter_one_between_flanks():
    shape = (30, 30, 5)
    parts = parts_of(blob(shape, (2, 2, 1)) | blob(shape, (12, 2, 1)), 0.0, 0.027)
    costs = np.ones(shape, dtype=np.float32)
    ends = bridge_places((4, 4, 2), (12, 4, 2), costs, SETTINGS)
    assert ends is not None
    assert bridge_parts(parts, [ends], costs, SETTINGS) == [ends]


def test_no_path_at_all_is_none():
    costs = np.full((10, 5, 5), np.inf, dtype=np.float32)
    assert bridge_places((1, 2, 2), (8, 2, 2), costs, SETTINGS) is None


def test_the_tube_is_as_wide_as_the_thinner_end_within_limits():
    shape = (60, 25, 25)
    mask = np.zeros(shape, dtype=bool)
    mask[2:20, 4:20, 4:20] = True
    mask[35:50, 10:15, 10:15] = True
    parts = parts_of(mask, 0.0, 0.027)
    calibre = np.where(parts.labels == 1, 24.0, np.where(parts.labels == 2, 10.0, 0.0))
    bridges = with_calibre(bridge_parts(parts, [], np.ones(shape, np.float32), SETTINGS), calibre, SETTINGS)
    assert [bridge.radius_mm for bridge in bridges] == [8.0]
    carved = tubes(bridges, shape, 3.0)
    assert count_parts(mask | carved) == 1
    middle = carved[27]
    assert np.ptp(np.nonzero(middle)[0]) * 3.0 == pytest.approx(12.0, abs=3.0)
