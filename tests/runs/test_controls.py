"""Which pictures a question is asked with under a media control."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.errors import InputError
from medbench.items.model import Media, Question
from medbench.runs.config import Selection
from medbench.runs.controls import media_control, swaps


def question(number: int, *pictures: str, dataset: str = "MedVQA", missing: str = "") -> Question:
    media = tuple(Media(path=f"{name}.png", sha256="" if missing else name, missing=missing) for name in pictures)
    return Question(id=str(number), dataset=dataset, text="?", media=media)


def asked(questions, **selection):
    control = media_control(questions, Selection(**selection))
    return [control(question) for question in questions]


def pictures(question: Question) -> set[str]:
    return {medium.sha256 for medium in question.media}


names = st.sampled_from([f"p{number}" for number in range(12)])


@given(
    st.lists(st.tuples(st.sampled_from(["MedVQA", "MedClass"]), names), min_size=1, max_size=30),
    st.integers(0, 5),
)
def test_swapped_pictures_are_of_the_same_dataset_and_never_the_same(drawn, seed):
    questions = [question(number, name, dataset=dataset) for number, (dataset, name) in enumerate(drawn)]
    of_dataset = {dataset: {name for other, name in drawn if other == dataset} for dataset, _ in drawn}
    if min(map(len, of_dataset.values())) < 2:
        with pytest.raises(InputError, match="no others"):
            asked(questions, media_control="swapped", seed=seed)
        return
    shown = asked(questions, media_control="swapped", seed=seed)
    taken = {}
    for own, other in zip(questions, shown, strict=True):
        assert pictures(other) <= of_dataset[own.dataset]
        assert not pictures(other) & pictures(own)
        assert (other.uid, other.cluster) == (own.uid, own.cluster)
        assert other.public_hash() != own.public_hash()
        # One picture takes one place, whatever is asked of it.
        assert taken.setdefault((own.dataset, *pictures(own)), pictures(other)) == pictures(other)
    assert max(Counter((dataset, *other) for (dataset, _), other in taken.items()).values()) == 1
    assert shown == asked(questions, media_control="swapped", seed=seed)
    # Not by the order in which items stand.
    assert swaps(questions[::-1], seed).keys() == swaps(questions, seed).keys()


def test_another_seed_swaps_otherwise():
    questions = [question(number, f"p{number}") for number in range(20)]
    first, second = (asked(questions, media_control="swapped", seed=seed) for seed in (0, 1))
    assert first != second


def test_sets_that_share_a_picture_do_not_take_each_others_place():
    questions = [question(1, "a", "b"), question(2, "b", "c"), question(3, "d"), question(4, "e")]
    for seed in range(20):
        for own, other in zip(questions, asked(questions, media_control="swapped", seed=seed), strict=True):
            assert not pictures(own) & pictures(other)
    with pytest.raises(InputError, match="MedVQA"):
        asked(questions[:2], media_control="swapped")


def test_removed_leaves_the_question_and_nothing_to_see():
    own = question(1, "a")
    (shown,) = asked([own], media_control="removed")
    assert shown.media == ()
    assert shown.cluster == own.cluster
    assert msgspec.structs.replace(shown, media=own.media, family="") == own


@pytest.mark.parametrize("control", ["removed", "swapped"])
def test_what_has_no_pictures_or_lacks_one_is_not_asked(control):
    questions = [question(1), question(2, "a", missing="absent"), question(3, "b"), question(4, "c")]
    assert [each and each.id for each in asked(questions, media_control=control)] == [None, None, "3", "4"]


def test_questions_about_the_same_pictures_are_one_cluster():
    assert question(1, "a").cluster == question(2, "a").cluster != question(3, "b").cluster
    assert question(1, "a", "b").cluster != question(1, "a").cluster
    assert question(1).cluster == "MedVQA/1"
    assert question(1, "a", missing="absent").cluster == question(2, "a", missing="absent").cluster
    assert msgspec.structs.replace(question(1, "a"), family="f").cluster == "f"
