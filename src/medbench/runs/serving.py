"""One item's environment served to an agent that is not ours, and its state kept as an answer file.

`medbench run --model answers:OUT/answers.jsonl` then grades what was left, as it grades any answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from importlib import util
from pathlib import Path

import msgspec

from medbench.agents.environment import ENVIRONMENT
from medbench.agents.session import EnvironmentFailed, Session
from medbench.engine.limits import Limits
from medbench.engine.meter import Meter
from medbench.engine.progress import Progress
from medbench.errors import InputError, Problem, WorkError
from medbench.items.source import ItemSource
from medbench.models.answers import AnswerRow
from medbench.models.images import ImageLimits
from medbench.models.preparation import MediaPreparer
from medbench.runs.ask import AskContext, prompt_of
from medbench.runs.config import Selection
from medbench.runs.plan import asked, selected
from medbench.scoring.asked import Asked
from medbench.store.artifacts import ARTIFACTS_FOLDER, Artifacts
from medbench.store.files import exclusive, made, write_atomically
from medbench.text import say

ANSWERS_FILE = "answers.jsonl"
STATES_FOLDER = "states"
PATIENCE_S = 30.0
"""Servers that start at a time write their rows one after the other."""


def serve_item(source: ItemSource, uid: str, out: Path, variant: int = 0) -> bool:
    """Serve the environment of an item over MCP until the client leaves.

    Args:
        source: Holds the item.
        uid: Of the item, as in `responses`: `dataset/id`.
        out: Folder of `answers.jsonl` and the states; several items share it, one after the other or at a time.
        variant: Epoch that this is: an item that is to be tried several times is served once for each.

    Returns:
        Whether the agent had ended the task when it left.

    Raises:
        InputError: There is no such item, it has no environment, or it was served before: no second try.
        WorkError: The environment failed, or the state can't be kept.
    """
    call = _call(source, uid, variant)
    if util.find_spec("mcp") is None:
        raise InputError(say("agents.no_mcp"))
    preparer = MediaPreparer(out, source.media_path, ImageLimits())
    meter = Meter(Limits(concurrency=1), Progress(0))
    artifacts = Artifacts(out / ARTIFACTS_FOLDER)
    context = AskContext(call, prompt_of(call), meter, source.media_path, preparer, artifacts)
    try:
        session = Session(call.question, context)
        state = _enter(call, out, session.snapshot())
        return asyncio.run(_serve(session, context.prompt, state))
    except EnvironmentFailed as error:
        raise WorkError(say("agents.environment_failed", uid=uid, reason=error)) from error


async def _serve(session: Session, prompt: str, state: Path) -> bool:
    from medbench.agents.mcp_server import serve

    try:
        await serve(session, prompt, partial(write_atomically, state))
        return session.over()
    finally:
        await session.close()


def pending(source: ItemSource, selection: Selection, out: Path, variant: int = 0) -> tuple[list[str], int]:
    """Tell which items of a selection are still to be served.

    Args:
        source: Holds the items.
        selection: As the run that is to grade them has it.
        out: Folder of `answers.jsonl`; absent where nothing was served yet.
        variant: As in `serve_item`.

    Returns:
        The uids that `serve_item` would take, in order, and how many it took before.

    Raises:
        InputError: No item of the selection has an environment, or `answers.jsonl` can't be read.
    """
    uids = [question.uid for question, _ in selected(source, selection) if ENVIRONMENT in question.meta]
    if not uids:
        raise InputError(Problem(message=say("agents.no_environments"), field="--items"))
    served = _served(out / ANSWERS_FILE)
    left = [uid for uid in uids if f"{uid}#{variant}" not in served]
    return left, len(uids) - len(left)


def _call(source: ItemSource, uid: str, variant: int) -> Asked:
    selection = Selection(datasets=(uid.partition("/")[0],), epochs=variant + 1)
    for call in asked(source, selection):
        if call.item == uid and call.variant == variant:
            if ENVIRONMENT not in call.question.meta:
                raise InputError(Problem(message=say("agents.no_environment_here", uid=uid), field="--item"))
            return call
    raise InputError(Problem(message=say("agents.no_item", uid=uid), field="--item"))


def _enter(call: Asked, out: Path, state: bytes) -> Path:
    """Write the first state, then the row of the item that names it, and give the state's place.

    In this order a row never names a state that is not there: that would be in the way of grading all the others.
    """
    question = call.question
    name = hashlib.sha256(f"{question.uid}#{call.variant}".encode()).hexdigest()[:32] + ".json"
    made(out / STATES_FOLDER, "--out")
    row = AnswerRow(
        dataset=question.dataset,
        id=question.id,
        part=question.part,
        variant=call.variant,
        answer="",
        files=[f"{STATES_FOLDER}/{name}"],
    )
    path = out / ANSWERS_FILE
    with exclusive(out, PATIENCE_S):
        if row.place in _served(path):
            raise InputError(Problem(message=say("agents.served_before", uid=question.uid, path=path), field="--item"))
        write_atomically(out / STATES_FOLDER / name, state)
        before = path.read_bytes() if path.exists() else b""
        write_atomically(path, before + msgspec.json.encode(row) + b"\n")
    return out / STATES_FOLDER / name


def _served(path: Path) -> set[str]:
    """Places of the rows of an answer file that this module writes; none where it is absent."""
    try:
        rows = msgspec.json.Decoder(AnswerRow).decode_lines(path.read_bytes() if path.exists() else b"")
    except msgspec.DecodeError as error:
        raise InputError(Problem(message=say("models.answers_line", error=error), file=str(path))) from error
    return {row.place for row in rows}
