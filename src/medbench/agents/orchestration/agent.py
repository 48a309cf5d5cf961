"""`agent:FILE.yaml`: the reference agent as a system under test."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medbench.agents.checked import shortened
from medbench.agents.governance.approval import Approver, Nobody, make_approver
from medbench.agents.governance.deidentify import Deidentified
from medbench.agents.governance.guard import LONGEST, Guard
from medbench.agents.governance.policy import load_policies
from medbench.agents.orchestration.apart import Apart, apart
from medbench.agents.orchestration.conversation import ToolMode
from medbench.agents.orchestration.file import AgentFile, Backbone, read_agent_file
from medbench.agents.orchestration.flow import Setup, answer
from medbench.agents.orchestration.guidelines import Guidelines
from medbench.agents.orchestration.prompts import Prompts
from medbench.agents.orchestration.toolbox import MakesTool
from medbench.errors import InputError, Problem
from medbench.items.model import Question
from medbench.models.chat import ChatModel, TalkingModel
from medbench.models.http import LOOPBACK
from medbench.models.model import Context, Identity, Model, Response
from medbench.models.registry import ModelOptions, create_model
from medbench.models.tools import Tool, ToolSpec
from medbench.plugins import TOOLS, load_plugin, plugin_names
from medbench.store.document import Document
from medbench.text import say

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def agent_model(path: str, options: ModelOptions) -> AgentModel:
    """The agent of a file. What the options say of endpoint, key and parameters goes to the backbone, over the file.

    Raises:
        InputError: With everything that is wrong with the file and what it names.
    """
    file = (options.folder / path).resolve()
    agent, document = read_agent_file(file)
    problems = document.problems

    def made(make: Any, *arguments: object) -> Any:  # noqa: ANN401 - what it makes, or None
        try:
            return make(*arguments)
        except InputError as error:
            problems.extend(
                each if each.file or str(each.field).startswith("--") else document.located(each, each.field or "")
                for each in error.problems
            )
            return None

    backbone: Any = None
    if agent.backbone and agent.backbone.model:  # else they could not be read
        backbone = made(_backbone, agent.backbone, options, document)
    tools = [made(_tool, name, settings or {}) for name, settings in agent.tools.items()]
    sources = agent.guidelines
    guidelines = made(Guidelines, file.parent / sources.folder) if sources and sources.folder else None
    guard = made(_guard, agent.policies, document) if agent.steps.guard else None
    approver = made(make_approver, agent.approver)
    if problems:
        raise InputError(*problems)
    return AgentModel(agent, document.content, file, backbone, tools, guidelines, guard, approver)


class AgentModel:
    """The reference agent.

    Args:
        agent: Its file, read.
        content: The same, as bytes.
        file: Where it is.
        backbone: The model that it works with.
        tools: Its own tools.
        guidelines: None: there are none.
        guard: None: nothing is held against the rules.
        approver: Asked where a rule asks for a person; `approver` in the file names it.
    """

    def __init__(
        self,
        agent: AgentFile,
        content: bytes,
        file: Path,
        backbone: TalkingModel,
        tools: list[Tool],
        guidelines: Guidelines | None,
        guard: Guard | None = None,
        approver: Approver = Nobody(),  # noqa: B008 - it holds nothing
    ) -> None:
        prompts = Prompts(agent.prompts)
        revision = hashlib.sha256(content)
        pinned = (guidelines.revision if guidelines else "", guard.policies.version if guard else "")
        for part in (prompts.revision, *pinned):
            revision.update(f"\0{part}".encode())
        under = backbone.identity
        # With a person in it the system is another one.
        person = "" if agent.approver == "nobody" else f"approver {agent.approver}; "
        identity = Identity(
            spec=f"agent:{file}",
            name=agent.name or file.stem,
            revision=f"sha256:{revision.hexdigest()}; {person}{under.spec} {under.revision}".rstrip(),
            endpoint=under.endpoint,
            api_key_env=under.api_key_env,
            parameters=under.parameters,
            images=under.images,
        )
        wanted = agent.backbone.tools
        local = agent.backbone.model.startswith("local:")
        self._setup = Setup(
            identity=identity,
            backbone=Deidentified(backbone, LOOPBACK | set(agent.backbone.local_hosts)) if guard else backbone,
            mode=ToolMode(
                native=wanted == "native" or (wanted == "auto" and not local), may_fall_back=wanted == "auto"
            ),
            prompts=prompts,
            steps=agent.steps,
            limits=agent.budget,
            longest_prompt=agent.backbone.longest_prompt,
            tools=[apart(tool) for tool in tools],
            guidelines=guidelines,
            passages=agent.guidelines.passages if agent.guidelines else 0,
            roles=agent.roles,
            guard=guard,
            approver=approver,
        )

    @property
    def identity(self) -> Identity:
        """What is pinned: a hash over file, prompts, guidelines and policies, and the backbone."""
        return self._setup.identity

    @property
    def uses_tools(self) -> Literal[True]:
        """It works with an environment's tools by itself."""
        return True

    @property
    def most_in_flight(self) -> int | None:
        """Only leaf calls hold a slot, so the backbone's own limit is the agent's."""
        return self._setup.backbone.most_in_flight

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """What the backbone can't answer."""
        self._setup.backbone.check(plan)

    async def open(self) -> None:
        """Open the backbone."""
        await self._setup.backbone.open()

    async def close(self) -> None:
        """Close it, and end what the tools run in."""
        for tool in self._setup.tools:
            if isinstance(tool, Apart):
                tool.close()
        await self._setup.backbone.close()

    async def answer(self, question: Question, context: Context) -> Response:
        """Answer one question; see `medbench.agents.orchestration.flow.answer`."""
        return await answer(self._setup, question, context)


def _backbone(said: Backbone, options: ModelOptions, document: Document) -> Model:
    """The backbone; a problem names the option that was given over the file, else the file."""
    if said.model.startswith("agent:"):
        raise InputError(Problem(message=say("agent_file.no_agents"), field="backbone.model"))
    base_url, api_key_env = options.base_url or said.base_url, options.api_key_env or said.api_key_env
    over = {"--base-url": base_url != said.base_url, "--api-key-env": api_key_env != said.api_key_env}
    try:
        model = create_model(
            said.model,
            ModelOptions(
                base_url=base_url,
                api_key_env=api_key_env,
                parameters={**said.parameters, **options.parameters},
                timeout_s=options.timeout_s,
                folder=Path(document.file).parent,
                images=options.images,
            ),
        )
    except InputError as error:
        raise InputError(
            *(each if over.get(str(each.field)) else document.of_option(each, "backbone") for each in error.problems)
        ) from error
    if not isinstance(model, ChatModel):
        raise InputError(Problem(message=say("agent_file.no_chat", model=said.model), field="backbone.model"))
    return model


def _guard(policies: Sequence[str], document: Document) -> Guard:
    """The guard; it looks at the agent's own file first, which may have been tampered with."""
    guard = Guard(load_policies(*(Path(document.file).parent / each for each in policies)))
    # Also as it is read: in YAML, "\x49gnore" is no word that a rule knows.
    texts = (document.content.decode("utf-8-sig"), "\n".join(document.texts()))
    if max(map(len, texts)) > LONGEST:
        raise InputError(Problem(message=say("agent_file.too_long", most=LONGEST), file=document.file))
    hits = [hit for text in texts if not (decision := guard.check_config(text)).allowed for hit in decision.hits]
    if hits:
        rules = ", ".join(dict.fromkeys(hit.rule for hit in hits))
        raise InputError(Problem(message=say("agent_file.refused", rules=rules), file=document.file))
    return guard


def _tool(name: str, settings: dict[str, object]) -> Tool:
    field = f"tools.{name}"
    make: MakesTool | None = load_plugin(TOOLS, name, field=field)
    if make is None:
        known = ", ".join(plugin_names(TOOLS)) or "–"
        raise InputError(Problem(message=say("agent_file.unknown_tool", name=name, known=known), field=field))
    try:
        tool = make(settings)
        if problem := _unusable(tool):
            raise TypeError(problem)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # of a third party
        said = f"{type(error).__name__}: {shortened(str(error), 200)}"
        raise InputError(Problem(message=say("agent_file.broken_tool", name=name, error=said), field=field)) from error
    return tool


def _unusable(tool: Tool) -> str:
    """Why what was made is no tool; empty: it is one."""
    spec = getattr(tool, "spec", None)
    if not isinstance(spec, ToolSpec):
        return "its spec is no ToolSpec"
    if not (isinstance(spec.name, str) and _TOOL_NAME.fullmatch(spec.name) and isinstance(spec.description, str)):
        return "name must be 1 to 64 letters, digits, _ or -, and description a text"
    if not isinstance(spec.parameters, Mapping):
        return "parameters must be a mapping"
    if not callable(getattr(tool, "call", None)):
        return "it has no method call"
    return ""
