"""The plan of a run: the same selection of the same items always gives the same calls in the same order."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator

from medbench.agents.environment import ENVIRONMENT
from medbench.catalog.model import Part
from medbench.items.model import Question, Variant
from medbench.items.render import make_variants
from medbench.items.source import ItemSource
from medbench.runs.config import Selection
from medbench.runs.controls import media_control
from medbench.scoring.asked import Asked

KIND = "ask"


def selected(source: ItemSource, selection: Selection) -> Iterator[tuple[Question, Part]]:
    """Yield the questions that the selection asks for, with their parts, in the order of the source.

    Under a media control they have the pictures that the control gives them.

    Raises:
        InputError: A control can't be made.
    """
    chosen = _sample(source, selection) if selection.sample is not None else None
    questions = (question for question, _ in _filtered(source, selection))
    controlled = None if selection.media_control == "none" else media_control(questions, selection)
    taken = 0
    for question, part in _filtered(source, selection):
        if chosen is not None and question.uid not in chosen:
            continue
        if selection.limit is not None and taken >= selection.limit:
            return
        taken += 1
        if controlled is None:
            yield question, part
        elif (question_asked := controlled(question)) is not None:
            yield question_asked, part


def has_environments(source: ItemSource, selection: Selection) -> bool:
    """Whether an item of the selection has an environment."""
    return any(ENVIRONMENT in question.meta for question, _ in selected(source, selection))


def asked(source: ItemSource, selection: Selection) -> Iterator[Asked]:
    """Yield every call of the plan."""
    seq = 0
    for question, part in selected(source, selection):
        orders = variants(question, part, selection)
        for epoch in range(selection.epochs):
            for index, form in enumerate(orders, start=epoch * len(orders)):
                yield Asked(seq=seq, question=question, part=part, variant=index, form=form, epoch=epoch)
                seq += 1


def call_key(call: Asked) -> bytes:
    """The key of a call, unique in a run: kind, item version (its public hash) and variant."""
    question = call.question
    parts = f"{KIND}\0{call.variant}\0{question.uid}\0{question.public_hash()}"
    return hashlib.blake2b(parts.encode(), digest_size=16).digest()


def variants(question: Question, part: Part, selection: Selection) -> tuple[Variant, ...]:
    """The option orders of an epoch: those that a question brings, or made where the dataset is circular."""
    return make_variants(question, selection.orders) if question.variants or part.circular else (Variant(),)


def _filtered(source: ItemSource, selection: Selection) -> Iterator[tuple[Question, Part]]:
    datasets = source.catalog.datasets
    wanted = frozenset(selection.datasets)
    for question in source.questions():
        if wanted and question.dataset not in wanted:
            continue
        dataset = datasets[question.dataset]
        if selection.track and dataset.track != selection.track:
            continue
        yield question, dataset.part(question.part)


def _sample(source: ItemSource, selection: Selection) -> frozenset[str]:
    """The N items whose hash with the seed is smallest: a simple random sample that streams."""
    size = selection.sample or 0
    seed = str(selection.seed).encode()
    heap: list[tuple[int, str]] = []
    for question, _ in _filtered(source, selection):
        digest = hashlib.sha256(seed + b"\0" + question.uid.encode()).digest()
        entry = (-int.from_bytes(digest[:8], "big"), question.uid)
        if len(heap) < size:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            heapq.heapreplace(heap, entry)
    return frozenset(uid for _, uid in heap)
