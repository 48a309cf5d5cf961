"""Prepared cases: written whole or not at all, read without loading, damage noticed."""

from __future__ import annotations

import json
import os
import resource
import tracemalloc

import numpy as np
import pytest

from agcrc.errors import InputError, WorkError
from agcrc.volumes import Grid, open_case, write_case

SHAPE = (12, 14, 16)
GRID = Grid(
    SHAPE, Grid.of(SHAPE, (2.0, 1.5, 1.5), (-9.0, 8.0, 7.0)).affine, np.array([[0.0, -1.0], [1.0, -1.0], [2.0, 1.0]])
)


def arrays(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "ct": rng.normal(0, 500, shape).astype(np.float32),
        "lesion": rng.random(shape) < 0.1,
        "ooi": rng.integers(0, 3, shape, dtype=np.uint8),
        "distance_mm": rng.uniform(-5, 300, shape),
    }


def write(folder, info=None, **changes) -> None:
    write_case(folder, "a", GRID, **{**arrays(), **changes}, info=info or {})


def test_a_case_comes_back(tmp_path):
    info = {
        "settings": "0123abcd",
        "crop": (slice(1, 5), slice(0, 9), slice(2, 3)),
        "ooi": {"mode": "colon", "colon_ml": np.float32(0.5), "ceiling": float("nan"), "parts": np.array([1, 2])},
    }
    write(tmp_path / "deep" / "a", info)
    case = open_case(tmp_path / "deep" / "a")
    given = arrays()
    assert case.name == "a"
    assert not case.healthy
    np.testing.assert_array_equal(case.ct, np.rint(given["ct"]))
    np.testing.assert_array_equal(case.lesion, given["lesion"])
    np.testing.assert_array_equal(case.ooi, given["ooi"])
    np.testing.assert_allclose(case.distance_mm, np.clip(given["distance_mm"], -200, 200), atol=0.07)
    assert (case.ct.dtype, case.lesion.dtype, case.ooi.dtype, case.distance_mm.dtype) == (
        np.int16,
        np.uint8,
        np.uint8,
        np.float16,
    )
    np.testing.assert_array_equal(case.grid.affine, GRID.affine)
    np.testing.assert_array_equal(case.grid.flips, GRID.flips)
    assert case.grid.shape == SHAPE
    assert case.info == {
        "settings": "0123abcd",
        "crop": [[1, 5], [0, 9], [2, 3]],
        "ooi": {"mode": "colon", "colon_ml": 0.5, "ceiling": None, "parts": [1, 2]},
    }
    about = json.loads((tmp_path / "deep" / "a" / "case.json").read_text())
    assert about["spacing_mm"] == [2.0, 1.5, 1.5]
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["a"]


def test_healthy_cases_and_extreme_values(tmp_path):
    ct = np.full(SHAPE, 60000, np.float32)
    write(tmp_path / "a", ct=ct, lesion=np.zeros(SHAPE, bool), distance_mm=np.full(SHAPE, np.inf))
    case = open_case(tmp_path / "a")
    assert case.healthy
    assert (case.distance_mm == 200).all()
    assert (case.ct == 32767).all()


def test_opening_reads_no_voxels_and_they_can_not_be_written(tmp_path):
    grid = Grid.of((200, 200, 100), (1.0, 1.0, 1.0))
    write_case(tmp_path / "a", "a", grid, **arrays(shape=grid.shape), info={})
    tracemalloc.start()
    case = open_case(tmp_path / "a")
    case.ct[50:60, 20:30, 40:50].astype(np.float32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000
    with pytest.raises(ValueError, match="read-only"):
        case.ct[0, 0, 0] = 1


def test_the_same_case_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, {"settings": "x"})
    for name in ("ct.npy", "lesion.npy", "ooi.npy", "distance.npy", "case.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_case_is_replaced_even_a_damaged_one(tmp_path):
    write(tmp_path / "a", {"settings": "old"})
    old = open_case(tmp_path / "a")
    before = np.array(old.ct)
    write(tmp_path / "a", {"settings": "new"}, ct=np.zeros(SHAPE, np.float32))
    assert open_case(tmp_path / "a").info == {"settings": "new"}
    np.testing.assert_array_equal(old.ct, before)
    (tmp_path / "a" / "case.json").unlink()
    write(tmp_path / "a", {"settings": "newest"})
    assert open_case(tmp_path / "a").info == {"settings": "newest"}


def test_something_else_is_never_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.docx").write_text("mine")
    with pytest.raises(InputError, match=r"holds thesis\.docx"):
        write(tmp_path / "a")
    (tmp_path / "b").write_text("mine")
    with pytest.raises(InputError, match="is no prepared case"):
        write(tmp_path / "b")
    assert (tmp_path / "a" / "thesis.docx").read_text() == "mine"
    assert (tmp_path / "b").read_text() == "mine"


@pytest.mark.parametrize("existed", [True, False])
def test_a_full_disk_leaves_what_was_there(existed, tmp_path):
    if existed:
        write(tmp_path / "a", {"settings": "old"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(WorkError, match="can't be written"):
            write(tmp_path / "a", {"settings": "new"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [each.name for each in tmp_path.iterdir()] == (["a"] if existed else [])
    if existed:
        assert open_case(tmp_path / "a").info == {"settings": "old"}


@pytest.mark.parametrize(
    "changes",
    [
        {"ct": np.zeros((3, 3, 3), np.float32)},
        {"ct": np.full(SHAPE, np.nan, np.float32)},
        {"distance_mm": np.full(SHAPE, np.nan)},
        {"ooi": np.full(SHAPE, 3, np.uint8)},
        {"lesion": np.zeros((12, 14, 15), bool)},
    ],
)
def test_arrays_that_are_no_case_are_refused(changes, tmp_path):
    with pytest.raises(ValueError, match="a: "):
        write(tmp_path / "a", **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ct", "lesion", "ooi", "distance"])
@pytest.mark.parametrize("harm", ["missing", "cut", "empty", "no array", "type", "shape", "pickle"])
def test_damaged_arrays_are_named(name, harm, tmp_path):
    write(tmp_path / "a")
    path = tmp_path / "a" / f"{name}.npy"
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, path.stat().st_size - 100)
    elif harm == "empty":
        os.truncate(path, 0)
    elif harm == "no array":
        path.write_bytes(b"something else" * 500)
    elif harm == "type":
        np.save(path, np.load(path).astype(np.float64))
    elif harm == "shape":
        np.save(path, np.load(path)[:-1])
    else:
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=rf"{name}\.npy.*prepare the case again"):
        open_case(tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"format": 99}',
        b'{"format": 1}',
        b'{"format": 1, "name": "a", "shape": [1, 2], "affine": [], "flips": [], "healthy": true, "info": {}}',
    ],
)
def test_a_damaged_description_is_named(content, tmp_path):
    write(tmp_path / "a")
    (tmp_path / "a" / "case.json").write_bytes(content)
    with pytest.raises(InputError, match=r"case\.json"):
        open_case(tmp_path / "a")


def test_a_folder_of_something_else_is_no_case(tmp_path):
    with pytest.raises(InputError, match=r"has no case\.json"):
        open_case(tmp_path)
    with pytest.raises(InputError, match=r"has no case\.json"):
        open_case(tmp_path / "gone")
