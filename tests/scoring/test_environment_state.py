"""States held against keys: all that the key names, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents.environment import Entry, State, Table
from medbench.scoring.environment_state import mark_state

ORDER = {"code": {"coding": [{"code": "A1"}]}, "dose": 2, "note": {"text": "Please see soon."}, "stat": True}


def value(state: State, **key) -> float | None:
    marking = mark_state(state.snapshot(), json.dumps(key))
    assert marking is not None
    return marking.value


def left(*entries: dict[str, object], answer=None, abstained=False, tables=()) -> State:
    return State(
        environment="e",
        entries=tuple(Entry("Order", entry) for entry in entries),
        answer=answer,
        abstained=abstained,
        tables=tables,
    )


def wanted(**content) -> dict[str, object]:
    return {"kind": "Order", "content": {name.replace("__", "."): what for name, what in content.items()}}


@pytest.mark.parametrize(
    ("content", "right"),
    [
        ({}, 1),
        ({"code__coding__0__code": "A1"}, 1),
        ({"code__coding__0__code": " a1 "}, 1),
        ({"code__coding__1__code": "A1"}, 0),
        ({"dose": 2.0}, 1),
        ({"dose": "2"}, 0),
        ({"dose": 3}, 0),
        ({"stat": True}, 1),
        ({"stat": 1}, 0),
        ({"dose": True}, 0),
        ({"note__text": {"contains": "please  SEE"}}, 1),
        ({"note__text": {"contains": "never"}}, 0),
        ({"code__coding__0__code": {"one_of": ["B", "A1"]}}, 1),
        ({"missing__place": None}, 1),
        ({"dose": 2, "code__coding__0__code": "B"}, 0),
    ],
)
def test_an_entry_has_what_the_key_names(content, right):
    assert value(left(ORDER), entries=[wanted(**content)]) == right


def test_each_expected_entry_needs_one_of_its_own_and_others_are_forbidden():
    both = [wanted(dose=2), wanted(dose=2)]
    assert value(left(ORDER), entries=both) == 0
    assert value(left(ORDER, ORDER), entries=both) == 1
    assert value(left(ORDER, ORDER, ORDER), entries=both) == 0
    assert value(left(ORDER, ORDER, ORDER), entries=both, others="allowed") == 1
    assert value(left(ORDER)) == 0
    assert value(left()) == 1


def test_what_was_wrong_stands_beside_the_value():
    marking = mark_state(
        left(ORDER, answer=("x",)).snapshot(), json.dumps({"entries": [wanted(dose=2), wanted(dose=4)]})
    )
    assert marking is not None
    assert (marking.value, dict(marking.details)) == (0, {"state_entries": 0.5, "state_unchanged": 1})


@pytest.mark.parametrize(
    ("given_", "key", "right"),
    [
        (("S1",), ["S1"], 1),
        (("s1 ",), ["S1"], 1),
        ((41,), [41], 1),
        (("41",), [41], 1),
        ((41.5,), [41], 0),
        (("S1", "S2"), ["S1"], 0),
        ((), ["S1"], 0),
        ((), [], 1),
        (None, [], 0),
        (("no such patient",), [["Patient not found", "No such patient"]], 1),
        (("nan",), [41], 0),
        (("４１",), [41], 1),
        (("4_1",), [41], 0),
        (("٤١",), [41], 0),
    ],
)
def test_the_final_answer_part_by_part(given_, key, right):
    assert value(left(answer=given_), answer=key) == right


def test_a_number_may_differ_by_the_tolerance():
    assert value(left(answer=(1.24,)), answer=[1.2], tolerance=0.05) == 1
    assert value(left(answer=(1.26,)), answer=[1.2], tolerance=0.05) == 0


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("Acute appendicitis", 1),
        ("Acute appendicitis.", 1),
        ("The diagnosis is acute appendicitis", 1),
        ("Appendicitis or gastroenteritis", 0),
        ("not appendicitis", 0),
        ("Gastroenteritis; appendicitis", 0),
        ("Periappendicitis", 0),
        ("appendicitis " + "with very many words around it " * 4, 0),
        ("", 0),
    ],
)
def test_a_diagnosis_names_one_thing(said, right):
    assert value(left(answer=(said,)), answer=[["Appendicitis"]], compare="phrase") == right


def test_a_chinese_diagnosis_may_stand_in_a_short_sentence():
    assert value(left(answer=("考虑缺铁性贫血",)), answer=[["缺铁性贫血"]], compare="phrase") == 1
    assert value(left(answer=("缺铁性贫血或地中海贫血",)), answer=[["缺铁性贫血"]], compare="phrase") == 0


def tables(*each) -> State:
    return left(answer=("SELECT",), tables=tuple(Table(tuple(map(tuple, rows))) for rows in each))


def test_rows_are_the_same_in_any_order_unless_it_counts():
    right = [["a", 1], ["b", 2.5]]
    assert value(tables([("b", 2.5), ("A ", 1)]), tables=[right]) == 1
    assert value(tables([("b", 2.5), ("a", 1)]), tables=[right], ordered=True) == 0
    assert value(tables([("a", 1), ("b", 2.5), ("b", 2.5)]), tables=[right]) == 0
    assert value(tables([("a", "1"), ("b", 2.5)]), tables=[right]) == 0


def test_the_statement_has_to_be_right_on_every_database():
    assert value(tables([(3,)], [(4,)]), tables=[[[3]], [[4]]]) == 1
    assert value(tables([(3,)], [(3,)]), tables=[[[3]], [[4]]]) == 0
    assert value(tables([(3,)]), tables=[[[3]], [[4]]]) == 0
    failed = left(answer=("SELECT",), tables=(Table(error="timeout"),))
    assert value(failed, tables=[[]]) == 0


def test_abstaining_is_right_only_where_nothing_can_be_answered():
    declined = left(answer=("no such table",), abstained=True)
    assert value(declined, abstain=True) == 1
    assert value(tables([(3,)]), abstain=True) == 0
    marking = mark_state(declined.snapshot(), json.dumps({"tables": [[[3]]]}))
    assert marking is not None
    assert (marking.value, dict(marking.details)["state_answered"]) == (0, 0)


@pytest.mark.parametrize("snapshot", [b"", b"[]", b"{}", b"\xff", b'{"environment": 1}', b"[" * 100_000])
def test_what_is_no_state_is_none(snapshot):
    assert mark_state(snapshot, "{}") is None


cells = st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | st.text(max_size=5)


@given(st.lists(st.tuples(cells, cells), max_size=8), st.randoms())
def test_rows_equal_themselves_in_any_order(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert value(tables(shuffled), tables=[[list(row) for row in rows]]) == 1


def test_a_number_beyond_every_float_is_another_number():
    huge = 10**400
    assert value(left({"dose": huge}), entries=[wanted(dose=2)]) == 0
    assert value(left({"dose": huge}), entries=[wanted(dose=huge)]) == 1
    assert value(left(answer=(huge,)), answer=[2]) == 0
    assert value(left(tables=(Table(rows=((huge,), (1,))),)), tables=[[[1], [2]]]) == 0
