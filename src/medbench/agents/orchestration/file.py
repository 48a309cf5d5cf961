"""The agent's file: YAML, read strictly, all that is wrong with it told at once with its line."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args

import msgspec
import yaml

from medbench.agents.orchestration.prompts import placeholders, shipped
from medbench.agents.orchestration.spending import Limits
from medbench.errors import InputError, Problem
from medbench.text import LANGUAGES, say

LONGEST = 256 * 1024
"""Bytes of a file."""
Role = Literal["physician", "pharmacist", "nurse", "quality_control"]
S = TypeVar("S", bound=msgspec.Struct)


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
        roles: Who reviews open answers, at the same time; empty: one critic without a role.
        prompts: Language -> name -> text in place of a shipped prompt.
    """

    backbone: Backbone
    name: str = ""
    steps: Steps = Steps()
    budget: Limits = Limits()
    tools: dict[str, dict[str, object] | None] = {}
    guidelines: GuidelineFiles | None = None
    policies: tuple[str, ...] = ()
    approver: str = "nobody"
    roles: tuple[Role, ...] = ()
    prompts: dict[Literal["zh", "en"], dict[str, str]] = {}


def read_agent_file(path: Path) -> tuple[AgentFile, bytes]:
    """Read an agent's file.

    Returns:
        The agent, and the file's bytes.

    Raises:
        InputError: With everything that is wrong with it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise InputError(Problem(message=say("agent_file.too_long", most=LONGEST), file=str(path)))
        node = yaml.compose(content.decode("utf-8-sig"), Loader=_Loader)
        reader = _Reader(str(path), node)
    except OSError as error:
        message = say("agent_file.unreadable", reason=error.strerror or error)
        raise InputError(Problem(message=message, file=str(path))) from error
    except (UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        message = say("agent_file.unreadable", reason=" ".join(str(error).split()))
        raise InputError(Problem(message=message, file=str(path), line=mark.line + 1 if mark else None)) from error
    agent = reader.struct(AgentFile, reader.value, "")
    if agent is not None:
        _check(agent, reader)
    if agent is None or reader.problems:
        raise InputError(*reader.problems)
    return agent, content


class _Loader(yaml.SafeLoader):
    """Without aliases, by which a small file can become an endless one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, say("agent_file.alias"), mark)
        return super().compose_node(parent, index)


class _Reader:
    """A YAML document with the line of every place in it."""

    def __init__(self, file: str, node: yaml.Node | None) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines: dict[str, int] = {}
        self.value = {} if node is None else self._read(node, "")

    def _read(self, node: yaml.Node, place: str) -> Any:  # noqa: ANN401 - whatever the user wrote
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, inner in node.value:
                name = str(key.value)
                where = f"{place}.{name}".lstrip(".")
                if name in found:
                    self._lines[where] = key.start_mark.line + 1
                    self.problem("agent_file.twice", where)
                found[name] = self._read(inner, where)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._read(inner, f"{place}[{index}]") for index, inner in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, LookupError, AttributeError) as error:  # `2024-13-45`, `!!int abc`
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def problem(self, key: str, place: str, **values: Any) -> None:  # noqa: ANN401 - fills a message
        """Report something wrong at a place."""
        line = self._lines.get(place) or self._lines.get(place.rpartition(".")[0])
        self.problems.append(Problem(message=say(key, **values), file=self.file, line=line, field=place or None))

    def struct(self, kind: type[S], value: object, place: str) -> S | None:
        """A mapping as a struct; None where something is wrong with it, which is then reported."""
        if not isinstance(value, dict):
            self.problem("agent_file.no_mapping", place)
            return None
        before = len(self.problems)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in value.keys() - fields.keys():
            self.problem("agent_file.unknown_field", f"{place}.{name}".lstrip("."), known=", ".join(fields))
        made: dict[str, object] = {}
        for name, field in fields.items():
            where = f"{place}.{name}".lstrip(".")
            if name not in value:
                if field.required:
                    self.problem("agent_file.missing_field", where)
                continue
            inner = value[name]
            if (struct := _struct_in(field.type)) is not None and inner is not None:
                made[name] = self.struct(struct, inner, where)
                continue
            try:
                made[name] = msgspec.convert(inner, field.type)
            except msgspec.ValidationError as error:
                self.problem("agent_file.bad_value", where, reason=error)
        return kind(**made) if len(self.problems) == before else None


def _struct_in(kind: object) -> type[msgspec.Struct] | None:
    """The struct that a field holds, also where it may be None."""
    several = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return next((each for each in several if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)


def _check(agent: AgentFile, reader: _Reader) -> None:
    """What types can't say."""
    least = {
        "backbone.longest_prompt": (agent.backbone.longest_prompt, 1000),
        "budget.turns": (agent.budget.turns, 1),
        "budget.tokens": (agent.budget.tokens, 1000),
        "guidelines.passages": (agent.guidelines.passages if agent.guidelines else 1, 1),
    }
    for place, (value, smallest) in least.items():
        if value < smallest:
            reader.problem("agent_file.too_small", place, least=smallest)
    if agent.approver != "nobody" and not agent.steps.guard:
        reader.problem("agent_file.approver_without_guard", "approver")
    if len(set(agent.roles)) < len(agent.roles):
        reader.problem("agent_file.role_twice", "roles")
    known = shipped()
    for language in LANGUAGES:
        for name, text in agent.prompts.get(language, {}).items():
            place = f"prompts.{language}.{name}"
            if name not in known:
                reader.problem("agent_file.unknown_prompt", place, known=", ".join(known))
                continue
            try:
                beyond = placeholders(text) - placeholders(known[name][language])
            except ValueError:
                reader.problem("agent_file.bad_template", place)
                continue
            if beyond:
                reader.problem("agent_file.unknown_placeholder", place, names=", ".join(sorted(beyond)))
