"""Which of two answers is better: each pair asked in both orders, so that a liking for a place shows and cancels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from medbench.items.model import Key
from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.contract import Side, Unreadable
from medbench.scoring.judging.judge import ANSWERED, Ask
from medbench.scoring.judging.plan import JudgePins, answer_of
from medbench.scoring.judging.prompt import Case, pair_prompt, retry
from medbench.scoring.judging.rubric import load_rubric
from medbench.scoring.keys_along import KeysAlong
from medbench.stats import Estimate, clustered_mean

Winner = Literal["a", "b", "tie"]
_OTHER: dict[Side, Side] = {"first": "second", "second": "first", "tie": "tie"}


class Pairing(msgspec.Struct, frozen=True, gc=False):
    """Two answers to the same question.

    Attributes:
        asked: The call.
        first: Answer of run A.
        second: Answer of run B.
        key: Of the item.
    """

    asked: Asked
    first: str
    second: str
    key: Key | None


class PairPlanner:
    """Pairs the open answers of two runs; keys are read along, once."""

    def __init__(self, items: Path, catalog_folder: Path | None) -> None:
        self._keys = KeysAlong(items, catalog_folder)

    def pairings(self, both: Iterable[tuple[Asked, Response, Response]]) -> Iterator[Pairing]:
        """Pairs of open answers, in the order of the plan; an empty answer is one as well."""
        for asked, ours, theirs in both:
            key = self._keys.of(asked.question.uid)
            if asked.part.judged_metrics and "media_missing" not in (ours.status, theirs.status):
                yield Pairing(asked, answer_of(ours), answer_of(theirs), key)


async def ask_pair(pairing: Pairing, swapped: bool, ask: Ask) -> tuple[Side | None, str]:
    """Ask which answer is better, once more where the reply can't be read.

    Returns:
        The place of the better answer as shown, and an empty reason; or None and why the judge failed.

    Raises:
        CallError: The judge could not be asked.
    """
    question = pairing.asked.question
    case = Case(pairing.asked.shown_question, pairing.first, pairing.key, question.language)
    prompt, contract, fence, answers = pair_prompt(
        case, pairing.second, load_rubric(pairing.asked.part.rubric), swapped=swapped
    )
    text, code = prompt, ""
    for attempt in (0, 1):
        response = await ask(text, attempt)
        try:
            if response.status not in ANSWERED:
                raise Unreadable(response.error_code or response.status, "There was no reply.")
            return contract.read(fence.outside(response.text), answers), ""
        except Unreadable as error:
            text, code = retry(prompt, str(error), question.language), error.code
    return None, code


class PairOutcome(msgspec.Struct, frozen=True):
    """A judge's comparison of two runs.

    Attributes:
        judge: Who compared.
        pairs: Pairs of answers.
        judged: Pairs with a verdict in both orders.
        wins: Pairs in which A is better in both orders.
        losses: Pairs in which B is.
        ties: All other judged pairs.
        preference: Mean of 1 for a win, 1/2 for a tie, 0 for a loss of A, clustered by item family.
        consistency: Share of the judged pairs in which both orders give the same winner.
        first_place: Share of the verdicts that prefer what stood first, ties left out; 1/2 where place plays no part.
    """

    judge: JudgePins
    pairs: int
    judged: int
    wins: int
    losses: int
    ties: int
    preference: Estimate | None
    consistency: float | None
    first_place: float | None

    @staticmethod
    def of(verdicts: Sequence[tuple[Pairing, Side | None, Side | None]], judge: JudgePins) -> PairOutcome:
        """Put verdicts together.

        Args:
            verdicts: A pair, the better place with A first, the better place with B first.
            judge: Who gave them.
        """
        values, families, same, firsts, seconds = [], [], 0, 0, 0
        winners: list[Winner] = []
        for pairing, straight, swapped in verdicts:
            for verdict in (straight, swapped):
                firsts += verdict == "first"
                seconds += verdict == "second"
            if straight is None or swapped is None:
                continue
            back = _OTHER[swapped]
            same += straight == back
            winner: Winner = "tie" if straight != back or straight == "tie" else "a" if straight == "first" else "b"
            winners.append(winner)
            values.append({"a": 1.0, "tie": 0.5, "b": 0.0}[winner])
            families.append(pairing.asked.question.cluster)
        return PairOutcome(
            judge=judge,
            pairs=len(verdicts),
            judged=len(values),
            wins=winners.count("a"),
            losses=winners.count("b"),
            ties=winners.count("tie"),
            preference=clustered_mean(np.array(values), families) if values else None,
            consistency=same / len(values) if values else None,
            first_place=firsts / (firsts + seconds) if firsts + seconds else None,
        )
