"""An environment: a small world that an agent changes by tools and that is graded by the state it is left in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from medbench.items.model import Question
from medbench.models.images import MediaMissing
from medbench.models.model import Context
from medbench.models.tools import Tool

ENVIRONMENT = "environment"
"""A question names its environment under this name in its `meta`."""


class Environment(Protocol):
    """The world of one question in one variant, made anew for each."""

    @property
    def tools(self) -> Sequence[Tool]:
        """What can be done in it."""

    @property
    def over(self) -> bool:
        """The agent has done what ends the task, so that it need not be asked again."""

    def snapshot(self) -> bytes:
        """Its state as canonical JSON, for `medbench.scoring` to grade; the same acts give the same bytes.

        What the metric `environment_state` can grade is a `State`.
        """

    async def close(self) -> None:
        """Give back what it holds."""


class MakesEnvironment(Protocol):
    """What stands under a name in the entry-point group `medbench.environments`."""

    def __call__(self, question: Question, context: Context) -> Environment:
        """Make the world of a question; its data are the question's `meta` and files (`data_of`).

        Raises:
            InputError: The question's data can't be used.
            MediaMissing: A file of the question is missing.
        """


class Entry(msgspec.Struct, frozen=True):
    """Something that the agent entered or did.

    Attributes:
        kind: What it is, for example `MedicationRequest`.
        content: JSON.
    """

    kind: str
    content: dict[str, object]


class Table(msgspec.Struct, frozen=True):
    """What the agent's final statement gave on one database.

    Attributes:
        rows: Its rows.
        more: There are more than were kept.
        error: Why there are none; empty: there is no error.
    """

    rows: tuple[tuple[int | float | str | None, ...], ...] = ()
    more: bool = False
    error: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is left in, as far as it is graded.

    Attributes:
        environment: Its name.
        entries: What was entered or done, in order; what stood there before is not in it.
        answer: The final answer, part by part; None: none was given.
        abstained: The agent said that the question can't be answered.
        tables: What its final statement gave on each database of the item.
    """

    environment: str
    entries: tuple[Entry, ...] = ()
    answer: tuple[int | float | str | None, ...] | None = None
    abstained: bool = False
    tables: tuple[Table, ...] = ()

    def snapshot(self) -> bytes:
        """Canonical JSON."""
        return _encode(self)


_encode = msgspec.json.Encoder(order="sorted").encode
decode_state = msgspec.json.Decoder(State).decode


def data_of(question: Question, context: Context) -> list[bytes]:
    """The data files of a question, in order.

    Raises:
        MediaMissing: One of them is missing.
    """
    files = []
    for medium in question.media:
        if medium.is_data:
            path = context.file(medium)
            if path is None:
                raise MediaMissing(f"media_{medium.missing or 'absent'}", medium.path)
            files.append(path.read_bytes())
    return files
