"""Words of a rule in a text, against a plain reading of what a rule means."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents.governance.policy import When
from medbench.agents.governance.recognise import recognised, spans


@pytest.mark.parametrize(
    ("text", "term", "found"),
    [
        ("a therapist", "rapist", []),
        ("forging and forgery", "forg*", [(0, 7), (12, 19)]),
        ("fake", "fake", [(0, 4)]),
        ("fakes", "fake", []),
        ("伪造病历", "病历", [(2, 4)]),
        ("吗啡", "吗", [(0, 1)]),
    ],
)
def test_terms_are_whole_words(text, term, found):
    assert list(spans(text, term)) == found


def test_all_groups_close_together_in_any_order():
    when = When((("forge", "fake"), ("record", "certificate")), within=30)
    assert recognised("a fake vaccination certificate", when) == ("fake", "certificate")
    assert recognised("the certificate is fake", when) == ("fake", "certificate")
    assert recognised("fake" + " x" * 20 + " record", when) is None
    assert recognised("a record", when) is None


def test_one_word_does_not_stand_for_two_groups():
    assert recognised("vip", When((("vip",), ("vip",)))) is None
    assert recognised("vip vip", When((("vip",), ("vip",)))) == ("vip", "vip")


def test_what_takes_it_back_must_stand_in_the_same_sentence():
    when = When((("fake",), ("record",)), unless=("how to detect", "^why"))
    assert recognised("how to detect a fake record", when) is None
    assert recognised("how to detect it? make a fake record", when) is not None
    assert recognised("why is it a fake record", when) is None
    assert recognised("a fake record, why", when) is not None


WORDS = st.lists(st.sampled_from(["fake", "record", "x", "the"]), max_size=30).map(" ".join)


@given(WORDS, st.integers(8, 40))
def test_it_is_the_nearest_pair_that_counts(text, within):
    pairs = [
        max(a.end(), b.end()) - min(a.start(), b.start())
        for a in re.finditer("fake", text)
        for b in re.finditer("record", text)
    ]
    wanted = bool(pairs) and min(pairs) <= within
    assert (recognised(text, When((("fake",), ("record",)), within=within)) is not None) == wanted


def test_it_takes_linear_time():
    text = "fake record how to detect " * 8_000
    started = time.perf_counter()
    assert recognised(text, When((("fake",), ("record",)), unless=("how to detect",))) is None
    assert time.perf_counter() - started < 5.0
