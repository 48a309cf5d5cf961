"""The chain: whatever is changed, the first bad line is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.errors import WorkError
from medbench.store.audit import AuditFile, Chain, check_trail


def clock():
    return 1_700_000_000_000_000


def lines(count=5):
    chain = Chain(now_us=clock)
    return [chain.line({"event": "step", "name": f"第{number}步"}) for number in range(count)]


def test_a_trail_holds_and_the_same_records_give_the_same_bytes():
    assert lines() == lines()
    checked = check_trail(b"".join(lines()))
    assert (len(checked.records), checked.bad_line, checked.fault) == (5, 0, "")
    assert [record["seq"] for record in checked.records] == [1, 2, 3, 4, 5]
    assert checked.records[0]["at_us"] == clock()
    assert checked.head == checked.records[-1]["hash"]


@given(st.integers(0, 4), st.data())
def test_one_flipped_bit_is_found_at_its_line(place, data):
    made = lines()
    at = data.draw(st.integers(0, len(made[place]) - 2))
    changed = bytearray(made[place])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    made[place] = bytes(changed)
    assert check_trail(b"".join(made)).bad_line == place + 1


@pytest.mark.parametrize("place", range(4))
def test_a_missing_a_doubled_and_a_moved_line_are_found(place):
    made = lines()
    assert check_trail(b"".join(made[:place] + made[place + 1 :])).bad_line == place + 1
    assert check_trail(b"".join([*made[: place + 1], *made[place:]])).bad_line == place + 2
    swapped = made.copy()
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    assert check_trail(b"".join(swapped)).bad_line == place + 1


def test_a_record_written_in_another_way_does_not_hold():
    first = lines(1)[0]
    doubled = first.replace(b'{"at_us"', b'{"event":"forged","at_us"')
    assert check_trail(doubled).fault == "hash"
    assert check_trail(first.replace(b'","', b'", "', 1)).fault == "hash"
    assert check_trail(b"[1]\n").fault == "not_json"
    assert check_trail(b"[" * 100_000 + b"\n").fault == "not_json"
    assert check_trail(first[:-1]).fault == "not_whole"


def test_a_file_goes_on_where_it_was_and_drops_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "trail.jsonl"
    file = AuditFile(path)
    file.append({"event": "a"})
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert check_trail(path.read_bytes()).bad_line == 2
    file = AuditFile(path)
    file.append({"event": "b"})
    file.close()
    checked = check_trail(path.read_bytes())
    assert ([record["event"] for record in checked.records], checked.bad_line) == (["a", "b"], 0)


def test_nothing_is_added_to_a_broken_trail(tmp_path):
    path = tmp_path / "trail.jsonl"
    path.write_bytes(b"".join(lines()[1:]))
    before = path.read_bytes()
    with pytest.raises(WorkError, match="line 1"):
        AuditFile(path)
    assert path.read_bytes() == before
    with pytest.raises(WorkError):
        AuditFile(tmp_path / "absent" / "trail.jsonl")


def test_the_fields_of_the_chain_are_its_own():
    with pytest.raises(ValueError, match="no fields"):
        Chain().line({"hash": "x"})
