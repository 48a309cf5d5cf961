"""A model proposes key points for items, resumed one item at a time; a person's sheet becomes items."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger, Result
from medbench.engine.local import Stopped
from medbench.engine.meter import Meter
from medbench.engine.progress import Watch
from medbench.errors import InputError, Problem, WorkError
from medbench.items.model import Question
from medbench.items.source import ItemSource, open_source
from medbench.models.model import CallError, Identity, Response, Usage
from medbench.runs.execute import LEDGER_FILE
from medbench.runs.judges import Judge, JudgeContext
from medbench.runs.judging import ask_judge
from medbench.scoring.proposal_sheet import Reviewed, apply_sheet, write_proposals
from medbench.scoring.proposals import VERSION, Candidate, Proposal, candidates, propose
from medbench.store.files import exclusive, made, write_json
from medbench.text import say

KIND = "propose"
SHEET_FILE = "keypoints.xlsx"
RESULT_FILE = "proposals.json"


class ProposeOutcome(msgspec.Struct, frozen=True):
    """What a model proposed.

    Attributes:
        model: The model.
        sheet: To be edited; nothing of it is used before it is imported.
        items: Items that were asked for.
        by_status: Items: `proposed` or `failed`.
        by_reason: Failed items by reason.
        points: Points on the sheet; a quote of the reference answer supports each.
        left_out: Points left out of it by fault.
        passed_over: Items not asked for by reason: `has_key_points`, `no_reference`, `not_by_key_points`.
        input_tokens: Of all sessions of this folder.
        output_tokens: As above.
    """

    model: Identity
    sheet: str
    items: int
    by_status: dict[str, int]
    by_reason: dict[str, int]
    points: int
    left_out: dict[str, int]
    passed_over: dict[str, int]
    input_tokens: int
    output_tokens: int


class ProposeCall(msgspec.Struct, frozen=True, gc=False):
    """One item to propose key points for."""

    candidate: Candidate

    @property
    def seq(self) -> int:
        """Place of the item in the source."""
        return self.candidate.seq

    @property
    def item(self) -> str:
        """The item."""
        return self.candidate.question.uid

    def hash(self, model: Identity) -> bytes:
        """What the proposal depends on."""
        whole = msgspec.json.encode((VERSION, model, self.candidate.code), order="deterministic")
        return hashlib.blake2b(whole, digest_size=16).digest()


class _Handler:
    """Asks the model for the key points of one item."""

    kind = KIND

    def __init__(self, model: Judge, meter: Meter) -> None:
        self._model = model.model
        self._meter = meter

    async def perform(self, call: ProposeCall) -> Result:
        responses: list[Response] = []

        async def ask(text: str, attempt: int) -> Response:
            question = Question("propose", "propose", text, language=call.candidate.question.language)
            responses.append(await self._model.answer(question, JudgeContext(text, attempt, self._meter)))
            return responses[-1]

        error: CallError | None = None
        try:
            proposal = await propose(call.candidate, ask)
        except CallError as failed:
            proposal, error = Proposal("failed", reason=failed.code), failed
        usage = [Usage() if each.cached else each.usage for each in responses]
        return Result(
            seq=call.seq,
            key=call.hash(self._model.identity),
            # `failed` in the ledger is an endpoint's failure: many in a row would mean that it is down.
            status="failed" if error else "judge_failed" if proposal.status == "failed" else "proposed",
            body=msgspec.json.encode(proposal),
            error_class=error.error_class if error else None,
            error_code=proposal.reason,
            input_tokens=sum(each.input_tokens for each in usage),
            output_tokens=sum(each.output_tokens for each in usage),
            requests=sum(each.attempts for each in responses) + (error.attempts if error else 0),
            detail=error.detail if error else "",
        )


def propose_key_points(
    items: Path, catalog_folder: Path | None, model: Judge, out: Path, *, watch: Watch | None = None
) -> ProposeOutcome:
    """Let a model propose key points from the reference answers of items, and write the sheet for a person to edit.

    Args:
        items: Item JSONL.
        catalog_folder: Folder of own dataset definitions.
        model: Who proposes, asked like a judge.
        out: Folder of the sheet and the ledger; the same command goes on with one that was interrupted.
        watch: Sees the progress.

    Raises:
        InputError: The items can't be used, none waits for key points, or there is a sheet already.
        WorkError: The disk failed, or the model can't be asked any further; what came back is kept.
    """
    source = _item_file(items, catalog_folder)
    sheet = out / SHEET_FILE
    if sheet.exists():
        raise InputError(Problem(message=say("propose.sheet_exists"), file=str(sheet)))
    found = list(candidates(source, catalog_folder))
    calls = [ProposeCall(each) for each in found if isinstance(each, Candidate)]
    passed_over = Counter(each for each in found if isinstance(each, str))
    if not calls:
        listed = ", ".join(f"{reason} × {count}" for reason, count in sorted(passed_over.items()))
        raise InputError(Problem(message=say("propose.nothing", listed=listed), file=str(items)))
    with exclusive(made(out, "--out")), closing(Ledger(out / LEDGER_FILE)) as ledger:
        done = ledger.settled(KIND, 0, calls[-1].seq)
        left = [call for call in calls if done.get(call.seq) != call.hash(model.model.identity)]
        if left:
            try:
                asyncio.run(ask_judge(model, left, lambda meter: _Handler(model, meter), ledger, watch))
            except Stopped as error:
                raise WorkError(error.of_judge(model.model.identity.name)) from error
        proposals = {seq: msgspec.json.decode(body, type=Proposal) for seq, body in ledger.bodies(KIND)}
        proposed = [(call.candidate, proposals[call.seq]) for call in calls]
        used = ledger.totals(KIND)
        outcome = ProposeOutcome(
            model=model.model.identity,
            sheet=str(sheet),
            items=len(calls),
            by_status=_counted(each.status for _, each in proposed),
            by_reason=_counted(each.reason for _, each in proposed if each.status == "failed"),
            points=sum(len(each.points) for _, each in proposed),
            left_out=_counted(fault for _, each in proposed for fault in Counter(each.left_out).elements()),
            passed_over=dict(sorted(passed_over.items())),
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
        )
        write_json(out / RESULT_FILE, outcome)
        write_proposals(sheet, proposed, model.model.identity.name)
    return outcome


def import_key_points(sheet: Path, items: Path, catalog_folder: Path | None, reviewer: str, out: Path) -> Reviewed:
    """Write items with the key points that a person kept on a sheet.

    Raises:
        InputError: The sheet or the items can't be used, or there is a file already.
        WorkError: The file can't be written.
    """
    source = _item_file(items, catalog_folder)
    problems = []
    if out.exists():
        problems.append(Problem(message=say("propose.items_exist"), file=str(out)))
    if out.resolve().parent != items.resolve().parent and any(each.media for each in source.questions()):
        problems.append(Problem(message=say("propose.media"), file=str(out)))
    if problems:
        raise InputError(*problems)
    return apply_sheet(sheet, source, catalog_folder, reviewer, out)


def _item_file(items: Path, catalog_folder: Path | None) -> ItemSource:
    """An item file.

    Raises:
        InputError: It is none: a bank keeps its keys to itself, and the official release has none.
    """
    source = open_source(items, catalog_folder=catalog_folder)
    if source.kind != "jsonl":
        raise InputError(Problem(message=say("propose.no_item_file"), file=str(items)))
    return source


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
