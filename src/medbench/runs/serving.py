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
from medbench.runs.plan import asked
from medbench.scoring.asked import Asked
from medbench.store.artifacts import ARTIFACTS_FOLDER, Artifacts
from medbench.store.files import exclusive, made, write_atomically
from medbench.text import say

ANSWERS_FILE = "answers.jsonl"
STATES_FOLDER = "states"


def serve_item(source: ItemSource, uid: str, out: Path, variant: int = 0) -> None:
    """Serve the environment of an item over MCP until the client leaves.

    Args:
        source: Holds the item.
        uid: Of the item, as in `responses`: `dataset/id`.
        out: Folder of `answers.jsonl` and the states; several items share it, one after the other or at a time.
        variant: Epoch that this is: an item that is to be tried several times is served once for each.

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
        state = _enter(call, out)
        asyncio.run(_serve(session, context.prompt, state))
    except EnvironmentFailed as error:
        raise WorkError(say("agents.environment_failed", uid=uid, reason=error)) from error


async def _serve(session: Session, prompt: str, state: Path) -> None:
    from medbench.agents.mcp_server import serve

    try:
        await serve(session, prompt, partial(write_atomically, state))
    finally:
        await session.close()


def _call(source: ItemSource, uid: str, variant: int) -> Asked:
    selection = Selection(datasets=(uid.partition("/")[0],), epochs=variant + 1)
    for call in asked(source, selection):
        if call.item == uid and call.variant == variant:
            if ENVIRONMENT not in call.question.meta:
                raise InputError(Problem(message=say("agents.no_environment_here", uid=uid), field="--item"))
            return call
    raise InputError(Problem(message=say("agents.no_item", uid=uid), field="--item"))


def _enter(call: Asked, out: Path) -> Path:
    """Write the row of the item and give the place of its state."""
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
    with exclusive(out):
        before = path.read_bytes() if path.exists() else b""
        line = msgspec.json.encode(row) + b"\n"
        if line in before:
            raise InputError(Problem(message=say("agents.served_before", uid=question.uid, path=path), field="--item"))
        write_atomically(path, before + line)
    return out / STATES_FOLDER / name
