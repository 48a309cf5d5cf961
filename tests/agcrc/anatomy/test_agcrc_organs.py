from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agcrc.anatomy.organs import BUNDLED, ClassMap, Organs, known_names, load_class_map
from agcrc.errors import InputError
from agcrc.volumes import Grid, Volume


def organs(labels: np.ndarray, class_map: ClassMap) -> Organs:
    return Organs(Volume(labels, Grid.of(labels.shape, (2.0, 2.0, 2.0))), class_map)


@pytest.mark.parametrize(
    ("name", "count", "some"),
    [
        ("totalsegmentator_v2", 117, {"colon": 20, "small_bowel": 18, "sacrum": 25, "prostate": 22}),
        ("totalsegmentator_v1", 104, {"colon": 57, "small_bowel": 55, "sacrum": 92, "urinary_bladder": 104}),
        ("gca", 3, {"body": 1, "small_bowel": 18, "colon": 20}),
    ],
)
def test_bundled_maps_have_the_published_numbers(name, count, some):
    class_map = load_class_map(name)
    assert len(class_map.numbers) == count == len(set(class_map.numbers.values()))
    assert {each: class_map[each] for each in some} == some


def test_version_2_is_the_class_map_beside_the_real_masks(scans):
    published = json.loads((scans / "totalsegmentator_v2_class_map.json").read_text())
    assert load_class_map("totalsegmentator_v2").numbers == published


def test_a_file_may_name_known_classes_and_others(tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text('{"background": 0, "colon": 300, "liver": 2, "other_stoma": 7}')
    class_map = load_class_map(str(path))
    assert dict(class_map.numbers) == {"colon": 300, "liver": 2, "other_stoma": 7}
    labels = np.full((2, 2, 2), 300, dtype=np.uint16)
    assert organs(labels, class_map).mask("colon").all()


def test_every_problem_of_a_map_is_told_at_once(tmp_path: Path):
    path = tmp_path / "bad.json"
    path.write_text(
        '{"kolon": 20, "liver": "5", "spleen": 1, "aorta": 1, "stomach": 0, "duodenum": 70000, "spleen": 3}'
    )
    with pytest.raises(InputError) as caught:
        load_class_map(str(path))
    text = str(caught.value)
    for part in (
        "unknown class 'kolon'", "Did you mean colon?", "'liver' the number \"5\"", "1 to both 'spleen' and 'aorta'",
        "'stomach' the number 0", "'duodenum' the number 70000", "'spleen' twice", "has no 'colon'",
    ):  # fmt: skip
        assert part in text, part
    assert len(caught.value.problems) == 7


@pytest.mark.parametrize("content", ["[1, 2]", "{}", '"colon"', "{", '{"a": {"colon": 1}}', "\x00"])
def test_what_is_no_class_map_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        load_class_map(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_map_names_those_there_are():
    with pytest.raises(InputError) as caught:
        load_class_map("totalsegmentator_v3")
    assert all(name in str(caught.value) for name in BUNDLED)


def test_labels_without_a_name_are_told_with_their_numbers():
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    labels[0] = 20
    labels[1, 0] = 200
    labels[1, 1, :2] = 201
    with pytest.raises(InputError) as caught:
        organs(labels, load_class_map("totalsegmentator_v2"))
    assert "200 (4 voxels), 201 (2 voxels)" in str(caught.value)
    assert "117 labels from 1 to 117" in str(caught.value)


def test_unknown_class_is_refused_and_an_absent_one_is_empty():
    labels = np.zeros((2, 3, 4), dtype=np.uint8)
    labels[0, 0, 0] = 20
    found = organs(labels, load_class_map("gca"))
    assert found.has("colon")
    assert not found.has("small_bowel")
    assert not found.mask("small_bowel").any()
    assert found.millilitres("colon") == pytest.approx(0.008)
    with pytest.raises(InputError, match="Did you mean colon"):
        found.mask("colom")


@given(st.data())
def test_masks_agree_with_the_labels(data):
    class_map = load_class_map("totalsegmentator_v1")
    numbers = data.draw(st.lists(st.sampled_from([0, *class_map.numbers.values()]), min_size=8, max_size=8))
    labels = np.array(numbers, dtype=np.uint8).reshape(2, 2, 2)
    found = organs(labels, class_map)
    assert {class_map[name]: count for name, count in found.voxels.items()} == {
        number: numbers.count(number) for number in set(numbers) - {0}
    }
    some = data.draw(st.lists(st.sampled_from(sorted(known_names())), max_size=5))
    expected = np.isin(labels, [class_map[name] for name in some if name in class_map])
    assert (found.any(some) == expected).all()


def test_float_labels_are_refused():
    with pytest.raises(InputError, match="float32"):
        organs(np.zeros((2, 2, 2), dtype=np.float32), load_class_map("gca"))
