"""Two runs side by side: a judge says which of two answers is better, asked both ways; resumed one call at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger, Result
from medbench.engine.local import Stopped
from medbench.engine.meter import Meter
from medbench.engine.progress import Watch
from medbench.errors import InputError, Problem, WorkError
from medbench.items.model import Question
from medbench.models.model import CallError, Response
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.judges import Judge, JudgeContext
from medbench.runs.judging import ask_judge
from medbench.runs.plan import asked
from medbench.runs.results import responses
from medbench.scoring.asked import Asked
from medbench.scoring.judging.contract import Side
from medbench.scoring.judging.pairs import Pairing, PairOutcome, PairPlanner, ask_pair
from medbench.scoring.judging.rubric import load_rubric
from medbench.store.files import exclusive, write_json
from medbench.text import say

PAIRS_FILE = "pairs.json"
KIND = "pair"


class PairCall(msgspec.Struct, frozen=True, gc=False):
    """One comparison in one order.

    Attributes:
        seq: Twice the place in the plan, and one more where the second answer is shown first.
        pairing: The two answers.
        swapped: The second answer is shown first.
    """

    seq: int
    pairing: Pairing
    swapped: bool

    @property
    def item(self) -> str:
        """The item that it is about."""
        return self.pairing.asked.item

    def hash(self, judge: Judge) -> bytes:
        """What the verdict depends on, and which epoch it is of: answers may be the same in all of them."""
        digest = hashlib.blake2b(judge.pins.id.encode(), digest_size=16)
        rubric = load_rubric(self.pairing.asked.part.rubric).version()
        for text in (self.pairing.asked.question.uid, rubric, self.pairing.first, self.pairing.second):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(msgspec.json.encode((self.pairing.asked.variant, self.swapped, self.pairing.key)))
        return digest.digest()


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which answer a judge preferred in one order; None where it failed."""

    better: Side | None
    reason: str = ""


class _Handler:
    """Asks the judge for one comparison."""

    kind = KIND

    def __init__(self, judge: Judge, meter: Meter) -> None:
        self._judge = judge
        self._meter = meter

    async def perform(self, call: PairCall) -> Result:
        async def ask(text: str, attempt: int) -> Response:
            question = Question("judge", "judge", text, language=call.pairing.asked.question.language)
            return await self._judge.model.answer(question, JudgeContext(text, attempt, self._meter))

        error: CallError | None = None
        try:
            better, reason = await ask_pair(call.pairing, call.swapped, ask)
        except CallError as failed:
            better, reason, error = None, failed.code, failed
        return Result(
            seq=call.seq,
            key=call.hash(self._judge),
            status="failed" if error else "judged" if better else "judge_failed",
            body=msgspec.json.encode(Verdict(better, reason)),
            error_class=error.error_class if error else None,
            error_code=error.code if error else reason,
            detail=error.detail if error else "",
        )


def judge_pairs(run_a: Path, run_b: Path, judge: Judge, out: Path, *, watch: Watch | None = None) -> PairOutcome:
    """Let a judge compare the open answers of two runs over the same items.

    Args:
        run_a: A run.
        run_b: Another run over the same items.
        judge: Who compares.
        out: Folder of the comparison; the same command goes on with one that was interrupted.
        watch: Sees the progress.

    Raises:
        InputError: The runs were not asked the same, or one is under hidden disclosure.
        WorkError: The disk failed, or the judge can't be asked any further; what came back is kept.
    """
    first, second = read_pins(run_a), read_pins(run_b)
    problems = [
        Problem(message=say("compare.hidden", path=path))
        for path, pins in ((run_a, first), (run_b, second))
        if pins.disclosure == "hidden"
    ]
    if (first.items_fingerprint, first.selection) != (second.items_fingerprint, second.selection):
        problems.append(Problem(message=say("runs.pairs_other_items"), file=str(run_b)))
    if problems:
        raise InputError(*problems)
    source = open_pinned(first)
    out.mkdir(parents=True, exist_ok=True)
    with (
        exclusive(out),
        closing(Ledger(run_a / LEDGER_FILE, read_only=True)) as ours,
        closing(Ledger(run_b / LEDGER_FILE, read_only=True)) as theirs,
        closing(Ledger(out / LEDGER_FILE)) as ledger,
    ):
        planner = PairPlanner(Path(first.items), first.own_catalog)
        pairings = list(planner.pairings(_both(asked(source, first.selection), ours, theirs)))
        if not pairings:
            raise InputError(say("runs.pairs_nothing_open"))
        calls = [
            PairCall(2 * pairing.asked.seq + swapped, pairing, swapped)
            for pairing in pairings
            for swapped in (False, True)
        ]
        done = ledger.settled(KIND, 0, calls[-1].seq)
        missing = [call for call in calls if done.get(call.seq) != call.hash(judge)]
        if missing:
            try:
                asyncio.run(ask_judge(judge, missing, lambda meter: _Handler(judge, meter), ledger, watch))
            except Stopped as error:
                raise WorkError(error.of_judge(judge.model.identity.name)) from error
        verdicts = {seq: msgspec.json.decode(body, type=Verdict).better for seq, body in ledger.bodies(KIND)}
    outcome = PairOutcome.of(
        [
            (pairing, verdicts.get(2 * pairing.asked.seq), verdicts.get(2 * pairing.asked.seq + 1))
            for pairing in pairings
        ],
        judge.pins,
    )
    write_json(out / PAIRS_FILE, outcome)
    return outcome


def _both(plan: Iterator[Asked], ours: Ledger, theirs: Ledger) -> Iterator[tuple[Asked, Response, Response]]:
    """Calls that both runs have a response to."""
    first, second = responses(ours), responses(theirs)
    a, b = next(first, None), next(second, None)
    for call in plan:
        while a is not None and a[0] < call.seq:
            a = next(first, None)
        while b is not None and b[0] < call.seq:
            b = next(second, None)
        if a is None or b is None:
            return
        if a[0] == b[0] == call.seq:
            yield call, a[1], b[1]
