"""One judgement: ask, read, ask once more where the reply can't be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from medbench.models.model import CallError, Response, Usage
from medbench.scoring.judging.contract import Unreadable
from medbench.scoring.judging.prompt import Prompt
from medbench.scoring.judging.verdict import Judgement, Task

ANSWERED = frozenset({"ok", "truncated"})
Ask = Callable[[str, int], Awaitable[Response]]
"""Prompt and number of the try, from 0 -> what the judge replied."""


class Judged(NamedTuple):
    """A judgement and what it took."""

    judgement: Judgement
    usage: Usage
    requests: int
    error: CallError | None


async def judge_once(task: Task, prompt: Prompt, ask: Ask) -> Judged:
    """Judge one answer; a reply that can't be read is asked for once more. A failed judge has a status and no value."""
    usage, requests, cached = Usage(), 0, True
    text = prompt.text
    for attempt in (0, 1):
        try:
            response = await ask(text, attempt)
        except CallError as error:
            failed = Judgement(task, "judge_failed", reason=error.code, repaired=attempt == 1, cut=prompt.cut)
            return Judged(failed, usage, requests + error.attempts, error)
        requests += response.attempts
        cached = cached and response.cached
        usage = Usage(
            usage.input_tokens + (0 if response.cached else response.usage.input_tokens),
            usage.output_tokens + (0 if response.cached else response.usage.output_tokens),
            usage.estimated or response.usage.estimated,
        )
        try:
            if response.status not in ANSWERED:
                raise Unreadable(response.error_code or response.status, "There was no reply.")
            judgement = prompt.contract.read(prompt.fence.outside(response.text), prompt.answer)
        except Unreadable as error:
            text, code = prompt.again(str(error)), error.code
            continue
        judgement = msgspec.structs.replace(judgement, repaired=attempt == 1, cut=prompt.cut, cached=cached)
        return Judged(judgement, usage, requests, None)
    failed = Judgement(task, "judge_failed", reason=code, repaired=True, cut=prompt.cut, cached=cached)
    return Judged(failed, usage, requests, None)
