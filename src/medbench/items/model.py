"""An item is a Question (all that may be asked or shown) and, apart from it, a Key (the answer)."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

ItemLanguage = Literal["zh", "en"]
Probe = Literal["perception", "reasoning"]
DATA = (".json", ".jsonl")
"""How the names of data of an environment end."""


class Basis(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The clause of a clinical guideline (or law, or label) that an item rests on."""

    guideline: str
    issuer: str = ""
    version: str = ""
    date: str = ""
    clause: str = ""


class Media(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A picture or document that belongs to a question.

    Attributes:
        path: As the item names it.
        sha256: Content address in the media store; empty when the file is missing or unreadable.
        missing: Why it is missing; empty when it is there.
        size: Bytes.
    """

    path: str
    sha256: str = ""
    missing: str = ""
    size: int = 0

    @property
    def is_data(self) -> bool:
        """Whether it is the data of an environment, which an agent sees through tools alone."""
        return self.path.lower().endswith(DATA)


class Variant(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One way of asking an item.

    Attributes:
        order: Position in this variant -> index of that option in the item's options; empty: as they stand.
        prompt: The whole text to ask, verbatim; empty: rendered from the question.
        row: Row of the official file this variant came from, from 1; 0 for others.
    """

    order: tuple[int, ...] = ()
    prompt: str = ""
    row: int = 0


class Turn(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Question(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """All of an item that may be asked or shown. Immutable; its public hash covers exactly this.

    Attributes:
        id: Unique within (dataset, part).
        dataset: Name in the catalogue.
        text: The question, without its options where `options` has them.
        part: Part of the dataset; mostly empty.
        options: Option texts without their letters, in the item's own order; or the closed list of labels.
        language: Language of the question.
        specialty: Code or name in the specialty catalogue.
        basis: Guideline clauses that the item rests on.
        media: Pictures and documents, in order.
        source: Where the item comes from, verbatim.
        family: Items of one family share a cluster in every interval; empty: see `cluster`.
        probe: What is seen on the pictures, or what follows from it; None: no probe.
        variants: Ways of asking that came with the item (the official release's shuffled rows); empty: made by the run.
        fields: Required keys of a JSON answer.
        turns: What was said before `text`, which is the user's last message: roles `system`, `user` and `assistant`.
        meta: Anything else that may be shown.
    """

    id: str
    dataset: str
    text: str
    part: str = ""
    options: tuple[str, ...] = ()
    language: ItemLanguage = "zh"
    specialty: str = ""
    basis: tuple[Basis, ...] = ()
    media: tuple[Media, ...] = ()
    source: str = ""
    family: str = ""
    probe: Probe | None = None
    variants: tuple[Variant, ...] = ()
    fields: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    meta: dict[str, object] = {}

    @property
    def uid(self) -> str:
        """`dataset/id`, or `dataset/part/id`: unique in a bank."""
        return f"{self.dataset}/{self.part}/{self.id}" if self.part else f"{self.dataset}/{self.id}"

    @property
    def cluster(self) -> str:
        """What its outcome may share with those of others: the family; else the pictures, as a hash; else nothing.

        Data of environments are left out: a whole dataset may work in the same hospital.
        """
        if self.family:
            return self.family
        if shown := [medium for medium in self.media if not medium.is_data]:
            names = "\0".join(medium.sha256 or medium.path for medium in shown)
            return f"media:{hashlib.sha256(names.encode()).hexdigest()[:32]}"
        return self.uid

    @property
    def tags(self) -> tuple[str, ...]:
        """What scores by criteria are broken down by: the texts in the list `tags` of `meta`."""
        tags = self.meta.get("tags")
        return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else ()

    def public_hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the question."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class KeyPoint(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A point that an open answer must, should or must not make."""

    text: str
    weight: float = 1.0
    kind: Literal["must", "should", "must_not"] = "must"


class RubricCriterion(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A criterion of an item's own rubric that an answer meets or does not meet.

    Attributes:
        text: What the criterion says.
        points: What meeting it earns, or costs where below 0; never 0.
        tags: What the item's score is broken down by, such as `axis:accuracy`.
    """

    text: str
    points: float
    tags: tuple[str, ...] = ()


class Key(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a right answer is. Only `medbench.scoring` opens the file that holds these.

    Attributes:
        uid: Of the question.
        answer: Choice: list of letters in the item's own order of options. Label: list of labels. Fields: object.
            Mask: path of the file. Text: reference answer. None: the item has no key (the official release publishes
            none).
        key_points: For open answers.
        rubric: For open answers.
        criteria: For open answers: a rubric with points.
        media: Where the answer is a file: that file.
    """

    uid: str
    answer: list[str] | dict[str, str] | str | None = None
    key_points: tuple[KeyPoint, ...] = ()
    rubric: str = ""
    criteria: tuple[RubricCriterion, ...] = ()
    media: tuple[Media, ...] = ()

    def salted_hash(self, salt: bytes) -> str:
        """Keyed SHA-256 (hex); the salt keeps a letter from being guessed in five tries."""
        return hashlib.blake2b(msgspec.json.encode(self, order="deterministic"), key=salt, digest_size=32).hexdigest()
