"""Scores: a value in [0, 1] or none, with a status and its evidence."""

from __future__ import annotations

from typing import Literal

import msgspec

ScoreStatus = Literal["scored", "unparsed", "no_key", "awaiting_judge", "judge_failed", "excluded"]


class Extraction(msgspec.Struct, frozen=True, gc=False):
    """What an answer says, read by the grammar of its form.

    Attributes:
        value: Choice: positions (0-based, as displayed in the variant asked). Label: labels. Fields: key -> value as
            text. Boxes and text: the answer without reasoning. None: missing or ambiguous.
        reason: Why there is no value, as a short code: `empty`, `no_verdict`, `ambiguous`, `out_of_range`, `not_json`,
            `unknown_label`, `duplicate_key`, `too_long`.
        refusal: The answer declines. A label: each dataset's scorer decides what it means.
    """

    value: frozenset[int] | frozenset[str] | dict[str, str] | str | None
    reason: str = ""
    refusal: bool = False


class Marking(msgspec.Struct, frozen=True, gc=False):
    """One extraction held against one key.

    Attributes:
        value: In [0, 1]; None where the item alone has none.
        true_positives: For micro-averaged metrics: counts that are summed over items (characters or labels).
        false_positives: As above.
        false_negatives: As above.
    """

    value: float | None
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
