"""One item: triage, plan, gather, draft, critique, revise, guard, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from medbench.agents.checked import raise_ctrl_c
from medbench.agents.governance.approval import Approver
from medbench.agents.governance.audit import SUFFIX as TRAIL_SUFFIX
from medbench.agents.governance.guard import Guard
from medbench.agents.orchestration.conversation import Conversation, ToolMode
from medbench.agents.orchestration.critique import review
from medbench.agents.orchestration.events import (
    TRACE_SUFFIX,
    Answered,
    Criticised,
    Drafted,
    Planned,
    Retrieved,
    Revised,
    Skipped,
    Trace,
    Triaged,
    encode_trace,
)
from medbench.agents.orchestration.file import CHECKS, Steps
from medbench.agents.orchestration.guidelines import Guidelines
from medbench.agents.orchestration.notes import with_notes
from medbench.agents.orchestration.oversight import Oversight, cut
from medbench.agents.orchestration.prompts import Prompts
from medbench.agents.orchestration.spending import BudgetSpent, Limits, Spending, StepContext
from medbench.agents.orchestration.task import faults, triage
from medbench.agents.orchestration.toolbox import Hinting, OfQuestion, Toolbox
from medbench.agents.session import WorkContext
from medbench.errors import WorkError
from medbench.items.media import pictures
from medbench.items.model import Question
from medbench.models.chat import TalkingModel
from medbench.models.images import PreparedImage
from medbench.models.model import CallError, Context, Identity, Response
from medbench.models.tools import Tool, ToolSpec

HELD_TOKENS = 4096
"""Kept back for the answer's own text, beside the bytes of the prompt."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What all items of an agent share.

    Attributes:
        identity: Of the agent.
        backbone: The model that it works with.
        mode: How tools are called.
        prompts: The templates.
        steps: Steps that may be left out.
        limits: Budget of one item.
        longest_prompt: Characters beyond which a task is read in parts.
        tools: The agent's own.
        guidelines: None: there are none.
        passages: Most passages that a task is given.
        roles: Who reviews.
        guard: None: nothing is held against the rules.
        approver: Asked where a rule asks for a person.
    """

    identity: Identity
    backbone: TalkingModel
    mode: ToolMode
    prompts: Prompts
    steps: Steps
    limits: Limits
    longest_prompt: int
    tools: Sequence[Tool]
    guidelines: Guidelines | None
    passages: int
    roles: Sequence[str]
    guard: Guard | None
    approver: Approver


async def answer(setup: Setup, question: Question, context: Context) -> Response:
    """Answer one question; the trace and the guard's audit trail are kept with the run.

    What ends the backbone's first answer ends the item; any other step that fails is left out, and the trace says so. A
    limit of the item that ends the work leaves both as they are by then.
    """
    spending = Spending(setup.limits, context.clock)
    item = _Item(setup, question, context, spending)
    if isinstance(context, WorkContext):
        context.unfinished = item.cut_short
    try:
        response = await item.answer()
    except BudgetSpent:
        response = Response(status="failed", error_class="submitter", error_code="agent_budget")
    except CallError as error:
        response = Response(
            status="failed", error_class=error.error_class, error_code=error.code, error_detail=error.detail
        )
    return item.kept(response)


class _Item:
    """The way of one item through the steps."""

    def __init__(self, setup: Setup, question: Question, context: Context, spending: Spending) -> None:
        self._setup = setup
        self._question = question
        self._context = context
        self._spending = spending
        self._task = triage(question, context)
        self._talk = Conversation(setup.backbone, setup.mode, setup.prompts, question, context, spending)
        guard, revision = setup.guard if setup.steps.guard else None, setup.identity.revision
        exact = self._task.form == "calls" or self._task.json
        self.oversight = Oversight(
            guard, setup.approver, question, context.form, revision, spending, context.clock, exact=exact
        )
        own = setup.tools if setup.steps.tools else ()
        self._own = [bound for tool in own if (bound := self._bound(tool)) is not None]
        self._toolbox = Toolbox([*context.tools, *self._own], self.oversight, spending)

    def kept(self, response: Response) -> Response:
        """A response with what it took; its trace and trail are kept."""
        identity, context, spending = self._setup.identity, self._context, self._spending
        trace = Trace(
            agent=identity.name,
            revision=identity.revision,
            question=self._question.uid,
            variant=context.variant,
            prompt=context.prompt,
            events=tuple(spending.events),
        )
        trail = self.oversight.trail
        return msgspec.structs.replace(
            response,
            artifacts=(*response.artifacts, *([] if trail is None else [context.keep(trail, TRAIL_SUFFIX)])),
            trace=context.keep(encode_trace(trace), TRACE_SUFFIX),
            usage=spending.usage,
            latency_s=spending.seconds,
            attempts=spending.attempts,
            cached=spending.cached,
        )

    def cut_short(self, code: str) -> Response:
        """What is kept where a limit of the item ends the work: no words, since the guard has seen none."""
        self._spending.note(Skipped(step="answer", why=code))
        return self.kept(Response(status="truncated", error_code=code))

    async def answer(self) -> Response:
        task, spending, prompt = self._task, self._spending, self._context.prompt
        long = len(prompt) > self._setup.longest_prompt
        spending.note(
            Triaged(form=task.form, language=task.language, characters=len(prompt), long=long, demands=task.stated)
        )
        instead = await self.oversight.asked(prompt)
        if instead is not None:
            return self._answered(Response(status="ok", text=instead), "guard")
        spending.hold(1, min(len(prompt), self._setup.longest_prompt) * 3 + HELD_TOKENS)
        if long and self._setup.steps.notes:
            prompt = await self._optional("notes", self._noted(prompt)) or prompt
        plan = ""
        if self._setup.steps.plan and not task.closed:
            plan = await self._optional("plan", self._planned(prompt)) or ""
        passages = self._retrieved(f"{self._context.prompt}\n{plan}")
        if self._context.tools:
            draft = await self._acted(self._full(prompt, plan, passages))
        else:
            if self._own:
                await self._optional("gather", self._gathered(prompt))
            draft = await self._drafted(prompt, plan, self._evidence(passages))
        spending.note(Drafted(text=draft.text, status=draft.status))
        if draft.status not in ("ok", "truncated"):
            return self._answered(draft, "draft")
        if task.form in ("mask", "state"):
            await self.oversight.given(draft.text)  # for the record: a closed answer stays as it is
            return self._answered(draft, "draft")
        final = draft
        if self._setup.steps.critique:
            final = await self._mended(draft, prompt, self._evidence(passages))
        text, instead_of_it = await self.oversight.given(final.text)
        source = "guard" if instead_of_it else "draft" if final is draft else "revision"
        status = "ok" if instead_of_it else final.status
        return self._answered(msgspec.structs.replace(final, status=status, text=text), source)

    def _answered(self, response: Response, source: str) -> Response:
        self._spending.note(Answered(text=response.text, source=source))
        return response

    def _bound(self, tool: Tool) -> Tool | None:
        """A tool for this question, if it has anything for it."""
        if not isinstance(tool, OfQuestion):
            return tool

        def bound() -> Tool | None:
            made = tool.bound(self._question, self._context)
            if made is not None and not isinstance(made.spec, ToolSpec):
                raise TypeError("no tool")
            return made

        return self._of_tool(tool, bound)

    def _hint(self, tool: Tool) -> str:
        """How to call a tool for this question, if it says so."""
        if not isinstance(tool, Hinting):
            return ""

        def hint() -> str:
            said = tool.hint(self._question.text)
            if not isinstance(said, str):
                raise TypeError("no text")
            return said

        return self._of_tool(tool, hint) or ""

    def _of_tool(self, tool: Tool, ask: Callable[[], T]) -> T | None:
        """What a tool says without being called; None where it fails, and the trace says so."""
        try:
            return ask()
        except WorkError:
            raise
        except BaseException as error:  # noqa: BLE001 - of a third party, and nothing is awaited
            raise_ctrl_c(error)
            self._spending.note(Skipped(step=tool.spec.name, why="tool_failed"))
            return None

    async def _optional(self, step: str, work: Awaitable[T]) -> T | None:
        """A step that the answer can do without."""
        try:
            return await work
        except (CallError, BudgetSpent) as error:
            self._spending.note(Skipped(step=step, why=getattr(error, "code", "budget")))
            return None

    async def _noted(self, prompt: str) -> str:
        return await with_notes(
            prompt,
            self._setup.longest_prompt,
            self._task.language,
            self._setup.prompts,
            self._talk.once,
            self._spending,
        )

    async def _planned(self, prompt: str) -> str:
        plan = await self._talk.once("plan", self._setup.prompts.say("plan", self._task.language, prompt=prompt))
        self._spending.note(Planned(text=plan))
        return plan

    def _retrieved(self, query: str) -> str:
        """Quotations of guidelines for the task, one block each."""
        guidelines = self._setup.guidelines
        if guidelines is None or not self._setup.steps.guidelines:
            return ""
        found = guidelines.search(query, self._setup.passages)
        self._spending.note(Retrieved(passages=tuple(found)))
        quoted = "".join(f'[{each.file}:{each.line}] "{each.text}"\n' for each in found)
        return f"{self.oversight.after('guidelines', {}, quoted)}\n" if found else ""

    async def _gathered(self, prompt: str) -> None:
        say, language = self._setup.prompts.say, self._task.language
        hints = "\n".join(filter(None, map(self._hint, self._own))).strip()
        # A task ends with how to answer it, which a model would follow at once.
        if hints:
            system, asked = say("fill", language), say("gather_hinted", language, prompt=prompt, hints=hints)
        else:
            system, asked = say("gather", language), say("gather_task", language, prompt=prompt)
        images = await self._images()
        # Small models write a call that they are asked for, but choose none of those that an endpoint offers them.
        await self._talk.with_tools("gather", system, asked, self._toolbox, images, as_text=bool(hints))

    def _evidence(self, passages: str = "") -> str:
        """The passages, and what the tools said without what failed: at most half of the longest prompt."""
        said = (f"{use.tool} {use.arguments} → {use.result}\n" for use in self._toolbox.used if not use.error)
        kept, room = "", self._setup.longest_prompt // 2
        for block in (passages, *said):
            kept += cut(block, room - len(kept))
        return kept

    async def _acted(self, prompt: str) -> Response:
        """Work in the question's environment; the last turn is the draft."""
        system = self._setup.prompts.say("act", self._task.language)
        try:
            completion = await self._talk.with_tools("act", system, prompt, self._toolbox, await self._images())
        except BudgetSpent:
            completion = None
        self._spending.hold(0, 0)
        if completion is None:
            completion = await self._talk.answer_now("act", system, f"{prompt}\n\n{self._evidence()}")
        return Response(
            status=completion.status,
            text=completion.text,
            reasoning=completion.reasoning,
            served_model=completion.served_model,
        )

    async def _drafted(self, prompt: str, plan: str, evidence: str) -> Response:
        """Ask the backbone as it would be asked without the agent, behind what was gathered, where that is anything."""
        self._spending.hold(0, 0)
        full = self._full(prompt, plan, evidence)
        try:
            return await self._asked("draft", full)
        except BudgetSpent:
            if full == prompt:
                raise
            self._spending.note(Skipped(step="evidence", why="budget"))
            return await self._asked("draft", prompt)

    def _full(self, prompt: str, plan: str, evidence: str) -> str:
        """The prompt behind its plan and evidence, where there are any."""
        say, language = self._setup.prompts.say, self._task.language
        if evidence:
            prompt = say("evidence", language, evidence=evidence, prompt=prompt)
        return say("planned", language, plan=plan, prompt=prompt) if plan else prompt

    async def _asked(self, step: str, prompt: str) -> Response:
        context = StepContext(self._context, self._spending, step, prompt)
        return await self._setup.backbone.answer(self._question, context)

    async def _mended(self, draft: Response, prompt: str, evidence: str) -> Response:
        """The draft, or a revision that is no worse by what code can check.

        A closed answer that can be read is only doubted where evidence was gathered: without any, a model that is asked
        to doubt its letter loses more right ones than it mends (Huang et al., Large Language Models Cannot
        Self-Correct Reasoning Yet, 2023).
        """
        task = self._task
        readable = self._context.reads(draft.text)
        found = faults(task, draft.text, readable=readable)
        self._spending.note(Criticised(by=CHECKS, problems=found))
        problems = list(found)
        if not task.closed or (evidence and readable):
            roles = () if task.closed else self._setup.roles
            problems += await review(self._talk, task, prompt, draft.text, evidence, roles)
        if not problems:
            return draft
        name = "revise_closed" if task.closed else "revise"
        asked = self._setup.prompts.say(
            name,
            task.language,
            prompt=prompt,
            evidence=evidence,
            answer=draft.text,
            problems="\n".join(f"- {each}" for each in problems),
        )
        revised = await self._optional("revise", self._asked("revise", asked))
        if revised is None:
            return draft
        why = self._worse(revised, draft, len(found))
        self._spending.note(Revised(text=revised.text, accepted=not why, why=why))
        return draft if why else revised

    def _worse(self, revised: Response, draft: Response, faults_before: int) -> str:
        """Why a revision must not take the draft's place; empty: it may."""
        if revised.status != "ok" and revised.status != draft.status:
            return str(revised.status)
        readable = self._context.reads(revised.text)
        if not readable:
            return "unreadable"
        return "more_faults" if len(faults(self._task, revised.text, readable=readable)) > faults_before else ""

    async def _images(self) -> Sequence[PreparedImage]:
        """Pictures of the question, for a backbone that takes them."""
        takes = pictures(self._question.media) and self._setup.backbone.identity.images is not None
        return await self._context.images() if takes else ()
