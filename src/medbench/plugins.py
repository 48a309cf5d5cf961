"""What third parties add: a name in an entry-point group, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Collection
from importlib import metadata
from typing import Any

from medbench.errors import InputError, Problem
from medbench.text import say

MODELS = "medbench.models"
"""Model kind -> a function (name, `ModelOptions`) that makes the model."""
METRICS = "medbench.metrics"
"""Metric of answers that are files -> a `medbench.scoring.file_metrics.FileMetric` without arguments."""
ENVIRONMENTS = "medbench.environments"
"""Environment -> a `medbench.agents.environment.MakesEnvironment`."""
APPROVERS = "medbench.approvers"
"""Whom the reference agent asks for approval -> a `medbench.agents.governance.approval.MakesApprover`."""
TOOLS = "medbench.tools"
"""Tool of the reference agent -> makes from settings in the agent's file a `medbench.models.tools.Tool`."""


def plugin_names(group: str) -> list[str]:
    """Names in a group, sorted."""
    return sorted({entry.name for entry in metadata.entry_points(group=group)})


def load_plugin(group: str, name: str, *, taken: Collection[str] = (), field: str | None = None) -> Any:  # noqa: ANN401
    """What stands under a name in a group; None where there is nothing.

    Args:
        group: One of the groups above.
        name: The name.
        taken: Names that medbench has itself.
        field: Option that named it, for errors.

    Raises:
        InputError: Several packages claim the name, or medbench has it itself, or what its package needs is missing.
    """
    found = list(metadata.entry_points(group=group, name=name))
    claimed = sorted({entry.dist.name if entry.dist else entry.value for entry in found})
    claimed += ["medbench"] if name in taken and found else []
    if len(claimed) > 1:
        packages = ", ".join(claimed)
        raise InputError(Problem(message=say("models.plugin_clash", name=name, packages=packages), field=field))
    if not found:
        return None
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        message = say("models.plugin_broken", name=name, package=claimed[0], error=error)
        raise InputError(Problem(message=message, field=field)) from error
