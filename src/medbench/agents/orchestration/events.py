"""What the agent did, as typed events; the trace of an answer is their list."""

from __future__ import annotations

import msgspec

from medbench.agents.governance.guard import Hit

TRACE_SUFFIX = ".trace.json"


class Event(msgspec.Struct, frozen=True, tag=True, tag_field="event", kw_only=True, omit_defaults=True):
    """Something that happened.

    Attributes:
        at_s: Seconds since the agent took the question.
    """

    at_s: float = 0.0


class Called(Event, frozen=True):
    """A leaf call to the backbone came back or failed for good.

    Attributes:
        step: The step that asked.
        input_tokens: As the endpoint counted them.
        output_tokens: Likewise.
        seconds: From asking to the answer, waiting for a slot included.
        attempts: Sends; 0 where it came from the response cache.
        status: Of the completion, or the code of the error.
    """

    step: str
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 0
    status: str = "ok"


class Triaged(Event, frozen=True):
    """What kind of task this is.

    Attributes:
        form: Form of the answer: `choice`, `label`, `fields`, `boxes`, `mask`, `sql`, `calls`, `text`.
        language: Of the question.
        characters: Length of the prompt.
        long: It is read in parts.
        demands: What the task says of its answer, as far as code can check it.
    """

    form: str
    language: str
    characters: int
    long: bool
    demands: tuple[str, ...] = ()


class Guarded(Event, frozen=True):
    """A decision of the guard.

    Attributes:
        point: `input`, `tool`, `result` (of a tool, or retrieved text) or `output`.
        action: The guard's word for it, such as `allow` or `refuse`.
        hits: What it rests on.
        subject: What was looked at, shortened.
        reason: `human_approved`, `human_refused` or `needs_human` where a person had to decide.
        by: Who did.
    """

    point: str
    action: str
    hits: tuple[Hit, ...] = ()
    subject: str = ""
    reason: str = ""
    by: str = ""


class Planned(Event, frozen=True):
    """The plan, as the backbone wrote it."""

    text: str


class Passage(msgspec.Struct, frozen=True):
    """A passage of a guideline file, quoted.

    Attributes:
        file: Name within the folder of guidelines.
        line: Its first line, from 1.
        text: The passage, verbatim.
        score: BM25; only comparable within one search.
    """

    file: str
    line: int
    text: str
    score: float = 0.0


class Retrieved(Event, frozen=True):
    """Passages found for a task."""

    passages: tuple[Passage, ...]


class ToolUsed(Event, frozen=True):
    """A tool call, done or failed.

    Attributes:
        tool: Its name, as the backbone wrote it.
        arguments: JSON, likewise.
        result: What the tool said, shortened as the backbone saw it.
        error: Code of the failure; empty: it was done.
        seconds: It took.
    """

    tool: str
    arguments: str
    result: str = ""
    error: str = ""
    seconds: float = 0.0


class Noted(Event, frozen=True):
    """Notes on a part of a long input, or the merging of notes.

    Attributes:
        level: 1 for a part of the input; above, for merged notes.
        part: Which, from 1.
        parts: Of how many.
        text: The notes.
        quotes: Quotations in it that stand in what was read.
        unfound: Quotations that don't: they are taken out of the notes.
    """

    level: int
    part: int
    parts: int
    text: str
    quotes: tuple[str, ...] = ()
    unfound: tuple[str, ...] = ()


class Drafted(Event, frozen=True):
    """The first answer."""

    text: str
    status: str = "ok"


class Criticised(Event, frozen=True):
    """A critique of the draft.

    Attributes:
        by: `checks` (code), `critique`, or the name of a role.
        problems: What is to be mended; empty: nothing.
        unread: The critic's reply could not be read.
    """

    by: str
    problems: tuple[str, ...] = ()
    unread: bool = False


class Revised(Event, frozen=True):
    """A second answer.

    Attributes:
        text: The answer.
        accepted: It takes the draft's place.
        why: Why not.
    """

    text: str
    accepted: bool
    why: str = ""


class Skipped(Event, frozen=True):
    """A step that was to be done and was not.

    Attributes:
        step: Which.
        why: `budget`, of notes with the parts read (`budget:3/5`), or the code of the error that ended it.
    """

    step: str
    why: str


class Answered(Event, frozen=True):
    """The answer that was given, and where it comes from: `draft`, `revision`, `guard`."""

    text: str
    source: str


AnyEvent = (
    Called
    | Triaged
    | Guarded
    | Planned
    | Retrieved
    | ToolUsed
    | Noted
    | Drafted
    | Criticised
    | Revised
    | Skipped
    | Answered
)


class Trace(msgspec.Struct, frozen=True):
    """All of one answer.

    Attributes:
        agent: Name of the agent.
        revision: Its identity: hash of its file, prompts and guidelines, and the backbone.
        question: `uid` of the question.
        variant: Index of the variant.
        prompt: What was asked.
        events: In the order in which they happened.
        format: Version of this file.
    """

    agent: str
    revision: str
    question: str
    variant: int
    prompt: str
    events: tuple[AnyEvent, ...]
    format: int = 1


decode_trace = msgspec.json.Decoder(Trace).decode
encode_trace = msgspec.json.Encoder().encode
