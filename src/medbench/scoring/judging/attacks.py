"""The attack corpus: answers made to move a judge, and the illustrative items that they are tried on."""

from __future__ import annotations

import hashlib
import random
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from medbench.catalog.model import Bilingual, Part, TextForm
from medbench.items.model import ItemLanguage, Key, KeyPoint, Question, Variant
from medbench.scoring.asked import Asked

FOLDER = "attacks"
ITEMS = "items"
MARKER = "«base»"
"""Stands in an attack's text for the poor answer, or for the question; replaced as plain text."""
DATASET = "judge-attacks"
PART = Part(TextForm(), ("llm_judge", "keypoint_macro_recall"))

Base = Literal["answer", "question"]
Role = Literal["good", "poor", "attacked"]


class BaseItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An illustrative question with what is known of its answers.

    Attributes:
        id: Unique in the corpus.
        language: Of all its texts.
        question: As it is asked.
        reference: A right answer.
        points: Key points.
        good: An answer that deserves a high level.
        poor: An answer that is wrong or empty of content; attacks are put on it.
    """

    id: str
    language: ItemLanguage
    question: str
    reference: str
    points: tuple[KeyPoint, ...]
    good: str
    poor: str

    @property
    def key(self) -> Key:
        """What a judge is told."""
        return Key(f"{DATASET}/{self.id}", self.reference, self.points)


class Attack(msgspec.Struct, frozen=True):
    """A way to make an attacking answer.

    Attributes:
        id: `kind/name-language`; unique.
        kind: Name of its file.
        language: Of the items that it is tried on; `any`: of both.
        text: With `MARKER` where the base goes; without one the attack is an answer by itself.
        base: What replaces the marker.
        times: How often what stands on each side of the marker is written.
        weave: Put between the characters of what stands beside the marker.
    """

    id: str
    kind: str
    language: Literal["zh", "en", "any"]
    text: str
    base: Base = "answer"
    times: int = 1
    weave: str = ""

    @property
    def alone(self) -> bool:
        """It holds no answer at all, not even the poor one, and so belongs at the floor of every scale."""
        return self.base == "question" or MARKER not in self.text

    def on(self, item: BaseItem) -> str:
        """The attacking answer to an item."""
        base = item.poor if self.base == "answer" else item.question
        return base.join(self.weave.join(beside) * self.times for beside in self.text.split(MARKER))


class Corpus(msgspec.Struct, frozen=True):
    """All attacks, sorted by kind, and the items.

    Attributes:
        items: Base items.
        attacks: In the order of kinds and files.
        titles: Kind -> title for people.
    """

    items: tuple[BaseItem, ...]
    attacks: tuple[Attack, ...]
    titles: dict[str, Bilingual]

    def version(self) -> str:
        """Hash of all its texts."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


class Subject(msgspec.Struct, frozen=True):
    """One answer to be judged.

    Attributes:
        asked: Its place, and the item as a run would have asked it.
        item: The base item.
        role: A clean answer, `good` or `poor`, or an attacked one.
        text: The answer.
        attack: None for clean answers.
    """

    asked: Asked
    item: BaseItem
    role: Role
    text: str
    attack: Attack | None = None


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An attack as a file has it: a text per language, or one for both."""

    id: str
    zh: str | None = None
    en: str | None = None
    any: str | None = None
    times: int = 1
    weave: str = ""


class _Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    title: Bilingual
    attack: tuple[_Entry, ...]
    base: Base = "answer"


class _Items(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    item: tuple[BaseItem, ...]


@cache
def load_corpus() -> Corpus:
    """The corpus that comes with the program.

    Raises:
        ValueError: A file is wrong; the message says where.
    """
    folder = files("medbench.scoring.judging").joinpath(FOLDER)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    attacks: list[Attack] = []
    titles: dict[str, Bilingual] = {}
    items: tuple[BaseItem, ...] = ()
    for name in names:
        raw = tomllib.loads(folder.joinpath(name).read_text("utf-8"))
        if name == f"{ITEMS}.toml":
            items = msgspec.convert(raw, _Items).item
            continue
        kind = msgspec.convert(raw, _Kind)
        if f"{kind.kind}.toml" != name:
            raise ValueError(f"attacks/{name}: its kind is {kind.kind}")
        titles[kind.kind] = kind.title
        for entry in kind.attack:
            texts: dict[Literal["zh", "en", "any"], str | None] = {"zh": entry.zh, "en": entry.en, "any": entry.any}
            for language, text in texts.items():
                if text is not None:
                    place = f"{kind.kind}/{entry.id}" + ("" if language == "any" else f"-{language}")
                    attacks.append(Attack(place, kind.kind, language, text, kind.base, entry.times, entry.weave))
    for ids in ([attack.id for attack in attacks], [item.id for item in items]):
        if len(set(ids)) != len(ids):
            raise ValueError(f"attacks: ids are not unique: {sorted({each for each in ids if ids.count(each) > 1})}")
    return Corpus(items, tuple(attacks), titles)


def subjects(corpus: Corpus, *, sample: int | None = None, seed: int = 0) -> Iterator[Subject]:
    """The answers to be judged: of each item both clean answers, then its attacked ones.

    The place of an answer does not depend on the sample, so that a larger one goes on from a smaller one.

    Args:
        corpus: Items and attacks.
        sample: Most attacked answers, spread over the kinds as evenly as they allow; None: all.
        seed: Of the draw.
    """
    drawn = set(_drawn(corpus, sample, seed))
    for place, item in enumerate(corpus.items):
        yield _subject(corpus, place, 0, "good", item.good)
        yield _subject(corpus, place, 1, "poor", item.poor)
        for index, attack in enumerate(corpus.attacks):
            if (place, index) in drawn:
                yield _subject(corpus, place, index + 2, "attacked", attack.on(item), attack)


def _drawn(corpus: Corpus, sample: int | None, seed: int) -> Sequence[tuple[int, int]]:
    """(item, attack) by their indices."""
    by_kind: dict[str, list[tuple[int, int]]] = {}
    for index, attack in enumerate(corpus.attacks):
        for place, item in enumerate(corpus.items):
            if attack.language in ("any", item.language):
                by_kind.setdefault(attack.kind, []).append((place, index))
    pairs: list[tuple[int, int]] = []
    for kind, those in by_kind.items():
        random.Random(f"{seed} {kind}").shuffle(those)  # noqa: S311 - a draw, not a secret
    while any(by_kind.values()):
        pairs += [those.pop() for those in by_kind.values() if those]
    return pairs[:sample]


def _subject(corpus: Corpus, place: int, variant: int, role: Role, text: str, attack: Attack | None = None) -> Subject:
    item = corpus.items[place]
    question = Question(item.id, DATASET, item.question, language=item.language)
    seq = place * (len(corpus.attacks) + 2) + variant
    return Subject(Asked(seq, question, PART, variant, Variant()), item, role, text, attack)
