"""Settings of a tool, as they stand in the agent's file."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from medbench.errors import InputError, Problem
from medbench.text import say


def no_settings(settings: Mapping[str, object], tool: str) -> None:
    """Refuse settings of a tool that has none.

    Raises:
        InputError: With all of them.
    """
    if settings:
        raise InputError(
            *(Problem(message=say("agent_file.no_settings"), field=f"tools.{tool}.{each}") for each in settings)
        )


def chosen(settings: Mapping[str, object], name: str, known: Collection[str], tool: str) -> list[str]:
    """The names that a list in the settings chooses; all where it is absent. No other setting is known.

    Raises:
        InputError: With everything that is wrong.
    """
    problems = [
        Problem(message=say("store.unknown_field", known=name), field=f"tools.{tool}.{each}")
        for each in settings
        if each != name
    ]
    wanted = settings.get(name, list(known))
    if not isinstance(wanted, list) or not all(isinstance(each, str) for each in wanted):
        problems.append(Problem(message=say("agent_file.no_names"), field=f"tools.{tool}.{name}"))
        wanted = []
    problems += [
        Problem(message=say("agent_file.unknown_name", name=each, known=", ".join(known)), field=f"tools.{tool}.{name}")
        for each in wanted
        if each not in known
    ]
    if problems:
        raise InputError(*problems)
    return wanted
