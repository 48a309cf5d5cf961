"""Scores: a value in [0, 1] or none, with a status and its evidence."""

from __future__ import annotations

from typing import Literal

import msgspec

ScoreStatus = Literal["scored", "unparsed", "no_key", "awaiting_judge", "judge_failed", "excluded"]


class Box(msgspec.Struct, frozen=True, gc=False):
    """A box in a picture.

    Attributes:
        label: Its class.
        edges: x1, y1, x2, y2 with x1 < x2 and y1 < y2, in thousandths of the picture's width and height from top left.
    """

    label: str
    edges: tuple[float, float, float, float]


class BoxFault(msgspec.Struct, frozen=True, gc=False):
    """What is wrong with a box of an answer.

    Attributes:
        place: Which one, from 1.
        code: `box_shape` (no class or no four edges), `box_type` (an edge is no number), `box_range` (outside 0..1000),
            `box_order` (x2 <= x1 or y2 <= y1), `box_of_none` (no lesion, with a box); or `unknown_label`, which can be
            used and matches nothing.
    """

    place: int
    code: str


class BoxEvidence(msgspec.Struct, frozen=True, gc=False):
    """Boxes of an answer beside the true ones.

    Attributes:
        true: Of the key.
        given: Of the answer, without those at fault.
        pairs: (index in `given`, index in `true`, IoU).
        faults: Of the answer.
    """

    true: tuple[Box, ...]
    given: tuple[Box, ...]
    pairs: tuple[tuple[int, int, float], ...]
    faults: tuple[BoxFault, ...]


class Extraction(msgspec.Struct, frozen=True, gc=False):
    """What an answer says, read by the grammar of its form.

    Attributes:
        value: Choice: positions (0-based, as displayed in the variant asked). Label: labels. Fields: key -> value as
            text. Boxes: those that can be used. Text: the answer without reasoning. None: missing or ambiguous.
        reason: Why there is no value, as a short code: `empty`, `no_verdict`, `ambiguous`, `out_of_range`, `not_json`,
            `unknown_label`, `duplicate_key`, `too_long`, or that of a `BoxFault`.
        refusal: The answer declines. A label: each dataset's scorer decides what it means.
        faults: Boxes that are wrong in themselves.
    """

    value: frozenset[int] | frozenset[str] | dict[str, str] | tuple[Box, ...] | str | None
    reason: str = ""
    refusal: bool = False
    faults: tuple[BoxFault, ...] = ()


class Marking(msgspec.Struct, frozen=True, gc=False):
    """One extraction held against one key.

    Attributes:
        value: In [0, 1]; None where the item alone has none.
        true_positives: For micro-averaged metrics: counts that are summed over items (characters or labels). For boxes
            those at IoU .50.
        false_positives: As above.
        false_negatives: As above.
        details: Secondary figures by name, each in [0, 1]; never part of a score.
        evidence: What the value was made of, keys included.
    """

    value: float | None
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    details: tuple[tuple[str, float], ...] = ()
    evidence: BoxEvidence | None = None
