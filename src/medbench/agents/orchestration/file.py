"""The agent's file: what may stand in it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from medbench.agents.orchestration.prompts import placeholders, shipped
from medbench.agents.orchestration.spending import Limits
from medbench.store.document import Document
from medbench.store.strict_yaml import read_yaml
from medbench.text import LANGUAGES

ROLES = ("physician", "pharmacist", "nurse", "quality_control")
"""Those with a prompt that comes with the program."""
CHECKS = "checks"
"""What the trace calls the checks by code; no role."""


class Backbone(msgspec.Struct, frozen=True):
    """The model that the agent works with.

    Attributes:
        model: Spec string such as `openai:NAME`; one that can be talked to.
        base_url: Address of its endpoint.
        api_key_env: Name of the environment variable that holds the key.
        parameters: Sampling parameters.
        longest_prompt: Characters of a task beyond which it is read in parts.
        tools: `native` tool calls, calls written as `text`, or `auto`: native, and as text where the endpoint refuses
            them or the bundled model is asked.
        local_hosts: Hosts beside this machine that may see who a patient is; to all others no identifier is sent.
    """

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    parameters: dict[str, object] = {}
    longest_prompt: int = 24_000
    tools: Literal["auto", "native", "text"] = "auto"
    local_hosts: tuple[str, ...] = ()


class Steps(msgspec.Struct, frozen=True):
    """Steps that may be left out."""

    plan: bool = True
    tools: bool = True
    guidelines: bool = True
    notes: bool = True
    critique: bool = True
    guard: bool = True


class GuidelineFiles(msgspec.Struct, frozen=True):
    """Guidelines to look up.

    Attributes:
        folder: Its `.md` and `.txt` files; a relative path begins at the agent's file.
        passages: Most passages that a task is given.
    """

    folder: str
    passages: int = 4


class AgentFile(msgspec.Struct, frozen=True):
    """An agent.

    Attributes:
        backbone: The model that it works with.
        name: Shown on boards; the file's name where it is empty.
        steps: Steps that may be left out.
        budget: Of one item.
        tools: Name under `medbench.tools` -> its settings.
        guidelines: None: there are none.
        policies: Policy files beside those of the program (TOML); a relative path begins at the agent's file.
        approver: Who approves what a rule leaves to a person: `nobody`, `terminal`, or a name that a third party has
            under `medbench.approvers`.
        roles: Who reviews open answers, at the same time; empty: one critic without a role. One of `ROLES`, or one
            whose prompt is in the file.
        prompts: Language -> name -> text, in place of a shipped prompt or of a role of one's own.
    """

    backbone: Backbone
    name: str = ""
    steps: Steps = Steps()
    budget: Limits = Limits()
    tools: dict[str, dict[str, object] | None] = {}
    guidelines: GuidelineFiles | None = None
    policies: tuple[str, ...] = ()
    approver: str = "nobody"
    roles: tuple[str, ...] = ()
    prompts: dict[Literal["zh", "en"], dict[str, str]] = {}


def read_agent_file(path: Path) -> tuple[AgentFile, Document]:
    """Read an agent's file.

    Returns:
        The agent, and the file; where that has problems, the agent is good for nothing but to look for more of them.

    Raises:
        InputError: It can't be read as YAML.
    """
    document = read_yaml(path)
    agent = document.read(AgentFile)
    _check(agent, document)
    return agent, document


def _check(agent: AgentFile, document: Document) -> None:
    """What types can't say."""
    least = {
        "budget.turns": (agent.budget.turns, 1),
        "budget.tokens": (agent.budget.tokens, 1000),
        "guidelines.passages": (agent.guidelines.passages if agent.guidelines else 1, 1),
    }
    if agent.backbone:
        least["backbone.longest_prompt"] = (agent.backbone.longest_prompt, 1000)
    for place, (value, smallest) in least.items():
        if value < smallest:
            document.problem("agent_file.too_small", place, least=smallest)
    if agent.approver != "nobody" and not agent.steps.guard:
        document.problem("agent_file.approver_without_guard", "approver")
    if agent.name and not agent.name.isprintable():
        document.problem("agent_file.bad_name", "name")
    if len(set(agent.roles)) < len(agent.roles):
        document.problem("agent_file.role_twice", "roles")
    known = dict(shipped())
    for index, role in enumerate(agent.roles):
        if role in ROLES:
            continue
        taken = role in known or role == CHECKS or not role.isprintable()
        if taken or not all(agent.prompts.get(language, {}).get(role, "").strip() for language in LANGUAGES):
            document.problem("agent_file.unknown_role", f"roles[{index}]", role=role, known=", ".join(ROLES))
        else:
            known[role] = dict.fromkeys(LANGUAGES, "")
    for language in LANGUAGES:
        for name, text in agent.prompts.get(language, {}).items():
            place = f"prompts.{language}.{name}"
            if name not in known:
                document.problem("agent_file.unknown_prompt", place, known=", ".join(known))
                continue
            try:
                beyond = placeholders(text) - placeholders(known[name][language])
            except ValueError:
                document.problem("agent_file.bad_template", place)
                continue
            if beyond:
                document.problem("agent_file.unknown_placeholder", place, names=", ".join(sorted(beyond)))
