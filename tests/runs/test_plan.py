from __future__ import annotations

import json
import random
from collections import Counter

import msgspec
import pytest

from medbench.errors import InputError
from medbench.items.source import open_source
from medbench.models.model import Identity
from medbench.runs.config import Pins, Selection, read_pins, write_pins
from medbench.runs.plan import asked, call_key, selected
from support.command import write_items


@pytest.fixture
def source(tmp_path):
    return open_source(write_items(tmp_path / "items.jsonl", 60))


def test_places_have_no_gaps_and_keys_are_unique(source):
    calls = list(asked(source, Selection(orders="all")))
    assert [call.seq for call in calls] == list(range(60 * 120))
    assert len({call_key(call) for call in calls}) == len(calls)
    again = [call_key(call) for call in asked(source, Selection(orders="all"))]
    assert again == [call_key(call) for call in calls]


def test_every_option_comes_to_every_position_once(source):
    for question, _ in selected(source, Selection(limit=3)):
        orders = [call.form.order for call in asked(source, Selection()) if call.question.uid == question.uid]
        assert len(orders) == 5
        for position in range(5):
            assert {order[position] if order else position for order in orders} == set(range(5))


def test_a_sample_is_simple_random(source):
    """Each item is drawn about equally often over many seeds, and larger samples contain the smaller."""
    drawn = Counter(
        question.id for seed in range(300) for question, _ in selected(source, Selection(sample=15, seed=seed))
    )
    assert len(drawn) == 60
    assert max(abs(count - 75) for count in drawn.values()) < 5 * (300 * 0.25 * 0.75) ** 0.5
    small = {question.id for question, _ in selected(source, Selection(sample=15, seed=4))}
    large = {question.id for question, _ in selected(source, Selection(sample=30, seed=4))}
    assert small < large
    assert len(list(selected(source, Selection(sample=500)))) == 60


def test_a_sample_does_not_depend_on_the_order_of_the_file(source, tmp_path):
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    random.Random(1).shuffle(rows)
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    other = open_source(tmp_path / "other.jsonl")
    chosen = Selection(sample=10, seed=9)
    assert {q.uid for q, _ in selected(source, chosen)} == {q.uid for q, _ in selected(other, chosen)}


def pins(**changes: object) -> Pins:
    given = {
        "items": "/a", "items_fingerprint": "f", "catalog_version": "1", "model": Identity(spec="x:y", name="y"),
        "selection": Selection(), "disclosure": "local", "n_items": 1, "n_calls": 5, "created": "2026-01-01",
    }  # fmt: skip
    return Pins(**(given | changes))


def test_the_configuration_is_what_is_asked_and_not_where_or_when(tmp_path):
    here = pins().config_hash()
    assert pins(items="/b", created="2027", catalog_folder="/c").config_hash() == here
    different = [
        pins(items_fingerprint="g"), pins(disclosure="hidden"), pins(selection=Selection(seed=1)),
        pins(model=Identity(spec="x:z", name="z")), pins(model=Identity(spec="x:y", name="y", revision="1")),
    ]  # fmt: skip
    assert len({here, *(each.config_hash() for each in different)}) == 6
    write_pins(tmp_path, pins())
    assert read_pins(tmp_path) == pins()
    (tmp_path / "run.json").write_bytes(msgspec.json.encode({"unknown": 1}))
    with pytest.raises(InputError):
        read_pins(tmp_path)
