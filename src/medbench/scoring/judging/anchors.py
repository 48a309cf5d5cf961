"""Anchors: a frozen set of answers that a judge is given again and again, to see whether it still says the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from pathlib import Path

import msgspec

from medbench.catalog.model import Metric, Part, TextForm
from medbench.errors import InputError, Problem
from medbench.items.model import Key, Question, Variant
from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.attacks import DATASET, PART, load_corpus
from medbench.scoring.judging.plan import JudgeCall, JudgePins, answer_of, judge_calls
from medbench.scoring.judging.rubric import GENERAL
from medbench.scoring.keys_along import KeysAlong
from medbench.store.files import write_atomically
from medbench.text import say

FORMAT = 1
FLOOR = "floor"
"""Family of the answers that belong at level 0."""
FLOOR_KINDS = frozenset({"empty", "constant", "instruction"})
"""Of the attack corpus; those of their answers that hold no answer at all, not even a poor one."""


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An answer that is judged again with every version of a judge.

    Attributes:
        question: As it was asked; its family, or itself, is the cluster.
        answer: What is judged.
        metrics: What of it is judged.
        rubric: Name of the rubric; answers by one rubric are a family of datasets.
        key: What the judge is told.
        floor: Holds no answer and so belongs at level 0.
        people: What people gave it, on the scale from 0 to 1; empty where nobody rated it.
    """

    question: Question
    answer: str
    metrics: tuple[Metric, ...]
    rubric: str
    key: Key | None = None
    floor: bool = False
    people: tuple[float, ...] = ()

    @property
    def item(self) -> str:
        """The cluster."""
        return self.question.cluster

    @property
    def family(self) -> str:
        """Its rubric, or the floor."""
        return FLOOR if self.floor else self.rubric

    def calls(self, place: int, pins: JudgePins) -> list[JudgeCall]:
        """What a judge is asked about it.

        Args:
            place: Of the anchor in its set; keeps two answers to one question apart.
            pins: The judge.
        """
        part = Part(TextForm(), self.metrics, rubric=self.rubric)
        asked = Asked(place, self.question, part, place, Variant())
        return list(judge_calls(asked, Response("ok", text=self.answer), self.key, pins))


class AnchorSet(msgspec.Struct, frozen=True):
    """Anchors with the hash that every reading of them bears.

    Attributes:
        hash: SHA-256 (hex) of the anchors as they stand in the file.
        anchors: In order.
    """

    hash: str
    anchors: tuple[Anchor, ...]


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First line of an anchor file."""

    format: int
    hash: str
    run: str
    seed: int


def run_anchors(
    items: Path,
    catalog_folder: Path | None,
    answered: Iterable[tuple[Asked, Response]],
    chosen: Mapping[int, tuple[float, ...]],
) -> Iterator[Anchor]:
    """The chosen answers of a run as anchors.

    Args:
        items: Item source of the run.
        catalog_folder: Folder of own dataset definitions.
        answered: Calls with their responses, in the order of the plan.
        chosen: Place in the plan -> what people gave the answer.
    """
    keys = KeysAlong(items, catalog_folder)
    for asked, response in answered:
        if asked.seq not in chosen:
            continue
        question = asked.question
        yield Anchor(
            question=Question(
                question.id,
                question.dataset,
                asked.form.prompt or question.text,
                part=question.part,
                language=question.language,
                family=question.family,
            ),
            answer=answer_of(response),
            metrics=asked.part.judged_metrics,
            rubric=asked.part.rubric or GENERAL,
            key=keys.of(question.uid),
            people=chosen[asked.seq],
        )


def floor_anchors() -> Iterator[Anchor]:
    """Answers that hold none: each such text of the attack corpus, put to one of its items in turn.

    What no judge is asked about, since nothing can be seen of it, is left out.
    """
    corpus = load_corpus()
    items = {language: cycle([each for each in corpus.items if each.language == language]) for language in ("zh", "en")}
    for attack in corpus.attacks:
        if attack.kind not in FLOOR_KINDS or not attack.alone:
            continue
        for language in ("zh", "en"):
            if attack.language not in ("any", language):
                continue
            item = next(items[language])
            answer = answer_of(Response("ok", text=attack.on(item)))
            if answer:
                question = Question(item.id, DATASET, item.question, language=item.language)
                yield Anchor(question, answer, PART.metrics, GENERAL, item.key, floor=True)


def write_anchors(path: Path, anchors: Iterable[Anchor], *, run: str, seed: int) -> AnchorSet:
    """Freeze anchors in a file.

    Args:
        path: The file.
        anchors: In order.
        run: Hash of the run's configuration.
        seed: Of the draw.

    Raises:
        WorkError: The file can't be written.
    """
    them = tuple(anchors)
    body = b"".join(msgspec.json.encode(each, order="deterministic") + b"\n" for each in them)
    digest = hashlib.sha256(body).hexdigest()
    write_atomically(path, msgspec.json.encode(_Head(FORMAT, digest, run, seed)) + b"\n" + body)
    return AnchorSet(digest, them)


def read_anchors(path: Path) -> AnchorSet:
    """Read an anchor file.

    Raises:
        InputError: It is none, or was changed since it was frozen.
    """

    def wrong(message: str) -> InputError:
        return InputError(Problem(message=message, file=str(path)))

    try:
        first, _, body = path.read_bytes().partition(b"\n")
        head = msgspec.json.decode(first, type=_Head)
        if head.format != FORMAT:
            raise wrong(say("drift.anchors_format", format=head.format, known=FORMAT))
        if hashlib.sha256(body).hexdigest() != head.hash:
            raise wrong(say("drift.anchors_changed"))
        return AnchorSet(head.hash, tuple(msgspec.json.Decoder(Anchor).decode_lines(body)))
    except OSError as error:
        raise wrong(say("drift.anchors_unreadable", reason=error.strerror or error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise wrong(say("drift.anchors_unreadable", reason=error)) from error
