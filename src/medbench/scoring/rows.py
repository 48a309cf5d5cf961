"""Scoring one response: what it says, held against the key, with a status and never a silent zero."""

from __future__ import annotations

import msgspec

from medbench.catalog.model import BoxesForm, ChoiceForm
from medbench.items.model import Key
from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.extract import extract
from medbench.scoring.metrics import mark
from medbench.scoring.model import Extraction, Marking, ScoreStatus

NOTHING = Extraction(value=None)
NO_MARKING = Marking(value=None)


class ScoreRow(msgspec.Struct, frozen=True, gc=False):
    """The score of one response.

    Attributes:
        asked: The call.
        status: `scored` or `unparsed` where it counts.
        value: In [0, 1]; None where it does not count or the item alone has none.
        reason: Why it is not simply scored: extraction's reason or the error code of the response.
        extraction: What the answer says.
        marking: Counts for micro-averaged metrics.
    """

    asked: Asked
    status: ScoreStatus
    value: float | None
    reason: str
    extraction: Extraction
    marking: Marking

    @property
    def extracted(self) -> str:
        """What the answer says, as text for a table."""
        value = self.extraction.value
        if value is None:
            return ""
        if isinstance(value, frozenset):
            if isinstance(self.asked.part.answer, ChoiceForm):
                return "".join(chr(ord("A") + int(position)) for position in sorted(value, key=int))
            return "、".join(sorted(map(str, value)))
        return msgspec.json.encode(value).decode() if isinstance(value, dict) else value[:200]


def score_response(asked: Asked, response: Response, key: Key | None) -> ScoreRow:
    """Score one response against its key.

    A response that failed on the endpoint's side, was blocked or does not parse counts as wrong, so errors on hard
    items never pay; what failed on ours (missing media) is excluded and lowers the coverage.
    """
    part = asked.part
    if response.status == "media_missing":
        return ScoreRow(asked, "excluded", None, response.error_code, NOTHING, NO_MARKING)
    if isinstance(part.answer, BoxesForm):
        return ScoreRow(asked, "excluded", None, "boxes_not_scored_yet", NOTHING, NO_MARKING)
    if not part.closed_metrics:
        return ScoreRow(asked, "awaiting_judge", None, response.error_code, NOTHING, NO_MARKING)
    extraction = _read(asked, response)
    if key is None or key.answer is None:
        return ScoreRow(asked, "no_key", None, extraction.reason, extraction, NO_MARKING)
    marking = mark(part.closed_metrics[0], part.answer, extraction, _answer(asked, key), asked.displayed_options)
    if extraction.value is None:
        # Where the key holds no label, nothing could be missed: the unreadable answer itself is the false one.
        marking = msgspec.structs.replace(marking, value=0.0, false_positives=int(not marking.false_negatives))
        return ScoreRow(asked, "unparsed", 0.0, extraction.reason, extraction, marking)
    return ScoreRow(asked, "scored", marking.value, "", extraction, marking)


def _read(asked: Asked, response: Response) -> Extraction:
    if response.status in {"failed", "blocked"}:
        return Extraction(
            value=None, reason=response.error_code or response.status, refusal=response.status == "blocked"
        )
    extraction = extract(asked.part.answer, response.text, asked.displayed_options, asked.question.fields)
    if extraction.value is None and response.status == "truncated":
        return msgspec.structs.replace(extraction, reason="truncated")
    return extraction


def _answer(asked: Asked, key: Key) -> frozenset[int] | list[str] | dict[str, str]:
    """The key in the order displayed: letters become positions of this variant."""
    answer = key.answer
    if isinstance(asked.part.answer, ChoiceForm):
        letters = answer if isinstance(answer, list) else [str(answer)]
        indexes = {ord(letter) - ord("A") for letter in letters}
        order = asked.form.order or tuple(range(len(asked.question.options)))
        return frozenset(position for position, index in enumerate(order) if index in indexes)
    if isinstance(answer, dict):
        return answer
    return answer if isinstance(answer, list) else [str(answer)]
