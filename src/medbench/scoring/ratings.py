"""Ratings of answers by people and by judges: the JSONL of DESIGN.md, read with all of its problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from medbench.errors import InputError, Problem
from medbench.text import say

MOST_SHOWN = 20


class Rating(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rating of one answer by one criterion.

    Attributes:
        item: The item; its answers share a cluster.
        response: Which answer to it.
        rater: Who rated; within a kind, a name is one rater.
        kind: `human` or `judge`.
        criterion: What was rated.
        score: On the scale.
        scale: Lowest and highest score.
        text: The answer.
        model: Who wrote it.
    """

    item: str
    response: str
    rater: str
    kind: Literal["human", "judge"]
    criterion: str
    score: float
    scale: tuple[float, float]
    text: str = ""
    model: str = ""

    @property
    def unit(self) -> tuple[str, str]:
        """The answer."""
        return self.item, self.response

    @property
    def share(self) -> float:
        """The score on the scale from 0 to 1."""
        low, high = self.scale
        return (self.score - low) / (high - low)


def read_ratings(path: Path) -> list[Rating]:
    """Read a ratings file.

    Raises:
        InputError: It can't be read, or rows are wrong: not JSON, missing fields, a score off its scale, one criterion
            on two scales, an answer rated twice by the same rater.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            Problem(message=say("scoring.ratings_unreadable", reason=error.strerror or error), file=str(path))
        ) from error
    decode = msgspec.json.Decoder(Rating).decode
    ratings: list[Rating] = []
    problems: list[Problem] = []

    def complain(line: int, name: str, **values: Any) -> None:  # noqa: ANN401 - fills a message
        problems.append(Problem(message=say(f"scoring.{name}", **values), file=str(path), line=line))

    scales: dict[str, tuple[float, float]] = {}
    seen: set[tuple[str, str, str, str, str]] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rating = decode(line)
        except msgspec.DecodeError as error:
            complain(number, "rating_wrong", reason=error)
            continue
        low, high = rating.scale
        known = scales.setdefault(rating.criterion, rating.scale)
        who = (*rating.unit, rating.criterion, rating.kind, rating.rater)
        if not low < high or not low <= rating.score <= high:
            complain(number, "rating_off_scale", score=rating.score, low=low, high=high)
        elif known != rating.scale:
            complain(number, "rating_other_scale", criterion=rating.criterion, first=known, then=rating.scale)
        elif who in seen:
            complain(number, "rating_twice", rater=rating.rater, item=rating.item, response=rating.response)
        else:
            seen.add(who)
            ratings.append(rating)
    if not ratings and not problems:
        problems.append(Problem(message=say("scoring.ratings_empty"), file=str(path)))
    if len(problems) > MOST_SHOWN:
        more = Problem(message=say("scoring.ratings_more", count=len(problems) - MOST_SHOWN), file=str(path))
        problems = [*problems[:MOST_SHOWN], more]
    if problems:
        raise InputError(*problems)
    return ratings


def read_all(paths: Sequence[Path]) -> list[Rating]:
    """Read several files as one; a rating that stands in two of them counts once.

    Raises:
        InputError: As `read_ratings`, of all files; or two files differ on the same rating.
    """
    problems: list[Problem] = []
    together: dict[tuple[str, ...], Rating] = {}
    for path in paths:
        try:
            ratings = read_ratings(path)
        except InputError as error:
            problems += error.problems
            continue
        for rating in ratings:
            who = (*rating.unit, rating.criterion, rating.kind, rating.rater)
            if together.setdefault(who, rating) != rating:
                message = say("scoring.rating_differs", rater=rating.rater, item=rating.item, response=rating.response)
                problems.append(Problem(message=message, file=str(path)))
    if problems:
        raise InputError(*problems[: MOST_SHOWN + 1])
    return list(together.values())


def write_ratings(path: Path, ratings: Iterable[Rating]) -> None:
    """Write a ratings file."""
    from medbench.store.files import write_atomically

    write_atomically(path, b"".join(msgspec.json.encode(rating) + b"\n" for rating in ratings))
