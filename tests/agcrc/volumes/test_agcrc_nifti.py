"""NIfTI files as they come: every orientation, damaged, of something else than a CT, on another grid."""

from __future__ import annotations

import gzip
import itertools
import resource
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from agcrc.errors import InputError, WorkError
from agcrc.volumes import Grid, Volume, read_ct, read_labels, require_same_grid, write_volume

ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]
TILTED = np.array([[0.98, -0.17, 0.05], [0.17, 0.98, 0.02], [-0.05, -0.01, 0.99]])


def noise(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1500, shape, dtype=np.int16)


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.diag([0.8, 0.9, 2.5, 1.0]) if affine is None else affine), path)
    return path


def rotation() -> np.ndarray:
    """The nearest rotation to a small tilt about every axis."""
    u, _, v = np.linalg.svd(TILTED)
    return u @ v


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    return str(error.value)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("oblique", [False, True], ids=["straight", "oblique"])
def test_every_orientation_comes_in_canonical_and_goes_back_as_it_was(order, signs, oblique, tmp_path):
    linear = np.zeros((3, 3))
    for axis, (direction, sign, size) in enumerate(zip(order, signs, (0.7, 0.9, 2.5), strict=True)):
        linear[direction, axis] = sign * size
    affine = np.eye(4)
    affine[:3, :3] = rotation() @ linear if oblique else linear
    affine[:3, 3] = (-120.5, 33.25, 871.0)
    values = noise((4, 5, 6))
    path = save(tmp_path / "in.nii", values, affine)

    volume = read_ct(path)

    directions = volume.grid.affine[:3, :3]
    assert (np.abs(directions).argmax(axis=0) == (0, 1, 2)).all()
    assert (np.diag(directions) > 0).all()
    index = np.array(list(np.ndindex(values.shape)))
    places = index @ affine[:3, :3].T + affine[:3, 3]
    found = np.rint(volume.grid.to_index(places)).astype(int)
    np.testing.assert_allclose(volume.grid.to_mm(found), places, atol=1e-3)
    np.testing.assert_array_equal(volume.array[tuple(found.T)], values[tuple(index.T)])

    write_volume(tmp_path / "out.nii.gz", volume.array.astype(np.int16), volume.grid)
    back = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(back.affine, affine, atol=1e-4)
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), values)


def test_another_reader_finds_the_written_voxels_in_the_same_places(tmp_path):
    import SimpleITK

    grid = Grid.of((6, 5, 4), (2.5, 0.9, 0.7), (-20.0, 30.0, 400.0))
    grid = Grid(
        grid.shape,
        np.vstack([np.column_stack([rotation() @ grid.affine[:3, :3], grid.affine[:3, 3]]), [0, 0, 0, 1]]),
        grid.flips,
    )
    values = noise(grid.shape)
    write_volume(tmp_path / "a.nii.gz", values, grid)
    image = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    for index in [(0, 0, 0), (5, 4, 3), (2, 1, 3)]:
        x, y, z = grid.to_mm(np.array(index))
        assert image[image.TransformPhysicalPointToIndex((-x, -y, z))] == values[index]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index[::-1]), (-x, -y, z), atol=1e-3)


def test_scaled_and_integer_files_give_hu(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4) * 100 - 1000, np.eye(4))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii.gz")
    assert nib.load(tmp_path / "a.nii.gz").dataobj.slope != 1.0
    ct = read_ct(tmp_path / "a.nii.gz")
    assert ct.array.dtype == np.float32
    np.testing.assert_allclose(ct.array.transpose(2, 1, 0), np.arange(24).reshape(2, 3, 4) * 100 - 1000, atol=0.05)


def test_padding_outside_the_field_of_view_becomes_air(tmp_path):
    values = noise((4, 4, 4))
    values[0] = -3024
    ct = read_ct(save(tmp_path / "a.nii.gz", values))
    assert (ct.array[:, :, 0] == -1024).all()
    np.testing.assert_array_equal(ct.array[:, :, 1:], values.transpose(2, 1, 0)[:, :, 1:])


@pytest.mark.parametrize("values", [np.full((4, 4, 4), -1000, np.int16), noise((4, 4, 2)), noise((1, 4, 4))])
def test_odd_but_possible_scans_are_read(values, tmp_path):
    ct = read_ct(save(tmp_path / "a.nii.gz", values))
    np.testing.assert_array_equal(ct.array, values.transpose(2, 1, 0))


def test_a_trailing_axis_of_one_is_no_fourth_dimension(tmp_path):
    values = noise((3, 4, 5))
    ct = read_ct(save(tmp_path / "a.nii.gz", values[..., None]))
    np.testing.assert_array_equal(ct.array, values.transpose(2, 1, 0))


def test_nan_is_counted(tmp_path):
    values = noise((4, 5, 6)).astype(np.float32)
    values[1, 2, :3] = np.nan
    values[0, 0, 0] = np.inf
    with pytest.raises(InputError, match="4 of 120 voxels are NaN"):
        read_ct(save(tmp_path / "a.nii.gz", values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 4, 4), "from 0 to 1: nothing is below 0 HU"),
        (np.arange(64, dtype=np.int16).reshape(4, 4, 4) * 60, "from 0 to 3780"),
        (np.arange(64, dtype=np.float32).reshape(4, 4, 4) * 1000 - 1000, "from -1000 to 62000, which are no HU"),
    ],
)
def test_values_that_are_no_hu_are_refused(values, said, tmp_path):
    with pytest.raises(InputError, match=said):
        read_ct(save(tmp_path / "a.nii.gz", values))


@pytest.mark.parametrize("read", [read_ct, read_labels])
def test_four_dimensions_are_refused_with_the_shape(read, tmp_path):
    with pytest.raises(InputError, match=r"4 dimensions, \(4, 5, 6, 2\)"):
        read(save(tmp_path / "a.nii.gz", np.zeros((4, 5, 6, 2), np.int16)))


@pytest.mark.parametrize("read", [read_ct, read_labels])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_file_cut_anywhere_is_refused(read, share, tmp_path):
    whole = save(tmp_path / "whole.nii.gz", np.abs(noise((30, 30, 30)))).read_bytes()
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"cut\.nii\.gz: can't be read as NIfTI") as error:
        read(cut)
    assert "Copy or convert" in message(error)


def test_a_damaged_byte_is_refused(tmp_path):
    content = bytearray(save(tmp_path / "a.nii.gz", noise((30, 30, 30))).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    (tmp_path / "a.nii.gz").write_bytes(bytes(content))
    with pytest.raises(InputError, match="can't be read as NIfTI"):
        read_ct(tmp_path / "a.nii.gz")


def test_an_uncompressed_file_that_is_cut_is_refused(tmp_path):
    content = save(tmp_path / "a.nii", noise((30, 30, 30))).read_bytes()
    (tmp_path / "a.nii").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="can't be read as NIfTI"):
        read_ct(tmp_path / "a.nii")


@pytest.mark.parametrize("content", [b"", b"no nifti at all" * 100, gzip.compress(b"x" * 1000), bytes(1000)])
def test_something_else_under_the_name_of_a_nifti_is_refused(content, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match="can't be read as NIfTI"):
        read_ct(tmp_path / "a.nii.gz")


def test_a_header_that_promises_terabytes_is_refused(tmp_path):
    content = bytearray(save(tmp_path / "a.nii", noise((4, 4, 4))).read_bytes())
    content[40:48] = np.array([3, 32767, 32767, 32767], dtype="<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"32767, 32767, 32767\) voxels|can't be read"):
        read_ct(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mgz", "a.nii.gz.part", "a"])
def test_other_formats_are_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="no NIfTI by its name"):
        read_ct(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.nii\.gz: there is no such file"):
        read_ct(tmp_path / "gone.nii.gz")


def test_colours_are_refused(tmp_path):
    colours = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="not one number in a voxel"):
        read_ct(save(tmp_path / "a.nii.gz", colours))


@pytest.mark.parametrize(("size", "said"), [(0.003, "0.003"), (45.0, "45"), (0.0, "spacing of 0×")])
def test_a_spacing_that_no_ct_has_is_refused(size, said, tmp_path):
    image = nib.Nifti1Image(noise((4, 4, 4)), np.eye(4))
    image.header.set_sform(np.diag([size, 1.0, 1.0, 1.0]), code=1)
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=said):
        read_ct(tmp_path / "a.nii.gz")


def test_a_sheared_grid_is_refused_with_degrees(tmp_path):
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(12))
    with pytest.raises(InputError, match=r"12\.0° off a right angle"):
        read_ct(save(tmp_path / "a.nii.gz", noise((4, 4, 4)), affine))


def test_a_file_without_orientation_is_refused(tmp_path):
    image = nib.Nifti1Image(noise((4, 4, 4)), np.eye(4))
    image.header.set_sform(None, code=0)
    image.header.set_qform(None, code=0)
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="left and right are unknown"):
        read_ct(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("highest", "kind"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
@pytest.mark.parametrize("stored", [np.float32, np.float64, np.int32])
def test_labels_keep_their_numbers(highest, kind, stored, tmp_path):
    values = np.arange(60).reshape(3, 4, 5)
    values[0, 0, 0] = highest
    labels = read_labels(save(tmp_path / "a.nii.gz", values.astype(stored)))
    assert labels.array.dtype == kind
    np.testing.assert_array_equal(labels.array, values.transpose(2, 1, 0))


def test_labels_that_were_stored_scaled_are_whole_again(tmp_path):
    values = np.arange(60).reshape(3, 4, 5).astype(np.float32) * 2
    image = nib.Nifti1Image(values, np.eye(4))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii.gz")
    assert (np.asanyarray(nib.load(tmp_path / "a.nii.gz").dataobj) != values).any()
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").array, values.transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (0.5, r"1 of 60 voxels are no whole numbers \(the first is 0.5\)"),
        (np.nan, "1 of 60 voxels are no whole numbers"),
        (np.inf, "1 of 60 voxels are no whole numbers"),
        (-1.0, "labels run from -1 to 0"),
        (70000.0, "labels run from 0 to 70000"),
    ],
)
def test_values_that_are_no_labels_are_refused(wrong, said, tmp_path):
    values = np.zeros((3, 4, 5), dtype=np.float32)
    values[1, 1, 1] = wrong
    with pytest.raises(InputError, match=said):
        read_labels(save(tmp_path / "a.nii.gz", values))


def grids() -> tuple[Grid, Grid]:
    return Grid.of((10, 20, 30), (2.5, 0.8, 0.8)), Grid.of((10, 20, 30), (2.5, 0.8, 0.8), (0.0, 0.0, 7.5))


def on(grid: Grid) -> Volume:
    return Volume(np.zeros(grid.shape, np.uint8), grid)


def test_grids_that_differ_are_named_with_numbers():
    first, moved = grids()
    with pytest.raises(InputError, match=r"ct\.nii and organs\.nii .* up to 7\.5 mm apart; spacings 2\.5×0\.8×0\.8"):
        require_same_grid(on(first), on(moved), ("ct.nii", "organs.nii"))
    finer = first.with_spacing((1.0, 0.8, 0.8))
    with pytest.raises(InputError, match=r"\(10, 20, 30\) and \(25, 20, 30\); .* and 1×0\.8×0\.8 mm"):
        require_same_grid(on(first), on(finer), ("a", "b"))


def test_grids_that_differ_by_rounding_or_orientation_are_the_same(tmp_path):
    values = noise((6, 5, 4))
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    flipped = affine.copy()
    flipped[0, 0], flipped[0, 3] = -0.8, 5 * 0.8 + 0.04
    a = read_ct(save(tmp_path / "a.nii.gz", values, affine))
    b = read_ct(save(tmp_path / "b.nii.gz", values[::-1], flipped))
    require_same_grid(a, b, ("a", "b"))
    np.testing.assert_array_equal(a.array, b.array)


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_a_full_disk_leaves_nothing_half_written(existed, name, tmp_path):
    path = tmp_path / name
    if existed:
        path.write_bytes(b"what was there")
    grid = Grid.of((40, 40, 40), (1.0, 1.0, 1.0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(WorkError, match="can't be written"):
            write_volume(path, noise(grid.shape), grid)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [each.name for each in tmp_path.iterdir()] == ([name] if existed else [])
    assert not existed or path.read_bytes() == b"what was there"


def test_a_folder_that_can_not_be_made_is_a_work_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkError, match="can't be written"):
        write_volume(tmp_path / "file" / "a.nii.gz", np.zeros((2, 2, 2), np.uint8), Grid.of((2, 2, 2), (1.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("kind", "stored"), [(bool, np.uint8), (np.float16, np.float32), (np.int64, np.int32), (np.uint16, np.uint16)]
)
def test_types_that_nifti_lacks_are_stored_in_one_that_it_has(kind, stored, tmp_path):
    values = np.arange(24).reshape(2, 3, 4) % 2
    write_volume(tmp_path / "a.nii.gz", values.astype(kind), Grid.of((2, 3, 4), (1.0, 1.0, 1.0)))
    image = nib.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == stored
    np.testing.assert_array_equal(np.asanyarray(image.dataobj).transpose(2, 1, 0), values)


def test_what_can_not_be_stored_is_refused(tmp_path):
    grid = Grid.of((2, 3, 4), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"must end in \.nii\.gz"):
        write_volume(tmp_path / "a.nrrd", np.zeros(grid.shape, np.uint8), grid)
    with pytest.raises(ValueError, match=r"\(4, 3, 2\) does not fit a grid of shape \(2, 3, 4\)"):
        write_volume(tmp_path / "a.nii", np.zeros((4, 3, 2), np.uint8), grid)
    with pytest.raises(ValueError, match="do not fit in 32 bits"):
        write_volume(tmp_path / "a.nii", np.full(grid.shape, 2**40), grid)
    assert list(tmp_path.iterdir()) == []


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    grid = Grid.of((4, 5, 6), (1.0, 1.0, 1.0))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, noise(grid.shape), grid)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("read", [read_ct, read_labels])
def test_memory_above_the_result_does_not_grow_with_a_thousand_slices(read, suffix, tmp_path):
    def excess(slices: int) -> float:
        path = tmp_path / f"{slices}{suffix}"
        # Scaled and flipped, which is what tempts to whole copies in float64.
        image = nib.Nifti1Image(np.zeros((160, 160, slices), np.int16), np.diag([-0.8, -0.8, 1.0, 1.0]))
        image.header.set_slope_inter(2.0, 0.0)
        nib.save(image, path)
        tracemalloc.start()
        volume = read(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return (peak - volume.array.nbytes) / 2**20

    short, long = excess(250), excess(1000)
    assert long < short + 4
    assert long < 80


def test_real_files_whose_axes_differ_by_a_flip_meet(shared):
    folder = shared / "data" / "ct" / "totalsegmentator_dicom_slab"
    ct, labels = read_ct(folder / "ct.nii.gz"), read_labels(folder / "totalseg_v2_labels.nii.gz")
    assert nib.aff2axcodes(nib.load(folder / "ct.nii.gz").affine) == ("L", "P", "S")
    assert nib.aff2axcodes(nib.load(folder / "totalseg_v2_labels.nii.gz").affine) == ("L", "A", "S")
    require_same_grid(ct, labels, ("ct", "labels"))
    # Were the flip lost, bones would not be where the CT is dense: vertebrae are 26 to 50 in version 2.
    bone = (labels.array >= 26) & (labels.array <= 50)
    assert ct.array[bone].mean() > 100 > ct.array[bone[:, ::-1]].mean()


def test_real_ct_goes_through_unchanged(shared, tmp_path):
    path = shared / "data" / "ct" / "abdomen_ct" / "acrin_abdomen_3mm.nii.gz"
    ct = read_ct(path)
    write_volume(tmp_path / "a.nii.gz", ct.array.astype(np.int16), ct.grid)
    before, after = nib.load(path), nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asanyarray(after.dataobj), np.maximum(np.asanyarray(before.dataobj), -1024))
