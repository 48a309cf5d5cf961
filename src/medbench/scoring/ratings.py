"""Ratings of answers by people and by judges: the JSONL of DESIGN.md, read with all of its problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from medbench.errors import InputError, Problem
from medbench.text import say

MOST_SHOWN = 20
PREFERENCES = (-1.0, 0.0, 1.0)
"""Scores of a pair."""
Answered = str | tuple[str, str]
"""What is rated: an answer, or two of them."""


class Rating(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rating of one answer, or of a pair of answers, by one criterion.

    Attributes:
        item: The item; its answers share a cluster.
        response: Which answer to it; of a pair both, in alphabetical order, however they were given.
        rater: Who rated; within a kind, a name is one rater.
        kind: `human` or `judge`.
        criterion: What was rated.
        score: On the scale; of a pair 1 where the first is better, −1 where the second is, 0 where neither is.
        scale: Lowest and highest score.
        text: The answer.
        model: Who wrote it.
        order: Of a pair, the answer that stood first; empty where that is not known.
        dataset: Of the item.
        language: Of the item.
    """

    item: str
    response: Answered
    rater: str
    kind: Literal["human", "judge"]
    criterion: str
    score: float
    scale: tuple[float, float]
    text: str = ""
    model: str = ""
    order: str = ""
    dataset: str = ""
    language: str = ""

    def __post_init__(self) -> None:
        """Put a pair into alphabetical order, so that whoever rates it rates the same."""
        if isinstance(self.response, tuple) and self.response[0] > self.response[1]:
            msgspec.structs.force_setattr(self, "response", self.response[::-1])
            msgspec.structs.force_setattr(self, "score", 0.0 - self.score)

    @property
    def is_pair(self) -> bool:
        """Whether two answers are compared."""
        return isinstance(self.response, tuple)

    @property
    def unit(self) -> tuple[str, Answered]:
        """The answer, or the pair."""
        return self.item, self.response

    @property
    def share(self) -> float:
        """The score on the scale from 0 to 1."""
        low, high = self.scale
        return (self.score - low) / (high - low)


class Placed(NamedTuple):
    """A rating and where it stands."""

    rating: Rating
    file: str
    line: int


def read_ratings(path: Path) -> list[Rating]:
    """Read a ratings file.

    Raises:
        InputError: It can't be read, or rows are wrong: not JSON, missing fields, a score off its scale, one criterion
            on two scales or of answers and of pairs, an answer (a pair in one order) rated twice by the same rater.
    """
    return read_all([path])


def read_all(paths: Sequence[Path]) -> list[Rating]:
    """Read several files as one; a rating that stands in two of them counts once.

    Raises:
        InputError: As `read_ratings`, of all files; or two files differ on the same rating.
    """
    found, problems = gather(paths)
    if problems:
        raise InputError(*few(problems))
    return [each.rating for each in found]


def few(problems: Sequence[Problem]) -> list[Problem]:
    """The first problems, and how many more there are."""
    more = len(problems) - MOST_SHOWN
    return [*problems[:MOST_SHOWN], *([Problem(message=say("scoring.ratings_more", count=more))] if more > 0 else [])]


def gather(paths: Sequence[Path]) -> tuple[list[Placed], list[Problem]]:
    """As `read_all`, with what can be read and all that is wrong."""
    problems: list[Problem] = []
    together: dict[_Who, Placed] = {}
    scales: dict[str, Rating] = {}
    for path in paths:
        found, wrong = _read(path, scales)
        problems += wrong
        for placed in found:
            rating = placed.rating
            who = _who(rating)
            if together.setdefault(who, placed).rating != rating:
                message = say("scoring.rating_differs", rater=rating.rater, item=rating.item, response=rating.response)
                problems.append(Problem(message=message, file=placed.file, line=placed.line))
    return list(together.values()), problems


_Who = tuple[str, Answered, str, str, str, str]


def _who(rating: Rating) -> _Who:
    """Who rated what: this counts once."""
    return (*rating.unit, rating.criterion, rating.kind, rating.rater, rating.order)


def _read(path: Path, scales: dict[str, Rating]) -> tuple[list[Placed], list[Problem]]:
    """The ratings of one file that can be used, and all that is wrong with the others.

    Args:
        path: The file.
        scales: The first rating of each criterion, of all files; those of this one are added.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        message = say("scoring.ratings_unreadable", reason=error.strerror or error)
        return [], [Problem(message=message, file=str(path))]
    decode = msgspec.json.Decoder(Rating).decode
    ratings: list[Placed] = []
    problems: list[Problem] = []

    def complain(line: int, name: str, **values: Any) -> None:  # noqa: ANN401 - fills a message
        problems.append(Problem(message=say(f"scoring.{name}", **values), file=str(path), line=line))

    seen: set[_Who] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rating = decode(line)
        except msgspec.DecodeError as error:
            complain(number, "rating_wrong", reason=error)
            continue
        if not _is_sound(rating):
            complain(number, "rating_pair" if rating.is_pair else "rating_order")
            continue
        low, high = rating.scale
        known = scales.setdefault(rating.criterion, rating)
        who = _who(rating)
        if not low < high or not low <= rating.score <= high:
            complain(number, "rating_off_scale", score=rating.score, low=low, high=high)
        elif known.is_pair != rating.is_pair:
            complain(number, "rating_mixed", criterion=rating.criterion)
        elif known.scale != rating.scale:
            complain(number, "rating_other_scale", criterion=rating.criterion, first=known.scale, then=rating.scale)
        elif who in seen:
            complain(number, "rating_twice", rater=rating.rater, item=rating.item, response=rating.response)
        else:
            seen.add(who)
            ratings.append(Placed(rating, str(path), number))
    if not ratings and not problems:
        problems.append(Problem(message=say("scoring.ratings_empty"), file=str(path)))
    return ratings, problems


def _is_sound(rating: Rating) -> bool:
    """Whether score, scale and order fit what is rated."""
    if not isinstance(rating.response, tuple):
        return not rating.order
    return (
        rating.response[0] != rating.response[1]
        and rating.scale == (PREFERENCES[0], PREFERENCES[-1])
        and rating.score in PREFERENCES
        and rating.order in ("", *rating.response)
    )


def write_ratings(path: Path, ratings: Iterable[Rating]) -> None:
    """Write a ratings file."""
    from medbench.store.files import write_atomically

    write_atomically(path, b"".join(msgspec.json.encode(rating) + b"\n" for rating in ratings))
