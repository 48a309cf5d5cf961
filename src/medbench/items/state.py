"""Keys of items that are graded on the state of their environment."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Scalar = int | float | str | None
Row = tuple[Scalar, ...]


class ExpectedEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that the system has to leave in the environment.

    Attributes:
        kind: Of the entry, for example `Observation`.
        content: Place in the entry -> what stands there. A place is names and indexes with dots between them, such as
            `dosageInstruction.0.route.text`. What stands there is a scalar; or `{"one_of": [scalars]}`; or
            `{"contains": text}`.
    """

    kind: str
    content: dict[str, int | float | str | bool | dict[str, str | list[str | int | float]] | None] = {}


class StateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The state that is right. All that it names must hold.

    Attributes:
        entries: What must have been entered, each by an entry of its own.
        others: Whether anything else may have been entered.
        answer: The final answer, part by part; a part that is a list allows any of its elements. None: not graded.
        compare: `value`: parts are equal as numbers or texts; `phrase`: a text may stand in a short answer that names
            nothing beside it.
        tolerance: Largest difference of two numbers.
        tables: Rows that the final statement gives on each database of the item. None: not graded.
        ordered: The order of the rows counts.
        abstain: The question can't be answered, and saying so is the one right answer.
    """

    entries: tuple[ExpectedEntry, ...] = ()
    others: Literal["forbidden", "allowed"] = "forbidden"
    answer: tuple[Scalar | list[Scalar], ...] | None = None
    compare: Literal["value", "phrase"] = "value"
    tolerance: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    tables: tuple[tuple[Row, ...], ...] | None = None
    ordered: bool = False
    abstain: bool = False


decode_state_key = msgspec.json.Decoder(StateKey).decode
