"""Which environments there are: our own, and those of other packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from medbench.agents.environment import MakesEnvironment
from medbench.errors import InputError, Problem
from medbench.items.model import Media
from medbench.plugins import ENVIRONMENTS, load_plugin, plugin_names
from medbench.text import say


def _ehr() -> MakesEnvironment:
    from medbench.agents.environments.ehr import RecordStore

    return RecordStore


def _sql() -> MakesEnvironment:
    from medbench.agents.environments.sql import HospitalDatabase

    return HospitalDatabase


def _consultation() -> MakesEnvironment:
    from medbench.agents.environments.consultation import Consultation

    return Consultation


BUILT_IN: Mapping[str, Callable[[], MakesEnvironment]] = {"ehr": _ehr, "sql": _sql, "consultation": _consultation}


def environment_names() -> list[str]:
    """All that are installed, sorted."""
    return sorted({*BUILT_IN, *plugin_names(ENVIRONMENTS)})


def environment_maker(name: str) -> MakesEnvironment:
    """What makes the worlds of that name.

    Raises:
        InputError: There is none, or it can't be loaded.
    """
    found: MakesEnvironment | None = load_plugin(ENVIRONMENTS, name, taken=BUILT_IN)
    if found is not None:
        return found
    if name not in BUILT_IN:
        raise InputError(Problem(message=say("agents.no_environment", name=name, known=", ".join(environment_names()))))
    return BUILT_IN[name]()


def require_environments(names: Iterable[str], missing: Mapping[Media, int], file: Path) -> None:
    """Refuse environments that are not there, or that can't be made for want of a file.

    Args:
        names: Of all that are asked for.
        missing: Data files that are missing -> how many items need them.
        file: That names the data.

    Raises:
        InputError: With all of them.
    """
    problems = [
        Problem(
            message=say(f"items.media_{medium.missing}", name=medium.path),
            advice=say("agents.data_missing", n=items),
            file=str(file),
            field="media",
        )
        for medium, items in missing.items()
    ]
    for name in sorted(set(names)):
        try:
            environment_maker(name)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
