"""Files that people write: whatever stands in one, all that is wrong with it is told, with its place."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import InputError
from medbench.store.document import Document
from medbench.store.strict_yaml import LONGEST, read_yaml


class Bed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    kind: Literal["day", "night"] = "day"


class Ward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    beds: tuple[Bed | str, ...] = ()
    size: float | None = None
    staff: dict[Literal["day", "night"], tuple[str, ...]] = {}
    head: Bed | None = None


def read(value) -> tuple[Ward, list[str | None]]:
    document = Document("ward", b"", value)
    return document.read(Ward), [problem.field for problem in document.problems]


def test_a_right_document_is_read_whole():
    value = {
        "name": "A",
        "beds": [{"number": 1, "kind": "night"}, "spare"],
        "size": 3,
        "staff": {"day": ["Li"]},
        "head": None,
    }
    assert read(value) == (Ward("A", (Bed(1, "night"), "spare"), 3.0, {"day": ("Li",)}), [])


def test_what_is_wrong_is_told_at_every_place_and_left_out():
    value = {
        "beds": [{"number": "one", "kind": "noon"}, 3, "spare"],
        "size": "large",
        "staff": {"day": ["Li", 4], "noon": []},
        "head": 7,
        "colour": "red",
    }
    ward, places = read(value)
    assert ward == Ward(None, (Bed(None), "spare"), None, {"day": ("Li",)}, Bed(None))
    assert places == [
        "colour",
        "name",
        "beds[0].number",
        "beds[0].kind",
        "beds[1]",
        "size",
        "staff.day[1]",
        "staff.noon",
        "head",
    ]


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "day", "noon", "x: y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["number", "kind", "day"]), inner),
)
WARDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("A") | PLAIN,
        "beds": st.lists(
            st.fixed_dictionaries({"number": st.integers(0, 9)}, optional={"kind": st.sampled_from(["day", "night"])})
            | PLAIN,
            max_size=2,
        ),
        "size": st.integers() | PLAIN,
        "staff": st.dictionaries(st.sampled_from(["day", "noon"]), st.lists(st.just("Li"), max_size=2) | PLAIN),
        "head": PLAIN,
    },
)


@given(WARDS)
def test_it_is_without_problems_exactly_where_its_types_allow_it(value):
    ward, places = read(value)
    try:
        right = msgspec.convert(value, Ward)
    except msgspec.ValidationError:
        assert places
    else:
        assert (ward, places) == (right, [])


def written(tmp_path, text) -> Document:
    path = tmp_path / "a.yaml"
    path.write_text(text, "utf-8")
    return read_yaml(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {b: *a}",
        "a: &a [x, x]\nb: [*a, *a]",
        "a: " + "[" * 3000 + "]" * 3000,
        "a: !!python/object:os.system x",
        "a: 2024-13-45",
        "# " + "x" * LONGEST,
        "a: [1",
    ],
)
def test_hostile_yaml_is_an_input_error(tmp_path, text):
    with pytest.raises(InputError, match=r"a\.yaml"):
        written(tmp_path, text)


class Free(msgspec.Struct):
    value: object


@given(PLAIN)
@settings(deadline=None)
def test_plain_values_come_back_as_they_were_written(value):
    with tempfile.TemporaryDirectory() as folder:
        document = written(Path(folder), yaml.safe_dump({"value": value}))
    assert (document.read(Free).value, document.problems) == (value, [])


def test_the_line_of_a_place_is_its_own_or_that_of_what_holds_it(tmp_path):
    document = written(tmp_path, "beds:\n  - number: 1\n  - kind: noon\nname: A\nname: B\n")
    document.read(Ward)
    told = [(problem.field, problem.line) for problem in document.problems]
    assert told == [("name", 5), ("beds[1].number", 3), ("beds[1].kind", 3)]
