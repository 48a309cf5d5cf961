"""Asking the same questions without their pictures, or with those of others: what an answer owes to what is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from medbench.errors import InputError, Problem
from medbench.items.model import Media, Question
from medbench.runs.config import Selection
from medbench.text import say

Pictures = tuple[str, ...]
"""SHA-256 of each medium of a question, in order."""


def media_control(questions: Iterable[Question], selection: Selection) -> Callable[[Question], Question | None]:
    """The control of a selection, as what it makes of a question.

    The question asked keeps the cluster of its own pictures. Nothing is asked (None) of a question without pictures or
    with one that is missing: there would be nothing to hold the answer against.

    Args:
        questions: All of the selection, whether asked or not; read where pictures are swapped.
        selection: With a media control.

    Raises:
        InputError: Pictures are to be swapped, and a dataset has none to swap them with.
    """
    swapped = swaps(questions, selection.seed) if selection.media_control == "swapped" else None

    def controlled(question: Question) -> Question | None:
        if not _complete(question):
            return None
        media = swapped[question.dataset, _pictures(question.media)] if swapped is not None else ()
        return msgspec.structs.replace(question, media=media, family=question.cluster)

    return controlled


def swaps(questions: Iterable[Question], seed: int) -> dict[tuple[str, Pictures], tuple[Media, ...]]:
    """(dataset, pictures) -> what is shown in their place: pictures of another question of the dataset, none in common.

    The sets of pictures of a dataset stand in a ring, in the order of their hash with the seed; the next one takes the
    place of each, so that every set is shown about as often as before, and the same set takes the same place in all
    questions about it.

    Raises:
        InputError: With all datasets in which some pictures have no others to take their place.
    """
    found: dict[str, dict[Pictures, tuple[Media, ...]]] = {}
    for question in questions:
        if _complete(question):
            found.setdefault(question.dataset, {}).setdefault(_pictures(question.media), question.media)
    swapped: dict[tuple[str, Pictures], tuple[Media, ...]] = {}
    alone = []
    for dataset, sets in found.items():
        ring = sorted(sets, key=lambda pictures: hashlib.sha256("\0".join((str(seed), *pictures)).encode()).digest())
        for place, pictures in enumerate(ring):
            other = _next(ring, place)
            if other is None:
                alone.append(dataset)
                break
            swapped[dataset, pictures] = sets[other]
    if alone:
        message = say("runs.nothing_to_swap", names=", ".join(alone))
        raise InputError(Problem(message=message, field="--media-control"))
    return swapped


def _next(ring: Sequence[Pictures], place: int) -> Pictures | None:
    """The first set behind a place that shares no picture with the one that stands there."""
    own = set(ring[place])
    behind = (ring[(place + step) % len(ring)] for step in range(1, len(ring)))
    return next((other for other in behind if own.isdisjoint(other)), None)


def _complete(question: Question) -> bool:
    return bool(question.media) and not any(medium.missing or medium.is_data for medium in question.media)


def _pictures(media: Sequence[Media]) -> Pictures:
    return tuple(medium.sha256 for medium in media)
