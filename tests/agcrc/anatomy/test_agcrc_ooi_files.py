from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from agcrc.anatomy import ooi_files
from agcrc.errors import InputError
from agcrc.volumes import Grid, read_labels, write_volume

GRID = Grid.of((50, 48, 56), (3.0, 3.0, 3.0), (-80.0, -60.0, 12.0))


@pytest.fixture(scope="module")
def labels(tube, organs_of, tmp_path_factory) -> Path:
    colon = tube(GRID, [(20, 60, 90), (120, 60, 40), (120, 90, 120), (40, 90, 130)], 11.0)
    colon[36:44, :, 22:32] = False
    path = tmp_path_factory.mktemp("labels") / "organs.nii.gz"
    write_volume(path, organs_of(GRID, colon=colon).volume.array, GRID)
    return path


def test_mask_record_and_picture_lie_beside_each_other(labels, tmp_path):
    out = tmp_path / "new" / "case.ooi.nii.gz"
    quality = ooi_files(labels, None, None, "totalsegmentator_v2", out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["case.ooi.json", "case.ooi.nii.gz", "case.ooi.png"]
    record = json.loads((out.parent / "case.ooi.json").read_text())
    assert {"mode", "parts_before", "parts_after", "colon_ml", "ooi_ml", "seconds", "bridges"} <= set(record)
    assert (record["mode"], record["parts_before"], record["parts_after"]) == ("colon", 2, 1)
    assert set(record["bridges"][0]) == {"length_mm", "mean_cost"}
    mask = read_labels(out)
    assert mask.array.dtype == np.uint8
    assert set(np.unique(mask.array)) == {0, 1, 2}
    assert int((mask.array > 0).sum()) * 0.027 == pytest.approx(record["ooi_ml"]) == pytest.approx(quality.ooi_ml)


@pytest.mark.parametrize("axes", ["LPS", "SAR", "IRP"])
def test_the_orientation_of_the_file_changes_nothing_but_the_file(labels, tmp_path, axes):
    image = nib.load(labels)
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
    turned = tmp_path / "turned.nii.gz"
    nib.save(image.as_reoriented(turn), turned)
    one = ooi_files(labels, None, None, "totalsegmentator_v2", tmp_path / "one.nii.gz")
    two = ooi_files(turned, None, None, "totalsegmentator_v2", tmp_path / "two.nii.gz")
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
    assert (read_labels(tmp_path / "one.nii.gz").array == read_labels(tmp_path / "two.nii.gz").array).all()
    written = nib.load(tmp_path / "two.nii.gz")
    assert nib.aff2axcodes(written.affine) == tuple(axes)
    assert np.allclose(written.affine, nib.load(turned).affine)
    assert written.shape == nib.load(turned).shape


def colours(path: Path) -> dict[str, int]:
    """How many pixels have about each of the overlay's three colours."""
    from matplotlib.image import imread

    picture = imread(path)[..., :3]
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    return {
        "colon": int(((red > green + 0.1) & (green > blue + 0.1)).sum()),
        "added": int(((red > blue + 0.1) & (blue > green + 0.05)).sum()),
        "region": int(((blue > red + 0.3) & (green > red + 0.3)).sum()),
    }


def test_the_picture_shows_colon_bridge_and_region(labels, tmp_path):
    ooi_files(labels, None, None, "totalsegmentator_v2", tmp_path / "bridged.nii.gz")
    bridged = colours(tmp_path / "bridged.png")
    assert min(bridged.values()) > 300
    volume = read_labels(labels)
    write_volume(tmp_path / "one_part.nii.gz", np.where(np.indices(GRID.shape)[2] < 27, volume.array, 0), volume.grid)
    ooi_files(tmp_path / "one_part.nii.gz", None, None, "totalsegmentator_v2", tmp_path / "plain.nii.gz")
    assert colours(tmp_path / "plain.png")["added"] != bridged["added"]
    write_volume(tmp_path / "empty.nii.gz", np.zeros(GRID.shape, np.uint8), GRID)
    quality = ooi_files(tmp_path / "empty.nii.gz", None, None, "totalsegmentator_v2", tmp_path / "absent.nii.gz")
    assert quality.mode == "absent"
    nothing = colours(tmp_path / "absent.png")
    # Only the legend has these colours.
    assert nothing["colon"] < bridged["colon"] / 4


def test_every_problem_is_told_at_once_and_nothing_is_written(labels, tmp_path):
    (tmp_path / "map.json").write_text('{"kolon": 20}')
    (tmp_path / "ct.nii.gz").write_bytes(labels.read_bytes()[:200])
    write_volume(tmp_path / "lesion.nii.gz", np.zeros((5, 5, 5), np.uint8), Grid.of((5, 5, 5), (3.0, 3.0, 3.0)))
    out = tmp_path / "out" / "ooi.nii.gz"
    with pytest.raises(InputError) as caught:
        ooi_files(labels, tmp_path / "ct.nii.gz", tmp_path / "lesion.nii.gz", str(tmp_path / "map.json"), out)
    text = str(caught.value)
    for part in ("kolon", "no 'colon'", "ct.nii.gz", "different grids", "lesion.nii.gz"):
        assert part in text, part
    assert not out.parent.exists()


def test_a_label_map_of_another_numbering_is_refused_and_nothing_is_written(labels, tmp_path):
    (tmp_path / "map.json").write_text('{"colon": 5}')
    with pytest.raises(InputError, match="20"):
        ooi_files(labels, None, None, str(tmp_path / "map.json"), tmp_path / "out" / "ooi.nii.gz")
    assert not (tmp_path / "out").exists()


def test_another_suffix_is_refused(labels, tmp_path):
    with pytest.raises(InputError, match=r"\.nii\.gz or \.nii"):
        ooi_files(labels, None, None, "totalsegmentator_v2", tmp_path / "ooi.mha")


def test_a_lesion_file_gives_its_coverage(labels, tmp_path):
    lesion = (read_labels(labels).array > 0).astype(np.uint8)
    lesion[:, :, :20] = 0
    lesion[2, 2, 2] = 1
    write_volume(tmp_path / "lesion.nii.gz", lesion, read_labels(labels).grid)
    out = tmp_path / "ooi.nii.gz"
    quality = ooi_files(labels, None, tmp_path / "lesion.nii.gz", "totalsegmentator_v2", out)
    assert quality.lesion_coverage == pytest.approx(1.0 - 1.0 / lesion.sum())
    assert read_labels(out).array[2, 2, 2] == 1
