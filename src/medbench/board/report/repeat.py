"""The command line that asks the same again."""

from __future__ import annotations

import shlex

import msgspec

from medbench.models.images import ImageLimits
from medbench.runs.config import Pins


def command_line(pins: Pins) -> str:
    r"""The `medbench run` command of a run, quoted for a POSIX shell, one option per line (joined by `\`)."""
    model, selection = pins.model, pins.selection
    options: list[tuple[str, object]] = [("--items", pins.items), ("--model", model.spec)]
    if model.endpoint:
        options.append(("--base-url", model.endpoint))
    if model.api_key_env:
        options.append(("--api-key-env", model.api_key_env))
    for name, value in {**_removed_defaults(pins), **model.parameters}.items():
        options.append(("--parameter", f"{name}={msgspec.json.encode(value).decode()}"))
    if model.images:
        defaults = ImageLimits()
        for option, name in (("--image-side", "side"), ("--image-bytes", "size"), ("--image-count", "count")):
            if (value := getattr(model.images, name)) != getattr(defaults, name):
                options.append((option, value))
    if selection.track:
        options.append(("--track", selection.track))
    options += [("--dataset", name) for name in selection.datasets]
    if selection.limit is not None:
        options.append(("--limit", selection.limit))
    if selection.sample is not None:
        options.append(("--sample", selection.sample))
    if selection.seed:
        options.append(("--seed", selection.seed))
    if selection.orders != "rotate":
        options.append(("--orders", selection.orders))
    if selection.media_control != "none":
        options.append(("--media-control", selection.media_control))
    if selection.epochs > 1:
        options.append(("--epochs", selection.epochs))
    if pins.disclosure != "local":
        options.append(("--disclosure", pins.disclosure))
    if pins.catalog_folder:
        options.append(("--catalog", pins.catalog_folder))
    options.append(("--out", "repeated-run"))
    # NAME=VALUE keeps a value that begins with a dash from being read as an option.
    return " \\\n  ".join(["medbench run", *(f"{name}={shlex.quote(str(value))}" for name, value in options)])


def _removed_defaults(pins: Pins) -> dict[str, None]:
    """Defaults of the endpoint's requests that this run did not send: they have to be taken away again."""
    if not pins.model.spec.startswith("openai:"):
        return {}
    from medbench.models.openai import DEFAULTS

    return dict.fromkeys(name for name in DEFAULTS if name not in pins.model.parameters)
