"""DICOM series: places in mm, HU, and everything that makes a folder no single straight CT."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import JPEG2000Lossless

from agcrc.errors import InputError
from agcrc.volumes import read_ct, read_dicom_series, require_same_grid, write_volume
from support.dicom import AXIAL, Change, write_series

FEET_FIRST_PRONE = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.96, 0.28, 0.0, -0.28, 0.96, 0.0)


def stored(shape: tuple[int, int, int] = (5, 6, 4)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1500, shape)


def set_tag(name: str, value: object, only: int | None = None) -> Change:
    return lambda file, number: setattr(file, name, value) if only is None or number == only else None


@pytest.mark.parametrize("directions", [AXIAL, FEET_FIRST_PRONE, CORONAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("way", [1, -1], ids=["up", "down"])
def test_every_pixel_is_at_its_place_in_mm_with_its_hu(directions, way, tmp_path):
    values = stored()
    step = way * 2.5 * np.cross(directions[:3], directions[3:])
    volume = read_dicom_series(write_series(tmp_path, values, directions=directions, step=tuple(step)))
    assert volume.array.dtype == np.float32
    assert (np.diag(volume.grid.affine[:3, :3]) > 0).all()
    for number, row, column in np.ndindex(values.shape):
        # DICOM PS3.3 C.7.6.2.1.1; the second of PixelSpacing is the distance of columns.
        place = np.array((-100.0, -80.0, 500.0)) + number * step
        place = place + column * 0.7 * np.array(directions[:3]) + row * 0.9 * np.array(directions[3:])
        index = volume.grid.to_index(place * (-1, -1, 1))
        np.testing.assert_allclose(index, np.rint(index), atol=0.01)
        assert volume.array[tuple(np.rint(index).astype(int))] == values[number, row, column] * 2 - 1000


def test_it_agrees_with_the_series_reader_of_itk(tmp_path):
    import SimpleITK

    write_series(tmp_path, stored(), step=(0.0, 0.0, -2.5))
    volume = read_dicom_series(tmp_path)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    write_volume(tmp_path / "out.nii.gz", volume.array, volume.grid)
    ours = SimpleITK.ReadImage(str(tmp_path / "out.nii.gz"))
    assert sorted(ours.GetSpacing()) == pytest.approx(sorted(image.GetSpacing()))
    same = SimpleITK.Resample(ours, image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, -9999)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(same), SimpleITK.GetArrayFromImage(image))


def test_a_rescale_that_differs_per_slice_is_applied_per_slice(tmp_path):
    values = stored()
    change = lambda file, number: setattr(file, "RescaleIntercept", -1000 - number)  # noqa: E731
    volume = read_dicom_series(write_series(tmp_path, values, change=change))
    for number in range(len(values)):
        assert volume.array[number].max() == values[number].max() * 2 - 1000 - number


def test_a_real_ct_through_dicom_is_the_real_ct(shared, tmp_path):
    path = shared / "data" / "ct" / "totalsegmentator_dicom_slab" / "ct.nii.gz"
    image = nib.load(path)
    expected = read_ct(path)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    raw = np.asanyarray(image.dataobj).transpose(2, 1, 0)
    write_series(
        tmp_path / "series",
        raw.astype(np.int64) + 1024,
        directions=(*axes[:, 0], *axes[:, 1]),
        pixel=(np.linalg.norm(affine[:3, 1]), np.linalg.norm(affine[:3, 0])),
        step=tuple(affine[:3, 2]),
        origin=tuple(affine[:3, 3]),
        change=lambda file, _: (setattr(file, "RescaleSlope", 1), setattr(file, "RescaleIntercept", -1024)),
    )
    volume = read_dicom_series(tmp_path / "series")
    require_same_grid(expected, volume, ("nifti", "dicom"))
    np.testing.assert_array_equal(volume.array, expected.array)


def test_a_series_of_a_real_scanner_is_read():
    """Five slices of a cardiac CT, stored from head to feet, with pixels thinned out by pydicom's makers."""
    folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests" / "98892001"
    if not folder.is_dir():
        pytest.skip("this pydicom comes without its test files")
    volume = read_dicom_series(folder / "CT5N")
    assert volume.array.shape == (5, 16, 16)
    assert volume.grid.spacing == pytest.approx((2.5, 0.488281, 0.488281))
    assert -1000 <= volume.array.min() < volume.array.max() < 1000
    with pytest.raises(InputError, match=r"slices of 2 directions: 1 of .* A scout"):
        read_dicom_series(folder / "CT2N")
    with pytest.raises(InputError, match=r"holds 2 series: CT 'SmartScore.*: 5 files; CT 'Scout' .*: 2 files"):
        read_dicom_series(folder)
    with pytest.raises(InputError, match=r"202\.50 mm from -99\.5 to 103\.0 mm; about 161 slices are missing"):
        read_dicom_series(folder.parent / "77654033" / "CT2")


def test_other_files_and_subfolders_are_no_hindrance(tmp_path):
    write_series(tmp_path / "a" / "b", stored())
    (tmp_path / "README.txt").write_text("from the archive")
    (tmp_path / "a" / "._000.dcm").write_bytes(b"\0\5\x16\7")
    # What rsync leaves of a copy that was cut off.
    (tmp_path / "a" / ".000.dcm.Xq3b").write_bytes((tmp_path / "a" / "b" / "000.dcm").read_bytes())
    assert read_dicom_series(tmp_path).array.shape == (5, 6, 4)


def test_missing_slices_are_counted_and_placed(tmp_path):
    write_series(tmp_path, stored((9, 4, 4)), change=lambda _, number: number not in (3, 6, 7))
    with pytest.raises(InputError) as error:
        read_dicom_series(tmp_path)
    said = str(error.value)
    assert "most are 2.50 mm apart, but 5.00 mm from 505.0 to 510.0 mm, 7.50 mm from 512.5 to 520.0 mm" in said
    assert "about 3 slices are missing" in said


def test_positions_rounded_to_a_tenth_are_even(tmp_path):
    def rounded(file, _):
        file.ImagePositionPatient = [round(float(v), 1) for v in file.ImagePositionPatient]

    volume = read_dicom_series(write_series(tmp_path, stored((9, 4, 4)), step=(0.0, 0.0, 1.25), change=rounded))
    assert volume.grid.spacing[0] == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize("degrees", [-12.0, 3.0, 22.0])
def test_a_tilted_gantry_is_refused_with_its_degrees(degrees, tmp_path):
    tilt = np.radians(degrees)
    directions = (1.0, 0.0, 0.0, 0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    write_series(tmp_path, stored(), directions=directions, step=(0.0, 0.0, 2.5))
    with pytest.raises(InputError, match=rf"tilted by {abs(degrees):.1f}°") as error:
        read_dicom_series(tmp_path)
    assert "dcm2niix" in str(error.value)


def test_slices_of_other_sizes_are_counted(tmp_path):
    def smaller(file, number):
        if number == 2:
            file.Rows, file.PixelData = 3, file.PixelData[: 3 * 4 * 2]

    write_series(tmp_path, stored(), change=smaller)
    with pytest.raises(InputError, match=r"2 sizes: 4 of 6×4, 1 of 3×4"):
        read_dicom_series(tmp_path)


def test_other_pixel_spacings_are_counted(tmp_path):
    write_series(tmp_path, stored(), change=set_tag("PixelSpacing", [0.5, 0.5], only=1))
    with pytest.raises(InputError, match=r"pixel spacings in mm: 4 of 0\.9×0\.7, 1 of 0\.5×0\.5"):
        read_dicom_series(tmp_path)


def test_two_series_are_listed_with_their_counts(tmp_path):
    write_series(tmp_path / "a", stored())
    write_series(tmp_path / "b", stored((3, 6, 4)), change=set_tag("SeriesDescription", "Lung"))
    with pytest.raises(InputError, match=r"holds 2 series: CT 'Abdomen' [\d.]+: 5 files; CT 'Lung' [\d.]+: 3 files"):
        read_dicom_series(tmp_path)


def test_the_same_slices_twice_are_named(tmp_path):
    write_series(tmp_path, stored())
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "000.dcm").read_bytes())
    with pytest.raises(InputError, match=r"several slices in 1 of 5 places: .*copy\.dcm.* at 500\.0 mm"):
        read_dicom_series(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_tag("Modality", "MR"), "modality MR, not CT"),
        (set_tag("NumberOfFrames", 40), "5 multi-frame files"),
        (set_tag("RescaleType", "MGML"), "MGML and not HU"),
        (set_tag("ImagePositionPatient", [0, 0]), "6 direction and 2 position numbers"),
        (set_tag("RescaleIntercept", 0), "nothing is below 0 HU"),
        (lambda file, _: delattr(file, "RescaleSlope"), r"5 slices of which some lack tags: RescaleSlope \(5\)"),
        (lambda file, number: delattr(file, "PixelSpacing") if number == 1 else None, r"PixelSpacing \(1\)"),
        (set_tag("PixelSpacing", [45.0, 45.0]), "spacing of 45×45×2.5 mm"),
    ],
)
def test_what_is_no_ct_in_hu_is_refused(change, said, tmp_path):
    write_series(tmp_path, stored(), change=change)
    with pytest.raises(InputError, match=said):
        read_dicom_series(tmp_path)


def test_one_slice_is_no_volume(tmp_path):
    write_series(tmp_path, stored((1, 6, 4)))
    with pytest.raises(InputError, match="holds one slice"):
        read_dicom_series(tmp_path)


def test_pixels_that_are_cut_are_refused_with_the_file(tmp_path):
    write_series(tmp_path, stored((5, 60, 40)))
    path = tmp_path / "002.dcm"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"002\.dcm"):
        read_dicom_series(tmp_path)


def test_pixels_of_an_unreadable_compression_are_refused_with_the_file(tmp_path):
    def claims_to_be_compressed(file, number):
        if number == 1:
            file.file_meta.TransferSyntaxUID = JPEG2000Lossless
            file.PixelData = pydicom.encaps.encapsulate([b"no image"])
            file["PixelData"].is_undefined_length = True

    write_series(tmp_path, stored(), change=claims_to_be_compressed)
    with pytest.raises(InputError, match=r"002\.dcm: has pixels that can't be read"):
        read_dicom_series(tmp_path)


def test_folders_without_dicom_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_dicom_series(tmp_path / "gone")
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(InputError, match="holds no DICOM file"):
        read_dicom_series(tmp_path)


@pytest.mark.parametrize("name", ["pydicom", "SimpleITK"])
def test_a_missing_extra_is_named_with_its_command(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"needs {name}.*pip install 'medbench\[dicom\]'"):
        read_dicom_series(tmp_path)


def test_memory_above_the_result_does_not_grow_with_the_slices(tmp_path):
    def excess(slices: int) -> float:
        folder = write_series(tmp_path / str(slices), np.broadcast_to(np.uint16(500), (slices, 128, 128)))
        tracemalloc.start()
        volume = read_dicom_series(folder)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return (peak - volume.array.nbytes) / 2**20

    excess(2)  # imports
    # The pixels of a slice are 64 KiB.
    assert excess(60) - excess(10) < 50 / 32
